//! Socket.IO packets to Engine.IO messages, by the parser that the configuration names.

use patera_protocol::parser::{self, MessagePack};
use patera_protocol::socketio::{EncodeError, OwnedArgs, encode};
use serde::Serialize;

use crate::config::Parser;
use crate::engine::{Packet, Payload};

/// How packets are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec(pub(crate) Parser);

impl Codec {
    pub(crate) fn event<T: Serialize + ?Sized>(
        self,
        namespace: &str,
        ack: Option<u64>,
        name: &str,
        args: &T,
    ) -> Result<Packet, EncodeError> {
        let (text, attachments) = event(namespace, ack, name, args)?;
        Ok(self.packet(text, attachments))
    }

    /// The same, and the arguments as the server gets them.
    pub(crate) fn event_with_args<T: Serialize + ?Sized>(
        self,
        namespace: &str,
        ack: Option<u64>,
        name: &str,
        args: &T,
    ) -> Result<(Packet, OwnedArgs), EncodeError> {
        let (text, attachments) = event(namespace, ack, name, args)?;
        let json = std::str::from_utf8(&text[1..]).expect("JSON and namespaces are text");
        let args = OwnedArgs::of_event(json, &attachments).unwrap_or_default();
        Ok((self.packet(text, attachments), args))
    }

    pub(crate) fn ack<T: Serialize + ?Sized>(self, namespace: &str, id: u64, args: &T) -> Result<Packet, EncodeError> {
        let mut text = vec![b'4'];
        let attachments = encode::ack(&mut text, namespace, id, args)?;
        Ok(self.packet(text, attachments))
    }

    pub(crate) fn connect(self, namespace: &str, payload: Option<&serde_json::Value>) -> Result<Packet, EncodeError> {
        let mut text = vec![b'4'];
        encode::connect(&mut text, namespace, &payload)?;
        Ok(self.packet(text, Vec::new()))
    }

    pub(crate) fn disconnect(self, namespace: &str) -> Packet {
        let mut text = vec![b'4'];
        encode::disconnect(&mut text, namespace);
        self.packet(text, Vec::new())
    }

    fn packet(self, text: Vec<u8>, attachments: Vec<bytes::Bytes>) -> Packet {
        match self.0 {
            Parser::Json => Packet::new(text, attachments),
            Parser::MessagePack => {
                let text = std::str::from_utf8(&text[1..]).expect("JSON and namespaces are text");
                let packet =
                    parser::Packet::of_text(text, &attachments).expect("the protocol crate has written a packet");
                Packet { payloads: vec![Payload::Binary(MessagePack::encode(&packet))], ..Packet::default() }
            }
        }
    }
}

/// The `4` of a message, and the packet.
fn event<T: Serialize + ?Sized>(
    namespace: &str,
    ack: Option<u64>,
    name: &str,
    args: &T,
) -> Result<(Vec<u8>, Vec<bytes::Bytes>), EncodeError> {
    let mut text = vec![b'4'];
    let attachments = encode::event(&mut text, namespace, ack, name, args)?;
    Ok((text, attachments))
}
