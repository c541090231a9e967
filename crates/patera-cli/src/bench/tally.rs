//! What is counted while a scenario runs. One for all connections, in one thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::sync::Notify;

use super::error::Failure;
use super::order::Arrival;

/// How many different kinds of errors are told apart.
const ERROR_KINDS_MAX: usize = 32;
/// The longest latency that is told apart, in nanoseconds: two minutes.
const LATENCY_MAX: u64 = 120_000_000_000;

/// Where the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connections are opened; nothing is sent.
    Opening,
    /// All goes on as when measuring, but is not counted.
    Warmup,
    Measuring,
    /// Nothing more is sent; what is under way is waited for.
    Draining,
}

pub(crate) struct Tally {
    origin: Instant,
    phase: Cell<Phase>,
    operations: Cell<u64>,
    operations_max: u64,
    latency: RefCell<Histogram<u64>>,
    connections: Cell<u64>,
    expected: Cell<u64>,
    received: Cell<u64>,
    abandoned: Cell<u64>,
    withdrawn: Cell<u64>,
    doubled: Cell<u64>,
    reordered: Cell<u64>,
    errors: RefCell<BTreeMap<String, u64>>,
    changed: Notify,
}

impl Tally {
    /// Ends measuring after `operations_max` operations.
    pub(crate) fn new(operations_max: Option<u64>) -> Tally {
        Tally {
            origin: Instant::now(),
            phase: Cell::new(Phase::Opening),
            operations: Cell::default(),
            operations_max: operations_max.unwrap_or(u64::MAX),
            latency: RefCell::new(
                Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("bounds and digits are constants it takes"),
            ),
            connections: Cell::default(),
            expected: Cell::default(),
            received: Cell::default(),
            abandoned: Cell::default(),
            withdrawn: Cell::default(),
            doubled: Cell::default(),
            reordered: Cell::default(),
            errors: RefCell::default(),
            changed: Notify::new(),
        }
    }

