//! A bus within one process: several servers in one program form a cluster, and tests lose, delay and cut what they say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use parking_lot::Mutex;

use crate::bus::{Bus, BusError, BusFuture, Incoming};
use crate::config::INBOX_MESSAGES_MAX;
use crate::ids::{Uid, split_mix};
use crate::message::Message;

/// A bus within one process. Clones are the same bus. Messages are handed over as they are, without being encoded.
///
/// A subscriber that does not keep up has at most 65,536 messages waiting; then it loses some, and its stream says how many.
///
/// ```
/// # use patera_cluster::{Bus, Faults, MemoryBus};
/// # use std::time::Duration;
/// let bus = MemoryBus::new();                                     // nothing gets lost
/// let faults = Faults { loss: 0.01, delay_max: Duration::from_millis(20), ..Faults::default() };
/// let lossy = MemoryBus::with_faults(42, faults);                 // one in a hundred does; the same ones each time
/// lossy.advance(Duration::from_millis(20));                       // its time goes on: what was delayed arrives
/// ```
#[derive(Clone, Default)]
pub struct MemoryBus(Arc<Mutex<Network>>);

/// What a [`MemoryBus`] does to messages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Which part of them gets lost, for each receiver by itself: 0 none, 1 all.
    pub loss: f64,
    /// How long one takes at least, in the bus's own time: see [`MemoryBus::advance`].
    pub delay_min: Duration,
    /// How long one takes at most. None overtakes another of the same sender.
    pub delay_max: Duration,
}

#[derive(Default)]
struct Network {
    subscribers: BTreeMap<Uid, Subscriber>,
    /// By the time of arrival, then in the order of sending.
    on_the_way: BTreeMap<(Duration, u64), (Uid, Message)>,
    /// When the last message from one to another arrives.
    last_arrival: BTreeMap<(Uid, Uid), Duration>,
    islands: BTreeMap<Uid, usize>,
    faults: Faults,
    random: u64,
    now: Duration,
    sent: u64,
    is_down: bool,
    to_wake: Vec<Waker>,
}

struct Subscriber {
    /// Told apart from an earlier one of the same name.
    number: u64,
    namespaces: BTreeSet<Arc<str>>,
    inbox: VecDeque<Message>,
    /// Of `inbox` and those on the way to it.
    waiting: usize,
    lost: u64,
    waker: Option<Waker>,
}

impl MemoryBus {
    /// A bus on which nothing gets lost and nothing takes time.
    pub fn new() -> Self {
        Self::default()
    }

    /// A bus with faults; the same seed and the same calls are the same faults.
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        let bus = Self::default();
        bus.0.lock().random = seed;
        bus.set_faults(faults);
        bus
    }

    /// Other faults, for messages from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// Lets its time go on, which stands still otherwise: what was delayed arrives.
    pub fn advance(&self, by: Duration) {
        self.with(|network| {
            network.now = network.now.saturating_add(by);
            network.deliver();
        });
    }

    /// Cuts it into islands: messages between them get lost, those on the way too. Whoever is on none is on one with all others
    /// that are on none.
    pub fn partition(&self, islands: &[&[Uid]]) {
        let members = islands.iter().enumerate();
        let island_of = members.flat_map(|(number, members)| members.iter().map(move |uid| (uid.clone(), number)));
        self.0.lock().islands = island_of.collect();
    }

    /// Ends a partition.
    pub fn heal(&self) {
        self.0.lock().islands.clear();
    }

    /// Takes it down, or up again. When it goes down, subscriptions end, and what was on the way is lost; as long as it is down, every
    /// call fails.
    pub fn set_down(&self, is_down: bool) {
        self.with(|network| {
            network.is_down = is_down;
            if is_down {
                network.on_the_way.clear();
                network.last_arrival.clear();
                let ended = std::mem::take(&mut network.subscribers);
                network.to_wake.extend(ended.into_values().filter_map(|subscriber| subscriber.waker));
            }
        });
    }

    /// Whether nothing is left of whoever was there.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let network = self.0.lock();
        network.subscribers.is_empty() && network.on_the_way.is_empty() && network.last_arrival.is_empty()
    }

    /// Wakes without the lock: whoever wakes may run anything.
    fn with<T>(&self, change: impl FnOnce(&mut Network) -> T) -> T {
        let mut network = self.0.lock();
        let result = change(&mut network);
        let to_wake = std::mem::take(&mut network.to_wake);
        drop(network);
        to_wake.into_iter().for_each(Waker::wake);
        result
    }
}

impl Network {
    fn check(&self) -> Result<(), BusError> {
        if self.is_down { Err(BusError::driver("the bus is down")) } else { Ok(()) }
    }

    fn subscriber(&mut self, uid: &Uid) -> Result<&mut Subscriber, BusError> {
        self.check()?;
        self.subscribers.get_mut(uid).ok_or(BusError::NotSubscribed)
    }

