//! One node among others, in virtual time.

use std::time::Duration;

use super::world::{World, event, finished, message};
use crate::{Asker, Body, ClusterConfig, Description, Encoded, Event, Node, Outcome, Refused, RequestId, Target, Uid};

const SECOND: Duration = Duration::from_secs(1);

fn uid(number: u64) -> Uid {
    Uid::from_bits(number)
}

fn world(count: u64) -> World {
    World::new(count, ClusterConfig::default())
}

fn counts(world: &World) -> Vec<usize> {
    world.nodes.iter().map(Node::server_count).collect()
}

fn asker(events: &[Event]) -> Asker {
    let asker = |event: &Event| match event {
        Event::Broadcast { asker, .. } | Event::ServerSideEmit { asker, .. } => asker.clone(),
        Event::FetchSockets { asker, .. } => Some(asker.clone()),
        _ => None,
    };
    events.iter().find_map(asker).expect("somebody has asked")
}

fn description(id: &str) -> Description {
    Description { id: id.into(), handshake: ().into(), rooms: Vec::new(), data: ().into() }
}

#[test]
fn nodes_know_each_other_from_the_first_hello() {
    assert_eq!(counts(&world(4)), [4; 4]);
}

#[test]
fn heartbeat_comes_after_silence_only() {
    let mut world = world(2);
    world.now += 4 * SECOND;
    let now = world.now;
    world.nodes[0].broadcast(event("e"), Target::default(), now);
    world.nodes[0].poll_transmit().unwrap();
    world.nodes[0].handle_timeout(now + 4 * SECOND);
    assert_eq!(world.nodes[0].poll_transmit(), None);
    assert_eq!(world.nodes[0].poll_timeout(), Some(now + 5 * SECOND));
    world.nodes[0].handle_timeout(now + 5 * SECOND);
    assert_eq!(world.nodes[0].poll_transmit().unwrap().message, message(0, Body::Heartbeat));
}

#[test]
fn answers_are_no_sign_of_life_for_others() {
    let mut world = world(2);
    let before = world.nodes[1].poll_timeout();
    let now = world.now + SECOND;
    let request = RequestId::from("r");
    world.nodes[1].handle_message(message(0, Body::FetchSockets { target: Target::default(), request }), now);
    let event = world.nodes[1].poll_event().unwrap();
    world.nodes[1].answer_sockets(&asker(&[event]), Vec::new());
    assert_eq!(world.nodes[1].poll_timeout(), before);
}

#[test]
fn silent_node_is_gone_after_its_timeout_and_back_when_it_speaks() {
    let mut world = world(3);
    world.pass(10 * SECOND - Duration::from_nanos(1), &[2]);
    assert_eq!(counts(&world)[..2], [3, 3]);
    world.pass(Duration::from_nanos(1), &[2]);
    assert_eq!(counts(&world)[..2], [2, 2]);
    assert_eq!(world.events()[0], [Event::PeerLeft { uid: uid(2) }]);
    world.pass(SECOND, &[]);
    assert_eq!(counts(&world), [3; 3]);
    assert_eq!(world.events()[0], [Event::PeerJoined { uid: uid(2) }]);
}

#[test]
fn living_nodes_stay_however_long() {
    let mut world = world(3);
    world.pass(1000 * SECOND, &[]);
    assert_eq!(counts(&world), [3; 3]);
    assert_eq!(world.events(), [[], [], []]);
}

#[test]
fn closed_node_is_gone_at_once_and_hears_nothing() {
    let mut world = world(2);
    let now = world.now;
    world.nodes[1].close(now);
    world.settle();
    assert_eq!(counts(&world), [1, 2]);
    world.nodes[0].broadcast(event("e"), Target::default(), now);
    world.settle();
    assert_eq!(world.events(), [vec![Event::PeerLeft { uid: uid(1) }], vec![]]);
    assert_eq!(world.nodes[1].poll_timeout(), None);
    assert_eq!(world.nodes[1].fetch_sockets(Target::default(), SECOND, now), Err(Refused::Closed));
    world.nodes[1].broadcast(event("e"), Target::default(), now);
    assert_eq!(world.nodes[1].poll_transmit(), None);
}

