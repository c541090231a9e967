//! What goes out: packets, made of frames, which count against the limits of the send buffer until they are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use patera_protocol::engineio::payload::Encoder;

/// One Engine.IO packet on its way out.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) payload: Payload,
    pub(crate) compression: Compression,
    /// Given back when the last frame of a packet is dropped, sent or not.
    #[allow(dead_code, reason = "it is there to be dropped")]
    pub(crate) permit: Option<Permit>,
}

/// Whether a message may be compressed, where that was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    #[default]
    Allowed,
    Never,
}

impl Frame {
    /// A packet of Engine.IO's own.
    pub(super) fn control(payload: Payload) -> Self {
        Frame { payload, compression: Compression::Allowed, permit: None }
    }
}

/// What is in it.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// The packet's text, type digit included: `42["chat"]`.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl Payload {
    /// The bytes it takes in a payload of polling, without a separator.
    pub(super) fn polled_len(&self) -> usize {
        match self {
            Payload::Text(text) => text.len(),
            Payload::Binary(data) => 1 + data.len().div_ceil(3) * 4,
        }
    }

    pub(super) fn append_to(&self, body: &mut Encoder) {
        match self {
            Payload::Text(text) => body.push_text(text.as_bytes()),
            Payload::Binary(data) => body.push_binary(data),
        }
    }

    fn len(&self) -> usize {
        match self {
            Payload::Text(text) => text.len(),
            Payload::Binary(data) => data.len(),
        }
    }
}

/// One Socket.IO packet: a text and the attachments behind it, or one binary message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) payloads: Vec<Payload>,
    pub(crate) compression: Compression,
}

impl Packet {
    /// A packet as the protocol crate has written it behind the `4` of a message.
    pub(crate) fn new(text: Vec<u8>, attachments: Vec<Bytes>) -> Self {
        let text = String::from_utf8(text).expect("JSON and namespaces are text");
        let mut payloads = Vec::with_capacity(1 + attachments.len());
        payloads.push(Payload::Text(text));
        payloads.extend(attachments.into_iter().map(Payload::Binary));
        Packet { payloads, compression: Compression::Allowed }
    }

    pub(crate) fn len(&self) -> usize {
        self.payloads.iter().map(Payload::len).sum()
    }

    /// The bytes of its largest message: a server's limit is for each, be it a WebSocket's or the only one in a polling request.
    pub(crate) fn largest(&self, is_polled: bool) -> usize {
        let len = if is_polled { Payload::polled_len } else { Payload::len };
        self.payloads.iter().map(len).max().unwrap_or_default()
    }

    pub(crate) fn into_frames(self, permit: Option<Permit>) -> impl Iterator<Item = Frame> {
        let (last, compression) = (self.payloads.len().saturating_sub(1), self.compression);
        let mut permit = permit;
        self.payloads.into_iter().enumerate().map(move |(index, payload)| Frame {
            payload,
            compression,
            permit: if index == last { permit.take() } else { None },
        })
    }
}

/// How much waits to be sent on a connection, and how much may.
#[derive(Debug)]
pub(crate) struct Quota {
    events: AtomicUsize,
    bytes: AtomicUsize,
    events_max: usize,
    bytes_max: usize,
}

impl Quota {
    pub(crate) fn new(events_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Quota { events: AtomicUsize::new(0), bytes: AtomicUsize::new(0), events_max, bytes_max })
    }

    /// Room for one event of so many bytes. One that is larger than the limit is taken when nothing else waits.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let events = self.events.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let permit = Permit { quota: self.clone(), bytes };
        let fits = events < self.events_max && (waiting == 0 || waiting + bytes <= self.bytes_max);
        fits.then_some(permit)
    }

    /// Counts what is sent in any case.
    pub(crate) fn take_any(self: &Arc<Self>, bytes: usize) -> Permit {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Permit { quota: self.clone(), bytes }
    }

    /// Whether a limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.events.load(Ordering::Relaxed) >= self.events_max || self.bytes.load(Ordering::Relaxed) >= self.bytes_max
    }
}

/// One event's share; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    quota: Arc<Quota>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.quota.events.fetch_sub(1, Ordering::Relaxed);
        self.quota.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_counts_events_and_bytes() {
        let quota = Quota::new(3, 10);
        let first = quota.take(4).unwrap();
        let _second = quota.take(6).unwrap();
        assert!(quota.take(1).is_none(), "11 bytes");
        let third = quota.take(0).unwrap();
        assert!(quota.take(0).is_none(), "4 events");
        drop((first, third));
        assert!(quota.take(4).is_some());
    }

    #[test]
    fn one_event_may_be_larger_than_the_limit() {
        let quota = Quota::new(10, 10);
        let large = quota.take(1000).unwrap();
        assert!(quota.take(1).is_none());
        drop(large);
        assert!(quota.take(10).is_some());
        assert!(quota.take(11).is_some());
    }

    #[test]
    fn permit_goes_with_the_last_frame() {
        let quota = Quota::new(1, 10);
        let permit = quota.take(3);
        let packet = Packet::new(b"451-[]".to_vec(), vec![Bytes::from_static(b"abc")]);
        let mut frames = packet.into_frames(permit);
        drop(frames.next());
        assert!(quota.take(0).is_none());
        drop(frames.next());
        assert!(quota.take(0).is_some());
    }

    #[test]
    fn polled_length_is_what_is_written() {
        for payload in [Payload::Text("4é".into()), Payload::Binary(Bytes::from_static(b"abcd"))] {
            let mut body = Encoder::new();
            payload.append_to(&mut body);
            assert_eq!(body.len(), payload.polled_len());
        }
    }
}
