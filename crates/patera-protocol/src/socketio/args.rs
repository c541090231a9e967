//! The arguments of an event or an acknowledgement: valid JSON, split, and decoded only when somebody asks.

use std::{cell::Cell, error, fmt};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{
    de, encode,
    json::{self, RawValues},
    scan::Raw,
    value::{Value, ValueSeed},
};

/// The arguments of one packet, borrowed from it: one raw JSON slice each, and the attachments that placeholders in them
/// stand for.
#[derive(Clone, Debug, Default)]
pub struct Args<'a> {
    values: RawValues<'a>,
    attachments: &'a [Bytes],
}

impl<'a> Args<'a> {
    pub(super) fn new(values: RawValues<'a>, attachments: &'a [Bytes]) -> Self {
        Args { values, attachments }
    }

    /// The payload of a CONNECT or CONNECT_ERROR as if it were an only argument, so that it is decoded the same way.
    pub fn from_raw(payload: Option<&'a RawValue>) -> Self {
        Args { values: payload.into_iter().map(|raw| Raw::checked(raw.get())).collect(), attachments: &[] }
    }

    /// `{}` as the only argument: what a client that sends no `auth` says.
    pub fn empty_object() -> Self {
        Args { values: [Raw::checked("{}")].into_iter().collect(), attachments: &[] }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The JSON of one argument; placeholders stand in it as they came.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        self.values.get(index).map(|raw| raw.json)
    }

    /// The JSON of each argument.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a str> + '_ {
        self.values.iter().map(|raw| raw.json)
    }

    /// All attachments of the packet, those that no placeholder stands for included.
    pub fn attachments(&self) -> &'a [Bytes] {
        self.attachments
    }

    /// Decodes one argument. Bytes, anywhere inside `T`, are what their placeholder stands for (copied once; a
    /// [`Value`] from [`Args::value`] shares them instead). A missing argument is `null`, as in JavaScript, so an
    /// `Option` takes it.
    ///
    /// `serde_json::Value` cannot hold bytes and refuses them.
    ///
    /// # Errors
    /// The argument is missing, or is no `T`.
    pub fn decode<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgumentError> {
        let raw = self.values.get(index).copied();
        de::from_raw(raw.unwrap_or(Raw::NULL), self.attachments).map_err(|source| ArgumentError {
            index,
            missing: raw.is_none(),
            source,
        })
    }

    /// Decodes one argument of any type. A missing one is `Null`.
    ///
    /// # Errors
    /// It holds what no value can: half a surrogate pair, or a number beyond the range of floats.
    pub fn value(&self, index: usize) -> Result<Value, ArgumentError> {
        let raw = self.values.get(index).copied().unwrap_or(Raw::NULL);
        de::from_raw_with(raw, ValueSeed { attachments: self.attachments }).map_err(|source| ArgumentError {
            index,
            missing: false,
            source,
        })
    }

    /// A copy that does not borrow from the packet.
    pub fn to_owned_args(&self) -> OwnedArgs {
        OwnedArgs {
            values: self.values.iter().map(|raw| raw.json.into()).collect(),
            attachments: self.attachments.to_vec(),
        }
    }
}

/// Arguments that outlive their packet, such as an acknowledgement's on the way to whoever awaits it.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgs {
    values: SmallVec<[Box<str>; 1]>,
    attachments: Vec<Bytes>,
}

impl OwnedArgs {
    /// The arguments of an event that was [encoded](super::encode::event) here: `2/chat,7["name",1]` → `1`.
    ///
    /// `None` if it is no event, or is nested deeper than JSON is decoded here.
    pub fn of_event(packet: &str, attachments: &[Bytes]) -> Option<Self> {
        let mut args = Self::of_array(encode::event_array(packet), attachments)?;
        args.take_first().map(|_| args)
    }

