//! serde with attachments: wraps serde_json's deserializer so that `{"_placeholder":true,"num":n}`, anywhere inside a
//! type, is the n-th attachment's bytes. Which objects are placeholders is decided in `placeholder.rs`.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::{
    placeholder::{LookAhead, Source, as_usually_written},
    scan::Raw,
};

/// Decodes one raw value, with its attachments.
pub(super) fn from_raw<'de, T: Deserialize<'de>>(raw: Raw<'de>, attachments: &[Bytes]) -> serde_json::Result<T> {
    from_raw_seed(raw, attachments, PhantomData)
}

pub(super) fn from_raw_seed<'de, S: DeserializeSeed<'de>>(
    raw: Raw<'de>,
    attachments: &[Bytes],
    seed: S,
) -> serde_json::Result<S::Value> {
    if attachments.is_empty() || raw.plain_string().is_some() {
        return from_raw_with(raw, seed);
    }
    let source = Source::new(attachments, raw.json);
    match as_usually_written(raw.json).and_then(|num| attachments.get(num)) {
        Some(data) => seed.deserialize(Attachment { data, json: raw.json, source: &source }),
        None => {
            let mut inner = serde_json::Deserializer::from_str(raw.json);
            seed.deserialize(Resolve { inner: &mut inner, source: &source })
        }
    }
}

/// Hands the methods that want neither strings, nor bytes, nor anything to a macro that writes them.
macro_rules! other_methods {
    ($write:ident) => {
        $write! {
            deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
            deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
            deserialize_f32() deserialize_f64() deserialize_char()
            deserialize_option() deserialize_unit() deserialize_unit_struct(name: &'static str)
            deserialize_newtype_struct(name: &'static str) deserialize_seq() deserialize_tuple(len: usize)
            deserialize_tuple_struct(name: &'static str, len: usize) deserialize_map()
            deserialize_struct(name: &'static str, fields: &'static [&'static str])
            deserialize_enum(name: &'static str, variants: &'static [&'static str]) deserialize_identifier()
            deserialize_ignored_any()
        }
    };
}

/// An argument that is an attachment, for who wants bytes or anything; for all else it is JSON as any other.
struct Attachment<'de, 's> {
    data: &'s Bytes,
    json: &'de str,
    source: &'s Source<'s>,
}

macro_rules! deserialize_with_source {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> serde_json::Result<V::Value> {
            let mut inner = serde_json::Deserializer::from_str(self.json);
            Resolve { inner: &mut inner, source: self.source }.$method($($argument,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Attachment<'de, '_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_bytes(self.data)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_bytes(self.data)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_bytes(self.data)
    }

    deserialize_with_source! { deserialize_str() deserialize_string() }
    other_methods!(deserialize_with_source);
}

/// Decodes one raw value by a seed that resolves placeholders itself, or where there are none.
pub(super) fn from_raw_with<'de, S: DeserializeSeed<'de>>(raw: Raw<'de>, seed: S) -> serde_json::Result<S::Value> {
    match raw.plain_string() {
        Some(text) => seed.deserialize(PlainString { text, json: raw.json }),
        None => seed.deserialize(&mut serde_json::Deserializer::from_str(raw.json)),
    }
}

/// A string that need not be looked at again, for who wants a string; for all else it is JSON as any other.
struct PlainString<'de> {
    text: &'de str,
    json: &'de str,
}

macro_rules! deserialize_from_json {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> serde_json::Result<V::Value> {
            serde_json::Deserializer::from_str(self.json).$method($($argument,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for PlainString<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_borrowed_str(self.text)
    }

    deserialize_from_json! { deserialize_bytes() deserialize_byte_buf() }
    other_methods!(deserialize_from_json);
}

/// A deserializer, a seed or a visitor that resolves placeholders on its way.
pub(super) struct Resolve<'s, T> {
    pub(super) inner: T,
    pub(super) source: &'s Source<'s>,
}

macro_rules! deserialize_with_wrapped_visitor {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Resolve { inner: visitor, source: self.source })
        }
    )*};
}

/// The type knows what it wants. Only where that is bytes, or anything, can a placeholder stand.
impl<'de, D: Deserializer<'de>> Deserializer<'de> for Resolve<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(LookAhead { visitor, source: self.source })
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    deserialize_with_wrapped_visitor! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str() deserialize_string()
        deserialize_option() deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str) deserialize_seq() deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize) deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) deserialize_identifier()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Resolve<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Resolve { inner: deserializer, source: self.source })
    }
}

macro_rules! visit_plainly {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Resolve<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit_plainly! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32) visit_f64(f64)
        visit_char(char) visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Resolve { inner: deserializer, source: self.source })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Resolve { inner: deserializer, source: self.source })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Resolve { inner: seq, source: self.source })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Resolve { inner: map, source: self.source })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Resolve { inner: data, source: self.source })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Resolve<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Resolve { inner: seed, source: self.source })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Resolve<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Resolve { inner: seed, source: self.source })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 's, A: EnumAccess<'de>> EnumAccess<'de> for Resolve<'s, A> {
    type Error = A::Error;
    type Variant = Resolve<'s, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Resolve { inner: variant, source: self.source }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Resolve<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Resolve { inner: seed, source: self.source })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Resolve { inner: visitor, source: self.source })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Resolve { inner: visitor, source: self.source })
    }
}
