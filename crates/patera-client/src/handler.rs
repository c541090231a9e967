//! Handlers on the client's side: what their parameters may be besides arguments, and how one is called.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use patera_protocol::handler::{self, Answer, CallError, Error, FromEvent, Handler, IntoReply, Side};
use serde::Serialize;

use crate::client::Client;
use crate::engine::Boxed;
use crate::error::ConnectError;
use crate::lifecycle::{Disconnect, DisconnectReason, Lifecycle};
use crate::socket::Socket;

impl Side for Client {
    type Call<'a> = Call<'a>;
}

/// An event on its way into a handler: what [`FromEvent`] takes from.
pub type EventContext<'a, 'p> = handler::EventContext<'a, 'p, Client>;

/// What is known of a call besides its arguments.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    socket: &'a Socket,
    name: &'a str,
    ack: Option<AckTarget>,
    lifecycle: Option<&'a Lifecycle>,
}

impl<'a> Call<'a> {
    pub(crate) fn event(socket: &'a Socket, name: &'a str, ack: Option<AckTarget>) -> Self {
        Call { socket, name, ack, lifecycle: None }
    }

    pub(crate) fn lifecycle(socket: &'a Socket, lifecycle: &'a Lifecycle) -> Self {
        Call { socket, name: lifecycle.name(), ack: None, lifecycle: Some(lifecycle) }
    }

    /// The socket that got the event.
    pub fn socket(&self) -> &'a Socket {
        self.socket
    }

    pub(crate) fn ack(&self) -> Option<AckTarget> {
        self.ack
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("ack", &self.ack)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}

impl FromEvent<Client> for Socket {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(event.call().socket.clone())
    }
}

/// The name of the event: for handlers of any, and for those that are registered for several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventName(pub String);

impl FromEvent<Client> for EventName {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(EventName(event.call().name.to_owned()))
    }
}

/// Takes something out of what has happened.
fn of<T>(
    event: &EventContext<'_, '_>,
    name: &'static str,
    take: impl FnOnce(&Lifecycle) -> Option<T>,
) -> Result<T, CallError> {
    event.call().lifecycle.and_then(take).ok_or(CallError::NotOfThisEvent(name))
}

impl FromEvent<Client> for Lifecycle {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        of(event, "Lifecycle", |lifecycle| Some(lifecycle.clone()))
    }
}

impl FromEvent<Client> for Disconnect {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        of(event, "Disconnect", |lifecycle| match lifecycle {
            Lifecycle::Disconnect(disconnect) => Some(disconnect.clone()),
            _ => None,
        })
    }
}

impl FromEvent<Client> for DisconnectReason {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        of(event, "DisconnectReason", |lifecycle| match lifecycle {
            Lifecycle::Disconnect(disconnect) => Some(disconnect.reason),
            _ => None,
        })
    }
}

impl FromEvent<Client> for ConnectError {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        of(event, "ConnectError", |lifecycle| match lifecycle {
            Lifecycle::ConnectError(error) | Lifecycle::ReconnectError(error) => Some(error.clone()),
            _ => None,
        })
    }
}

/// Which event of the server an acknowledgement is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckTarget {
    pub(crate) id: u64,
    pub(crate) generation: u64,
}

/// The server's wish for an acknowledgement, to be answered later or elsewhere than by the return value.
///
/// Dropped unanswered, the server gets none. If the server asked for none, or has lost the connection since, answering does
/// nothing.
pub struct Ack<T> {
    target: Option<(Socket, AckTarget)>,
    answer: PhantomData<fn(T)>,
}

impl<T: Serialize> Ack<T> {
    /// Answers: a tuple is several arguments, `()` none, anything else one.
    pub fn send(self, answer: T) {
        if let Some((socket, target)) = &self.target {
            socket.acknowledge(*target, &answer);
        }
    }
}

impl<T> Ack<T> {
    pub(crate) fn new(socket: &Socket, target: Option<AckTarget>) -> Self {
        Ack { target: target.map(|target| (socket.clone(), target)), answer: PhantomData }
    }

    /// Whether the server waits for an answer.
    pub fn is_expected(&self) -> bool {
        self.target.is_some()
    }
}

impl<T> FromEvent<Client> for Ack<T> {
    fn from_event(event: &mut EventContext<'_, '_>) -> Result<Self, CallError> {
        Ok(Ack::new(event.call().socket, event.call().ack))
    }
}

impl<T> fmt::Debug for Ack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("expected", &self.target.is_some()).finish()
    }
}

/// What went wrong in a handler: see [`Socket::on_error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The event's arguments do not fit the handler.
    Call(CallError),
    /// The handler returned an error.
    Handler(Error),
    /// The handler panicked; the connection goes on.
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

/// A handler without its types.
pub(crate) trait EventHandler: Send + Sync {
    fn start(&self, event: &mut EventContext<'_, '_>, name: &Arc<str>) -> Result<Boxed<()>, CallError>;
}

struct Erased<H, P> {
    handler: H,
    parameters: PhantomData<fn(P)>,
}

pub(crate) fn event_handler<P: 'static, H>(handler: H) -> Arc<dyn EventHandler>
where
    H: Handler<Client, P>,
    H::Output: IntoReply,
{
    Arc::new(Erased { handler, parameters: PhantomData })
}

impl<P: 'static, H> EventHandler for Erased<H, P>
where
    H: Handler<Client, P>,
    H::Output: IntoReply,
{
    fn start(&self, event: &mut EventContext<'_, '_>, name: &Arc<str>) -> Result<Boxed<()>, CallError> {
        let (socket, ack) = (event.call().socket.clone(), event.call().ack);
        let future = self.handler.clone().start(event)?;
        Ok(Box::pin(run(future, Acknowledge { socket, event: name.clone(), ack })))
    }
}

async fn run(future: impl Future<Output: IntoReply>, to: Acknowledge) {
    let returned = future.await;
    returned.reply(&to);
}

/// Where what a handler returns goes.
struct Acknowledge {
    socket: Socket,
    event: Arc<str>,
    ack: Option<AckTarget>,
}

impl Answer for Acknowledge {
    fn send(&self, answer: &impl Serialize) {
        if let Some(target) = self.ack {
            self.socket.acknowledge(target, answer);
        }
    }

    fn report(&self, error: Error) {
        self.socket.report(&self.event, &Failure::Handler(error));
    }
}
