//! Any number of arguments, known only when they come.

use patera::Value;
use serde::{Serialize, Serializer, ser::SerializeTuple};

/// Several arguments: to serde a tuple, so that each is an argument of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Several(pub(crate) Vec<Value>);

impl Several {
    /// `first` in front of `rest`.
    pub(crate) fn starting_with(first: &str, rest: Vec<Value>) -> Self {
        let first = Value::String(first.to_owned());
        Several(std::iter::once(first).chain(rest).collect())
    }
}

impl Serialize for Several {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}