    /// The elements of an array of JSON, whose placeholders stand for these attachments: `["a",1]`.
    ///
    /// `None` if it is no array, or is nested deeper than JSON is decoded here.
    pub fn of_array(json: &str, attachments: &[Bytes]) -> Option<Self> {
        let values = json::split_any_array(json)?;
        Some(OwnedArgs {
            values: values.iter().map(|raw| raw.json.into()).collect(),
            attachments: attachments.to_vec(),
        })
    }

    /// Takes the first away, which of an event's array is its name. `None` if there is none.
    pub fn take_first(&mut self) -> Option<Box<str>> {
        (!self.values.is_empty()).then(|| self.values.remove(0))
    }

    /// The same arguments, borrowed.
    pub fn as_args(&self) -> Args<'_> {
        Args { values: self.values.iter().map(|json| Raw::checked(json)).collect(), attachments: &self.attachments }
    }

    /// Decodes an acknowledgement: a tuple takes all arguments (missing ones are `null`), `()` none, any other type the
    /// first. To serde an array `[T; N]` is a tuple.
    ///
    /// # Errors
    /// An argument is missing, or is not of its type.
    pub fn decode_answer<T: DeserializeOwned>(&self) -> Result<T, ArgumentError> {
        let args = self.as_args();
        let at = Cell::new(0);
        T::deserialize(Answer { args: &args, at: &at }).map_err(|source| {
            let index = at.get();
            ArgumentError { index, missing: index >= args.len(), source }
        })
    }
}

/// A deserializer that gives a tuple all arguments, and any other type the first.
struct Answer<'a, 'de> {
    args: &'a Args<'de>,
    /// The argument at work, for the error.
    at: &'a Cell<usize>,
}

impl<'de> Answer<'_, 'de> {
    fn first<S: DeserializeSeed<'de>>(&self, seed: S) -> serde_json::Result<S::Value> {
        let index = self.at.get();
        let raw = self.args.values.get(index).copied().unwrap_or(Raw::NULL);
        de::from_raw_seed(raw, self.args.attachments, seed)
    }
}

macro_rules! deserialize_first {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> serde_json::Result<V::Value> {
            struct Seed<V>(V $(, $type)*);
            impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Seed<V> {
                type Value = V::Value;
                fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
                    let Seed(visitor $(, $argument)*) = self;
                    deserializer.$method($($argument,)* visitor)
                }
            }
            self.first(Seed(visitor $(, $argument)*))
        }
    )*};
}

impl<'de> Deserializer<'de> for Answer<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_seq(Several { answer: self, started: false })
    }

    deserialize_first! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str() deserialize_string()
        deserialize_bytes() deserialize_byte_buf() deserialize_option() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str) deserialize_seq()
        deserialize_tuple_struct(name: &'static str, len: usize) deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) deserialize_identifier()
        deserialize_ignored_any()
    }
}

/// The elements of a tuple: an argument each. It never ends; the tuple knows its length.
struct Several<'a, 'de> {
    answer: Answer<'a, 'de>,
    started: bool,
}

impl<'de> SeqAccess<'de> for Several<'_, 'de> {
    type Error = serde_json::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> serde_json::Result<Option<S::Value>> {
        if std::mem::replace(&mut self.started, true) {
            self.answer.at.set(self.answer.at.get().saturating_add(1));
        }
        self.answer.first(seed).map(Some)
    }
}

/// Why an argument could not be decoded. The peer's mistake, or the handler's type; the connection goes on.
#[derive(Debug)]
pub struct ArgumentError {
    index: usize,
    missing: bool,
    source: serde_json::Error,
}

impl ArgumentError {
    /// Which argument; the first is 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether it was not sent at all.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

/// For people, who count from one; where in the JSON it was says nothing to them.
impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.index.saturating_add(1);
        if self.missing {
            return write!(f, "argument {number} is missing");
        }
        let text = self.source.to_string();
        let place = format!(" at line {} column {}", self.source.line(), self.source.column());
        write!(f, "argument {number}: {}", text.strip_suffix(&place).unwrap_or(&text))
    }
}

impl error::Error for ArgumentError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
#[path = "../tests/args.rs"]
mod tests;
