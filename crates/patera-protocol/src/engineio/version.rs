//! The two revisions of Engine.IO on the wire, and how each writes a packet. They differ in binary messages alone. EIO 3
//! "Encoding", EIO 4 "Packet encoding".

use super::packet::{Message, Packet, PacketError, append_base64, decode_base64};

/// The revision of Engine.IO: the query parameter `EIO`.
///
/// ```text
///                          revision 4      revision 3
///   binary frame           01 02 03        04 01 02 03     the type stands in front
///   bytes as text          bAQID           b4AQID
///   pings                  server          client
///   payload                payload         payload_v3
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// Engine.IO 3, of Socket.IO 1 and 2: the client pings.
    V3,
    /// Engine.IO 4, of Socket.IO 3 and 4: the server pings.
    #[default]
    V4,
}

/// The type of a message in a binary frame of revision 3.
const MESSAGE: u8 = 4;

impl Version {
    /// What stands in a binary WebSocket frame in front of the message's bytes: nothing, or in revision 3 the byte 4.
    pub fn binary_prefix(self) -> &'static [u8] {
        match self {
            Version::V3 => &[MESSAGE],
            Version::V4 => &[],
        }
    }

    /// Reads a binary WebSocket frame, which is a message.
    ///
    /// # Errors
    /// Revision 3: there is no type, or it is not 4.
    pub fn decode_binary(self, frame: &[u8]) -> Result<Packet<'_>, PacketError> {
        match (self, frame) {
            (Version::V4, data) | (Version::V3, [MESSAGE, data @ ..]) => Ok(Packet::Message(Message::Binary(data))),
            (Version::V3, []) => Err(PacketError::Empty),
            (Version::V3, [kind, ..]) => Err(PacketError::UnknownType(*kind)),
        }
    }

    /// Reads a text frame, or a packet of a payload. The bytes of a binary message, `bAQID` or in revision 3 `b4AQID`,
    /// replace what is in `scratch`.
    ///
    /// # Errors
    /// As [`Packet::decode_with`]; revision 3 has bytes in messages alone, so `b` without the `4` is an unknown type.
    pub fn decode_text<'a>(self, text: &'a str, scratch: &'a mut Vec<u8>) -> Result<Packet<'a>, PacketError> {
        match (self, text.as_bytes()) {
            (Version::V4, _) => Packet::decode_with(text, scratch),
            (Version::V3, [b'b', b'4', ..]) => decode_base64(text.get(2..).unwrap_or_default(), scratch),
            (Version::V3, _) => Packet::decode(text),
        }
    }

    /// Appends the packet in its text form: `Message(Binary([1]))` → `bAQ==` or in revision 3 `b4AQ==`.
    pub fn encode_text(self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        match (self, packet) {
            (Version::V3, Packet::Message(Message::Binary(data))) => {
                out.extend_from_slice(b"b4");
                append_base64(data, out);
            }
            (Version::V3 | Version::V4, packet) => packet.encode_text(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_3_has_its_own_binary_messages() {
        let bytes = Packet::Message(Message::Binary(&[1, 2, 3, 4]));
        check(Version::V3, "b4AQIDBA==", bytes);
        check(Version::V4, "bAQIDBA==", bytes);
        check(Version::V3, "b4", Packet::Message(Message::Binary(&[])));
        assert_eq!(Version::V3.decode_binary(&[4, 1, 2]), Ok(Packet::Message(Message::Binary(&[1, 2]))));
        assert_eq!(Version::V3.decode_binary(&[4]), Ok(Packet::Message(Message::Binary(&[]))));
        assert_eq!(Version::V4.decode_binary(&[4, 1, 2]), Ok(Packet::Message(Message::Binary(&[4, 1, 2]))));
        assert_eq!(Version::V4.decode_binary(&[]), Ok(Packet::Message(Message::Binary(&[]))));
        assert_eq!((Version::V3.binary_prefix(), Version::V4.binary_prefix()), (&[4][..], &[][..]));
    }

    #[test]
    fn text_packets_are_the_same() {
        for version in [Version::V3, Version::V4] {
            check(version, "0{}", Packet::Open("{}"));
            check(version, "2probe", Packet::Ping("probe"));
            check(version, "4é😀", Packet::Message(Message::Text("é😀")));
            check(version, "6", Packet::Noop);
        }
    }

    #[test]
    fn only_messages_are_binary() {
        assert_eq!(Version::V3.decode_binary(&[]), Err(PacketError::Empty));
        for kind in (0..=255).filter(|kind| *kind != 4) {
            assert_eq!(Version::V3.decode_binary(&[kind, 1]), Err(PacketError::UnknownType(kind)));
        }
        for text in ["b", "bAQ==", "b2AQ==", "bb4AQ=="] {
            assert_eq!(Version::V3.decode_text(text, &mut Vec::new()), Err(PacketError::UnknownType(b'b')), "{text}");
        }
        for text in ["b4AQ", "b4AQ==\n", "b4-_-_", "b4é"] {
            assert_eq!(Version::V3.decode_text(text, &mut Vec::new()), Err(PacketError::Base64), "{text}");
        }
    }

    fn check(version: Version, text: &str, packet: Packet<'_>) {
        let mut scratch = b"old".to_vec();
        assert_eq!(version.decode_text(text, &mut scratch), Ok(packet), "{text}");
        let mut out = b"before".to_vec();
        version.encode_text(&packet, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{text}"));
    }
}
