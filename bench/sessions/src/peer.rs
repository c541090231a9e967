//! A stream whose far end is a client: what the server writes is understood at once, what it reads is made on demand.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Frames of a client with the mask zero, which changes no byte.
const CONNECT: &[u8] = b"\x81\x82\0\0\0\x0040";
const PONG: &[u8] = b"\x81\x81\0\0\0\x003";

/// What all clients of this thread have seen.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Clients that joined the namespace.
    pub(crate) connected: u64,
    /// Engine.IO pings, all answered.
    pub(crate) heartbeats: u64,
    /// Events.
    pub(crate) deliveries: u64,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { connected: 0, heartbeats: 0, deliveries: 0 }) };
}

pub(crate) fn counts() -> Counts {
    COUNTS.get()
}

fn count(change: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
}

/// One client and the stream to it, in 32 bytes.
#[derive(Default)]
pub(crate) struct Peer {
    /// Of the session, while it waits for something to read.
    reader: Option<Waker>,
    /// What the session reads next; empty, it waits.
    next: &'static [u8],
}

impl Peer {
    /// Whole frames, as the server writes them.
    fn receive(&mut self, mut bytes: &[u8]) {
        while let Some((payload, rest)) = split_frame(bytes) {
            match payload {
                b"2" => {
                    count(|counts| counts.heartbeats += 1);
                    self.say(PONG);
                }
                [b'0', ..] => self.say(CONNECT),
                [b'4', b'0', ..] => count(|counts| counts.connected += 1),
                [b'4', b'2', ..] => count(|counts| counts.deliveries += 1),
                other => panic!("the client understands no {:?}", String::from_utf8_lossy(other)),
            }
            bytes = rest;
        }
        assert!(bytes.is_empty(), "the server wrote a part of a frame");
    }

    fn say(&mut self, frame: &'static [u8]) {
        assert!(self.next.is_empty(), "the client has said something else that was not read");
        self.next = frame;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The payload of a server's frame, and what is behind it; `None` if it is not whole.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, payload_at) = match *bytes.get(1)? {
        126 => (usize::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
        length @ ..126 => (usize::from(length), 2),
        _ => return None,
    };
    bytes[payload_at..].split_at_checked(length)
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.next.is_empty() {
            if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
                self.reader = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let (now, later) = self.next.split_at(self.next.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.next = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.receive(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_at_every_kind_of_length() {
        assert_eq!(split_frame(b"\x81\x012\x81\x00"), Some((&b"2"[..], &b"\x81\x00"[..])));
        assert_eq!(split_frame(b"\x81\x7e\x00\x01xy"), Some((&b"x"[..], &b"y"[..])));
        assert_eq!(split_frame(b"\x81\x022"), None);
        assert_eq!(split_frame(b"\x81"), None);
    }

    #[test]
    fn client_joins_answers_heartbeats_and_counts() {
        let mut peer = Peer::default();
        peer.receive(b"\x81\x020{");
        assert_eq!(std::mem::take(&mut peer.next), CONNECT);
        peer.receive(b"\x81\x0240\x81\x0242\x81\x0242");
        peer.receive(b"\x81\x012");
        assert_eq!(peer.next, PONG);
        let Counts { connected, heartbeats, deliveries } = counts();
        assert_eq!((connected, heartbeats, deliveries), (1, 1, 2));
    }

    #[test]
    fn stream_is_small() {
        assert_eq!(size_of::<Peer>(), 32);
    }
}
