//! A socket's life in handlers: middlewares, connection, events, disconnection. Called by the session's task only.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use patera_protocol::handler::{CallError, Refusal};
use patera_protocol::socketio::Args;

use crate::error::{DisconnectReason, Error};
use crate::handler::{
    CONNECTION, Call, DISCONNECT, DISCONNECTING, EventContext, EventHandler, Failure, MIDDLEWARE, Middleware,
    MiddlewareFuture,
};
use crate::lines;
use crate::lines::InLine;
use crate::listeners::{Listener, ListenerId, listens};
use crate::prepared::Prepared;
use crate::socket::{Socket, SocketInner};
use crate::stats::{count, uncount};
use crate::tasks::{Outcome, Task, TaskFuture, Tasks, catch};
use crate::trace::trace;

/// Asks the middlewares, one after the other. The decision comes as [`Outcome::Connect`], at once if none of them waits.
pub(crate) fn decide(socket: &Socket, tasks: &mut Tasks, waker: &Waker) -> Option<Outcome> {
    let number = socket.0.number;
    let mut middlewares = socket.0.namespace.hooks().middlewares.clone();
    let recovers = socket.0.recoverable().filter(|_| socket.recovered());
    if recovers.is_some_and(|recoverable| recoverable.recovery().skips_middlewares()) {
        middlewares.clear();
    }
    if middlewares.is_empty() && !recovers.is_some_and(|recoverable| recoverable.has_others()) {
        return Some(Outcome::Connect { number, decision: Ok(()) });
    }
    let asked = socket.clone();
    let mut task: Task =
        Box::pin(Deciding { number, decision: Box::pin(async move { ask(&asked, middlewares).await }) });
    match catch(|| task.as_mut().poll(&mut Context::from_waker(waker), socket, MIDDLEWARE)) {
        Some(Poll::Ready(outcome)) => Some(outcome),
        Some(Poll::Pending) => {
            tasks.keep(task, socket, &MIDDLEWARE.into());
            None
        }
        None => {
            socket.report(MIDDLEWARE, &Failure::Panic);
            Some(Outcome::Panicked)
        }
    }
}

/// Middlewares at work.
struct Deciding {
    number: u64,
    decision: MiddlewareFuture,
}

impl TaskFuture for Deciding {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, _: &Socket, _: &str) -> Poll<Outcome> {
        let decision = ready!(self.decision.as_mut().poll(cx));
        Poll::Ready(Outcome::Connect { number: self.number, decision })
    }
}

/// First the handlers of a connection that it takes the socket from learn that they have lost it.
async fn ask(socket: &Socket, middlewares: Vec<Arc<dyn Middleware>>) -> Result<(), Error> {
    if let Some(recoverable) = socket.0.recoverable() {
        recoverable.wait_for_others().await;
    }
    for middleware in middlewares {
        let auth = socket.0.auth();
        let started = middleware.start(&mut EventContext::new(Call::new(socket, MIDDLEWARE, None), &auth));
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
    if socket.recovered() {
        // What it missed is gone meanwhile: its client comes back for a new one.
        socket.0.connected(connect).map_err(|_| DisconnectReason::ForcedServerClose)?;
        if namespace.rooms.replace(&socket.0) {
            socket.0.give_seat_back();
        }
    } else {
        namespace.rooms.insert(&socket.0);
        socket.0.connected(connect).map_err(|_| DisconnectReason::ForcedServerClose)?;
    }
    count(&socket.0.session.core.counters.sockets, 1);
    trace!(debug, "patera::socket", "connected", namespace = %namespace.name, socket = %socket.0.id);
    let auth = socket.0.auth();
    for Listener { handler, .. } in &namespace.hooks().listeners.connection {
        start(&**handler, EventContext::new(Call::new(socket, CONNECTION, None), &auth), tasks, waker)?;
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
    guarded(socket, name, || start_handlers(socket, name, args, ack, tasks, waker))
}

/// A handler may go with its last call, and what it holds panic then: as good as a panic in the handler.
pub(crate) fn guarded(
    socket: &Socket,
    event: &str,
    run: impl FnOnce() -> Result<(), DisconnectReason>,
) -> Result<(), DisconnectReason> {
    catch(run).unwrap_or_else(|| {
        socket.report(event, &Failure::Panic);
        Err(DisconnectReason::HandlerPanicked)
    })
}

fn start_handlers(
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
    let hooks = socket.0.namespace.hooks();
    let listens = socket.0.listens();
    if hooks.is_special || listens & !listens::EVENTS != 0 {
        if hooks.is_ordered || listens & listens::MIDDLEWARES != 0 {
            return lines::event(socket, name, args, ack, tasks, waker);
        }
        any(socket, name, args, ack, tasks, waker)?;
    }
    let context = || EventContext::new(Call::new(socket, name, ack), args);
    for listener in hooks.listeners.of(name).into_iter().flatten() {
        if listener.is_once() && !take_last_call(listener, |id| socket.namespace().off(id)) {
            continue;
        }
        start(&*listener.handler, context(), tasks, waker)?;
    }
    if listens & listens::EVENTS != 0 {
        for listener in &socket.0.event_handlers(name) {
            if listener.is_once() && !take_last_call(listener, |id| socket.off(id)) {
                continue;
            }
            start(&*listener.handler, context(), tasks, waker)?;
        }
    }
    Ok(())
}

/// True for the one who may call this handler of `once`, which is removed.
#[cold]
pub(crate) fn take_last_call(listener: &Listener, off: impl FnOnce(ListenerId) -> bool) -> bool {
    let may_call = listener.take_call();
    if may_call {
        off(listener.id);
    }
    may_call
}

/// Starts the handlers of any event. What they cannot be called with is not the client's mistake: it is not told.
#[cold]
fn any(
    socket: &Socket,
    name: &str,
    args: &Args<'_>,
    ack: Option<u64>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let hooks = socket.0.namespace.hooks();
    let own = socket.0.listeners(|listeners| listeners.any.clone());
    let name: Arc<str> = name.into();
    for listener in hooks.listeners.any.iter().chain(&own) {
        let handler = Named { handler: &*listener.handler, event: name.clone(), in_line: None };
        start(&handler, EventContext::new(Call::new(socket, &name, ack).without_refusal(), args), tasks, waker)?;
    }
    Ok(())
}

/// A handler at work on one event: failures are reported under its name, though it may be registered for any.
pub(crate) struct Named<'a> {
    pub(crate) handler: &'a dyn EventHandler,
    pub(crate) event: Arc<str>,
    /// Whose line waits for it, if one does.
    pub(crate) in_line: Option<u64>,
}

impl EventHandler for Named<'_> {
    fn event(&self) -> &Arc<str> {
        &self.event
    }

    fn start(&self, event: &mut EventContext<'_, '_>) -> Result<Task, CallError> {
        let task = self.handler.start(event)?;
        Ok(match self.in_line {
            None => task,
            Some(number) => Box::pin(InLine { number, task }),
        })
    }
}

