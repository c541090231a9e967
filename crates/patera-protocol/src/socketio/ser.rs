//! serde with attachments, the other way: whatever serializes as bytes becomes an attachment and a placeholder. And how
//! a value becomes the arguments of an event.

use std::{cell::Cell, error, fmt, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Serialize, Serializer,
    ser::{self, Impossible},
};
use serde_json::ser::Formatter;

use super::{
    strings::{PlainStrings, write_plain_string},
    text::first_special,
};

/// Appends the JSON of a value; its bytes become attachments, numbered on from those that are there.
pub(super) fn to_json<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    value: &T,
) -> serde_json::Result<()> {
    let is_string = Cell::new(false);
    let formatter = Attach { attachments, is_string: &is_string };
    let mut serializer = serde_json::Serializer::with_formatter(out, formatter);
    value.serialize(PlainStrings { inner: &mut serializer, is_string: &is_string })
}

/// Appends a string as JSON.
pub(super) fn append_string(out: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    if first_special(text.as_bytes()).is_some() {
        return serde_json::to_writer(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// Appends the JSON of a value for peers without attachments: its bytes are `{"base64":"…"}`.
pub(super) fn to_json_base64<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Base64))
}

struct Attach<'a> {
    attachments: &'a mut Vec<Bytes>,
    /// Whether the bytes are a string that needs no escape.
    is_string: &'a Cell<bool>,
}

impl Formatter for Attach<'_> {
    fn write_byte_array<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: &[u8]) -> io::Result<()> {
        if self.is_string.get() {
            return write_plain_string(writer, value);
        }
        let num = self.attachments.len();
        if num == 0 {
            // Most packets have no second one.
            self.attachments.reserve_exact(1);
        }
        self.attachments.push(Bytes::copy_from_slice(value));
        write!(writer, "{{\"_placeholder\":true,\"num\":{num}}}")
    }
}

struct Base64;

impl Formatter for Base64 {
    fn write_byte_array<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: &[u8]) -> io::Result<()> {
        write!(writer, "{{\"base64\":\"{}\"}}", STANDARD.encode(value))
    }
}

/// How many arguments a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A tuple (an array `[T; N]` is one to serde): each element is an argument.
    Several,
    /// `()`.
    None,
    /// Anything else.
    One,
}

/// Asks a value what it is, without encoding it.
pub(super) fn shape<T: Serialize + ?Sized>(value: &T) -> Shape {
    match value.serialize(Probe) {
        Ok(shape) | Err(Answer(shape)) => shape,
    }
}

/// Takes the first thing that a value says about itself for the answer.
struct Probe;

/// The way out of a serialization that is not needed further.
#[derive(Debug)]
struct Answer(Shape);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl error::Error for Answer {}

impl ser::Error for Answer {
    /// The value refuses to be serialized: the real serializer will hear the same.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Answer(Shape::One)
    }
}

macro_rules! probe_one {
    ($($method:ident($($type:ty),*))*) => {$(
        fn $method(self, $(_: $type),*) -> Result<Shape, Answer> {
            Ok(Shape::One)
        }
    )*};
}

impl Serializer for Probe {
    type Ok = Shape;
    type Error = Answer;
    type SerializeSeq = Impossible<Shape, Answer>;
    type SerializeTuple = Impossible<Shape, Answer>;
    type SerializeTupleStruct = Impossible<Shape, Answer>;
    type SerializeTupleVariant = Impossible<Shape, Answer>;
    type SerializeMap = Impossible<Shape, Answer>;
    type SerializeStruct = Impossible<Shape, Answer>;
    type SerializeStructVariant = Impossible<Shape, Answer>;

    probe_one! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_f32(f32) serialize_f64(f64) serialize_char(char) serialize_str(&str)
        serialize_bytes(&[u8]) serialize_none() serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_unit(self) -> Result<Shape, Answer> {
        Ok(Shape::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Answer> {
        Err(Answer(Shape::Several))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Answer> {
        Err(Answer(Shape::One))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(u8, u8);

    #[test]
    fn only_tuples_are_several_arguments() {
        assert_eq!(shape(&(1, "a")), Shape::Several);
        assert_eq!(shape(&(1,)), Shape::Several);
        assert_eq!(shape(&[1, 2]), Shape::Several);
        assert_eq!(shape(&&Box::new((1, 2))), Shape::Several);
        assert_eq!(shape(&()), Shape::None);
        assert_eq!(shape("a"), Shape::One);
        assert_eq!(shape(&vec![1, 2]), Shape::One);
        assert_eq!(shape(&[1, 2][..]), Shape::One);
        assert_eq!(shape(&Some((1, 2))), Shape::One);
        assert_eq!(shape(&None::<u8>), Shape::One);
        assert_eq!(shape(&Pair(1, 2)), Shape::One);
        assert_eq!(shape(&Bytes::new()), Shape::One);
        assert_eq!(shape(&serde_json::json!([1, 2])), Shape::One);
    }

    #[test]
    fn bytes_become_attachments_in_order() {
        let value = (Bytes::from_static(b"a"), vec![Some(Bytes::from_static(b"b"))], "c");
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        to_json(&mut out, &mut attachments, &value).unwrap();
        let json = r#"[{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}],"c"]"#;
        assert_eq!(String::from_utf8(out).unwrap(), json);
        assert_eq!(attachments, [&b"a"[..], b"b"]);
    }

    #[test]
    fn bytes_can_be_base64() {
        let mut out = Vec::new();
        to_json_base64(&mut out, &(Bytes::from_static(&[1, 2, 3, 4]), 1)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"[{"base64":"AQIDBA=="},1]"#);
    }
}
