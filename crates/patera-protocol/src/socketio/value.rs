//! JSON or bytes, nestable: what an event carries when nobody knows its type. serde_json's own value cannot hold bytes.

use std::{fmt, ops::Index};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
    ser::Error as _,
};
use serde_json::Number;

use super::{map::Map, placeholder, ser};

/// One argument of any type.
///
/// Indexing never panics: what is not there is `Null`.
///
/// ```
/// use patera_protocol::socketio::Value;
///
/// let value: Value = serde_json::from_str(r#"{"user":{"name":"ada","tags":["x"]}}"#).unwrap();
/// assert_eq!(value["user"]["name"].as_str(), Some("ada"));
/// assert_eq!(value["user"]["tags"][0], Value::from("x"));
/// assert!(value["user"]["age"].is_null());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A 64-bit integer, or a finite float.
    Number(Number),
    /// Text.
    String(String),
    /// Bytes; an attachment on the wire.
    Binary(Bytes),
    /// `[…]`
    Array(Vec<Value>),
    /// `{…}`
    Object(Map),
}

impl Value {
    pub(super) const NULL: &'static Value = &Value::Null;

    /// Whether it is `Null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value, if it is `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if it is an integer of that range.
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Number(number) = self { number.as_i64() } else { None }
    }

    /// The number, if it is an integer of that range.
    pub fn as_u64(&self) -> Option<u64> {
        if let Value::Number(number) = self { number.as_u64() } else { None }
    }

    /// The number, rounded if need be.
    pub fn as_f64(&self) -> Option<f64> {
        if let Value::Number(number) = self { number.as_f64() } else { None }
    }

    /// The text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        if let Value::Binary(bytes) = self { Some(bytes) } else { None }
    }

    /// The elements.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(elements) = self { Some(elements) } else { None }
    }

    /// The entries.
    pub fn as_object(&self) -> Option<&Map> {
        if let Value::Object(entries) = self { Some(entries) } else { None }
    }
}

impl Index<&str> for Value {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.as_object().and_then(|entries| entries.get(key)).unwrap_or(Value::NULL)
    }
}

impl Index<usize> for Value {
    type Output = Value;

    fn index(&self, index: usize) -> &Value {
        self.as_array().and_then(|elements| elements.get(index)).unwrap_or(Value::NULL)
    }
}

/// As JSON; bytes are `{"base64":"…"}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        ser::to_json_base64(&mut out, self).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&out).map_err(|_| fmt::Error)?)
    }
}

macro_rules! from {
    ($($type:ty => $variant:expr;)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $variant(value)
            }
        }
    )*};
}

from! {
    bool => Value::Bool;
    Number => Value::Number;
    String => Value::String;
    &str => |text: &str| Value::String(text.to_owned());
    Bytes => Value::Binary;
    Vec<u8> => |bytes: Vec<u8>| Value::Binary(bytes.into());
    &[u8] => |bytes: &[u8]| Value::Binary(Bytes::copy_from_slice(bytes));
    Vec<Value> => Value::Array;
    Map => Value::Object;
    i32 => |number: i32| Value::Number(number.into());
    i64 => |number: i64| Value::Number(number.into());
    u32 => |number: u32| Value::Number(number.into());
    u64 => |number: u64| Value::Number(number.into());
    usize => |number: usize| Value::Number(number.into());
    // JSON has neither infinity nor NaN: as in JavaScript they become null.
    f64 => |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::Null
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Number(number),
            serde_json::Value::String(text) => Value::String(text),
            serde_json::Value::Array(elements) => Value::Array(elements.into_iter().map(Value::from).collect()),
            serde_json::Value::Object(entries) => Value::Object(entries.into_iter().collect()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_none(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => serializer.serialize_u64(number),
                (None, Some(number), _) => serializer.serialize_i64(number),
                (None, None, Some(number)) => serializer.serialize_f64(number),
                (None, None, None) => Err(S::Error::custom("number out of range")),
            },
            Value::String(text) => serializer.serialize_str(text),
            Value::Binary(bytes) => serializer.serialize_bytes(bytes),
            Value::Array(elements) => serializer.collect_seq(elements),
            Value::Object(entries) => entries.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ValueSeed { attachments: &[] }.deserialize(deserializer)
    }
}

/// Builds a value, with attachments shared and not copied. Without attachments an object that looks like a placeholder
/// is an object.
#[derive(Clone, Copy)]
pub(super) struct ValueSeed<'s> {
    pub(super) attachments: &'s [Bytes],
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON or bytes")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(bytes.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(self)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        let (mut may_be_placeholder, mut is_placeholder) = (!self.attachments.is_empty(), false);
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if may_be_placeholder {
                is_placeholder = key == placeholder::PLACEHOLDER && value == Value::Bool(true);
                may_be_placeholder = key == placeholder::NUM && entries.is_empty();
            }
            entries.insert(key, value);
        }
        if !is_placeholder {
            return Ok(Value::Object(entries));
        }
        let num = entries.get(placeholder::NUM).and_then(Value::as_u64).and_then(|num| usize::try_from(num).ok());
        let attachment = num.and_then(|num| self.attachments.get(num));
        let attachment =
            attachment.ok_or_else(|| A::Error::custom("placeholder for an attachment that was not announced"))?;
        Ok(Value::Binary(attachment.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_reads_back_as_written() {
        for json in ["null", "true", "-1", "18446744073709551615", "1.5", "\"é\\n\"", "[]", r#"[1,[{"a":{}}]]"#] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(value.to_string(), json);
            assert_eq!(Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap()), value);
        }
    }

    #[test]
    fn last_of_two_keys_counts() {
        let value: Value = serde_json::from_str(r#"{"a":1,"a":2,"__proto__":{"x":1},"__proto__":2}"#).unwrap();
        assert_eq!(value.to_string(), r#"{"a":2,"__proto__":2}"#);
    }

    #[test]
    fn what_is_not_there_is_null() {
        let value = Value::from(vec![Value::from("a")]);
        assert_eq!(value[0].as_str(), Some("a"));
        assert!(value[1].is_null() && value["x"][7]["y"].is_null());
    }

    #[test]
    fn accessors_tell_kinds_apart() {
        assert_eq!(Value::from(true).as_bool(), Some(true));
        assert_eq!(
            (Value::from(-1).as_i64(), Value::from(-1).as_u64(), Value::from(-1).as_f64()),
            (Some(-1), None, Some(-1.0))
        );
        assert_eq!(Value::from(&b"x"[..]).as_bytes(), Some(&Bytes::from_static(b"x")));
        assert_eq!(Value::from("x").as_bytes(), None);
        assert_eq!(Value::from(f64::NAN), Value::Null);
        assert_eq!(Value::from(None::<bool>), Value::Null);
        assert_eq!(Value::from(&b"\x01"[..]).to_string(), r#"{"base64":"AQ=="}"#);
    }
}
