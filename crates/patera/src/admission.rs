//! Who may open a session: how many there are, in all and from one address, and how fast they come.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::{ADDRESSES_SWEEP_GAP, Config, RETRY_AFTER};
use crate::core::Core;
use crate::handshake::Handshake;
use crate::rate::Bucket;
use crate::sync::Mutex;

/// What is counted of a server's sessions, from their admission until their connection is gone.
#[derive(Default)]
pub(crate) struct Admission {
    connections: AtomicU64,
    /// Those of them that have joined no namespace yet.
    handshakes: AtomicU64,
    addresses: Mutex<Addresses>,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowded {
    Connections,
    Handshakes,
    Address,
    /// Too fast: when its address may try again.
    Rate(Duration),
}

impl Crowded {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Crowded::Connections => "Too many connections",
            Crowded::Handshakes => "Too many handshakes",
            Crowded::Address => "Too many connections from this address",
            Crowded::Rate(_) => "Too many connections from this address in this time",
        }
    }

    /// Whether it is the client's address that is too busy, and not the server.
    pub(crate) fn is_of_address(self) -> bool {
        matches!(self, Crowded::Address | Crowded::Rate(_))
    }

    /// In whole seconds, as the header has it.
    pub(crate) fn retry_after(self) -> u64 {
        match self {
            Crowded::Connections | Crowded::Handshakes | Crowded::Address => RETRY_AFTER.as_secs(),
            Crowded::Rate(wait) => wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        }
    }
}

impl Admission {
    /// Sessions that are open, or being opened, without a namespace.
    pub(crate) fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Addresses that something is known of.
    pub(crate) fn addresses(&self) -> u64 {
        self.addresses.lock().known.len() as u64
    }
}

/// A place for a session that is not there yet, given back if it never is.
pub(crate) struct Reserved<'a> {
    core: &'a Core,
    seat: Seat,
}

/// One session's place among those that are counted.
pub(crate) struct Seat {
    /// Where connections of one address are counted: what this one is counted by.
    address: Option<Box<Counted>>,
    state: AtomicU8,
}

/// An address, or all those together that are unknown or too many.
type Counted = Option<IpAddr>;

const JOINING: u8 = 0;
const JOINED: u8 = 1;
const LEFT: u8 = 2;

impl<'a> Reserved<'a> {
    /// # Errors
    /// There is none. A client that is refused for its number has not used up its rate.
    pub(crate) fn new(core: &'a Core, handshake: &Handshake, now: Instant) -> Result<Self, Crowded> {
        let Core { config, admission, .. } = core;
        let limit = config.connections_max.map_or(u64::MAX, |max| max as u64);
        increment(&admission.connections, limit).ok_or(Crowded::Connections)?;
        if increment(&admission.handshakes, config.handshakes_max as u64).is_none() {
            admission.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Crowded::Handshakes);
        }
        let mut reserved = Reserved { core, seat: Seat { address: None, state: AtomicU8::new(JOINING) } };
        if config.connections_per_address_max.is_some() || config.connect_rate_max.is_some() {
            let address = config.address_of(handshake).map(network_of);
            reserved.seat.address = Some(Box::new(admission.addresses.lock().enter(address, config, now)?));
        }
        Ok(reserved)
    }

    /// The session has it from now on.
    pub(crate) fn take(mut self) -> Seat {
        std::mem::replace(&mut self.seat, Seat { address: None, state: AtomicU8::new(LEFT) })
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.seat.leave(self.core);
    }
}

