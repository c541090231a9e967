//! What is registered for events, on a namespace or on one socket: kept the same way, found by id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use patera_protocol::handler::IntoReply;
use patera_protocol::socketio::Value;
use smallvec::SmallVec;

use crate::handler::{EventHandler, Handler, Middleware, event_handler};
use crate::room_events::RoomEvent;
use crate::socket::Socket;
use crate::tasks::drop_each;

/// What `on` and its kin return, and what `off` takes. Unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

impl ListenerId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ListenerId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A handler that is registered somewhere.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    pub(crate) handler: Arc<dyn EventHandler>,
    /// Of `once`: whether its one call has been taken. Shared by all copies of the list it is in.
    once: Option<Arc<AtomicBool>>,
}

impl Listener {
    pub(crate) fn new<P: 'static, H>(event: &str, handler: H) -> Self
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        Listener { id: ListenerId::next(), handler: event_handler(event, handler), once: None }
    }

    pub(crate) fn once<P: 'static, H>(event: &str, handler: H) -> Self
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        Listener { once: Some(Arc::default()), ..Self::new(event, handler) }
    }

    pub(crate) fn is_once(&self) -> bool {
        self.once.is_some()
    }

    /// True for the one caller who may call a handler of `once`; always true for others.
    pub(crate) fn take_call(&self) -> bool {
        self.once.as_ref().is_none_or(|taken| !taken.swap(true, Ordering::AcqRel))
    }
}

/// The handlers of one event; seldom more than one.
pub(crate) type Handlers = SmallVec<[Listener; 1]>;

/// The keys are ours: clients can only look up.
type ByEvent = HashMap<Box<str>, Handlers, foldhash::fast::RandomState>;

/// What hears of events that are sent: the socket they go to, the event, its arguments.
pub(crate) type OutgoingHook = Arc<dyn Fn(&Socket, &str, &[Value]) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) id: ListenerId,
    pub(crate) hook: OutgoingHook,
}

impl Outgoing {
    pub(crate) fn new(hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> Self {
        Outgoing { id: ListenerId::next(), hook: Arc::new(hook) }
    }
}

/// What hears of rooms.
#[derive(Clone)]
pub(crate) struct RoomListener {
    pub(crate) id: ListenerId,
    pub(crate) hook: Arc<dyn Fn(&RoomEvent) + Send + Sync>,
}

impl RoomListener {
    pub(crate) fn new(hook: impl Fn(&RoomEvent) + Send + Sync + 'static) -> Self {
        RoomListener { id: ListenerId::next(), hook: Arc::new(hook) }
    }
}

/// All that a namespace or a socket has registered.
#[derive(Clone, Default)]
pub(crate) struct Listeners {
    pub(crate) events: ByEvent,
    pub(crate) any: Vec<Listener>,
    /// Those of events.
    pub(crate) middlewares: Vec<Arc<dyn Middleware>>,
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) rooms: Vec<RoomListener>,
    pub(crate) connection: Vec<Listener>,
    pub(crate) disconnecting: Vec<Listener>,
    pub(crate) disconnect: Vec<Listener>,
}

/// What one socket listens to: bits that are read per event instead of a lock.
pub(crate) mod listens {
    pub(crate) const NOTHING: u8 = 0;
    pub(crate) const EVENTS: u8 = 1;
    pub(crate) const ANY: u8 = 2;
    pub(crate) const MIDDLEWARES: u8 = 4;
}

/// What was taken out of a list. It is the user's and may do anything when it is dropped: not under a lock.
#[must_use = "dropped where it was taken out, it would be dropped under the lock"]
#[derive(Default)]
pub(crate) struct Removed {
    listeners: Vec<Listener>,
    outgoing: Vec<Outgoing>,
    rooms: Vec<RoomListener>,
}

impl Removed {
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.outgoing.is_empty() && self.rooms.is_empty()
    }
}

impl Listeners {
    pub(crate) fn on(&mut self, event: &str, listener: Listener) {
        self.events.entry(event.into()).or_default().push(listener);
    }

    pub(crate) fn of(&self, event: &str) -> Option<&Handlers> {
        self.events.get(event)
    }

    /// Takes out what has this id, whatever it listens to.
    pub(crate) fn off(&mut self, id: ListenerId) -> Removed {
        let mut removed = Removed::default();
        self.events.retain(|_, handlers| {
            let place = handlers.iter().position(|listener| listener.id == id);
            removed.listeners.extend(place.map(|place| handlers.remove(place)));
            !handlers.is_empty()
        });
        for list in [&mut self.any, &mut self.connection, &mut self.disconnecting, &mut self.disconnect] {
            removed.listeners.extend(list.extract_if(.., |listener| listener.id == id));
        }
        removed.outgoing.extend(self.outgoing.extract_if(.., |outgoing| outgoing.id == id));
        removed.rooms.extend(self.rooms.extract_if(.., |listener| listener.id == id));
        removed
    }

    /// False if something panicked that a listener holds.
    pub(crate) fn drop_each(self) -> bool {
        let Listeners { events, any, middlewares, outgoing, rooms, connection, disconnecting, disconnect } = self;
        let handlers =
            events.into_values().flatten().chain(any).chain(connection).chain(disconnecting).chain(disconnect);
        drop_each(handlers) & drop_each(middlewares) & drop_each(outgoing) & drop_each(rooms)
    }

    pub(crate) fn off_event(&mut self, event: &str) -> Removed {
        let listeners = self.events.remove(event).map(Handlers::into_vec).unwrap_or_default();
        Removed { listeners, ..Removed::default() }
    }

    pub(crate) fn off_all(&mut self) -> Removed {
        let listeners = std::mem::take(&mut self.events).into_values().flatten().collect();
        Removed { listeners, ..Removed::default() }
    }

    pub(crate) fn off_any(&mut self) -> Removed {
        Removed { listeners: std::mem::take(&mut self.any), ..Removed::default() }
    }

    pub(crate) fn off_any_outgoing(&mut self) -> Removed {
        Removed { outgoing: std::mem::take(&mut self.outgoing), ..Removed::default() }
    }
}
