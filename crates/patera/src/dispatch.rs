//! A socket's life in handlers: middlewares, connection, events, disconnection. Called by the session's task only.

use std::sync::Arc;
use std::task::Waker;

use patera_protocol::socketio::Args;

use crate::error::{DisconnectReason, Error};
use crate::handler::{AckTarget, CallError, EventContext, EventHandler, Failure, MIDDLEWARE, Middleware};
use crate::prepared::Prepared;
use crate::socket::{Socket, SocketInner};
use crate::stats::{count, uncount};
use crate::tasks::{Outcome, Task, Tasks, catch};
use crate::trace::trace;

/// Asks the middlewares, one after the other. The decision comes as [`Outcome::Connect`], at once if none of them waits.
pub(crate) fn decide(socket: &Socket, tasks: &mut Tasks, waker: &Waker) -> Option<Outcome> {
    let number = socket.0.number;
    let middlewares = socket.0.namespace.middlewares();
    if middlewares.is_empty() {
        return Some(Outcome::Connect { number, decision: Ok(()) });
    }
    let asked = socket.clone();
    let task: Task = Box::pin(async move {
        let decision = ask(&asked, middlewares).await;
        Outcome::Connect { number, decision }
    });
    tasks.start(task, socket, &MIDDLEWARE.into(), waker)
}

async fn ask(socket: &Socket, middlewares: Vec<Arc<dyn Middleware>>) -> Result<(), Error> {
    for middleware in middlewares {
        let auth = socket.0.auth().as_args();
        let started = middleware.start(&mut EventContext::new(socket, &auth, None));
        drop(auth);
        started.map_err(|error| refused_call(socket, error))?.await?;
    }
    Ok(())
}

/// A middleware that cannot be called refuses: with the client's mistake in full, with ours as an inner detail.
fn refused_call(socket: &Socket, error: CallError) -> Error {
    let refusal = Error::new(error.message());
    socket.report(MIDDLEWARE, &Failure::Call(error));
    refusal
}

/// Lets a socket in: into its namespace, `connect` to the client, then the connection handlers to their first wait.
pub(crate) fn connect(
    socket: &Socket,
    connect: Arc<Prepared>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let namespace = &socket.0.namespace;
    namespace.rooms.insert(&socket.0);
    socket.0.connected(connect);
    count(&socket.0.session.core.counters.sockets, 1);
    trace!(debug, "patera::socket", "connected", namespace = %namespace.name, socket = %socket.0.id);
    let auth = socket.0.auth().as_args();
    for handler in namespace.connection_handlers() {
        start(&handler, EventContext::new(socket, &auth, None), tasks, waker)?;
    }
    Ok(())
}

/// Starts the handlers of an event, in the order they were registered, the namespace's before the socket's own.
pub(crate) fn event(
    socket: &Socket,
    name: &str,
    args: &Args<'_>,
    ack: Option<u64>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    if !socket.is_connected() {
        return Ok(());
    }
    let handlers = [socket.0.namespace.event_handlers(name), socket.0.event_handlers(name)];
    for handler in handlers.iter().flatten() {
        start(handler, EventContext::new(socket, args, ack), tasks, waker)?;
    }
    Ok(())
}

/// Takes a socket out of its namespace and tells its handlers; nothing if that was done before.
pub(crate) fn disconnect(
    socket: &Arc<SocketInner>,
    reason: DisconnectReason,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let socket = Socket(socket.clone());
    let was_let_in = socket.0.was_let_in();
    if !socket.0.set_disconnected() {
        return Ok(());
    }
    socket.0.namespace.rooms.remove(&socket.0);
    // The last of the disconnect handlers that drops it clears the socket.
    let clear = Arc::new(ClearOnDrop(socket.0.clone()));
    if !was_let_in {
        return Ok(());
    }
    uncount(&socket.0.session.core.counters.sockets, 1);
    trace!(debug, "patera::socket", "disconnected", namespace = %socket.0.namespace.name, socket = %socket.0.id, reason = %reason);
    let handlers = [socket.0.namespace.disconnect_handlers(), socket.0.disconnect_handlers()];
    let none = Args::default();
    let mut result = Ok(());
    for handler in handlers.iter().flatten() {
        let handler = Clearing { handler: handler.clone(), clear: clear.clone() };
        let handler: Arc<dyn EventHandler> = Arc::new(handler);
        let started = start(&handler, EventContext::new(&socket, &none, None).with_reason(reason), tasks, waker);
        result = result.and(started);
    }
    result
}

/// Takes a socket out of its namespace without a word to its handlers.
pub(crate) fn forget(socket: &Arc<SocketInner>) {
    let was_let_in = socket.was_let_in();
    if socket.set_disconnected() {
        socket.namespace.rooms.remove(socket);
        socket.clear();
        if was_let_in {
            uncount(&socket.session.core.counters.sockets, 1);
        }
    }
}

/// Calls a handler and polls it once. Arguments that do not fit are reported, to the client too; a panic ends the connection.
fn start(
    handler: &Arc<dyn EventHandler>,
    mut context: EventContext<'_, '_>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let socket = context.socket;
    match catch(|| handler.start(&mut context)) {
        Some(Ok(task)) => match tasks.start(task, socket, handler.event(), waker) {
            Some(Outcome::Panicked) => Err(DisconnectReason::HandlerPanicked),
            Some(Outcome::Done | Outcome::Connect { .. }) | None => Ok(()),
        },
        Some(Err(error)) => {
            if let Some(id) = context.ack {
                AckTarget::new(socket, id).send_error(&error.message());
            }
            socket.report(handler.event(), &Failure::Call(error));
            Ok(())
        }
        None => {
            socket.report(handler.event(), &Failure::Panic);
            Err(DisconnectReason::HandlerPanicked)
        }
    }
}

struct ClearOnDrop(Arc<SocketInner>);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// A disconnect handler that keeps the socket's handlers and data until it has ended.
struct Clearing {
    handler: Arc<dyn EventHandler>,
    clear: Arc<ClearOnDrop>,
}

impl EventHandler for Clearing {
    fn event(&self) -> &Arc<str> {
        self.handler.event()
    }

    fn start(&self, event: &mut EventContext<'_, '_>) -> Result<Task, CallError> {
        let task = self.handler.start(event)?;
        let clear = self.clear.clone();
        Ok(Box::pin(async move {
            let outcome = task.await;
            drop(clear);
            outcome
        }))
    }
}