impl Seat {
    /// The client is in a namespace.
    pub(crate) fn join(&self, core: &Core) {
        if self.state.compare_exchange(JOINING, JOINED, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            core.admission.handshakes.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The connection is gone. Once: what comes then changes nothing.
    pub(crate) fn leave(&self, core: &Core) {
        let state = self.state.swap(LEFT, Ordering::Relaxed);
        if state == LEFT {
            return;
        }
        if state == JOINING {
            core.admission.handshakes.fetch_sub(1, Ordering::Relaxed);
        }
        core.admission.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = &self.address {
            let now = tokio::time::Instant::now().into_std();
            core.admission.addresses.lock().leave(**address, &core.config, now);
        }
    }
}

/// What is known of addresses. Those without a connection whose bucket is full are like unknown ones, and forgotten.
#[derive(Default)]
struct Addresses {
    known: HashMap<Counted, Known>,
    /// How many are known when those are looked for that can be forgotten.
    sweep_at: usize,
    /// When they were.
    swept: Option<Instant>,
}

struct Known {
    connections: usize,
    bucket: Bucket,
}

impl Known {
    fn is_worth_keeping(&self, config: &Config, now: Instant) -> bool {
        self.connections > 0 || (config.connect_rate_max.is_some() && !self.bucket.is_full(now))
    }
}

impl Addresses {
    /// One more from this address; what it is counted by.
    fn enter(&mut self, address: Counted, config: &Config, now: Instant) -> Result<Counted, Crowded> {
        if self.known.len() >= self.sweep_at.min(config.addresses_max) {
            self.sweep(config, now);
        }
        let is_full = self.known.len() >= config.addresses_max;
        let address = if is_full && !self.known.contains_key(&address) { None } else { address };
        let known = self.known.entry(address).or_insert(Known { connections: 0, bucket: Bucket::new(now) });
        if config.connections_per_address_max.is_some_and(|max| known.connections >= max) {
            return Err(Crowded::Address);
        }
        if let Some(rate) = &config.connect_rate_max {
            let wait = known.bucket.wait(rate, now);
            if !wait.is_zero() {
                return Err(Crowded::Rate(wait));
            }
            known.bucket.take(1, rate, now);
        }
        known.connections += 1;
        Ok(address)
    }

    /// Looks at all, so not often: when twice as many have come, or so many that no more are taken, and a second after the last time.
    fn sweep(&mut self, config: &Config, now: Instant) {
        if self.swept.is_none_or(|swept| now >= swept + ADDRESSES_SWEEP_GAP) {
            self.known.retain(|_, known| known.is_worth_keeping(config, now));
            self.sweep_at = (2 * self.known.len()).max(1024);
            self.swept = Some(now);
        }
    }

    fn leave(&mut self, address: Counted, config: &Config, now: Instant) {
        let Some(known) = self.known.get_mut(&address) else { return };
        known.connections -= 1;
        if !known.is_worth_keeping(config, now) {
            self.known.remove(&address);
        }
    }
}

/// Adds one, unless there are so many already.
fn increment(counter: &AtomicU64, max: u64) -> Option<()> {
    let add = |count| (count < max).then_some(count + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok().then_some(())
}

/// A subscriber of IPv6 has a /64 at the least, and may choose among its addresses.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    fn config(connections: Option<usize>, rate: Option<Rate>) -> Config {
        Config { connections_per_address_max: connections, connect_rate_max: rate, ..Config::default() }
    }

    fn v4(host: u32) -> Counted {
        Some(IpAddr::V4(host.into()))
    }

    #[test]
    fn addresses_of_ipv6_count_by_64_bits() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2::"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::"), "2001:db8:1:3::");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn addresses_are_bounded_and_the_rest_counts_as_one() {
        let mut config = config(Some(2), None);
        config.addresses_max = 3;
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        for host in 0..3 {
            assert_eq!(addresses.enter(v4(host), &config, now), Ok(v4(host)));
        }
        // The fourth and all that follow share the limit of one.
        assert_eq!(addresses.enter(v4(3), &config, now), Ok(None));
        assert_eq!(addresses.enter(v4(4), &config, now), Ok(None));
        assert_eq!(addresses.enter(v4(5), &config, now), Err(Crowded::Address));
        assert_eq!(addresses.enter(v4(0), &config, now), Ok(v4(0)), "those that are known are as before");
        assert_eq!(addresses.known.len(), 4);
        for address in [v4(0), v4(0), v4(1), v4(2), None, None] {
            addresses.leave(address, &config, now);
        }
        assert_eq!(addresses.known.len(), 0);
    }

    #[test]
    fn addresses_are_forgotten_when_their_bucket_is_full() {
        let config = config(None, Some(Rate::per_second(1).burst(3)));
        let (mut addresses, start) = (Addresses::default(), Instant::now());
        let mut come_and_go = |from: u32, at: Instant| {
            for host in from..from + 10_000 {
                let address = addresses.enter(v4(host), &config, at).unwrap();
                addresses.leave(address, &config, at);
            }
            addresses.known.len()
        };
        assert_eq!(come_and_go(0, start), 10_000, "they might come again at once");
        let most = come_and_go(100_000, start + Duration::from_secs(2));
        assert!(most <= 20_000, "{most}");
        assert!(
            come_and_go(200_000, start + Duration::from_secs(4)) <= most,
            "a second later they are like unknown ones"
        );
    }

    #[test]
    fn who_is_refused_for_its_number_keeps_its_rate() {
        let config = config(Some(1), Some(Rate::per_second(1).burst(2)));
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        assert!(addresses.enter(v4(1), &config, now).is_ok());
        assert_eq!(addresses.enter(v4(1), &config, now), Err(Crowded::Address));
        addresses.leave(v4(1), &config, now);
        assert!(addresses.enter(v4(1), &config, now).is_ok());
        addresses.leave(v4(1), &config, now);
        let refused = addresses.enter(v4(1), &config, now);
        assert_eq!(refused, Err(Crowded::Rate(Duration::from_secs(1))));
        assert_eq!(Crowded::Rate(Duration::from_millis(1)).retry_after(), 1);
    }
}
