//! `#[events]`: a trait of events becomes a contract, which both sides keep or do not compile.
//!
//! Not for use by itself: what it writes refers to [`patera-protocol`](https://docs.rs/patera-protocol)'s module `contract`, by the name
//! of the crate that the attribute came from.
//!
//! | file | what |
//! |---|---|
//! | `contract` | the trait, read |
//! | `event` | one function of it, read |
//! | `expansion` | what is written in its place |
//! | `borrowing` | an argument's type as senders take it |
//! | `typescript` | the trait and its types in TypeScript |
//! | `names` | names that no event and no function may have |
#![forbid(unsafe_code)]

mod borrowing;
mod contract;
mod event;
mod expansion;
mod names;
mod typescript;

use proc_macro::TokenStream;
use quote::quote;

use crate::expansion::Home;

/// Makes a contract of a trait, for a crate that is shared by both sides and depends on neither: it needs `patera-protocol`
/// beside `patera-macros`. Otherwise as `patera::events`; but whose handlers they are has no default, so that
/// an implementation says it.
///
/// ```
/// #[patera_macros::events]
/// pub trait ClientToServer {
///     fn add(a: i64, b: i64) -> i64;
/// }
///
/// struct Calculator;
///
/// impl ClientToServer<patera::Server> for Calculator {
///     async fn add(&self, _: patera::Socket, a: i64, b: i64) -> patera::Result<i64> {
///         Ok(a + b)
///     }
/// }
///
/// async fn ask(client: &patera_client::Client) -> Result<i64, patera_client::AckError> {
///     client.add(1, 2).await
/// }
/// ```
#[proc_macro_attribute]
pub fn events(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Home { path: quote!(::patera_protocol), side: None })
}