    fn subscribe(&mut self, uid: &Uid) -> Result<u64, BusError> {
        self.check()?;
        self.sent = self.sent.saturating_add(1);
        let subscriber = Subscriber {
            number: self.sent,
            namespaces: BTreeSet::new(),
            inbox: VecDeque::new(),
            waiting: 0,
            lost: 0,
            waker: None,
        };
        let superseded = self.subscribers.insert(uid.clone(), subscriber);
        self.to_wake.extend(superseded.and_then(|subscriber| subscriber.waker));
        self.on_the_way.retain(|_, (to, _)| to != uid);
        Ok(self.sent)
    }

    fn publish(&mut self, message: &Message, to: Option<&Uid>) -> Result<(), BusError> {
        self.check()?;
        let receivers = match to {
            Some(to) => vec![to.clone()],
            None => self.subscribers.keys().filter(|uid| **uid != message.uid).cloned().collect(),
        };
        for receiver in receivers {
            self.send(message, receiver);
        }
        self.deliver();
        Ok(())
    }

    fn send(&mut self, message: &Message, to: Uid) {
        let is_lost = self.random_part() < self.faults.loss;
        let delay = self.faults.delay_max.saturating_sub(self.faults.delay_min).mul_f64(self.random_part());
        let mut arrival = self.now.saturating_add(self.faults.delay_min).saturating_add(delay);
        let Some(subscriber) = self.subscribers.get_mut(&to) else { return };
        if is_lost || !subscriber.namespaces.contains(&message.namespace) {
            return;
        }
        if subscriber.waiting >= INBOX_MESSAGES_MAX {
            subscriber.lost = subscriber.lost.saturating_add(1);
            self.to_wake.extend(subscriber.waker.take());
            return;
        }
        subscriber.waiting = subscriber.waiting.saturating_add(1);
        let last = self.last_arrival.entry((message.uid.clone(), to.clone())).or_default();
        arrival = arrival.max(*last);
        *last = arrival;
        self.sent = self.sent.saturating_add(1);
        self.on_the_way.insert((arrival, self.sent), (to, message.clone()));
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.on_the_way.first_entry() {
            if entry.key().0 > self.now {
                return;
            }
            let (to, message) = entry.remove();
            let is_cut = self.islands.get(&message.uid) != self.islands.get(&to);
            let Some(subscriber) = self.subscribers.get_mut(&to) else { continue };
            if is_cut {
                subscriber.waiting = subscriber.waiting.saturating_sub(1);
            } else {
                subscriber.inbox.push_back(message);
                self.to_wake.extend(subscriber.waker.take());
            }
        }
    }

    /// From 0 up to 1.
    fn random_part(&mut self) -> f64 {
        (split_mix(&mut self.random) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Bus for MemoryBus {
    fn subscribe(&self, uid: Uid) -> BusFuture<'_, Incoming> {
        let subscribed = self.with(|network| network.subscribe(&uid));
        let network = self.0.clone();
        let subscription = subscribed.map(|number| Box::pin(Subscription { network, uid, number }) as Incoming);
        Box::pin(ready(subscription))
    }

    fn enter(&self, uid: Uid, namespace: Arc<str>) -> BusFuture<'_, ()> {
        let mut network = self.0.lock();
        let entered = network.subscriber(&uid).map(|subscriber| {
            subscriber.namespaces.insert(namespace);
        });
        Box::pin(ready(entered))
    }

    fn leave(&self, uid: Uid, namespace: Arc<str>) -> BusFuture<'_, ()> {
        let mut network = self.0.lock();
        let left = network.subscriber(&uid).map(|subscriber| {
            subscriber.namespaces.remove(&namespace);
        });
        Box::pin(ready(left))
    }

    fn publish(&self, message: Message, to: Option<Uid>) -> BusFuture<'_, ()> {
        Box::pin(ready(self.with(|network| network.publish(&message, to.as_ref()))))
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.0.lock();
        f.debug_struct("MemoryBus").field("subscribers", &network.subscribers.keys()).finish_non_exhaustive()
    }
}

/// Dropped, it unsubscribes.
struct Subscription {
    network: Arc<Mutex<Network>>,
    uid: Uid,
    number: u64,
}

impl Stream for Subscription {
    type Item = Result<Message, BusError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut network = self.network.lock();
        let subscriber = network.subscribers.get_mut(&self.uid).filter(|own| own.number == self.number);
        let Some(subscriber) = subscriber else { return Poll::Ready(None) };
        if let Some(message) = subscriber.inbox.pop_front() {
            subscriber.waiting = subscriber.waiting.saturating_sub(1);
            return Poll::Ready(Some(Ok(message)));
        }
        if subscriber.lost > 0 {
            let messages = std::mem::take(&mut subscriber.lost);
            return Poll::Ready(Some(Err(BusError::Lost { messages })));
        }
        subscriber.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut network = self.network.lock();
        if network.subscribers.get(&self.uid).is_some_and(|own| own.number == self.number) {
            network.subscribers.remove(&self.uid);
            network.last_arrival.retain(|(from, to), _| *from != self.uid && *to != self.uid);
            network.on_the_way.retain(|_, (to, _)| *to != self.uid);
        }
    }
}
