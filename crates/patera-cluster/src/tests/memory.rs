//! The bus in memory, and what it does to messages.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};

use crate::{Body, Bus, BusError, Faults, Incoming, MemoryBus, Message, Uid};

const MS: Duration = Duration::from_millis(1);

fn now<T>(future: crate::BusFuture<'_, T>) -> Result<T, BusError> {
    future.now_or_never().expect("it never waits")
}

fn join(bus: &MemoryBus, uid: &str) -> Incoming {
    let incoming = now(bus.subscribe(uid.into())).unwrap();
    now(bus.enter(uid.into(), "/".into())).unwrap();
    incoming
}

/// A message that is known by its number.
fn numbered(from: &str, count: u64) -> Message {
    let body = Body::BroadcastClientCount { request: "r".into(), count };
    Message { uid: from.into(), namespace: "/".into(), body }
}

fn say(bus: &MemoryBus, from: &str, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| now(bus.publish(numbered(from, number), None)).unwrap());
}

/// The numbers of what has come.
fn heard(incoming: &mut Incoming) -> Vec<u64> {
    let next = || incoming.next().now_or_never().flatten();
    let number = |message: Result<Message, BusError>| match message.unwrap().body {
        Body::BroadcastClientCount { count, .. } => count,
        body => panic!("{body:?}"),
    };
    std::iter::from_fn(next).map(number).collect()
}

#[test]
fn all_others_hear_what_one_says_in_order() {
    let bus = MemoryBus::new();
    let (mut a, mut b, mut c) = (join(&bus, "a"), join(&bus, "b"), join(&bus, "c"));
    say(&bus, "a", 0..10);
    now(bus.publish(numbered("a", 10), Some("c".into()))).unwrap();
    assert_eq!((heard(&mut a).len(), heard(&mut b).len(), heard(&mut c).len()), (0, 10, 11));
}

#[test]
fn only_namespaces_that_were_entered_are_heard() {
    let bus = MemoryBus::new();
    let mut b = join(&bus, "b");
    let mut other = numbered("a", 1);
    other.namespace = "/other".into();
    now(bus.publish(other.clone(), None)).unwrap();
    now(bus.enter("b".into(), "/other".into())).unwrap();
    now(bus.publish(other.clone(), None)).unwrap();
    now(bus.leave("b".into(), "/other".into())).unwrap();
    now(bus.publish(other, None)).unwrap();
    assert_eq!(heard(&mut b), [1]);
    assert!(matches!(now(bus.enter("nobody".into(), "/".into())), Err(BusError::NotSubscribed)));
}

#[test]
fn delayed_messages_come_in_time_and_overtake_none() {
    let bus = MemoryBus::with_faults(7, Faults { delay_min: MS, delay_max: 50 * MS, ..Faults::default() });
    let mut b = join(&bus, "b");
    say(&bus, "a", 0..100);
    assert!(heard(&mut b).is_empty());
    bus.advance(10 * MS);
    let early = heard(&mut b);
    bus.advance(40 * MS);
    assert!(early.len() < 100);
    assert!([early, heard(&mut b)].concat().into_iter().eq(0..100));
}

#[test]
fn loss_is_that_of_the_seed() {
    let run = |seed| {
        let bus = MemoryBus::with_faults(seed, Faults { loss: 0.3, ..Faults::default() });
        let mut b = join(&bus, "b");
        say(&bus, "a", 0..1000);
        heard(&mut b)
    };
    let heard = run(1);
    assert!((600..800).contains(&heard.len()) && heard.is_sorted(), "{}", heard.len());
    assert_eq!(heard, run(1));
    assert_ne!(heard, run(2));
}

#[test]
fn islands_do_not_hear_each_other() {
    let bus = MemoryBus::with_faults(0, Faults { delay_min: MS, delay_max: MS, ..Faults::default() });
    let (mut b, mut c) = (join(&bus, "b"), join(&bus, "c"));
    say(&bus, "a", 0..1);
    bus.partition(&[&[Uid::from("c")]]);
    bus.advance(MS);
    assert_eq!((heard(&mut b).len(), heard(&mut c).len()), (1, 0), "it was on the way");
    bus.heal();
    say(&bus, "a", 1..2);
    bus.advance(MS);
    assert_eq!((heard(&mut b), heard(&mut c)), (vec![1], vec![1]));
}

#[test]
fn subscription_ends_when_the_bus_goes_down_or_another_has_its_name() {
    let bus = MemoryBus::new();
    let mut first = join(&bus, "a");
    let mut second = join(&bus, "a");
    assert!(matches!(first.next().now_or_never(), Some(None)));
    drop(first);
    say(&bus, "b", 0..1);
    assert_eq!(heard(&mut second), [0], "the end of the first is not that of the second");
    bus.set_down(true);
    assert!(matches!(second.next().now_or_never(), Some(None)));
    assert!(matches!(now(bus.publish(numbered("b", 1), None)), Err(BusError::Driver(_))));
    assert!(now(bus.subscribe("a".into())).is_err());
    bus.set_down(false);
    assert!(now(bus.subscribe("a".into())).is_ok());
}

#[test]
fn slow_subscriber_loses_what_is_over_the_limit_and_is_told() {
    let bus = MemoryBus::new();
    let mut b = join(&bus, "b");
    let max = crate::config::INBOX_MESSAGES_MAX as u64;
    say(&bus, "a", 0..max + 3);
    for number in 0..max {
        let message = b.next().now_or_never().flatten().unwrap().unwrap();
        assert_eq!(message, numbered("a", number));
    }
    let lost = b.next().now_or_never().flatten();
    assert!(matches!(lost, Some(Err(BusError::Lost { messages: 3 }))));
    say(&bus, "a", 7..8);
    assert_eq!(heard(&mut b), [7]);
}

#[test]
fn who_waits_is_woken() {
    let bus = MemoryBus::new();
    let mut b = join(&bus, "b");
    let (waker, woken) = futures_test_waker();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(b.poll_next_unpin(&mut cx).is_pending());
    say(&bus, "a", 0..1);
    assert!(woken.load(std::sync::atomic::Ordering::SeqCst));
}

/// A waker that says whether it was called.
fn futures_test_waker() -> (std::task::Waker, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    struct Flag(std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl std::task::Wake for Flag {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let woken = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
    (std::sync::Arc::new(Flag(woken.clone())).into(), woken)
}
