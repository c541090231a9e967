//! Packets of Socket.IO as MessagePack.

use std::sync::Arc;

use bytes::Bytes;
use patera_protocol::{
    engineio::Message,
    parser::{MessagePack, Packet},
    socketio::{ConnectionConfig, Incoming, Revision},
};

use super::{
    at,
    socketio::{check_args, is_same, server},
};
use crate::{input::text_of, memory};

/// The input is a message of bytes, and a message of text.
pub(super) fn run(data: &[u8]) {
    packet(Message::Binary(data));
    packet(Message::Text(text_of(data)));
}

fn packet(message: Message<'_>) {
    let limits = ConnectionConfig::default();
    // Twice the six-fold, for text grows by doubling; and a placeholder for each attachment.
    let held = 16 * message.len() + 4096;
    let Ok(packet) = memory::within(held, || MessagePack::decode(message, &limits)) else { return };
    assert!(packet.attachments().len() <= limits.attachments_max);
    let bytes: usize = packet.attachments().iter().map(Bytes::len).sum();
    assert!(bytes <= message.len());
    check_reads_back(&packet, &limits);
    to_connection(&packet, limits);
}

/// Written once, it is read and written as the same for ever.
fn check_reads_back(packet: &Packet<'_>, limits: &ConnectionConfig) {
    if packet.json().matches("_placeholder").count() != packet.attachments().len() {
        // A map that looks like a placeholder is written as the bytes that it seems to stand for.
        return;
    }
    let Ok(data) = packet.data() else { return };
    let written = MessagePack::encode(packet);
    let read = MessagePack::decode(Message::Binary(&written), limits).expect("we wrote it");
    assert_eq!((read.kind(), read.namespace(), read.id()), (packet.kind(), packet.namespace(), packet.id()));
    assert_eq!(read.attachments(), packet.attachments());
    match (read.data().expect("we wrote it"), data) {
        (Some(read), Some(data)) => assert!(is_same(&read, &data), "{read} is not {data}"),
        (read, data) => assert_eq!(read, data),
    }
    assert_eq!(MessagePack::encode(&read), written);
}

/// What a connection takes of it goes by its rules.
fn to_connection(packet: &Packet<'_>, limits: ConnectionConfig) {
    let Ok(text) = packet.to_text() else { return };
    let config = Arc::new(limits);
    let mut server = server(Revision::V5, &config);
    let messages =
        std::iter::once(Message::Text(&text)).chain(packet.attachments().iter().map(|data| Message::Binary(data)));
    for message in messages {
        match server.handle_message(message, at(0)) {
            Ok(Some(Incoming::Event { args, .. } | Incoming::Ack { args, .. })) => check_args(&args, &config),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
