//! `idle`: connections that do nothing but answer heartbeats.

use std::cell::Cell;
use std::rc::Rc;

use tokio::task::spawn_local;

use super::client::Client;
use super::driver::{Driver, Script, Slot};
use super::error::Failure;
use super::packet::Message;
use super::run::{Measured, Run};
use super::tally::Tally;

/// Ignores all that comes.
pub(crate) struct Idle {
    tally: Rc<Tally>,
    counts_heartbeats: bool,
}

pub(crate) async fn run(run: &Rc<Run>) -> Measured {
    let mut connections = 0;
    let open = async |run: Rc<Run>, _| Client::open(&run.target).await;
    run.open_all(open, |client, number| {
        connections = number + 1;
        spawn_local(Driver::new(client, Idle::counting_heartbeats(run.tally.clone()), Rc::new(Slot::default())));
    })
    .await;
    if connections == 0 {
        return Measured::default();
    }
    run.settle().await;
    let measured = run.measure(|| {}).await;
    Measured { connections, ..measured }
}

impl Idle {
    /// Answers heartbeats; that is all.
    pub(crate) fn new(tally: Rc<Tally>) -> Idle {
        tally.connected();
        Idle { tally, counts_heartbeats: false }
    }

    /// Each heartbeat is an operation.
    fn counting_heartbeats(tally: Rc<Tally>) -> Idle {
        Idle { counts_heartbeats: true, ..Idle::new(tally) }
    }
}

impl Script for Idle {
    fn receive(&mut self, _: Message<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn send(&mut self, _: &Cell<u64>, _: &mut Vec<u8>) {}

    fn heartbeats(&mut self, count: u64) {
        if self.counts_heartbeats {
            (0..count).for_each(|_| self.tally.count());
        }
    }

    fn end(&mut self, failure: &Failure) {
        self.tally.disconnected(failure);
    }
}
