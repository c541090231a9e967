//! Events as a stream: what the server sends and what happens to the socket, in one order.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use patera_protocol::socketio::{ArgumentError, OwnedArgs, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::handler::AckTarget;
use crate::lifecycle::Lifecycle;
use crate::listeners::values;
use crate::namespace::offset;
use crate::socket::Socket;

/// A stream of everything that comes to a socket from now on: [`Socket::events`].
///
/// It holds up to [`Config::stream_events_max`](crate::Config::stream_events_max) events that were not asked for, and
/// [`Config::stream_bytes_max`](crate::Config::stream_bytes_max) of their arguments; past that they are left out, and
/// [`Event::Lagged`] tells how many. It ends when the socket has ended: its last [`Client`](crate::Client) was
/// dropped. Handlers get the same events.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<(Event, usize)>,
    /// Of what waits.
    bytes: Arc<AtomicUsize>,
}

/// Something that has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server emitted an event.
    Received(Received),
    /// Something has happened to the socket.
    Lifecycle(Lifecycle),
    /// So many were left out here, since nobody asked for them.
    Lagged(u64),
}

/// An event of the server.
#[derive(Clone)]
pub struct Received {
    socket: Socket,
    name: Arc<str>,
    args: Arc<OwnedArgs>,
    ack: Option<AckTarget>,
    /// The last argument may be an offset.
    may_have_offset: bool,
}

impl Events {
    /// The next one; `None` at the end.
    ///
    /// # Cancel safety
    /// Cancel safe: if this does not resolve, nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.receiver.poll_recv(cx).map(|entry| {
            let (event, bytes) = entry?;
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            Some(event)
        })
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(cx)
    }
}

impl Received {
    pub(crate) fn new(socket: &Socket, name: Arc<str>, args: OwnedArgs, ack: Option<AckTarget>) -> Self {
        let may_have_offset = ack.is_none() && socket.0.state.lock().recovers;
        Received { socket: socket.clone(), name, args: Arc::new(args), ack, may_have_offset }
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All arguments; one that no value can be is null.
    pub fn args(&self) -> Vec<Value> {
        values(&self.args.as_args())
    }

    /// Where the server is behind this event: a server that recovers connections puts it behind the arguments, and
    /// [`args`](Self::args) and [`decode`](Self::decode) have it as the last one, as in JavaScript. `None` if it recovers none, or the
    /// last argument cannot be an offset.
    ///
    /// Nothing tells an offset from a short text that the server's program sends last in a volatile event, which has no offset.
    /// Patera's server sends `null` behind such a text.
    pub fn offset(&self) -> Option<String> {
        if self.may_have_offset { offset(&self.args.as_args()) } else { None }
    }

    /// Decodes all arguments: a tuple takes several (missing ones are `null`), `()` none, any other type the first.
    ///
    /// # Errors
    /// One is missing, or is not of its type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ArgumentError> {
        self.args.decode_answer()
    }

    /// Whether the server waits for an acknowledgement.
    pub fn wants_ack(&self) -> bool {
        self.ack.is_some()
    }

    /// Acknowledges: a tuple is several arguments, `()` none, anything else one. Does nothing if the server asked for none, or
    /// has lost the connection since. A second acknowledgement is ignored by servers.
    pub fn acknowledge(&self, answer: impl Serialize) {
        if let Some(target) = self.ack {
            self.socket.acknowledge(target, &answer);
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Received");
        f.field("name", &self.name).field("args", &self.args).field("wants_ack", &self.wants_ack()).finish()
    }
}

/// The end of a stream where events go in.
pub(crate) struct EventSender {
    sender: mpsc::Sender<(Event, usize)>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    lagged: u64,
}

/// A stream and where its events go in.
pub(crate) fn channel(events_max: usize, bytes_max: usize) -> (EventSender, Events) {
    let (sender, receiver) = mpsc::channel(events_max.max(2));
    let bytes = Arc::new(AtomicUsize::new(0));
    (EventSender { sender, bytes: bytes.clone(), bytes_max, lagged: 0 }, Events { receiver, bytes })
}

impl EventSender {
    /// Puts one in, if there is room. Whether somebody may still ask for it.
    pub(crate) fn push(&mut self, event: &Event) -> bool {
        // One that lags has room for the note and for the event behind it, or for neither.
        let wanted = 1 + usize::from(self.lagged > 0);
        let (bytes, waiting) = (event.len(), self.bytes.load(Ordering::Relaxed));
        let is_too_much = waiting > 0 && waiting + bytes > self.bytes_max;
        if self.sender.capacity() < wanted || is_too_much {
            self.lagged += 1;
            return !self.sender.is_closed();
        }
        if self.lagged > 0 && self.sender.try_send((Event::Lagged(self.lagged), 0)).is_ok() {
            self.lagged = 0;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sender.try_send((event.clone(), bytes)).is_ok() || !self.sender.is_closed()
    }
}

impl Event {
    /// What its arguments take, in bytes.
    fn len(&self) -> usize {
        let Event::Received(received) = self else { return 0 };
        let args = received.args.as_args();
        args.iter().map(str::len).sum::<usize>() + args.attachments().iter().map(bytes::Bytes::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stream_that_nobody_asks_tells_how_much_it_left_out() {
        let (mut sender, mut events) = channel(3, 100);
        for _ in 0..7 {
            assert!(sender.push(&Event::Lifecycle(Lifecycle::Connect)));
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(events.next().await);
        }
        assert!(sender.push(&Event::Lifecycle(Lifecycle::Connecting)));
        seen.push(events.next().await);
        assert!(matches!(
            seen[..],
            [
                Some(Event::Lifecycle(Lifecycle::Connect)),
                Some(Event::Lifecycle(Lifecycle::Connect)),
                Some(Event::Lifecycle(Lifecycle::Connect)),
                Some(Event::Lagged(4)),
            ]
        ));
        assert!(matches!(events.next().await, Some(Event::Lifecycle(Lifecycle::Connecting))));
        drop(events);
        assert!(!sender.push(&Event::Lifecycle(Lifecycle::Connect)));
    }
}