#[test]
fn emitters_and_those_over_the_limit_are_heard_and_not_counted() {
    let mut world = World::new(1, ClusterConfig { peers_max: 2, ..ClusterConfig::default() });
    let now = world.now;
    let node = &mut world.nodes[0];
    for (peer, count) in [("emitter", 1), ("a", 2), ("b", 3), ("c", 3)] {
        let body = Body::Broadcast { event: event("e"), target: Target::default(), request: None };
        node.handle_message(crate::Message { uid: peer.into(), namespace: "/".into(), body }, now);
        assert_eq!(node.server_count(), count, "{peer}");
    }
    let broadcasts = world.events()[0].iter().filter(|event| matches!(event, Event::Broadcast { .. })).count();
    assert_eq!(broadcasts, 4);
}

#[test]
fn own_messages_and_other_namespaces_are_ignored() {
    let mut world = world(1);
    let now = world.now;
    let mut other = message(7, Body::InitialHeartbeat);
    other.namespace = "/other".into();
    world.nodes[0].handle_message(other, now);
    world.nodes[0].handle_message(message(0, Body::InitialHeartbeat), now);
    assert_eq!((world.nodes[0].server_count(), world.nodes[0].poll_transmit()), (1, None));
}

#[test]
fn what_is_to_be_done_is_told_once_to_each() {
    let mut world = world(3);
    let (now, target) = (world.now, Target::room("a"));
    let node = &mut world.nodes[1];
    node.broadcast(event("e"), target.clone(), now);
    node.sockets_join(target.clone(), vec!["b".into()], now);
    node.sockets_leave(target.clone(), vec!["c".into()], now);
    node.disconnect_sockets(target.clone(), true, now);
    node.server_side_emit(event("s"), now);
    world.settle();
    let expected = vec![
        Event::Broadcast { event: event("e"), target: target.clone(), asker: None },
        Event::SocketsJoin { target: target.clone(), rooms: vec!["b".into()] },
        Event::SocketsLeave { target: target.clone(), rooms: vec!["c".into()] },
        Event::DisconnectSockets { target, close: true },
        Event::ServerSideEmit { event: event("s"), asker: None },
    ];
    assert_eq!(world.events(), [expected.clone(), vec![], expected]);
}

#[test]
fn alone_every_request_is_complete_at_once() {
    let mut world = world(1);
    let now = world.now;
    let node = &mut world.nodes[0];
    let requests = [
        node.fetch_sockets(Target::default(), SECOND, now).unwrap(),
        node.broadcast_with_ack(event("e"), Target::default(), SECOND, now).unwrap(),
        node.server_side_emit_with_ack(event("e"), SECOND, now).unwrap(),
    ];
    assert_eq!(node.request_count(), 0);
    assert_eq!(world.events()[0], requests.map(|request| finished(&request, Outcome::Complete)));
}

#[test]
fn sockets_of_all_nodes_come() {
    let mut world = world(3);
    let now = world.now;
    let request = world.nodes[0].fetch_sockets(Target::default(), SECOND, now).unwrap();
    world.settle();
    let events = world.events();
    for (number, socket) in [(1, "one"), (2, "two")] {
        world.nodes[number].answer_sockets(&asker(&events[number]), vec![description(socket)]);
        // A second answer is none.
        world.nodes[number].answer_sockets(&asker(&events[number]), vec![description("again")]);
    }
    world.settle();
    let sockets = |id: &str| Event::Sockets { request: request.clone(), sockets: vec![description(id)] };
    assert_eq!(world.events()[0], [sockets("one"), sockets("two"), finished(&request, Outcome::Complete)]);
    assert_eq!(world.nodes[0].request_count(), 0);
}

