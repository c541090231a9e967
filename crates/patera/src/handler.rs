//! Handlers: async functions whose parameters say what they want of an event.
//!
//! Any parameter that implements `Deserialize` takes the next argument of the event; [`Socket`], [`Io`], [`State`],
//! [`Ack`], [`Rest`], [`DisconnectReason`] are known by type and take none.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use patera_protocol::socketio::{Args, ArgumentError, Value};
use pin_project_lite::pin_project;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{DisconnectReason, Error};
use crate::io::Io;
use crate::socket::Socket;
use crate::tasks::{Outcome, Task, TaskFuture};

/// An event on its way into a handler: what [`FromEvent`] takes from.
pub struct EventContext<'a, 'p> {
    pub(crate) socket: &'a Socket,
    pub(crate) args: &'a Args<'p>,
    pub(crate) ack: Option<u64>,
    pub(crate) reason: Option<DisconnectReason>,
    next: usize,
}

impl<'a, 'p> EventContext<'a, 'p> {
    pub(crate) fn new(socket: &'a Socket, args: &'a Args<'p>, ack: Option<u64>) -> Self {
        EventContext { socket, args, ack, reason: None, next: 0 }
    }

    pub(crate) fn with_reason(mut self, reason: DisconnectReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The socket that got the event.
    pub fn socket(&self) -> &Socket {
        self.socket
    }

    /// Takes the next argument, for a [`FromEvent`] of your own.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn argument<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        let index = self.next;
        self.next += 1;
        self.args.decode(index).map_err(CallError::Argument)
    }

    /// What the handler gets to answer with later.
    fn ack_target(&self) -> Option<AckTarget> {
        self.ack.map(|id| AckTarget { socket: self.socket.clone(), id })
    }
}

/// Why a handler could not be called: see [`Io::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// An argument is missing or of another type.
    Argument(ArgumentError),
    /// `State<T>` was asked for and [`Io::with_state`](crate::Io::with_state) never got a `T`, whose name this is.
    NoState(&'static str),
    /// A [`DisconnectReason`] was asked for by a handler of something else.
    NoReason,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Argument(error) => error.fmt(f),
            CallError::NoState(name) => write!(f, "no state of type {name} was given"),
            CallError::NoReason => f.write_str("only a disconnect handler has a reason"),
        }
    }
}

impl CallError {
    /// What the client is told: its own mistake in full, ours as `internal error`.
    pub(crate) fn message(&self) -> String {
        match self {
            CallError::Argument(error) => error.to_string(),
            CallError::NoState(_) | CallError::NoReason => "internal error".to_owned(),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CallError::Argument(error) => Some(error),
            CallError::NoState(_) | CallError::NoReason => None,
        }
    }
}

/// What a handler's parameter may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a handler",
    note = "a parameter is `Socket`, `Io`, `State<T>`, `Ack<T>`, `Rest`, `DisconnectReason`, or any type that implements `serde::Deserialize` and takes the next argument"
)]
pub trait FromEvent: Sized {
    /// Takes it from the event.
    ///
    /// # Errors
    /// The argument is missing or of another type.
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError>;
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        event.argument()
    }
}

impl FromEvent for Socket {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(event.socket.clone())
    }
}

impl FromEvent for Io {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(event.socket.io())
    }
}

impl FromEvent for DisconnectReason {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        event.reason.ok_or(CallError::NoReason)
    }
}

/// A value given to [`Io::with_state`](crate::Io::with_state), cloned for each call: keep what is shared in an `Arc`.
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromEvent for State<T> {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        event.socket.io().state().map(State).ok_or(CallError::NoState(std::any::type_name::<T>()))
    }
}

/// All arguments that no parameter before it has taken; the last parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest(pub Vec<Value>);

impl FromEvent for Rest {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        let indices = event.next..event.args.len();
        event.next = event.args.len();
        let decode = |index| event.args.value(index).map_err(CallError::Argument);
        indices.map(decode).collect::<Result<_, _>>().map(Rest)
    }
}

/// The client's wish for an acknowledgement, to be answered later or elsewhere than by the return value.
///
/// Dropped unanswered, the client gets none. If the client asked for none, answering does nothing.
pub struct Ack<T> {
    target: Option<AckTarget>,
    answer: PhantomData<fn(T)>,
}