/// Takes a socket out of its namespace and tells its handlers; nothing if that was done before.
pub(crate) fn disconnect(
    socket: &Socket,
    reason: DisconnectReason,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let was_let_in = socket.0.was_let_in();
    let Some(is_kept) = socket.0.set_disconnected(reason) else { return Ok(()) };
    tasks.end_line(socket.0.number);
    // The last of the disconnect handlers that drops it clears the socket.
    let clear = Arc::new(ClearOnDrop(socket.0.clone()));
    let hooks = socket.0.namespace.hooks();
    let (disconnecting, disconnect) =
        socket.0.listeners(|listeners| (listeners.disconnecting.clone(), listeners.disconnect.clone()));
    let none = Args::default();
    let mut start_each = |handlers: &[Listener], own: &[Listener], name: &str| {
        let mut result = Ok(());
        for listener in handlers.iter().chain(own) {
            let handler = Clearing { handler: listener.handler.clone(), clear: clear.clone() };
            let context = EventContext::new(Call::with_reason(socket, name, reason), &none);
            result = result.and(start(&handler, context, tasks, waker));
        }
        result
    };
    let mut result = Ok(());
    if was_let_in {
        result = start_each(&hooks.listeners.disconnecting, &disconnecting, DISCONNECTING);
    }
    if !is_kept {
        socket.0.leave_namespace();
    }
    if !was_let_in {
        return Ok(());
    }
    uncount(&socket.0.session.core.counters.sockets, 1);
    trace!(debug, "patera::socket", "disconnected", namespace = %socket.0.namespace.name, socket = %socket.0.id, reason = %reason);
    let result = result.and(start_each(&hooks.listeners.disconnect, &disconnect, DISCONNECT));
    socket.0.told();
    result
}

/// Takes a socket out of its namespace without a word to its handlers.
pub(crate) fn forget(Socket(socket): &Socket) {
    let was_let_in = socket.was_let_in();
    if let Some(is_kept) = socket.set_disconnected(DisconnectReason::HandlerPanicked) {
        if !is_kept {
            socket.leave_namespace();
        }
        socket.told();
        socket.clear();
        if was_let_in {
            uncount(&socket.session.core.counters.sockets, 1);
        }
    }
}

/// Calls a handler and polls it once. Arguments that do not fit are reported, to the client too; a panic ends the connection.
pub(crate) fn start(
    handler: &dyn EventHandler,
    mut context: EventContext<'_, '_>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let (Call { socket, ack, refuses, .. }, event) = (*context.call(), handler.event());
    let mut task = None;
    let polled = catch(|| {
        let task = task.insert(handler.start(&mut context)?);
        Ok::<_, CallError>(task.as_mut().poll(&mut Context::from_waker(waker), socket, event))
    });
    match (polled, task) {
        (Some(Ok(Poll::Ready(_))), _) => Ok(()),
        (Some(Ok(Poll::Pending)), Some(task)) => {
            tasks.keep(task, socket, event);
            Ok(())
        }
        (Some(Err(error)), _) => {
            if let Some(id) = ack.filter(|_| refuses) {
                socket.acknowledge(id, &Refusal { error: &error.message() });
            }
            socket.report(event, &Failure::Call(error));
            Ok(())
        }
        (Some(Ok(Poll::Pending)) | None, _) => {
            socket.report(event, &Failure::Panic);
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
        Ok(Box::pin(ClearingTask { task, _clear: self.clear.clone() }))
    }
}

/// Dropped with what it polls, it drops the right to clear.
struct ClearingTask {
    task: Task,
    _clear: Arc<ClearOnDrop>,
}

impl TaskFuture for ClearingTask {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, socket: &Socket, event: &str) -> Poll<Outcome> {
        self.task.as_mut().poll(cx, socket, event)
    }
}
