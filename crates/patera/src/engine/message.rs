//! What a session of one's own protocol sends and receives.

use std::sync::Arc;

use bytes::Bytes;

use crate::prepared::Prepared;

/// A message of Engine.IO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text: `4hello`.
    Text(String),
    /// Bytes: a binary frame, or `b` and base64 over polling.
    Binary(Bytes),
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Message::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Message::Binary(data.into())
    }
}

impl Message {
    pub(crate) fn prepare(self) -> Arc<Prepared> {
        match self {
            Message::Text(text) => Prepared::text(&text),
            Message::Binary(data) => Prepared::binary(data),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(data) => data.len(),
        }
    }
}