impl<T: Serialize> Ack<T> {
    /// Answers: a tuple is several arguments, `()` none, anything else one.
    pub fn send(self, answer: T) {
        if let Some(AckTarget { socket, id }) = self.target {
            socket.acknowledge(id, &answer);
        }
    }

    /// Whether the client waits for an answer.
    pub fn is_expected(&self) -> bool {
        self.target.is_some()
    }
}

impl<T> FromEvent for Ack<T> {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(Ack { target: event.ack_target(), answer: PhantomData })
    }
}

impl<T> fmt::Debug for Ack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("expected", &self.target.is_some()).finish()
    }
}

/// Where an acknowledgement goes.
struct AckTarget {
    socket: Socket,
    id: u64,
}

/// The acknowledgement, as a handler's return value: a tuple is several arguments, `()` none, anything else one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<T>(pub T);

/// What a handler may return: `()` acknowledges nothing, [`Reply`] its value, `Err` of a `Result` acknowledges `{"error": …}`.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "a handler returns `()`, `Reply<T>` to acknowledge with `T`, or a `Result` of either; one that never returns says so with `-> ()`"
)]
pub trait IntoReply {
    /// Sends the acknowledgement, if there is one to send.
    #[doc(hidden)]
    fn reply(self, ack: Acknowledge<'_>);
}

/// A way to answer that is not part of the API.
#[doc(hidden)]
pub struct Acknowledge<'a> {
    socket: &'a Socket,
    event: &'a str,
    id: Option<u64>,
}

impl Acknowledge<'_> {
    fn send(&self, answer: &impl Serialize) {
        if let Some(id) = self.id {
            self.socket.acknowledge(id, answer);
        }
    }
}

impl IntoReply for () {
    fn reply(self, _: Acknowledge<'_>) {}
}

impl<T: Serialize> IntoReply for Reply<T> {
    fn reply(self, ack: Acknowledge<'_>) {
        ack.send(&self.0);
    }
}

impl<R: IntoReply, E: Into<Error>> IntoReply for Result<R, E> {
    fn reply(self, ack: Acknowledge<'_>) {
        match self {
            Ok(reply) => reply.reply(ack),
            Err(error) => {
                let error = error.into();
                ack.send(&Refusal { error: &error.message() });
                ack.socket.report(ack.event, &Failure::Handler(error));
            }
        }
    }
}

/// The acknowledgement of an event that failed.
#[derive(Serialize)]
pub(crate) struct Refusal<'a> {
    pub(crate) error: &'a str,
}

/// What went wrong in a handler: see [`Io::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The event's arguments do not fit the handler.
    Call(CallError),
    /// The handler returned an error.
    Handler(Error),
    /// The handler panicked; its connection is closed.
    Panic,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Call(error) => error.fmt(f),
            Failure::Handler(error) => error.fmt(f),
            Failure::Panic => f.write_str("a handler panicked"),
        }
    }
}

/// An async function or closure of up to 12 parameters, each [`FromEvent`].
///
/// It is cloned for each call, captures too: capture an `Arc`, not what it holds.
///
/// Bytes are `bytes::Bytes` (or `serde_bytes`) anywhere inside an argument's type, except inside `#[serde(untagged)]` and
/// `#[serde(flatten)]`, where serde does not tell what it is looking for: take a [`Value`] there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is an async function or closure of at most 12 parameters that is `Clone + Send + Sync + 'static` and whose future is `Send`",
    note = "its parameters are owned, and are `Socket`, `Io`, `State<T>` with `T: Clone + Send + Sync`, `Ack<T>`, `Rest`, or implement `serde::Deserialize`"
)]
pub trait Handler<Parameters>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Output;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'static;

    /// Takes the parameters from the event and starts the function.
    ///
    /// # Errors
    /// A parameter could not be had; the function was not called.
    fn start(self, event: &mut EventContext<'_, '_>) -> Result<Self::Future, CallError>;
}

