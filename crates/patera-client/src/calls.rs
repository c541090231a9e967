//! Calls of a user's code: begun in order, polled once at once; those that wait are kept here. A panic ends a call and nothing
//! else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use patera_protocol::handler::Refusal;
use patera_protocol::socketio::{Args, OwnedArgs};

use crate::engine::Boxed;
use crate::events::{Event, Received};
use crate::handler::{AckTarget, Call, EventContext, EventHandler, Failure};
use crate::lifecycle::Lifecycle;
use crate::listeners::values;
use crate::socket::Socket;

/// The calls of all sockets of a connection.
#[derive(Default)]
pub(crate) struct Calls(FuturesUnordered<Boxed<()>>);

impl Calls {
    /// Hands an event to everyone who listens.
    pub(crate) fn dispatch(
        &mut self,
        socket: &Socket,
        name: &str,
        args: &Args<'_>,
        ack: Option<AckTarget>,
        cx: &mut Context<'_>,
    ) {
        let audience = socket.0.listeners.audience(name);
        for handler in &audience.handlers {
            let call = Call::event(socket, name, ack);
            self.start(socket, &audience.name, &**handler, EventContext::new(call, args), cx);
        }
        if audience.has_streams {
            let received = Received::new(socket, audience.name, args.to_owned_args(), ack);
            socket.0.listeners.push(&Event::Received(received));
        }
    }

    /// Tells everyone who listens what has happened to a socket.
    pub(crate) fn tell(&mut self, socket: &Socket, lifecycle: &Lifecycle, cx: &mut Context<'_>) {
        let (handlers, name) = (socket.0.listeners.lifecycle(lifecycle.name()), Arc::from(lifecycle.name()));
        let none = Args::default();
        for handler in handlers {
            let call = Call::lifecycle(socket, lifecycle);
            self.start(socket, &name, &*handler, EventContext::new(call, &none), cx);
        }
        socket.0.listeners.push(&Event::Lifecycle(lifecycle.clone()));
    }

    fn start(
        &mut self,
        socket: &Socket,
        name: &Arc<str>,
        handler: &dyn EventHandler,
        mut context: EventContext<'_, '_>,
        cx: &mut Context<'_>,
    ) {
        let ack = context.call().ack();
        match catch(|| handler.start(&mut context, name)) {
            Some(Ok(call)) => self.begin(guarded(socket, name, call), cx),
            Some(Err(error)) => {
                if let Some(target) = ack {
                    socket.acknowledge(target, &Refusal { error: &error.message() });
                }
                report(socket, name, &Failure::Call(error));
            }
            None => report(socket, name, &Failure::Panic),
        }
    }

    fn begin(&mut self, mut call: Boxed<()>, cx: &mut Context<'_>) {
        if call.as_mut().poll(cx).is_pending() {
            self.0.push(call);
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Polls those that wait. Whether one has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_ended = false;
        while let Poll::Ready(Some(())) = self.0.poll_next_unpin(cx) {
            has_ended = true;
        }
        has_ended
    }

    /// Drops those that wait.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Calls those who listen to what goes out.
pub(crate) fn tell_outgoing(socket: &Socket, name: &str, args: &OwnedArgs) {
    let values = values(&args.as_args());
    for hook in socket.0.listeners.outgoing() {
        if catch(|| hook(socket, name, &values)).is_none() {
            report(socket, name, &Failure::Panic);
        }
    }
}

/// A call that tells of its panic.
fn guarded(socket: &Socket, name: &Arc<str>, call: Boxed<()>) -> Boxed<()> {
    let (socket, name) = (socket.clone(), name.clone());
    Box::pin(async move {
        if AssertUnwindSafe(call).catch_unwind().await.is_err() {
            report(&socket, &name, &Failure::Panic);
        }
    })
}

/// Tells of a failure; who panics there too is not told again.
fn report(socket: &Socket, name: &str, failure: &Failure) {
    let _ = catch(|| socket.report(name, failure));
}

/// Runs user code; `None` if it panicked. What it worked on is dropped and never used again.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
