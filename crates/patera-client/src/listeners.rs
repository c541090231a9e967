//! Who listens to one socket: handlers of events, of everything, of what goes out, of its life; and streams.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use patera_protocol::socketio::{Args, Value};

use crate::events::{Event, EventSender};
use crate::handler::{EventHandler, Failure};
use crate::socket::Socket;

/// Which listener: what `on` returns and `off` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

pub(crate) type OutgoingHook = Arc<dyn Fn(&Socket, &str, &[Value]) + Send + Sync>;
pub(crate) type ErrorHook = Arc<dyn Fn(&Socket, &str, &Failure) + Send + Sync>;

/// All of them. Nothing of a user runs while the lock is held.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: u64,
    events: HashMap<Arc<str>, Vec<Listener>>,
    lifecycle: Vec<Listener>,
    any: Vec<Listener>,
    outgoing: Vec<(ListenerId, OutgoingHook)>,
    error: Option<ErrorHook>,
    streams: Vec<EventSender>,
    cleared: bool,
}

struct Listener {
    id: ListenerId,
    once: bool,
    /// Of a life: the name it is for; none is for all.
    only: Option<&'static str>,
    handler: Arc<dyn EventHandler>,
}

/// Before or behind those that are there.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    First,
    Last,
}

/// What an event is handed to.
pub(crate) struct Audience {
    pub(crate) name: Arc<str>,
    /// Those of any event first.
    pub(crate) handlers: Vec<Arc<dyn EventHandler>>,
    pub(crate) has_streams: bool,
}

impl Place {
    fn index<T>(self, of: &[T]) -> usize {
        match self {
            Place::First => 0,
            Place::Last => of.len(),
        }
    }
}

impl Kept {
    fn next_id(&mut self) -> ListenerId {
        self.last += 1;
        ListenerId(self.last)
    }
}

impl Listeners {
    pub(crate) fn on(&self, event: &str, handler: Arc<dyn EventHandler>, once: bool) -> ListenerId {
        let mut kept = self.0.lock();
        let id = kept.next_id();
        if !kept.cleared {
            let listener = Listener { id, once, only: None, handler };
            kept.events.entry(event.into()).or_default().push(listener);
        }
        id
    }

    pub(crate) fn on_lifecycle(&self, only: Option<&'static str>, handler: Arc<dyn EventHandler>) -> ListenerId {
        let mut kept = self.0.lock();
        let id = kept.next_id();
        if !kept.cleared {
            kept.lifecycle.push(Listener { id, once: false, only, handler });
        }
        id
    }

    pub(crate) fn on_any(&self, handler: Arc<dyn EventHandler>, place: Place) -> ListenerId {
        let mut kept = self.0.lock();
        let id = kept.next_id();
        if !kept.cleared {
            let index = place.index(&kept.any);
            kept.any.insert(index, Listener { id, once: false, only: None, handler });
        }
        id
    }

    pub(crate) fn on_any_outgoing(&self, hook: OutgoingHook, place: Place) -> ListenerId {
        let mut kept = self.0.lock();
        let id = kept.next_id();
        if !kept.cleared {
            let index = place.index(&kept.outgoing);
            kept.outgoing.insert(index, (id, hook));
        }
        id
    }

    pub(crate) fn on_error(&self, hook: ErrorHook) {
        let mut kept = self.0.lock();
        let before = if kept.cleared { Some(hook) } else { kept.error.replace(hook) };
        drop(kept);
        drop(before);
    }

    pub(crate) fn stream(&self, sender: EventSender) {
        let mut kept = self.0.lock();
        if !kept.cleared {
            kept.streams.push(sender);
        }
    }

    /// Removes one. Whether it was there.
    pub(crate) fn off(&self, id: ListenerId) -> bool {
        let mut kept = self.0.lock();
        let Kept { events, lifecycle, any, outgoing, .. } = &mut *kept;
        let mut removed: Vec<Listener> = Vec::new();
        for listeners in events.values_mut().chain([lifecycle, any]) {
            removed.extend(listeners.extract_if(.., |listener| listener.id == id));
        }
        events.retain(|_, listeners| !listeners.is_empty());
        let hooks: Vec<_> = outgoing.extract_if(.., |(each, _)| *each == id).collect();
        // What a handler has captured is dropped outside of the lock.
        drop(kept);
        !removed.is_empty() || !hooks.is_empty()
    }

    /// Removes those of one event. Whether there were any.
    pub(crate) fn off_event(&self, event: &str) -> bool {
        let removed = self.0.lock().events.remove(event);
        removed.is_some()
    }

    /// Removes all of events, of one name and of any.
    pub(crate) fn off_all(&self) {
        let events = std::mem::take(&mut self.0.lock().events);
        drop(events);
        self.off_any();
    }

    pub(crate) fn off_any(&self) {
        let any = std::mem::take(&mut self.0.lock().any);
        drop(any);
    }

    pub(crate) fn off_any_outgoing(&self) {
        let outgoing = std::mem::take(&mut self.0.lock().outgoing);
        drop(outgoing);
    }

    /// The socket has ended: everything goes, and nothing comes any more. What handlers have captured is freed, the socket
    /// itself among it.
    pub(crate) fn clear(&self) {
        let mut kept = self.0.lock();
        let before = std::mem::replace(&mut *kept, Kept { cleared: true, ..Kept::default() });
        drop(kept);
        drop(before);
    }

    /// Whom an event goes to; those that want one only are gone then.
    pub(crate) fn audience(&self, event: &str) -> Audience {
        let mut kept = self.0.lock();
        let handler_of = |listener: &Listener| listener.handler.clone();
        let mut handlers: Vec<_> = kept.any.iter().map(handler_of).collect();
        let has_streams = !kept.streams.is_empty();
        let Some((name, listeners)) = kept.events.get_key_value(event) else {
            return Audience { name: event.into(), handlers, has_streams };
        };
        let name = name.clone();
        handlers.extend(listeners.iter().map(handler_of));
        if listeners.iter().any(|listener| listener.once) {
            let listeners = kept.events.get_mut(event).expect("it has just been found");
            listeners.retain(|listener| !listener.once);
            if listeners.is_empty() {
                kept.events.remove(event);
            }
        }
        Audience { name, handlers, has_streams }
    }

    pub(crate) fn lifecycle(&self, name: &str) -> Vec<Arc<dyn EventHandler>> {
        let kept = self.0.lock();
        let wants = |listener: &&Listener| listener.only.is_none_or(|only| only == name);
        kept.lifecycle.iter().filter(wants).map(|listener| listener.handler.clone()).collect()
    }

    pub(crate) fn error_hook(&self) -> Option<ErrorHook> {
        self.0.lock().error.clone()
    }

    pub(crate) fn has_outgoing(&self) -> bool {
        !self.0.lock().outgoing.is_empty()
    }

    pub(crate) fn outgoing(&self) -> Vec<OutgoingHook> {
        self.0.lock().outgoing.iter().map(|(_, hook)| hook.clone()).collect()
    }

    /// Hands something to every stream that is still there.
    pub(crate) fn push(&self, event: &Event) {
        self.0.lock().streams.retain_mut(|sender| sender.push(event));
    }
}

/// The values of all arguments, as catch-alls get them; what no value can be is null.
pub(crate) fn values(args: &Args<'_>) -> Vec<Value> {
    (0..args.len()).map(|index| args.value(index).unwrap_or(Value::Null)).collect()
}
