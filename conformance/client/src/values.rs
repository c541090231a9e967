//! Values as the tests write them: JSON, and bytes as `{"$bytes": "<base64>"}`; and any number of arguments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patera_client::{Map, Value};
use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};

/// From what the tests write.
pub(crate) fn unpack(packed: serde_json::Value) -> Value {
    match packed {
        serde_json::Value::Array(values) => Value::Array(values.into_iter().map(unpack).collect()),
        serde_json::Value::Object(entries) => match entries.get("$bytes").and_then(serde_json::Value::as_str) {
            Some(text) => Value::Binary(STANDARD.decode(text).unwrap_or_default().into()),
            None => Value::Object(entries.into_iter().map(|(key, value)| (key, unpack(value))).collect::<Map>()),
        },
        other => Value::from(other),
    }
}

/// To what the tests read.
pub(crate) fn pack(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => number.clone().into(),
        Value::String(text) => text.as_str().into(),
        Value::Binary(bytes) => serde_json::json!({"$bytes": STANDARD.encode(bytes)}),
        Value::Array(values) => values.iter().map(pack).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.to_owned(), pack(value))).collect(),
    }
}

/// Several values.
pub(crate) fn pack_all(values: &[Value]) -> serde_json::Value {
    values.iter().map(pack).collect()
}

/// Several arguments, known only when they come: to serde a tuple, so that each is an argument of its own.
#[derive(Clone, Debug)]
pub(crate) struct Several(pub(crate) Vec<Value>);

impl Serialize for Several {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}
