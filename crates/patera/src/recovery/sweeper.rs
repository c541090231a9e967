//! The task that ends what nobody came back for. It lives as long as somebody is away.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use super::{Key, Recoverable, Recovery};

pub(super) fn spawn(recovery: Arc<Recovery>) {
    let mut sweeper = Sweeper { recovery, is_done: false };
    // Sessions end within a runtime; without one, the next that departs starts it.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move { sweeper.run().await });
    }
}

struct Sweeper {
    recovery: Arc<Recovery>,
    /// Whether it has said so itself.
    is_done: bool,
}

impl Drop for Sweeper {
    /// A runtime that stops takes its sweeper along.
    fn drop(&mut self) {
        if !self.is_done {
            self.recovery.away.lock().is_swept = false;
        }
    }
}

impl Sweeper {
    async fn run(&mut self) {
        let recovery = self.recovery.clone();
        loop {
            let changed = recovery.changed.notified();
            let due = self.take_due(tokio::time::Instant::now().into_std());
            for (key, recoverable) in due {
                recoverable.expire(key);
            }
            match self.next() {
                // Whoever departs from now on starts another one.
                Next::Nothing => return,
                Next::Now => {}
                Next::At(until) => {
                    // Both mean to look again.
                    let _ = tokio::time::timeout_at(until.into(), changed).await;
                }
            }
        }
    }

    fn take_due(&self, now: Instant) -> Vec<(Key, Arc<Recoverable>)> {
        let mut away = self.recovery.away.lock();
        let mut due = mem::take(&mut away.doomed);
        while let Some(first) = away.until.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove_entry());
        }
        due
    }

    fn next(&mut self) -> Next {
        let mut away = self.recovery.away.lock();
        if !away.doomed.is_empty() {
            return Next::Now;
        }
        match away.until.first_key_value() {
            Some(((until, _), _)) => Next::At(*until),
            None => {
                away.is_swept = false;
                self.is_done = true;
                Next::Nothing
            }
        }
    }
}

enum Next {
    Nothing,
    Now,
    At(Instant),
}