macro_rules! handler {
    ($($parameter:ident)*) => {
        impl<F, Fut, $($parameter),*> Handler<($($parameter,)*)> for F
        where
            F: FnOnce($($parameter),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            $($parameter: FromEvent,)*
        {
            type Output = Fut::Output;
            type Future = Fut;

            #[allow(non_snake_case, unused_variables, reason = "one macro for all numbers of parameters")]
            fn start(self, event: &mut EventContext<'_, '_>) -> Result<Fut, CallError> {
                $(let $parameter = $parameter::from_event(event)?;)*
                Ok(self($($parameter),*))
            }
        }
    };
}

handler!();
handler!(A1);
handler!(A1 A2);
handler!(A1 A2 A3);
handler!(A1 A2 A3 A4);
handler!(A1 A2 A3 A4 A5);
handler!(A1 A2 A3 A4 A5 A6);
handler!(A1 A2 A3 A4 A5 A6 A7);
handler!(A1 A2 A3 A4 A5 A6 A7 A8);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);

/// What failures of the handlers without an event are reported under.
pub(crate) const CONNECTION: &str = "(connection)";
pub(crate) const DISCONNECT: &str = "(disconnect)";
pub(crate) const MIDDLEWARE: &str = "(middleware)";

/// A handler without its types.
pub(crate) trait EventHandler: Send + Sync {
    /// The event it was registered for, or `(connection)`, `(disconnect)`.
    fn event(&self) -> &Arc<str>;
    fn start(&self, event: &mut EventContext<'_, '_>) -> Result<Task, CallError>;
}

/// A middleware without its types.
pub(crate) trait Middleware: Send + Sync {
    fn start(&self, event: &mut EventContext<'_, '_>) -> Result<MiddlewareFuture, CallError>;
}

pub(crate) type MiddlewareFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

struct Erased<H, P> {
    handler: H,
    event: Arc<str>,
    parameters: PhantomData<fn(P)>,
}

pub(crate) fn event_handler<P: 'static, H>(event: &str, handler: H) -> Arc<dyn EventHandler>
where
    H: Handler<P>,
    H::Output: IntoReply,
{
    Arc::new(Erased { handler, event: event.into(), parameters: PhantomData })
}

pub(crate) fn middleware<P: 'static, H>(handler: H) -> Arc<dyn Middleware>
where
    H: Handler<P>,
    H::Output: IntoDecision,
{
    Arc::new(Erased { handler, event: MIDDLEWARE.into(), parameters: PhantomData })
}

impl<P: 'static, H> EventHandler for Erased<H, P>
where
    H: Handler<P>,
    H::Output: IntoReply,
{
    fn event(&self) -> &Arc<str> {
        &self.event
    }

    fn start(&self, event: &mut EventContext<'_, '_>) -> Result<Task, CallError> {
        let id = event.ack;
        let future = self.handler.clone().start(event)?;
        Ok(Box::pin(Running { future, id }))
    }
}

pin_project! {
    /// A handler on its way. Where it was called from comes with each poll, so that a call owns nothing but its future.
    struct Running<F> {
        #[pin]
        future: F,
        id: Option<u64>,
    }
}

impl<F> TaskFuture for Running<F>
where
    F: Future<Output: IntoReply> + Send,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, socket: &Socket, event: &str) -> Poll<Outcome> {
        let running = self.project();
        let returned = ready!(running.future.poll(cx));
        returned.reply(Acknowledge { socket, event, id: *running.id });
        Poll::Ready(Outcome::Done)
    }
}

impl<P: 'static, H> Middleware for Erased<H, P>
where
    H: Handler<P>,
    H::Output: IntoDecision,
{
    fn start(&self, event: &mut EventContext<'_, '_>) -> Result<MiddlewareFuture, CallError> {
        let future = self.handler.clone().start(event)?;
        Ok(Box::pin(async move { future.await.decide() }))
    }
}

/// What a middleware may return: `Ok(())` or `()` lets the socket in, `Err` refuses it.
#[diagnostic::on_unimplemented(
    message = "a middleware cannot return `{Self}`",
    note = "a middleware returns `()` or a `Result<(), E>`"
)]
pub trait IntoDecision {
    /// The decision.
    ///
    /// # Errors
    /// The socket is refused: `connect_error` with the error's message and data.
    #[doc(hidden)]
    fn decide(self) -> Result<(), Error>;
}

impl IntoDecision for () {
    fn decide(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Into<Error>> IntoDecision for Result<(), E> {
    fn decide(self) -> Result<(), Error> {
        self.map_err(Into::into)
    }
}
