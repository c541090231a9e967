//! Where a placeholder may stand, an object is looked at before it is handed on. And the check that every placeholder of
//! a packet is for an attachment that the packet announces.
//!
//! An object is a placeholder if its first key is `_placeholder`, with the value `true`, or if that is its second key
//! behind `num`. (JavaScript writes the first order, maps without order write either.) So at most two entries are ever
//! looked ahead at, and everything else streams through.

use std::{borrow::Cow, cell::Cell, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, CowStrDeserializer},
    },
};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{de::Resolve, value::ValueSeed};

pub(super) const PLACEHOLDER: &str = "_placeholder";
pub(super) const NUM: &str = "num";

/// The number of a placeholder, if that is all there is and it is written as JavaScript and our own encoder write it, as
/// nearly all are: valid JSON that begins like this can only go on with digits.
pub(super) fn as_usually_written(json: &str) -> Option<usize> {
    json.strip_prefix(r#"{"_placeholder":true,"num":"#)?.strip_suffix('}')?.parse().ok()
}

/// Whether every placeholder in the value is for one of so many attachments. What cannot be decoded for another reason
/// (a lone surrogate, say) is not judged here.
pub(super) fn placeholders_are_legal(raw: &str, attachments: usize) -> bool {
    if let Some(num) = as_usually_written(raw) {
        return num < attachments;
    }
    if !raw.contains('\\') && !raw.contains(PLACEHOLDER) {
        return true;
    }
    let attachments = vec![Bytes::new(); attachments];
    let source = Source::new(&attachments, raw);
    let mut inner = serde_json::Deserializer::from_str(raw);
    let _ = Walk.deserialize(Resolve { inner: &mut inner, source: &source });
    !source.illegal.get()
}

/// Where placeholders lead.
pub(super) struct Source<'s> {
    attachments: &'s [Bytes],
    /// Whether one led nowhere: serde's error can only carry text.
    illegal: Cell<bool>,
    /// How many bytes may still be read once more than they stand there. What is looked at ahead is read again when it
    /// is handed on, so that without a limit `{"num":{"num":…}}` would cost its length times its depth.
    again: Cell<usize>,
}

/// How often, on average, each byte of a value may be read again.
const AGAIN_MAX: usize = 8;

impl<'s> Source<'s> {
    pub(super) fn new(attachments: &'s [Bytes], json: &str) -> Self {
        let again = json.len().saturating_mul(AGAIN_MAX);
        Source { attachments, illegal: Cell::new(false), again: Cell::new(again) }
    }

    /// Looks ahead at a value.
    fn look<'de, A: MapAccess<'de>>(&self, map: &mut A) -> Result<&'de RawValue, A::Error> {
        let raw: &RawValue = map.next_value()?;
        let left = self.again.get().checked_sub(raw.get().len());
        self.again.set(left.ok_or_else(|| A::Error::custom("too many objects inside each other that begin with num"))?);
        Ok(raw)
    }

    fn attachment<E: serde::de::Error>(&self, num: Option<&RawValue>) -> Result<&'s Bytes, E> {
        let index = num.and_then(|raw| raw.get().parse::<usize>().ok());
        index.and_then(|index| self.attachments.get(index)).ok_or_else(|| {
            self.illegal.set(true);
            E::custom("placeholder for an attachment that was not announced")
        })
    }
}

/// A visitor where a placeholder may stand: as [`Resolve`], but an object is looked at first.
pub(super) struct LookAhead<'s, V> {
    pub(super) visitor: V,
    pub(super) source: &'s Source<'s>,
}

macro_rules! look_plainly {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for LookAhead<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    look_plainly! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Resolve { inner: seq, source: self.source })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let mut seen: SmallVec<[Entry<'de>; 2]> = SmallVec::new();
        if let Some(Key(first)) = map.next_key()? {
            match first.as_ref() {
                PLACEHOLDER => seen.push((first, Some(self.source.look(&mut map)?))),
                NUM => {
                    seen.push((first, Some(self.source.look(&mut map)?)));
                    if let Some(Key(second)) = map.next_key()? {
                        let value = if second == PLACEHOLDER { Some(self.source.look(&mut map)?) } else { None };
                        seen.push((second, value));
                    }
                }
                _ => seen.push((first, None)),
            }
        }
        let is_placeholder = matches!(seen.last(), Some((key, Some(raw))) if key == PLACEHOLDER && is_true(raw));
        if !is_placeholder {
            return self.visitor.visit_map(Replay { seen: seen.into_iter(), value: None, map, source: self.source });
        }
        // What else stands in it is for nobody, but has to be what a `Value` can be made of: for those who want one, it is read.
        let any = ValueSeed { attachments: self.source.attachments };
        let mut num = seen.iter().find_map(|(key, raw)| if key == NUM { *raw } else { None });
        if let Some(raw) = num {
            any.deserialize(&mut serde_json::Deserializer::from_str(raw.get())).map_err(A::Error::custom)?;
        }
        while let Some(Key(key)) = map.next_key()? {
            if key == NUM {
                let raw = self.source.look(&mut map)?;
                any.deserialize(&mut serde_json::Deserializer::from_str(raw.get())).map_err(A::Error::custom)?;
                num = Some(raw);
            } else {
                map.next_value_seed(any)?;
            }
        }
        self.visitor.visit_bytes(self.source.attachment(num)?)
    }
}

/// A key, and its value unless that is still to be read.
type Entry<'de> = (Cow<'de, str>, Option<&'de RawValue>);

fn is_true(raw: &RawValue) -> bool {
    raw.get() == "true"
}

/// A key, borrowed unless it has escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
        Borrowed::deserialize(deserializer).map(|Borrowed(key)| Key(key))
    }
}

/// An object whose first entries have been looked at: they come again, then the rest.
struct Replay<'de, 's, A> {
    /// Keys, and values unless still in `map`; only the last can be.
    seen: smallvec::IntoIter<[Entry<'de>; 2]>,
    /// The value of the key that was given out last, if it is not in `map`.
    value: Option<&'de RawValue>,
    map: A,
    source: &'s Source<'s>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replay<'de, '_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let Some((key, value)) = self.seen.next() else {
            return self.map.next_key_seed(seed);
        };
        self.value = value;
        let key = match key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(CowStrDeserializer::new(Cow::Owned(key))),
        };
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let Some(raw) = self.value.take() else {
            return self.map.next_value_seed(Resolve { inner: seed, source: self.source });
        };
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        seed.deserialize(Resolve { inner: &mut inner, source: self.source }).map_err(A::Error::custom)
    }
}

/// Looks at everything and keeps nothing.
#[derive(Clone, Copy)]
struct Walk;

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! walk_past {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: serde::de::Error>(self, _: $type) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    walk_past! { visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) visit_bytes(&[u8]) }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}
