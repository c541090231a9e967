//! A packet made once and shared by every session it goes to: its text, its attachments, its whole WebSocket frame.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use patera_protocol::engineio::{Message, Packet, payload};
use patera_protocol::socketio::EncodeError;
use patera_websocket::{Opcode, SERVER_HEADER_BYTES_MAX, server_frame, server_header};

use crate::native;
use crate::transport::Batch;

/// ```text
/// buffer:  [ gap ][ WebSocket header ][ '4' ][ Socket.IO packet ]
///                 ^ frame_at          ^ TEXT_AT
/// ```
/// One allocation serves both forms: a polling payload takes what follows `TEXT_AT`, a WebSocket all from `frame_at`.
pub(crate) struct Prepared {
    buffer: Bytes,
    frame_at: usize,
    attachments: Vec<Bytes>,
    pub(crate) flags: Flags,
    /// What a plain WebSocket gets instead, once one is in the audience.
    native: OnceLock<Box<native::Forms>>,
}

/// How a packet is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// Dropped where the transport is not ready, never waited for.
    pub(crate) volatile: bool,
    /// Whether it may be compressed.
    pub(crate) compress: bool,
    /// A packet the client must get to stay in step: never dropped by `OutboxPolicy::DropNewest`.
    pub(crate) control: bool,
    /// Not to other servers of a cluster.
    pub(crate) local: bool,
}

impl Flags {
    /// Of CONNECT, CONNECT_ERROR and DISCONNECT.
    pub(crate) fn control() -> Self {
        Flags { control: true, ..Flags::default() }
    }
}

impl Default for Flags {
    fn default() -> Self {
        Flags { volatile: false, compress: true, control: false, local: false }
    }
}

const TEXT_AT: usize = SERVER_HEADER_BYTES_MAX;

impl Prepared {
    /// A Socket.IO packet; `encode` appends its text and returns its attachments.
    pub(crate) fn packet(
        flags: Flags,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError>,
    ) -> Result<Arc<Self>, EncodeError> {
        let mut buffer = Vec::with_capacity(TEXT_AT + 118);
        buffer.resize(TEXT_AT, 0);
        buffer.push(b'4');
        let attachments = encode(&mut buffer)?;
        Ok(Self::framed(buffer, attachments, flags))
    }

    /// An Engine.IO text message.
    pub(crate) fn text(text: &str) -> Arc<Self> {
        let mut buffer = Vec::with_capacity(TEXT_AT + 1 + text.len());
        buffer.resize(TEXT_AT, 0);
        buffer.push(b'4');
        buffer.extend_from_slice(text.as_bytes());
        Self::framed(buffer, Vec::new(), Flags::default())
    }

    /// An Engine.IO binary message.
    pub(crate) fn binary(data: Bytes) -> Arc<Self> {
        Arc::new(Prepared {
            buffer: Bytes::new(),
            frame_at: 0,
            attachments: vec![data],
            flags: Flags::default(),
            native: OnceLock::new(),
        })
    }

    fn framed(mut buffer: Vec<u8>, attachments: Vec<Bytes>, flags: Flags) -> Arc<Self> {
        let header = server_header(Opcode::Text, buffer.len() - TEXT_AT);
        let frame_at = TEXT_AT - header.len();
        buffer[frame_at..TEXT_AT].copy_from_slice(&header);
        Arc::new(Prepared { buffer: buffer.into(), frame_at, attachments, flags, native: OnceLock::new() })
    }

    /// What it counts in an outbox.
    pub(crate) fn size(&self) -> usize {
        let attachments: usize = self.attachments.iter().map(|data| data.len() + SERVER_HEADER_BYTES_MAX).sum();
        self.buffer.len() - self.frame_at + attachments
    }

    /// The Socket.IO packet's text.
    pub(crate) fn packet_text(&self) -> &[u8] {
        self.buffer.get(TEXT_AT + 1..).unwrap_or_default()
    }

    pub(crate) fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// As Engine.IO WebSocket frames; with `base64` bytes are text, `bAQID`.
    pub(crate) fn write_frames(&self, base64: bool, batch: &mut Batch) {
        if !self.buffer.is_empty() {
            batch.push(&self.buffer, self.frame_at);
        }
        for data in &self.attachments {
            if base64 {
                let mut text = Vec::new();
                Packet::Message(Message::Binary(data)).encode_text(&mut text);
                batch.copy(&server_frame(Opcode::Text, &text));
            } else {
                batch.copy(&server_header(Opcode::Binary, data.len()));
                batch.push(data, 0);
            }
        }
    }

    /// As packets of a polling payload.
    pub(crate) fn write_payload(&self, payload: &mut payload::Encoder) {
        if !self.buffer.is_empty() {
            payload.push_text(&self.buffer[TEXT_AT..]);
        }
        for data in &self.attachments {
            payload.push_binary(data);
        }
    }

    /// As frames for a plain WebSocket.
    pub(crate) fn write_native(&self, raw: bool, batch: &mut Batch) {
        let forms = self.native.get_or_init(|| Box::new(native::Forms::of(self)));
        batch.push(forms.frame(raw), 0);
    }
}
