//! Packets of Socket.IO in other forms than text and attachments behind it: both sides must use the same, nothing is negotiated.
//!
//! | file | what |
//! |---|---|
//! | [`packet`](Packet) | a packet as parsers see it: `{type, nsp, data, id}` |
//! | [`msgpack`](MessagePack) | the form of `socket.io-msgpack-parser` |
//!
//! A parser is a translation: what comes becomes the text and the attachments that a [`Connection`] reads, so that every rule and
//! every limit holds here too; what goes out is made of those. JSON itself is no [`Parser`]: it is what is there without one.
//!
//! [`Connection`]: crate::socketio::Connection

mod msgpack;
mod packet;

use std::fmt;

use bytes::Bytes;

pub use self::msgpack::MessagePack;
pub use self::packet::{Packet, PacketType};
use crate::{
    engineio::Message,
    socketio::{ConnectionConfig, Error},
};

/// A form of packets: how each is written, and how each is read. One value serves all connections.
///
/// ```
/// use patera_protocol::{
///     engineio::Message,
///     parser::{Decoder, OwnedMessage, Packet, PacketType, Parser},
///     socketio::{ConnectionConfig, Error},
/// };
///
/// /// One text a packet: the type, the namespace, the id or `-`, and the data as JSON. It has no bytes.
/// ///
/// /// ```text
/// /// 2 /chat 7 ["hello",{"a":1}]
/// /// ```
/// struct Words;
///
/// impl Parser for Words {
///     fn encode(&self, packet: &Packet<'_>) -> Vec<OwnedMessage> {
///         let id = packet.id().map_or("-".to_owned(), |id| id.to_string());
///         let data = packet.data().ok().flatten().unwrap_or_default();
///         let json = serde_json::to_string(&data).unwrap_or_default();
///         let number = packet.kind().number();
///         vec![OwnedMessage::Text(format!("{number} {} {id} {json}", packet.namespace()))]
///     }
///
///     fn decoder(&self) -> Box<dyn Decoder> {
///         Box::new(Words)
///     }
/// }
///
/// impl Decoder for Words {
///     fn decode(&mut self, message: Message<'_>, _: &ConnectionConfig) -> Result<Option<Packet<'static>>, Error> {
///         let Message::Text(text) = message else { return Err(Error::UnexpectedBinary) };
///         let mut words = text.splitn(4, ' ').map(str::to_owned);
///         let [Some(kind), Some(namespace), Some(id), Some(json)] = [(); 4].map(|()| words.next()) else {
///             return Err(Error::InvalidPayload);
///         };
///         let kind = kind.parse().ok().and_then(PacketType::from_number).ok_or(Error::UnknownType)?;
///         let id = if id == "-" { None } else { Some(id.parse().map_err(|_| Error::IllegalAckId)?) };
///         // What is no JSON is refused by whoever takes the packet, as is what is too deep or too much.
///         let json = if json == "null" { String::new() } else { json };
///         Ok(Some(Packet::new(kind, namespace).with_id(id).with_json(json, Vec::new())))
///     }
/// }
///
/// let packet = Packet::new(PacketType::Event, "/chat").with_id(Some(7)).with_data(&("hello", 1))?;
/// let [OwnedMessage::Text(text)] = &Words.encode(&packet)[..] else { panic!() };
/// assert_eq!(text, r#"2 /chat 7 ["hello",1]"#);
/// let read = Words.decoder().decode(Message::Text(text), &ConnectionConfig::default())?;
/// assert_eq!(read, Some(packet));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Parser: Send + Sync + 'static {
    /// The messages that a packet is, in order. None: the packet is not sent.
    ///
    /// Called once for each packet, however many get it.
    fn encode(&self, packet: &Packet<'_>) -> Vec<OwnedMessage>;

    /// The reader of one connection.
    fn decoder(&self) -> Box<dyn Decoder>;
}

impl fmt::Debug for dyn Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser").finish_non_exhaustive()
    }
}

/// Reads the packets of one connection: it keeps what a packet of several messages needs until the last of them is there.
pub trait Decoder: Send {
    /// A message came. `None` if the packet is not complete yet.
    ///
    /// The bytes are anybody's: do not recurse by their depth, nor allocate by a length that they declare, and bound what is kept. The
    /// packet need not be checked: whoever gets it holds its names, arguments, ids, depth and attachments against `limits`. A
    /// message is never longer than the transport takes.
    ///
    /// # Errors
    /// It is no packet: the connection is closed.
    fn decode(&mut self, message: Message<'_>, limits: &ConnectionConfig) -> Result<Option<Packet<'static>>, Error>;
}

/// A message of Engine.IO to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedMessage {
    /// Text: `4…`.
    Text(String),
    /// Bytes: a binary frame, or `b` and base64 over polling.
    Binary(Bytes),
}
