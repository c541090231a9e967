//! What came of a numbered stream: which numbers are missing, late or double.

use std::collections::BTreeSet;

/// How many numbers are remembered as missing: the oldest beyond are given up, and would count as double if they came.
const MISSING_MAX: usize = 65_536;

/// How a number came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Behind all that came before it.
    InOrder,
    /// After a later one.
    Late,
    /// Not for the first time.
    Double,
}

impl Arrival {
    /// Whether it came for the first time.
    pub(crate) fn is_first(self) -> bool {
        self != Arrival::Double
    }
}

/// The numbers that came, from 0 on. Without gaps it owns no memory.
#[derive(Default)]
pub(crate) struct Order {
    next: u64,
    missing: BTreeSet<u64>,
}

impl Order {
    /// Takes a number that came. What it skips is missing from then on.
    pub(crate) fn receive(&mut self, number: u64) -> Arrival {
        if number == self.next {
            self.next += 1;
            return Arrival::InOrder;
        }
        if number > self.next {
            let first = self.next.max(number.saturating_sub(MISSING_MAX as u64));
            self.missing.extend(first..number);
            while self.missing.len() > MISSING_MAX {
                self.missing.pop_first();
            }
            self.next = number + 1;
            return Arrival::InOrder;
        }
        if self.missing.remove(&number) { Arrival::Late } else { Arrival::Double }
    }

    /// One more than the highest number that came.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The lowest number that did not come.
    pub(crate) fn oldest(&self) -> u64 {
        self.missing.first().copied().unwrap_or(self.next)
    }

    /// The numbers below `end` that did not come.
    pub(crate) fn outstanding(&self, end: u64) -> impl Iterator<Item = u64> {
        self.missing.iter().copied().chain(self.next..end)
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Double, InOrder, Late};
    use super::*;

    fn check(numbers: &[u64], expected: &[Arrival], outstanding: &[u64]) {
        let mut order = Order::default();
        let got: Vec<_> = numbers.iter().map(|number| order.receive(*number)).collect();
        assert_eq!(got, expected, "{numbers:?}");
        assert_eq!(order.outstanding(5).collect::<Vec<_>>(), outstanding, "{numbers:?}");
        assert_eq!(order.oldest(), outstanding.first().copied().unwrap_or(5), "{numbers:?}");
    }

    #[test]
    fn gaps_late_and_double_ones_are_told_apart() {
        check(&[0, 1, 2, 3, 4], &[InOrder; 5], &[]);
        check(&[0, 1], &[InOrder; 2], &[2, 3, 4]);
        check(&[0, 2, 3, 4], &[InOrder; 4], &[1]);
        check(&[1, 0, 2, 3, 4], &[InOrder, Late, InOrder, InOrder, InOrder], &[]);
        check(&[4, 3, 3, 4, 0], &[InOrder, Late, Double, Double, Late], &[1, 2]);
        check(&[0, 0, 1, 1], &[InOrder, Double, InOrder, Double], &[2, 3, 4]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut order = Order::default();
        order.receive(u64::MAX / 2);
        order.receive(u64::MAX / 2 + 10);
        assert_eq!(order.missing.len(), MISSING_MAX);
    }
}
