//! serde_json's serializer looks at strings byte by byte. This one goes around it where a string needs no escape, which is
//! seen many bytes at a time, and leaves everything else to it.

use std::{cell::Cell, fmt, io};

use serde::{Serialize, Serializer, ser};

use super::text::first_special;

/// A serializer, or one of its parts, that hands plain strings to the formatter as bytes, with a flag that says so.
pub(super) struct PlainStrings<'f, S> {
    pub(super) inner: S,
    /// Set while what the formatter gets as bytes is a plain string.
    pub(super) is_string: &'f Cell<bool>,
}

/// A value whose strings go the same way.
struct Plain<'f, 'v, T: ?Sized> {
    value: &'v T,
    is_string: &'f Cell<bool>,
}

/// For the formatter: writes what came as bytes but is a plain string. RFC 8259 §7.
pub(super) fn write_plain_string<W: io::Write + ?Sized>(writer: &mut W, text: &[u8]) -> io::Result<()> {
    writer.write_all(b"\"")?;
    writer.write_all(text)?;
    writer.write_all(b"\"")
}

/// How serde_json names the structs as which it passes off raw values and numbers: their one field is JSON and no string.
const PRIVATE: &str = "$serde_json::private::";

impl<T: Serialize + ?Sized> Serialize for Plain<'_, '_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(PlainStrings { inner: serializer, is_string: self.is_string })
    }
}

impl<'f, S> PlainStrings<'f, S> {
    fn wrap<'v, T: ?Sized>(&self, value: &'v T) -> Plain<'f, 'v, T> {
        Plain { value, is_string: self.is_string }
    }

    fn and<U>(self, make: impl FnOnce(S) -> Result<U, S::Error>) -> Result<PlainStrings<'f, U>, S::Error>
    where
        S: Serializer,
    {
        Ok(PlainStrings { inner: make(self.inner)?, is_string: self.is_string })
    }
}

macro_rules! serialize_plainly {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method(self, $($argument: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($argument),*)
        }
    )*};
}

impl<'f, S: Serializer> Serializer for PlainStrings<'f, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = PlainStrings<'f, S::SerializeSeq>;
    type SerializeTuple = PlainStrings<'f, S::SerializeTuple>;
    type SerializeTupleStruct = PlainStrings<'f, S::SerializeTupleStruct>;
    type SerializeTupleVariant = PlainStrings<'f, S::SerializeTupleVariant>;
    type SerializeMap = PlainStrings<'f, S::SerializeMap>;
    type SerializeStruct = Struct<'f, S::SerializeStruct>;
    type SerializeStructVariant = PlainStrings<'f, S::SerializeStructVariant>;

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if first_special(text.as_bytes()).is_some() {
            return self.inner.serialize_str(text);
        }
        self.is_string.set(true);
        let written = self.inner.serialize_bytes(text.as_bytes());
        self.is_string.set(false);
        written
    }

    serialize_plainly! {
        serialize_bool(value: bool) serialize_i8(value: i8) serialize_i16(value: i16) serialize_i32(value: i32)
        serialize_i64(value: i64) serialize_i128(value: i128) serialize_u8(value: u8) serialize_u16(value: u16)
        serialize_u32(value: u32) serialize_u64(value: u64) serialize_u128(value: u128) serialize_f32(value: f32)
        serialize_f64(value: f64) serialize_char(value: char) serialize_bytes(value: &[u8]) serialize_none()
        serialize_unit() serialize_unit_struct(name: &'static str)
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.and(|inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.and(|inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.and(|inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.and(|inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.and(|inner| inner.serialize_map(len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        let is_raw = name.starts_with(PRIVATE);
        Ok(Struct { fields: self.and(|inner| inner.serialize_struct(name, len))?, is_raw })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.and(|inner| inner.serialize_struct_variant(name, index, variant, len))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! serialize_elements {
    ($($trait:ident $method:ident)*) => {$(
        impl<S: ser::$trait> ser::$trait for PlainStrings<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let value = self.wrap(value);
                self.inner.$method(&value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

serialize_elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

impl<S: ser::SerializeMap> ser::SerializeMap for PlainStrings<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    /// Keys are short, and serde_json takes them as strings only.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

/// The fields of a struct, or what serde_json passes off as one.
pub(super) struct Struct<'f, S> {
    fields: PlainStrings<'f, S>,
    is_raw: bool,
}

impl<S: ser::SerializeStruct> ser::SerializeStruct for Struct<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
        if self.is_raw {
            return self.fields.inner.serialize_field(key, value);
        }
        let value = self.fields.wrap(value);
        self.fields.inner.serialize_field(key, &value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        self.fields.inner.skip_field(key)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.fields.inner.end()
    }
}

impl<S: ser::SerializeStructVariant> ser::SerializeStructVariant for PlainStrings<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_field(key, &value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        self.inner.skip_field(key)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::super::ser::to_json;
    use super::*;

    #[derive(Serialize)]
    enum Shape<'a> {
        Unit,
        Newtype(&'a str),
        Tuple(&'a str, u8),
        Struct { name: &'a str },
    }

    #[derive(Serialize)]
    struct Newtype<'a>(&'a str);

    #[derive(Serialize)]
    struct Pair<'a>(&'a str, f64);

    #[derive(Serialize)]
    struct Fields<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        option: Option<&'a str>,
        raw: &'a RawValue,
        number: serde_json::Number,
        map: BTreeMap<u8, &'a str>,
        shapes: Vec<Shape<'a>>,
        other: (Newtype<'a>, Pair<'a>, char, (), i128),
    }

    proptest! {
        #[test]
        fn everything_is_written_as_serde_json_writes_it(text in ".{0,80}", option in any::<bool>(), number in any::<i64>()) {
            let raw = RawValue::from_string(format!("[{number}, {:?}]", "raw")).unwrap();
            let value = Fields {
                option: option.then_some(&text),
                raw: &raw,
                number: number.into(),
                map: BTreeMap::from([(7, &*text)]),
                shapes: vec![Shape::Unit, Shape::Newtype(&text), Shape::Tuple(&text, 1), Shape::Struct { name: &text }],
                other: (Newtype(&text), Pair(&text, 1.5), '"', (), i128::from(number)),
            };
            let mut out = Vec::new();
            to_json(&mut out, &mut Vec::new(), &value).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&value).unwrap());
        }
    }
}
