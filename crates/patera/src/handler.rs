//! Handlers: async functions whose parameters say what they want of an event.
//!
//! Any parameter that implements `Deserialize` takes the next argument of the event; [`Socket`], [`Io`], [`State`],
//! [`Ack`], [`Rest`](crate::Rest), [`EventName`], [`DisconnectReason`], [`DisconnectDetails`] are known by type and take none.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use patera_protocol::handler::{self, Answer, CallError, FromEvent, IntoReply, Side};
use pin_project_lite::pin_project;
use serde::Serialize;

use crate::details::DisconnectDetails;
use crate::error::{DisconnectReason, Error};
use crate::io::Io;
use crate::listeners::ListenerId;
use crate::socket::Socket;
use crate::tasks::{Outcome, Task, TaskFuture};

/// The server's side of a handler: the parameter of [`FromEvent`] for types of your own.
///
/// ```
/// use patera::{CallError, EventContext, FromEvent, Server};
///
/// struct Point { x: f64, y: f64 }
///
/// impl FromEvent<Server> for Point {                                    // two arguments of the event
///     fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
///         Ok(Point { x: event.argument()?, y: event.argument()? })
///     }
/// }
/// ```
#[derive(Debug)]
pub enum Server {}

impl Side for Server {
    type Call<'a> = Call<'a>;
}

/// An event on its way into a handler: what [`FromEvent`] takes from.
pub type EventContext<'a, 'p> = handler::EventContext<'a, 'p, Server>;

/// What is known of a call besides its arguments.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub(crate) socket: &'a Socket,
    /// The event's name, or `(connection)`, `(disconnect)`, ….
    pub(crate) name: &'a str,
    pub(crate) ack: Option<u64>,
    pub(crate) reason: Option<DisconnectReason>,
    /// Whether the client is told that its arguments do not fit.
    pub(crate) refuses: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(socket: &'a Socket, name: &'a str, ack: Option<u64>) -> Self {
        Call { socket, name, ack, reason: None, refuses: true }
    }

    /// The end of a socket.
    pub(crate) fn with_reason(socket: &'a Socket, name: &'a str, reason: DisconnectReason) -> Self {
        Call { reason: Some(reason), ..Call::new(socket, name, None) }
    }

    pub(crate) fn without_refusal(self) -> Self {
        Call { refuses: false, ..self }
    }

    /// The socket that got the event.
    pub fn socket(&self) -> &'a Socket {
        self.socket
    }

    /// The event's name; `(connection)`, `(disconnecting)`, `(disconnect)`, `(middleware)` where there is none.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What the handler gets to answer with later.
    fn ack_target(&self) -> Option<AckTarget> {
        self.ack.map(|id| AckTarget { socket: self.socket.clone(), id })
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("ack", &self.ack)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl FromEvent<Server> for Socket {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(event.call().socket.clone())
    }
}

impl FromEvent<Server> for Io {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(event.call().socket.io())
    }
}

impl FromEvent<Server> for DisconnectReason {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        event.call().reason.ok_or(CallError::NotOfThisEvent("DisconnectReason"))
    }
}

impl FromEvent<Server> for DisconnectDetails {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        let reason = event.call().reason.ok_or(CallError::NotOfThisEvent("DisconnectDetails"))?;
        Ok(event.call().socket.0.session.life.details(reason))
    }
}

/// The name of the event: for handlers of any, and for those that are registered for several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventName(pub String);

impl FromEvent<Server> for EventName {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(EventName(event.call().name.to_owned()))
    }
}

/// A value given to [`Io::with_state`](crate::Io::with_state), cloned for each call: keep what is shared in an `Arc`.
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromEvent<Server> for State<T> {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        event.call().socket.io().state().map(State).ok_or(CallError::NoState(std::any::type_name::<T>()))
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

impl<T> FromEvent<Server> for Ack<T> {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(Ack { target: event.call().ack_target(), answer: PhantomData })
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

/// Where what a handler returns goes.
struct Acknowledge<'a> {
    socket: &'a Socket,
    event: &'a str,
    id: Option<u64>,
}

impl Answer for Acknowledge<'_> {
    fn send(&self, answer: &impl Serialize) {
        if let Some(id) = self.id {
            self.socket.acknowledge(id, answer);
        }
    }

    fn report(&self, error: Error) {
        self.socket.report(self.event, &Failure::Handler(error));
    }
}

/// So that a handler may be no more than `socket.on(…)`.
impl IntoReply for ListenerId {
    fn reply(self, _: &impl Answer) {}
}

/// What went wrong in a handler: see [`Io::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The event's arguments do not fit the handler.
    Call(CallError),
    /// The handler returned an error.
    Handler(Error),
    /// An event middleware refused the event.
    Refused(Error),
    /// The handler panicked, or what it was given with its socket, when it was dropped; its connection is closed.
    Panic,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Call(error) => error.fmt(f),
            Failure::Handler(error) | Failure::Refused(error) => error.fmt(f),
            Failure::Panic => f.write_str("a handler panicked"),
        }
    }
}

/// An async function or closure of up to 12 parameters, each [`FromEvent`]: [`Socket`], [`Io`], [`State`], [`Ack`], [`Rest`](crate::Rest),
/// [`EventName`], [`DisconnectReason`], [`DisconnectDetails`], or anything that implements `Deserialize`.
///
/// It is cloned for each call, captures too: capture an `Arc`, not what it holds.
///
/// Bytes are `bytes::Bytes` (or `serde_bytes`) anywhere inside an argument's type, except inside `#[serde(untagged)]` and
/// `#[serde(flatten)]`, where serde does not tell what it is looking for: take a [`Value`](crate::Value) there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is an async function or closure of at most 12 parameters that is `Clone + Send + Sync + 'static` and whose future is `Send`",
    note = "its parameters are owned, and are `Socket`, `Io`, `State<T>` with `T: Clone + Send + Sync`, `Ack<T>`, `Rest`, `EventName`, or implement `serde::Deserialize`"
)]
pub trait Handler<Parameters>: handler::Handler<Server, Parameters> {}

impl<P, H: handler::Handler<Server, P>> Handler<P> for H {}

/// What failures of the handlers without an event are reported under.
pub(crate) const CONNECTION: &str = "(connection)";
pub(crate) const DISCONNECTING: &str = "(disconnecting)";
pub(crate) const DISCONNECT: &str = "(disconnect)";
pub(crate) const DROP: &str = "(drop)";
/// What handlers of any event are registered for; failures are reported under the event's own name.
pub(crate) const ANY: &str = "(any)";
pub(crate) const MIDDLEWARE: &str = "(middleware)";

/// A handler without its types.
pub(crate) trait EventHandler: Send + Sync {
    /// The event it was registered for, or `(connection)`, `(disconnect)`, ….
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
        let id = event.call().ack;
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
        returned.reply(&Acknowledge { socket, event, id: *running.id });
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
