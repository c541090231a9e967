//! What the handles of a socket share: its state, and how a packet gets from there to its client.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use patera_protocol::socketio::{Args, OwnedArgs, Slot, encode};
use serde::Serialize;

use super::Socket;
use super::kept::{Data, Keeping, Kept};
use crate::config::OutboxPolicy;
use crate::core::Shared;
use crate::error::{DisconnectReason, EmitError};
use crate::flush::Sleepers;
use crate::handler::{DROP, Failure, Middleware};
use crate::io::IoInner;
use crate::listeners::{Handlers, Listener, ListenerId, Listeners, Outgoing, Removed, listens};
use crate::namespace::NamespaceInner;
use crate::outbox::{Command, Item};
use crate::outgoing;
use crate::prepared::{Flags, Prepared};
use crate::recovery::{self, Ended, Event, Number, Recoverable, Recovery};
use crate::rooms::Joined;
use crate::sid::Id;
use crate::sync::{AtomicU8, Mutex};
use crate::tasks::drop_each;

/// Small, for there may be a million: what most sockets do not have is boxed.
pub(crate) struct SocketInner {
    pub(crate) id: Id,
    state: AtomicU8,
    /// What `kept` has listeners of: most sockets have none, and are not locked to see that.
    listens: AtomicU8,
    pub(crate) slot: Slot,
    /// Never used twice in a process, as an id may be.
    pub(crate) number: u64,
    pub(crate) namespace: Arc<NamespaceInner>,
    pub(crate) session: Arc<Shared>,
    pub(super) io: Arc<IoInner>,
    /// What few have.
    rare: Option<Box<Rare>>,
    pub(crate) rooms: Mutex<Joined>,
    pub(super) kept: Mutex<Kept>,
}

/// Set when the socket is made, and never changed.
struct Rare {
    /// What the client sent; nothing, for the many who send nothing.
    auth: Option<OwnedArgs>,
    recoverable: Option<Arc<Recoverable>>,
    /// Whether its client came back for it.
    recovered: bool,
}

const CONNECTING: u8 = 0;
/// A bit of `CONNECTED` and `RECOVERABLE`, and of no other.
const IS_CONNECTED: u8 = 1;
const CONNECTED: u8 = IS_CONNECTED;
/// Connected, and its client may come back for it.
const RECOVERABLE: u8 = 2 | IS_CONNECTED;
/// Nothing more is emitted; the session's task is about to disconnect it.
const LEAVING: u8 = 4;
const DISCONNECTED: u8 = 6;
/// The connection is lost; it stays in its rooms until its client is back, or for good.
const AWAY: u8 = 8;
/// The client is back, with another socket in its place.
const SUPERSEDED: u8 = 10;

