//! What the server counts about itself: cheap counters, read as one snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A snapshot of the server's counters; see [`Io::stats`](crate::Io::stats). Totals count since the server was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Engine.IO sessions (connections) that live now, native WebSockets included.
    pub sessions: u64,
    /// Sessions opened in total.
    pub sessions_opened: u64,
    /// Sockets connected to a namespace now.
    pub sockets: u64,
    /// Sockets without a connection whose client may come back for them:
    /// [`Config::connection_state_recovery`](crate::Config::connection_state_recovery).
    pub recoverable: u64,
    /// Rooms that have a member now, over all namespaces, without each socket's own room.
    pub rooms: u64,
    /// Handlers that wait now.
    pub handlers_pending: u64,
    /// Acknowledgements that are awaited now from clients, from `emit_with_ack` on: a broadcast awaits one from each of its sockets here.
    /// One that nobody waits for any more counts until its packet is sent.
    pub acks_pending: u64,
    /// Messages received in total.
    pub packets_in: u64,
    /// Messages sent in total.
    pub packets_out: u64,
    /// Bytes of those messages received.
    pub bytes_in: u64,
    /// Bytes of those messages sent, framing included, before compression.
    pub bytes_out: u64,
    /// Packets dropped because they were volatile and the transport was not ready.
    pub dropped_volatile: u64,
    /// Packets dropped because an outbox was full.
    pub dropped_full: u64,
    /// Packets dropped because the socket was gone.
    pub dropped_disconnected: u64,
    /// Events that `emit` could not encode: a reserved name, or arguments that are no JSON.
    pub dropped_invalid: u64,
    /// Requests refused: at the handshake, or of a session that is no more.
    pub refused: u64,
    /// Of those, clients for which there was no room: [`Config::connections_max`](crate::Config::connections_max) and its kin.
    pub crowded: u64,
    /// Sessions now, or requests for one, without a namespace: [`Config::handshakes_max`](crate::Config::handshakes_max).
    pub handshakes: u64,
    /// Addresses known now to the limits that count by them: [`Config::addresses_max`](crate::Config::addresses_max).
    pub addresses: u64,
    /// How often a client was not read from for a while because it had sent too fast: [`RatePolicy::Wait`](crate::RatePolicy::Wait).
    pub throttled: u64,
    /// Messages of other servers received in total.
    pub bus_in: u64,
    /// Messages to other servers published in total.
    pub bus_out: u64,
    /// Messages to other servers that were lost here: the queue was full, or the bus failed.
    pub bus_dropped: u64,
    /// Failures of the bus in total.
    pub bus_errors: u64,
}

/// The living counters behind [`Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) sessions_opened: AtomicU64,
    pub(crate) sessions_closed: AtomicU64,
    pub(crate) sockets: AtomicU64,
    pub(crate) handlers_pending: AtomicU64,
    pub(crate) acks_pending: Tally,
    traffic: [Traffic; STRIPES],
    pub(crate) dropped_volatile: AtomicU64,
    pub(crate) dropped_full: AtomicU64,
    pub(crate) dropped_disconnected: AtomicU64,
    pub(crate) dropped_invalid: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) crowded: AtomicU64,
    pub(crate) throttled: AtomicU64,
}

/// Counted by every session in every turn: a few copies, so that threads do not fight over one.
#[derive(Default)]
#[repr(align(128))]
struct Traffic {
    packets_in: AtomicU64,
    packets_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

const STRIPES: usize = 16;

thread_local! {
    /// The copy that this thread counts in.
    static STRIPE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % STRIPES
    };
}

impl Counters {
    /// A session has received so many packets with so many bytes.
    pub(crate) fn received(&self, packets: u64, bytes: usize) {
        let traffic = &self.traffic[STRIPE.with(|stripe| *stripe)];
        count(&traffic.packets_in, packets);
        count(&traffic.bytes_in, bytes as u64);
    }

    /// A session has sent so many packets with so many bytes.
    pub(crate) fn sent(&self, packets: usize, bytes: usize) {
        let traffic = &self.traffic[STRIPE.with(|stripe| *stripe)];
        count(&traffic.packets_out, packets as u64);
        count(&traffic.bytes_out, bytes as u64);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let opened = self.sessions_opened.load(Relaxed);
        let sum = |counter: fn(&Traffic) -> &AtomicU64| {
            self.traffic.iter().map(|traffic| counter(traffic).load(Relaxed)).sum()
        };
        Stats {
            sessions: opened.saturating_sub(self.sessions_closed.load(Relaxed)),
            sessions_opened: opened,
            sockets: self.sockets.load(Relaxed),
            recoverable: 0,
            rooms: 0,
            handlers_pending: self.handlers_pending.load(Relaxed),
            acks_pending: self.acks_pending.count(),
            packets_in: sum(|traffic| &traffic.packets_in),
            packets_out: sum(|traffic| &traffic.packets_out),
            bytes_in: sum(|traffic| &traffic.bytes_in),
            bytes_out: sum(|traffic| &traffic.bytes_out),
            dropped_volatile: self.dropped_volatile.load(Relaxed),
            dropped_full: self.dropped_full.load(Relaxed),
            dropped_disconnected: self.dropped_disconnected.load(Relaxed),
            dropped_invalid: self.dropped_invalid.load(Relaxed),
            refused: self.refused.load(Relaxed),
            crowded: self.crowded.load(Relaxed),
            handshakes: 0,
            addresses: 0,
            throttled: self.throttled.load(Relaxed),
            bus_in: 0,
            bus_out: 0,
            bus_dropped: 0,
            bus_errors: 0,
        }
    }
}

/// Counts things by the copies of it that they hold, for things with many ways to end.
#[derive(Default)]
pub(crate) struct Tally(Arc<()>);

/// One thing that is counted, until it is dropped.
pub(crate) struct Counted(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

impl Tally {
    pub(crate) fn one_more(&self) -> Counted {
        Counted(self.0.clone())
    }

    fn count(&self) -> u64 {
        Arc::strong_count(&self.0) as u64 - 1
    }
}

/// Adds to a counter; relaxed, since nothing else is ordered by it.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

/// Takes from a counter of living things.
pub(crate) fn uncount(counter: &AtomicU64, by: u64) {
    counter.fetch_sub(by, Relaxed);
}
