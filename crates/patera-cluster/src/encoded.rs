//! An event, or the answer to one, that is encoded already: so that it is encoded once, however many nodes get it.

use bytes::Bytes;
use patera_protocol::socketio::{Args, EncodeError, OwnedArgs, Value, encode};
use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};

/// An array as it stands in a packet of Socket.IO, placeholders for bytes included, and the bytes: an event's name and arguments
/// (`["file",{"_placeholder":true,"num":0}]`), or the arguments of an acknowledgement (`["done"]`). Cheap to clone.
///
/// On the wire it is the array with its bytes in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    json: Bytes,
    attachments: Vec<Bytes>,
}

impl Encoded {
    /// Encodes: a tuple is its elements, `()` none, anything else one.
    ///
    /// # Errors
    /// It cannot be JSON.
    pub fn of<T: Serialize + ?Sized>(elements: &T) -> Result<Self, EncodeError> {
        let mut json = Vec::new();
        let attachments = encode::args_json(&mut json, elements)?;
        Ok(Encoded { json: json.into(), attachments })
    }

    /// The array of a packet that is [encoded](encode::event) already, header and all.
    pub fn of_packet(packet: &str, attachments: &[Bytes]) -> Self {
        let array = encode::event_array(packet);
        Encoded { json: Bytes::copy_from_slice(array.as_bytes()), attachments: attachments.to_vec() }
    }

    /// The first of these arguments, which is all that travels of an answer; none if there is none.
    pub fn of_answer(args: &Args<'_>) -> Self {
        let json = args.get(0).map_or_else(|| "[]".to_owned(), |first| format!("[{first}]"));
        Encoded { json: json.into(), attachments: args.attachments().to_vec() }
    }

    /// The array of these values.
    ///
    /// # Errors
    /// A number is out of the range of JSON.
    pub fn of_values(values: &[Value]) -> Result<Self, EncodeError> {
        Self::of(&Elements(values))
    }

    /// The array, with placeholders in place of bytes.
    pub fn json(&self) -> &str {
        std::str::from_utf8(&self.json).expect("all constructors take a str, or JSON that was just written")
    }

    /// The bytes that placeholders stand for.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// How much it is, in bytes.
    pub fn size(&self) -> usize {
        self.attachments.iter().map(Bytes::len).fold(self.json.len(), usize::saturating_add)
    }

    /// All elements, not decoded yet.
    pub fn to_args(&self) -> OwnedArgs {
        OwnedArgs::of_array(self.json(), &self.attachments).unwrap_or_default()
    }

    /// An event's name and its arguments; `None` if it is no event.
    pub fn to_event(&self) -> Option<(String, OwnedArgs)> {
        let mut args = self.to_args();
        let name = args.as_args().decode(0).ok()?;
        args.take_first()?;
        Some((name, args))
    }

    /// All elements; what no value can hold is `Null`.
    pub fn to_values(&self) -> Vec<Value> {
        let args = self.to_args();
        let args = args.as_args();
        (0..args.len()).map(|index| args.value(index).unwrap_or_default()).collect()
    }
}

/// Values as the elements of an array, and not as one array.
struct Elements<'a>(&'a [Value]);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for value in self.0 {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_beside_their_array() {
        let encoded = Encoded::of(&("file", Bytes::from_static(b"ab"), 1)).unwrap();
        assert_eq!(encoded.json(), r#"["file",{"_placeholder":true,"num":0},1]"#);
        assert_eq!((encoded.attachments(), encoded.size()), (&[Bytes::from_static(b"ab")][..], 42));
        let values = [Value::from("file"), Value::from(&b"ab"[..]), Value::from(1)];
        assert_eq!(encoded.to_values(), values);
        assert_eq!(Encoded::of_values(&values).unwrap(), encoded);
        assert_eq!(Encoded::of_values(&[]).unwrap().json(), "[]");
    }

    #[test]
    fn of_an_answer_the_first_argument_travels() {
        let check = |given: &Encoded, expected: &str| {
            let answer = Encoded::of_answer(&given.to_args().as_args());
            assert_eq!(answer.json(), expected);
            assert_eq!(answer.to_values().first(), given.to_values().first());
        };
        check(&Encoded::of(&(1, 2)).unwrap(), "[1]");
        check(&Encoded::of(&()).unwrap(), "[]");
        let bytes = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        check(&Encoded::of(&(&bytes[0], &bytes[1])).unwrap(), r#"[{"_placeholder":true,"num":0}]"#);
    }

    #[test]
    fn packets_and_events_are_taken_apart() {
        let packet = r#"51-/a,["e",{"_placeholder":true,"num":0}]"#;
        let encoded = Encoded::of_packet(packet, &[Bytes::from_static(b"x")]);
        let (name, args) = encoded.to_event().unwrap();
        assert_eq!((name.as_str(), args.as_args().len()), ("e", 1));
        assert_eq!(args.as_args().value(0).unwrap(), Value::from(&b"x"[..]));
        assert!(Encoded::of(&()).unwrap().to_event().is_none());
        assert!(Encoded::of(&7).unwrap().to_event().is_none());
    }
}