#[test]
fn request_ends_at_its_timeout_with_what_has_come() {
    let mut world = world(3);
    let now = world.now;
    let request = world.nodes[0].server_side_emit_with_ack(event("e"), 2 * SECOND, now).unwrap();
    world.settle();
    let events = world.events();
    let answer = Encoded::of(&7).unwrap();
    world.nodes[1].answer_server_side(&asker(&events[1]), answer.clone());
    world.pass(2 * SECOND - Duration::from_nanos(1), &[]);
    assert_eq!(world.events()[0], [Event::Answer { request: request.clone(), answer: answer.clone() }]);
    assert_eq!(world.nodes[0].poll_timeout(), Some(now + 2 * SECOND));
    world.pass(Duration::from_nanos(1), &[]);
    assert_eq!(world.events()[0], [finished(&request, Outcome::TimedOut { missing: 1 })]);
    world.nodes[2].answer_server_side(&asker(&events[2]), answer);
    world.settle();
    assert_eq!(world.events()[0], [], "what is late is dropped");
}

#[test]
fn the_longest_of_all_times_can_be_waited_for() {
    let max = Duration::MAX;
    let config = ClusterConfig { heartbeat_interval: max, heartbeat_timeout: max, ..ClusterConfig::default() };
    let mut world = World::new(2, config);
    assert_eq!(world.nodes[0].poll_timeout(), None);
    let now = world.now;
    world.nodes[0].broadcast_with_ack(event("e"), Target::default(), max, now).unwrap();
    world.settle();
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert_eq!(world.nodes[0].poll_timeout(), Some(now + year));
    assert_eq!(world.nodes[1].server_count(), 2);
}

#[test]
fn departure_completes_what_waits_for_it() {
    let mut world = world(3);
    let now = world.now;
    let request = world.nodes[0].fetch_sockets(Target::default(), 60 * SECOND, now).unwrap();
    world.nodes[1].close(now);
    world.settle();
    assert_eq!(world.events()[0], [Event::PeerLeft { uid: uid(1) }]);
    world.pass(10 * SECOND, &[1, 2]);
    assert_eq!(world.events()[0], [finished(&request, Outcome::Complete), Event::PeerLeft { uid: uid(2) }]);
}

#[test]
fn acknowledgements_are_complete_when_each_node_has_sent_as_many_as_it_said() {
    let mut world = world(3);
    let now = world.now;
    let request = world.nodes[0].broadcast_with_ack(event("e"), Target::default(), SECOND, now).unwrap();
    world.settle();
    let events = world.events();
    let (one, two) = (asker(&events[1]), asker(&events[2]));
    world.nodes[1].answer_client_count(&one, 2);
    world.nodes[2].answer_client_count(&two, 0);
    let ack = |number: u8| Encoded::of(&number).unwrap();
    for number in 0..4 {
        world.nodes[1].answer_ack(&one, ack(number));
        // A node that said it has none.
        world.nodes[2].answer_ack(&two, ack(9));
    }
    world.settle();
    let answer = |number| Event::Answer { request: request.clone(), answer: ack(number) };
    assert_eq!(world.events()[0], [answer(0), answer(1), finished(&request, Outcome::Complete)]);
}

#[test]
fn acknowledgements_without_their_count_are_taken_and_never_complete() {
    let mut world = world(2);
    let now = world.now;
    let request = world.nodes[0].broadcast_with_ack(event("e"), Target::default(), SECOND, now).unwrap();
    world.settle();
    let asker = asker(&world.events()[1]);
    world.nodes[1].answer_ack(&asker, event("a"));
    world.settle();
    world.pass(SECOND, &[]);
    let answer = Event::Answer { request: request.clone(), answer: event("a") };
    assert_eq!(world.events()[0], [answer, finished(&request, Outcome::TimedOut { missing: 1 })]);
}

#[test]
fn timeout_travels_with_a_broadcast_that_wants_acknowledgements() {
    let mut world = world(2);
    let now = world.now;
    world.nodes[0].broadcast_with_ack(event("e"), Target::default(), 3 * SECOND, now).unwrap();
    world.settle();
    let Event::Broadcast { target, .. } = &world.events()[1][0] else { panic!("it is told") };
    assert_eq!(target.flags.timeout, Some(3 * SECOND));
}

