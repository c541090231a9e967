//! Socket.IO packets to Engine.IO messages, by the parser that the configuration names.

use patera_protocol::socketio::{EncodeError, OwnedArgs, encode};
use serde::Serialize;

use crate::config::Parser;
use crate::engine::Packet;

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
        self.packet(text, attachments)
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
        Ok((self.packet(text, attachments)?, args))
    }

    pub(crate) fn ack<T: Serialize + ?Sized>(self, namespace: &str, id: u64, args: &T) -> Result<Packet, EncodeError> {
        let mut text = vec![b'4'];
        let attachments = encode::ack(&mut text, namespace, id, args)?;
        self.packet(text, attachments)
    }

    pub(crate) fn connect(self, namespace: &str, payload: Option<&serde_json::Value>) -> Result<Packet, EncodeError> {
        let mut text = vec![b'4'];
        encode::connect(&mut text, namespace, &payload)?;
        self.packet(text, Vec::new())
    }

    pub(crate) fn disconnect(self, namespace: &str) -> Packet {
        let mut text = vec![b'4'];
        encode::disconnect(&mut text, namespace);
        self.packet(text, Vec::new()).expect("there is nothing in it that could be nested")
    }

    fn packet(self, text: Vec<u8>, attachments: Vec<bytes::Bytes>) -> Result<Packet, EncodeError> {
        match self.0 {
            Parser::Json => Ok(Packet::new(text, attachments)),
            #[cfg(feature = "msgpack")]
            Parser::MessagePack => crate::msgpack::encode(&text[1..], &attachments).map_err(EncodeError::Json),
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