    /// Nanoseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Whether operations may begin.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase.get(), Phase::Warmup | Phase::Measuring)
    }

    /// Ends the run: nothing more is begun.
    pub(crate) fn stop(&self) {
        self.phase.set(Phase::Draining);
        self.changed.notify_one();
    }

    /// An operation that has no duration happened.
    pub(crate) fn count(&self) {
        if self.phase.get() == Phase::Measuring {
            self.operations.set(self.operations.get() + 1);
            if self.operations.get() == self.operations_max {
                self.stop();
            }
        }
    }

    /// One more connection.
    pub(crate) fn connected(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    /// A connection ended by itself.
    pub(crate) fn disconnected(&self, failure: &Failure) {
        self.connections.set(self.connections.get() - 1);
        self.error(failure);
    }

    /// Whether there is a reason that nothing comes: replies are missing, there is nobody to get any, or all attempts fail.
    pub(crate) fn is_stuck(&self) -> bool {
        self.under_way() > 0 || self.connections.get() == 0 || self.withdrawn.get() > 0
    }

    /// So many operations were begun.
    pub(crate) fn expect(&self, operations: u64) {
        self.expected.set(self.expected.get() + operations);
    }

    /// So many of those begun will not end, since their connection did: they are lost.
    pub(crate) fn abandon(&self, operations: u64) {
        self.abandoned.set(self.abandoned.get() + operations);
        self.changed.notify_one();
    }

    /// So many of those begun failed in another way than by being lost.
    pub(crate) fn withdraw(&self, operations: u64) {
        self.expected.set(self.expected.get() - operations);
        self.withdrawn.set(self.withdrawn.get() + operations);
        self.changed.notify_one();
    }

    /// A numbered reply or delivery came: an operation that began at `begin` ended at `end`, unless it came before.
    pub(crate) fn arrived(&self, arrival: Arrival, begin: u64, end: u64) {
        match arrival {
            Arrival::InOrder => {}
            Arrival::Late => self.reordered.set(self.reordered.get() + 1),
            Arrival::Double => {
                self.doubled.set(self.doubled.get() + 1);
                return;
            }
        }
        self.received.set(self.received.get() + 1);
        match self.phase.get() {
            Phase::Measuring => {}
            Phase::Draining if self.under_way() == 0 => return self.changed.notify_one(),
            Phase::Opening | Phase::Warmup | Phase::Draining => return,
        }
        let operations = self.operations.get() + 1;
        self.operations.set(operations);
        self.latency.borrow_mut().saturating_record(end.saturating_sub(begin));
        if operations == self.operations_max {
            self.stop();
        }
    }

    pub(crate) fn error(&self, failure: &Failure) {
        let mut errors = self.errors.borrow_mut();
        let mut kind = failure.to_string();
        if !errors.contains_key(&kind) && errors.len() >= ERROR_KINDS_MAX {
            kind = "others".to_owned();
        }
        *errors.entry(kind).or_default() += 1;
    }

    /// Resolves when measuring ended or nothing is under way any more, perhaps also at other times.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Operations that may still end.
    pub(crate) fn under_way(&self) -> u64 {
        self.lost() - self.abandoned.get()
    }

    /// Operations that were begun and did not end; at the end of the run, these are lost.
    pub(crate) fn lost(&self) -> u64 {
        self.expected.get() - self.received.get()
    }

    /// Operations that ended, measured or not.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Measured operations.
    pub(crate) fn operations(&self) -> u64 {
        self.operations.get()
    }

    pub(crate) fn doubled(&self) -> u64 {
        self.doubled.get()
    }

    pub(crate) fn reordered(&self) -> u64 {
        self.reordered.get()
    }

    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.borrow().clone()
    }

    /// Latencies of the measured operations, in nanoseconds.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        self.latency.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(phase: Phase, expected: u64, operations_max: Option<u64>) -> Tally {
        let tally = Tally::new(operations_max);
        tally.set_phase(phase);
        tally.expect(expected);
        tally
    }

    #[test]
    fn only_what_ends_while_measuring_is_measured() {
        for (phase, operations) in [(Phase::Warmup, 0), (Phase::Measuring, 1), (Phase::Draining, 0)] {
            let tally = begun(phase, 2, None);
            tally.arrived(Arrival::InOrder, 5, 7);
            assert_eq!((tally.operations(), tally.received(), tally.lost()), (operations, 1, 1), "{phase:?}");
            assert_eq!(tally.latency().len(), operations, "{phase:?}");
        }
    }

    #[test]
    fn last_operation_ends_the_measuring() {
        let tally = begun(Phase::Measuring, 3, Some(2));
        for phase in [Phase::Measuring, Phase::Draining, Phase::Draining] {
            tally.arrived(Arrival::InOrder, 0, 1);
            assert_eq!(tally.phase(), phase);
        }
        assert_eq!((tally.operations(), tally.received(), tally.lost()), (2, 3, 0));
    }

    #[test]
    fn double_ones_are_no_operations() {
        let tally = begun(Phase::Measuring, 2, None);
        for arrival in [Arrival::InOrder, Arrival::Double, Arrival::Late] {
            tally.arrived(arrival, 0, 1);
        }
        assert_eq!((tally.operations(), tally.doubled(), tally.reordered(), tally.lost()), (2, 1, 1, 0));
    }

    #[test]
    fn abandoned_ones_are_lost_but_not_waited_for() {
        let tally = begun(Phase::Draining, 3, None);
        tally.abandon(2);
        assert_eq!((tally.under_way(), tally.lost()), (1, 3));
        tally.withdraw(1);
        assert_eq!((tally.under_way(), tally.lost()), (0, 2));
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let tally = Tally::new(None);
        for number in 0..100 {
            tally.error(&Failure::Refused(number.to_string()));
        }
        let errors = tally.errors();
        assert_eq!((errors.len(), errors["others"]), (ERROR_KINDS_MAX + 1, 100 - ERROR_KINDS_MAX as u64));
    }
}
