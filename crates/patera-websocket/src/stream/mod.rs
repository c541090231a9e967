//! A WebSocket over any `AsyncRead + AsyncWrite`: the feature `tokio`.
//!
//! For programs that want a WebSocket and nothing else, and for clients. It has no timers: a deadline for the handshake, for a
//! peer that is silent and for one that does not close is the caller's, with `tokio::time::timeout`.
//!
//! ```no_run
//! use patera_websocket::{Config, stream::WebSocketStream};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (socket, _) = listener.accept().await?;
//!     socket.set_nodelay(true)?;
//!     tokio::spawn(async move {
//!         let mut stream = WebSocketStream::accept(socket, Config::default()).await?;
//!         while let Some(message) = stream.next().await {
//!             stream.send(message?).await?;
//!         }
//!         Ok::<(), patera_websocket::stream::Error>(())
//!     });
//! }
//! # }
//! ```

mod error;
mod head;
mod message;
mod upgrade;
mod websocket;

pub use self::error::Error;
pub use self::message::Message;
pub use self::upgrade::{ConnectOptions, Upgrade};
pub use self::websocket::WebSocketStream;
