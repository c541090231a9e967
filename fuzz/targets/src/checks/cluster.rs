//! What servers say to each other: as it stands on the wire, and what a node makes of it.

use std::{sync::Arc, time::Duration};

use patera_cluster::{Body, ClusterConfig, Encoded, Event, Message, Node, Target};

use super::at;
use crate::{
    input::{Input, text_of},
    memory,
};

/// The input is messages in JSON, a line each. A line without a `{` lets so many bytes × 100 ms pass.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut node = Node::new("self".into(), "/".into(), Arc::new(config()), 7, at(0));
    ask(&mut node);
    let mut now = 0;
    for line in text_of(input.take(usize::MAX)).lines() {
        if line.contains('{') {
            let Some(message) = read(line) else { continue };
            node.handle_message(message, at(now));
        } else {
            now += 100 * line.len() as u64;
            node.handle_timeout(at(now));
            assert!(node.poll_timeout().is_none_or(|next| next > at(now)), "what was due has been dealt with");
        }
        drain(&mut node);
    }
    node.close(at(now));
    drain(&mut node);
    assert_eq!(node.request_count(), 0, "nobody waits for a node that has left");
    assert!(node.poll_timeout().is_none());
}

fn config() -> ClusterConfig {
    let mut config = ClusterConfig::default();
    config.peers_max = 3;
    config.requests_max = 4;
    config.answers_max = 5;
    config
}

fn read(line: &str) -> Option<Message> {
    let message: Message = memory::within(200 * line.len() + 4096, || serde_json::from_str(line)).ok()?;
    let written = serde_json::to_string(&message).expect("a message is JSON");
    let again: Message = serde_json::from_str(&written).expect("we wrote it");
    assert_eq!(again, message, "what is written reads back");
    assert_eq!(serde_json::to_string(&again).ok(), Some(written));
    check_events(&message.body);
    Some(message)
}

/// An event that was taken has a name.
fn check_events(body: &Body) {
    if let Body::Broadcast { event, .. } | Body::ServerSideEmit { event, .. } = body {
        let (name, args) = event.to_event().expect("it was read as one");
        let values = event.to_values();
        assert_eq!(values.first().and_then(|value| value.as_str()), Some(name.as_str()));
        assert_eq!(args.as_args().len() + 1, values.len());
    }
}

/// Two peers, and requests to them whose answers may come, one of each kind; their names follow from the seed.
fn ask(node: &mut Node) {
    let event = Encoded::of(&("e", 1)).expect("it is JSON");
    let timeout = Duration::from_secs(1);
    node.announce(at(0));
    for peer in ["p1", "p2"] {
        let message = Message { uid: peer.into(), namespace: "/".into(), body: Body::Heartbeat };
        node.handle_message(message, at(0));
    }
    drain(node);
    let asked = [
        node.fetch_sockets(Target::default(), timeout, at(0)),
        node.broadcast_with_ack(event.clone(), Target::default(), timeout, at(0)),
        node.server_side_emit_with_ack(event, timeout, at(0)),
    ];
    assert!(asked.iter().all(Result::is_ok));
    drain(node);
}

fn drain(node: &mut Node) {
    let mut events = 0;
    while let Some(event) = node.poll_event() {
        events += 1;
        let answer = Encoded::of(&"a").expect("it is JSON");
        match event {
            Event::Broadcast { asker: Some(asker), .. } => {
                node.answer_client_count(&asker, 1);
                node.answer_ack(&asker, answer);
            }
            Event::FetchSockets { asker, .. } => node.answer_sockets(&asker, Vec::new()),
            Event::ServerSideEmit { asker: Some(asker), .. } => node.answer_server_side(&asker, answer),
            _ => {}
        }
    }
    assert!(events <= 16, "one message, or one moment, is not the cause of so much");
    while let Some(transmit) = node.poll_transmit() {
        let json = serde_json::to_string(&transmit.message).expect("a message is JSON");
        assert_eq!(serde_json::from_str::<Message>(&json).ok(), Some(transmit.message));
    }
    assert!(node.server_count() <= 4 && node.request_count() <= 4);
}