impl SocketInner {
    pub(crate) fn new(
        io: Arc<IoInner>,
        slot: Slot,
        namespace: Arc<NamespaceInner>,
        session: Arc<Shared>,
        auth: Option<Box<OwnedArgs>>,
    ) -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let admitted = namespace.recovery().filter(|_| session.dialect.recovers).map(|recovery| {
            let (recoverable, recovered) = recovery.admit(&namespace, auth.as_deref(), number, &session);
            (Id::from(recoverable.id()), recoverable, recovered)
        });
        let (id, recoverable, recovered) = match admitted {
            Some((id, recoverable, recovered)) => (id, Some(recoverable), recovered),
            None => (Id::of_socket(&namespace.name, session.dialect.version, &session.sid), None, false),
        };
        let is_rare = auth.is_some() || recoverable.is_some();
        let rare = is_rare.then(|| Box::new(Rare { auth: auth.map(|auth| *auth), recoverable, recovered }));
        Arc::new(SocketInner {
            id,
            number,
            slot,
            namespace,
            session,
            io,
            state: AtomicU8::new(CONNECTING),
            rare,
            rooms: Mutex::default(),
            kept: Mutex::default(),
            listens: AtomicU8::new(listens::NOTHING),
        })
    }

    /// Gives its place in the namespace back, which may be gone then. Called once, by who has disconnected it for good.
    pub(crate) fn leave_namespace(self: &Arc<Self>) {
        self.namespace.leave(self);
        self.give_seat_back();
    }

    /// One socket fewer is in the namespace: this one, or the one it has replaced.
    pub(crate) fn give_seat_back(&self) {
        self.io.namespaces.leave(&self.namespace, &self.io.core.config);
    }

    /// Whether it is in no room any more, and must not get into one.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), DISCONNECTED | SUPERSEDED)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state.load(Ordering::Acquire) & IS_CONNECTED != 0
    }

    /// Whether its connection is lost and its client may come back.
    pub(crate) fn is_away(&self) -> bool {
        self.state.load(Ordering::Acquire) == AWAY
    }

    pub(crate) fn recoverable(&self) -> Option<&Arc<Recoverable>> {
        self.rare.as_ref()?.recoverable.as_ref()
    }

    pub(crate) fn recovered(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.recovered)
    }

    /// Whether it has got past the middlewares.
    pub(crate) fn was_let_in(&self) -> bool {
        self.state.load(Ordering::Acquire) != CONNECTING
    }

    /// What the client sent as `auth`, as the one argument of a middleware: `{}` if it sent none.
    pub(crate) fn auth(&self) -> Args<'_> {
        let auth = self.rare.as_ref().and_then(|rare| rare.auth.as_ref());
        auth.map_or_else(Args::empty_object, OwnedArgs::as_args)
    }

    /// Puts a packet on its way: into the outbox, or aside while the socket is not let in yet.
    pub(crate) fn push(&self, item: Item) -> Result<(), EmitError> {
        match self.state.load(Ordering::Acquire) {
            CONNECTED => self.session.outbox.push(item, &self.session.core.config),
            _ => self.push_unusual(item, None, None),
        }
    }

    #[cold]
    fn push_unusual(
        &self,
        item: Item,
        number: Option<Number>,
        sleepers: Option<&mut Sleepers>,
    ) -> Result<(), EmitError> {
        match (self.state.load(Ordering::Acquire), self.recoverable()) {
            (CONNECTED, _) => self.push(item),
            (CONNECTING, _) => self.hold(item, number),
            (RECOVERABLE | AWAY | SUPERSEDED, Some(recoverable)) => {
                recoverable.push(self.number, item, number, sleepers)
            }
            _ => Err(EmitError::Disconnected),
        }
    }

    /// Puts an event of a broadcast on its way that is one for recoverable sockets too.
    pub(crate) fn push_event(&self, event: &Event, sleepers: &mut Sleepers) -> Result<(), EmitError> {
        if self.recoverable().is_none() {
            return self.push_for_flush(event.bare(), sleepers);
        }
        let (item, number) = event.recoverable();
        self.push_unusual(item, number, Some(sleepers))
    }

    /// As [`push`](Self::push), without waking a session that sleeps: it is one of the sleepers then.
    pub(crate) fn push_for_flush(&self, item: Item, sleepers: &mut Sleepers) -> Result<(), EmitError> {
        match self.state.load(Ordering::Acquire) {
            CONNECTED => sleepers.push(&self.session, item),
            _ => self.push_unusual(item, None, Some(sleepers)),
        }
    }

    pub(crate) fn emit(self: &Arc<Self>, event: &str, args: &impl Serialize, flags: Flags) -> Result<(), EmitError> {
        if let Some(recoverable) = self.recoverable() {
            return self.emit_recoverable(recoverable.recovery(), event, args, flags);
        }
        let encode = |out: &mut Vec<u8>| encode::event(out, &self.namespace.name, None, event, args);
        let prepared = Prepared::packet(self.namespace.parser(), flags, encode)?;
        let watched = self.namespace.is_outgoing_watched().then(|| prepared.clone());
        self.push(Item { prepared, ack: None })?;
        if let Some(prepared) = watched {
            outgoing::tell(&self.namespace, [self], event, &prepared);
        }
        Ok(())
    }

    fn emit_recoverable(
        self: &Arc<Self>,
        recovery: &Recovery,
        event: &str,
        args: &impl Serialize,
        flags: Flags,
    ) -> Result<(), EmitError> {
        let encode = |out: &mut Vec<u8>| encode::event(out, &self.namespace.name, None, event, args);
        let encoded = Event::encode(recovery, flags, encode)?;
        let (item, number) = encoded.recoverable();
        self.push_unusual(item, number, None)?;
        if self.namespace.is_outgoing_watched() {
            outgoing::tell(&self.namespace, [self], event, &encoded.bare().prepared);
        }
        Ok(())
    }

    fn hold(&self, item: Item, number: Option<Number>) -> Result<(), EmitError> {
        let mut kept = self.kept.lock();
        // `connected` changes the state under this lock.
        if self.state.load(Ordering::Acquire) != CONNECTING {
            drop(kept);
            return self.push_unusual(item, number, None);
        }
        let size = item.prepared.size();
        let keeping = kept.make().ok_or(EmitError::Disconnected)?;
        let config = &self.session.core.config;
        if keeping.held_bytes + size > config.outbox_bytes_max {
            if number.is_some() && config.outbox_policy == OutboxPolicy::Close {
                // A client that is promised every event must not be let in without this one.
                let reason = DisconnectReason::OutboxFull;
                self.session.outbox.command(Command::Close { reason, flush: false });
            }
            return Err(EmitError::Full);
        }
        keeping.held_bytes += size;
        keeping.held.push((item, number));
        Ok(())
    }

    /// The socket is let in: its CONNECT packet first, then what it missed, then what was held.
    ///
    /// # Errors
    /// It was to be recovered, and cannot be any more.
    pub(crate) fn connected(&self, connect: Arc<Prepared>) -> Result<(), Ended> {
        let mut kept = self.kept.lock();
        let held = kept.get_mut().map(|keeping| mem::take(&mut keeping.held)).unwrap_or_default();
        let connect = Item { prepared: connect, ack: None };
        if let Some(recoverable) = self.recoverable() {
            let data = kept.get_mut().and_then(|keeping| keeping.data.take());
            recoverable.enter(self, connect, held, data)?;
            self.state.store(RECOVERABLE, Ordering::Release);
            return Ok(());
        }
        for item in std::iter::once(connect).chain(held.into_iter().map(|(item, _)| item)) {
            if let Err(error) = self.session.outbox.push(item, &self.session.core.config) {
                self.session.core.count_drop(&error);
            }
        }
        self.state.store(CONNECTED, Ordering::Release);
        Ok(())
    }

    /// True if it was connected and is no more.
    pub(super) fn leave(&self) -> bool {
        let replace = |from, to| self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if replace(CONNECTED, LEAVING) {
            return true;
        }
        let was_connected = replace(RECOVERABLE, LEAVING);
        if (was_connected || self.is_away())
            && let Some(recoverable) = self.recoverable()
        {
            recoverable.end(self.number);
        }
        was_connected
    }

    /// `None` if that was done before, else whether it stays in its rooms, since its client may come back.
    pub(crate) fn set_disconnected(&self, reason: DisconnectReason) -> Option<bool> {
        if matches!(self.state.load(Ordering::Acquire), DISCONNECTED | AWAY | SUPERSEDED) {
            return None;
        }
        let Some(recoverable) = self.recoverable() else {
            return (self.state.swap(DISCONNECTED, Ordering::AcqRel) != DISCONNECTED).then_some(false);
        };
        if !self.was_let_in() {
            recoverable.unclaim(self.number);
            self.state.store(DISCONNECTED, Ordering::Release);
            return Some(false);
        }
        let may_return = recovery::is_recoverable(reason) && self.is_connected();
        Some(recoverable.depart(self.number, may_return, |is_kept| {
            self.state.store(if is_kept { AWAY } else { DISCONNECTED }, Ordering::Release);
            is_kept
        }))
    }

    /// What `data_set` was given, whatever it is.
    pub(crate) fn any_data(&self) -> Option<Arc<dyn Data>> {
        let own = self.kept.lock().get().and_then(|kept| kept.data.clone());
        own.or_else(|| self.recoverable()?.data())
    }

    /// Its disconnect handlers have been started: who comes back for it may go on.
    pub(crate) fn told(&self) {
        if let Some(recoverable) = self.recoverable() {
            recoverable.told(self.number);
        }
    }

    /// Another socket has taken its place.
    pub(crate) fn supersede(&self) {
        self.state.store(SUPERSEDED, Ordering::Release);
    }

    /// True for the one who takes it out of its rooms, since nobody comes back.
    pub(crate) fn forget_away(&self) -> bool {
        self.state.compare_exchange(AWAY, DISCONNECTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The bits of [`listens`].
    pub(crate) fn listens(&self) -> u8 {
        self.listens.load(Ordering::Acquire)
    }

    /// A copy of some of its listeners, so that they can be called without the lock.
    pub(crate) fn listeners<T: Default>(&self, copy: impl FnOnce(&Listeners) -> T) -> T {
        self.kept.lock().get().map(|keeping| copy(&keeping.listeners)).unwrap_or_default()
    }

    pub(crate) fn event_handlers(&self, event: &str) -> Handlers {
        self.listeners(|listeners| listeners.of(event).cloned().unwrap_or_default())
    }

    pub(crate) fn outgoing_hooks(&self) -> Vec<Outgoing> {
        self.listeners(|listeners| listeners.outgoing.clone())
    }

    /// `kind` is of [`listens`].
    pub(crate) fn listen(
        &self,
        kind: u8,
        listener: Listener,
        add: impl FnOnce(&mut Listeners, Listener),
    ) -> ListenerId {
        let id = listener.id;
        self.keep(|kept| add(&mut kept.listeners, listener));
        self.listens.fetch_or(kind, Ordering::AcqRel);
        id
    }

    pub(crate) fn add_middleware(&self, middleware: Arc<dyn Middleware>) {
        self.keep(|kept| kept.listeners.middlewares.push(middleware));
        self.listens.fetch_or(listens::MIDDLEWARES, Ordering::AcqRel);
    }

    pub(crate) fn listen_outgoing(
        &self,
        outgoing: Outgoing,
        add: impl FnOnce(&mut Vec<Outgoing>, Outgoing),
    ) -> ListenerId {
        let id = outgoing.id;
        self.keep(|kept| add(&mut kept.listeners.outgoing, outgoing));
        self.namespace.watch_outgoing();
        id
    }

    /// False if there was nothing to take.
    pub(crate) fn unlisten(&self, take: impl FnOnce(&mut Listeners) -> Removed) -> bool {
        let removed = self.kept.lock().get_mut().map(|kept| take(&mut kept.listeners)).unwrap_or_default();
        !removed.is_empty()
    }

    /// Keeps something with the socket, unless it has ended: what would hold the socket then would be a leak.
    pub(super) fn keep<T>(&self, add: impl FnOnce(&mut Keeping) -> T) -> Option<T> {
        let mut kept = self.kept.lock();
        match kept.make() {
            Some(keeping) => Some(add(keeping)),
            None => {
                // What `add` holds is the user's and may do anything when it is dropped.
                drop(kept);
                None
            }
        }
    }

    /// Drops handlers and data, which may hold this very socket. It may be a sweep, or a session torn down: what panics goes no further.
    pub(crate) fn clear(self: &Arc<Self>) {
        let kept = mem::replace(&mut *self.kept.lock(), Kept::Cleared);
        let data = self.recoverable().and_then(|recoverable| recoverable.clear());
        if !(kept.drop_each() & drop_each(data)) {
            let socket = Socket(self.clone());
            socket.end_after_panic();
            socket.report(DROP, &Failure::Panic);
        }
    }
}