/// Makes a contract of a trait: of handlers that must be there, of methods that emit, of an interface in TypeScript.
///
/// Each function of the trait is an event: its name is the function's, or that of `#[event("…")]`; its parameters are the event's
/// arguments, of owned types that serde can write and read; `-> T` says that it is acknowledged with a `T` (a tuple is
/// several arguments, `()` none). At most 11 arguments.
///
/// ```
/// use patera::{Io, Result, Socket};
///
/// /// What clients send.
/// #[patera::events]
/// pub trait ClientToServer {
///     /// Tells one other, and how long the text was.
///     #[event("private message")]
///     fn private_message(to: String, text: String) -> u64;
///     fn typing(room: String);
/// }
///
/// #[patera::events]
/// pub trait ServerToClient {
///     fn user_joined(name: String, online: u32);
///     fn told(from: String, text: String);
/// }
///
/// struct Chat;
///
/// impl ClientToServer for Chat {
///     async fn private_message(&self, socket: Socket, to: String, text: String) -> Result<u64> {
///         socket.to(to).told(socket.id(), &text);                        // arguments borrow where they can
///         Ok(text.len() as u64)
///     }
///
///     async fn typing(&self, socket: Socket, room: String) {
///         socket.to(room).user_joined(socket.id(), 2);
///     }
/// }
///
/// let io = Io::new();
/// Chat.serve(&io);                                                       // or any namespace, or one socket
/// assert_eq!(
///     CLIENT_TO_SERVER_TYPESCRIPT,
///     r#"/** What clients send. */
/// export interface ClientToServer {
///   /** Tells one other, and how long the text was. */
///   "private message": (to: string, text: string, ack: (answer: number) => void) => void;
///   typing: (room: string) => void;
/// }
/// "#
/// );
/// ```
///
/// # What it writes
///
/// Of `trait ClientToServer`, each as public as the trait:
///
/// - The trait **`ClientToServer`**, for who handles: for each event a method with `&self`, the socket, and the arguments. It returns
///   `Result<T>` for `-> T`, where `Err` is told to the peer as by any other handler, and `()` otherwise. Futures are `Send`.
///   `serve(self, on)` registers them all, on the server at a namespace, an `Io` or a socket, in the client at a `Client` or a socket.
///   Its parameter says whose handlers they are: by default those of the crate that the attribute came from, so
///   the client's `impl` of a contract of `patera::events` is `impl ServerToClient<patera_client::Client> for …`.
/// - The trait **`EmitClientToServer`**, for who sends: for each event a method of everything that emits, which is to be in scope.
///   It returns what `emit_with_ack` returns there for `-> T`, and nothing otherwise. `String` is `&str` there, `Vec<T>` is
///   `&[T]`, `Option` and tuples hold such, numbers are themselves, anything else is behind `&`.
/// - **`CLIENT_TO_SERVER_TYPESCRIPT`**, the interface that `Socket<ServerToClient, ClientToServer>` of socket.io's TypeScript takes.
///   Types of your own are there by their names.
///
/// If the crate is not known by its own name here, say which it is: `#[patera::events(crate = my::patera)]`.
///
/// # What does not compile
///
/// An event without its handler:
///
/// ```compile_fail,E0046
/// #[patera::events]
/// trait ClientToServer { fn typing(room: String); fn quiet(); }
///
/// struct Chat;
/// impl ClientToServer for Chat {
///     async fn typing(&self, _: patera::Socket, room: String) {}
/// }
/// ```
///
/// One of another type:
///
/// ```compile_fail,E0053
/// # #[patera::events]
/// # trait ClientToServer { fn typing(room: String); }
/// # struct Chat;
/// impl ClientToServer for Chat {
///     async fn typing(&self, _: patera::Socket, room: u64) {}
/// }
/// ```
///
/// One that acknowledges with something else:
///
/// ```compile_fail,E0271
/// # #[patera::events]
/// # trait ClientToServer { fn length(text: String) -> u64; }
/// # struct Chat;
/// impl ClientToServer for Chat {
///     async fn length(&self, _: patera::Socket, text: String) -> patera::Result<String> { Ok(text) }
/// }
/// ```
///
/// One that the contract does not have:
///
/// ```compile_fail,E0407
/// # #[patera::events]
/// # trait ClientToServer { fn typing(room: String); }
/// # struct Chat;
/// impl ClientToServer for Chat {
///     async fn typing(&self, _: patera::Socket, room: String) {}
///     async fn tpying(&self, _: patera::Socket, room: String) {}
/// }
/// ```
///
/// Emitting with other arguments:
///
/// ```compile_fail,E0308
/// # #[patera::events]
/// # trait ServerToClient { fn user_joined(name: String, online: u32); }
/// fn join(io: &patera::Io) { io.user_joined("ada", "two"); }
/// ```
///
/// An argument that serde cannot write and read:
///
/// ```compile_fail,E0277
/// struct Point { x: f64 }
/// #[patera::events]
/// trait ClientToServer { fn moved(to: Point); }
/// ```
///
/// Names of which socket.io uses the event, or sockets the method:
///
/// ```compile_fail
/// #[patera::events]
/// trait ClientToServer { fn disconnect(); }
/// ```
///
/// ```compile_fail
/// #[patera::events]
/// trait ClientToServer { fn join(room: String); }                        // #[event("join")] fn join_room(room: String);
/// ```
#[proc_macro_attribute]
pub fn events_of_server(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Home { path: quote!(::patera), side: Some("Server") })
}

/// Makes a contract of a trait: of handlers that must be there, of methods that emit, of an interface in TypeScript. As
/// `patera::events`, which has the details, with handlers that are by default a client's.
///
/// ```
/// use patera_client::{AckError, Client, Socket};
///
/// #[patera_client::events]
/// trait ServerToClient {
///     fn news(text: String);
/// }
///
/// #[patera_client::events]
/// trait ClientToServer {
///     fn add(a: i64, b: i64) -> i64;
/// }
///
/// struct Reader;
///
/// impl ServerToClient for Reader {
///     async fn news(&self, _: Socket, text: String) {
///         println!("{text}");
///     }
/// }
///
/// async fn read(client: Client) -> Result<i64, AckError> {
///     Reader.serve(&client);
///     client.add(1, 2).await
/// }
/// ```
#[proc_macro_attribute]
pub fn events_of_client(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item, Home { path: quote!(::patera_client), side: Some("Client") })
}

fn expand(attribute: TokenStream, item: TokenStream, home: Home) -> TokenStream {
    expansion::expand(attribute.into(), item.into(), home).unwrap_or_else(|error| error.into_compile_error()).into()
}
