//! Writing a broadcast to the sessions that slept when it was emitted: one task writes for many, and none of theirs is woken.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use crate::config::{SESSIONS_PER_FLUSH, SESSIONS_PER_TURN};
use crate::conn::kinds;
use crate::core::{Core, Shared};
use crate::error::EmitError;
use crate::outbox::Item;

/// The sessions that a broadcast has promised to flush.
#[derive(Default)]
pub(crate) struct Sleepers(Vec<Arc<Shared>>);

impl Sleepers {
    /// Puts a packet into a session's outbox, which is flushed later if the session sleeps and nobody wants to hear of it.
    pub(crate) fn push(&mut self, session: &Arc<Shared>, item: Item) -> Result<(), EmitError> {
        if session.life.is_watched(kinds::OUTGOING) {
            return session.outbox.push(item, &session.core.config);
        }
        if session.outbox.push_for_flush(item, &session.core.config)? {
            self.0.push(session.clone());
            if self.0.len() == SESSIONS_PER_FLUSH {
                mem::take(self).flush();
            }
        }
        Ok(())
    }

    /// Starts the task that keeps the promise, where the sessions live: the caller may be on any thread. It ends by itself.
    pub(crate) fn flush(self) {
        let Some(core) = self.0.first().map(|session| session.core.clone()) else { return };
        let flush = Flush { core: core.clone(), sessions: self.0.into_iter() };
        if let Some(runtime) = core.runtime.get() {
            runtime.spawn(flush);
        }
    }
}

/// Dropped before its end, as when its runtime is, it does the rest at once.
struct Flush {
    core: Arc<Core>,
    sessions: vec::IntoIter<Arc<Shared>>,
}

impl Flush {
    fn flush(&mut self, count: usize) {
        let (mut packets, mut bytes) = (0, 0);
        for session in self.sessions.by_ref().take(count) {
            let written = session.outbox.flush(&self.core.config);
            packets += written.0;
            bytes += written.1;
        }
        self.core.counters.sent(packets, bytes);
    }
}

impl Future for Flush {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.flush(SESSIONS_PER_TURN);
        if self.sessions.len() == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.flush(usize::MAX);
    }
}
