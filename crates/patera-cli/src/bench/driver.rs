//! The task of one connection: one read, what the scenario makes of it, one write; then it waits for the next wake.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::client::Client;
use super::error::Failure;
use super::packet::Message;

/// Behind this much output that waits to be written, a script queues nothing more: memory stays bounded.
pub(crate) const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// After so many reads in a row others have their turn.
const READS_MAX: usize = 16;

/// What a scenario does with one connection.
pub(crate) trait Script {
    /// Takes a message.
    ///
    /// # Errors
    /// The connection is of no further use.
    fn receive(&mut self, message: Message<'_>) -> Result<(), Failure>;

    /// Appends the frames that may be sent now, up to [`OUTPUT_BYTES_MAX`] in `output`. `due` counts those that the clock set free (open loop).
    fn send(&mut self, due: &Cell<u64>, output: &mut Vec<u8>);

    /// So many heartbeats were answered since the last call.
    fn heartbeats(&mut self, _count: u64) {}

    /// The connection is gone.
    fn end(&mut self, failure: &Failure);
}

/// What others see of a connection's task.
#[derive(Default)]
pub(crate) struct Slot {
    waker: RefCell<Option<Waker>>,
    due: Cell<u64>,
}

impl Slot {
    /// The task that polls this is the one to be woken.
    pub(crate) fn register(&self, cx: &mut Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Operations that the clock set free.
    pub(crate) fn due(&self) -> &Cell<u64> {
        &self.due
    }

    /// Lets the task look for something to send.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// One more operation is due.
    pub(crate) fn release(&self) {
        self.due.set(self.due.get() + 1);
        self.wake();
    }
}

/// Runs a script until its connection ends.
pub(crate) struct Driver<S> {
    client: Client,
    script: S,
    slot: Rc<Slot>,
}

impl<S> Driver<S> {
    pub(crate) fn new(client: Client, script: S, slot: Rc<Slot>) -> Driver<S> {
        Driver { client, script, slot }
    }
}

impl<S: Script + Unpin> Driver<S> {
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let mut reads = 0;
        // The second read of a turn is none: tokio knows from a short first one that there is nothing more.
        while let Poll::Ready(read) = self.client.poll_read(cx, &mut |message| self.script.receive(message)) {
            if let Err(failure) = read {
                return Poll::Ready(failure);
            }
            reads += 1;
            if reads == READS_MAX {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.script.heartbeats(self.client.take_heartbeats());
        self.script.send(&self.slot.due, self.client.output());
        match self.client.poll_write(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(failure),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: Script + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.slot.register(cx);
        match this.turn(cx) {
            Poll::Ready(failure) => {
                this.script.end(&failure);
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