#[test]
fn answers_of_another_kind_are_none() {
    let mut world = world(2);
    let now = world.now;
    let request = world.nodes[0].fetch_sockets(Target::default(), SECOND, now).unwrap();
    let bodies = [
        Body::BroadcastClientCount { request: request.clone(), count: 0 },
        Body::BroadcastAck { request: request.clone(), answer: event("a") },
        Body::ServerSideEmitResponse { request: request.clone(), answer: event("a") },
        Body::FetchSocketsResponse { request: "another".into(), sockets: Vec::new() },
    ];
    for body in bodies {
        world.nodes[0].handle_message(message(1, body), now);
    }
    assert_eq!((world.events()[0].len(), world.nodes[0].request_count()), (0, 1));
}

#[test]
fn node_that_was_not_known_may_answer_too() {
    let mut world = world(2);
    let now = world.now;
    let request = world.nodes[0].broadcast_with_ack(event("e"), Target::default(), SECOND, now).unwrap();
    let say = |world: &mut World, from, body| world.nodes[0].handle_message(message(from, body), now);
    say(&mut world, 7, Body::BroadcastClientCount { request: request.clone(), count: 1 });
    say(&mut world, 1, Body::BroadcastClientCount { request: request.clone(), count: 0 });
    say(&mut world, 7, Body::BroadcastAck { request: request.clone(), answer: event("a") });
    let answer = Event::Answer { request: request.clone(), answer: event("a") };
    assert_eq!(world.events()[0][1..], [answer, finished(&request, Outcome::Complete)]);
}

#[test]
fn requests_are_bounded() {
    let mut world = World::new(2, ClusterConfig { requests_max: 2, ..ClusterConfig::default() });
    let now = world.now;
    let ask = |world: &mut World| world.nodes[0].fetch_sockets(Target::default(), SECOND, now);
    let (first, second) = (ask(&mut world), ask(&mut world));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(ask(&mut world), Err(Refused::TooMany));
    assert_eq!(world.nodes[0].cancel(&first.unwrap()), Some(1));
    assert!(ask(&mut world).is_ok());
}

#[test]
fn answers_are_bounded() {
    let mut world = World::new(2, ClusterConfig { answers_max: 2, ..ClusterConfig::default() });
    let now = world.now;
    let request = world.nodes[0].broadcast_with_ack(event("e"), Target::default(), SECOND, now).unwrap();
    let count = Body::BroadcastClientCount { request: request.clone(), count: 3 };
    world.nodes[0].handle_message(message(1, count), now);
    for _ in 0..3 {
        let ack = Body::BroadcastAck { request: request.clone(), answer: event("a") };
        world.nodes[0].handle_message(message(1, ack), now);
    }
    assert_eq!(world.events()[0].len(), 2);
    world.pass(SECOND, &[]);
    assert_eq!(world.events()[0], [finished(&request, Outcome::TimedOut { missing: 1 })]);
}

#[test]
fn closing_ends_requests_and_cancelling_is_silent() {
    let mut world = world(2);
    let now = world.now;
    let kept = world.nodes[0].fetch_sockets(Target::default(), SECOND, now).unwrap();
    let cancelled = world.nodes[0].fetch_sockets(Target::default(), SECOND, now).unwrap();
    assert_eq!((world.nodes[0].cancel(&cancelled), world.nodes[0].cancel(&cancelled)), (Some(1), None));
    world.nodes[0].close(now);
    assert_eq!(world.events()[0], [finished(&kept, Outcome::Closed)]);
}

#[test]
fn broadcasts_of_all_kinds_keep_their_order() {
    let mut world = world(2);
    let now = world.now;
    for number in 0..30 {
        let (event, node) = (Encoded::of(&("e", number)).unwrap(), &mut world.nodes[0]);
        match number % 3 {
            0 => node.broadcast(event, Target::default(), now),
            1 => node.broadcast(event, Target::room("an id"), now),
            _ => drop(node.broadcast_with_ack(event, Target::default(), SECOND, now).unwrap()),
        }
    }
    world.settle();
    let numbers = world.events().remove(1).into_iter().filter_map(|event| match event {
        Event::Broadcast { event, .. } => event.to_values()[1].as_u64(),
        _ => None,
    });
    assert!(numbers.eq(0..30));
}
