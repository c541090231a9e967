//! How far a connection is, why it ends, and what happens to it, told to who asks. Where nobody does it costs a look at one byte.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use patera_protocol::engineio::{Message, Packet, Transport};

use super::ReadyState;
use crate::details::DisconnectDetails;
use crate::error::DisconnectReason;
use crate::listeners::ListenerId;
use crate::prepared::Prepared;
use crate::sync::{AtomicU8, Mutex};
use crate::tasks::{catch, drop_each};
use crate::trace::trace;

pub(crate) enum Event<'a> {
    Packet(Packet<'a>),
    PacketCreate(Packet<'a>),
    /// So many packets.
    Flush(usize),
    Drain,
    Heartbeat,
    Upgrading(Transport),
    Upgrade(Transport),
    Close(DisconnectReason, &'a DisconnectDetails),
}

/// A bit for each event.
pub(crate) mod kinds {
    pub(crate) const PACKET: u8 = 1 << 0;
    pub(crate) const PACKET_CREATE: u8 = 1 << 1;
    pub(crate) const FLUSH: u8 = 1 << 2;
    pub(crate) const DRAIN: u8 = 1 << 3;
    pub(crate) const HEARTBEAT: u8 = 1 << 4;
    pub(crate) const UPGRADING: u8 = 1 << 5;
    pub(crate) const UPGRADE: u8 = 1 << 6;
    pub(crate) const CLOSE: u8 = 1 << 7;
    /// What goes out: it must be written by the session's task then, which tells of it.
    pub(crate) const OUTGOING: u8 = PACKET_CREATE | FLUSH | DRAIN;
}

type Callback = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

#[derive(Clone)]
struct Hook {
    id: ListenerId,
    kind: u8,
    call: Callback,
}

/// Of one session.
#[derive(Default)]
pub(crate) struct Life {
    /// The bits of [`kinds`] that somebody has listened to.
    listens: AtomicU8,
    /// A `ReadyState`, and `UPGRADED`.
    state: AtomicU8,
    /// What most connections do not have.
    rare: Mutex<Option<Box<Rare>>>,
}

#[derive(Default)]
struct Rare {
    /// Copied to be called, so that no lock is held then.
    hooks: Arc<Vec<Hook>>,
    /// What is known of the end beside its reason.
    details: Option<DisconnectDetails>,
}

const STATES: u8 = 0b11;
const UPGRADED: u8 = 1 << 2;

impl Life {
    #[inline]
    pub(crate) fn is_watched(&self, kinds: u8) -> bool {
        self.listens.load(Ordering::Relaxed) & kinds != 0
    }

    /// Calls those who listen to this kind of event, one after the other. By the session's task, under no lock.
    ///
    /// # Errors
    /// One of them panicked: the session is to end. The others have been called.
    #[cold]
    pub(crate) fn tell(&self, kind: u8, event: &Event<'_>) -> Result<(), DisconnectReason> {
        let hooks = self.rare.lock().as_ref().map(|rare| rare.hooks.clone()).unwrap_or_default();
        let mut result = Ok(());
        for hook in hooks.iter().filter(|hook| hook.kind == kind) {
            if catch(|| (hook.call)(event)).is_none() {
                trace!(error, "patera::engine", "a listener of a connection panicked");
                result = Err(DisconnectReason::HandlerPanicked);
            }
        }
        result
    }

    /// As [`tell`](Self::tell), where it is rare enough to look only now whether somebody listens.
    pub(crate) fn tell_rare(&self, kind: u8, event: &Event<'_>) -> Result<(), DisconnectReason> {
        if self.is_watched(kind) { self.tell(kind, event) } else { Ok(()) }
    }

    pub(super) fn add(&self, kind: u8, call: Callback) -> ListenerId {
        let hook = Hook { id: ListenerId::next(), kind, call };
        let id = hook.id;
        let mut rare = self.rare.lock();
        // The state is closed before the hooks are cleared: what came behind would never go.
        if self.ready_state() == ReadyState::Closed {
            drop(rare);
            drop(hook);
            return id;
        }
        Arc::make_mut(&mut rare.get_or_insert_default().hooks).push(hook);
        self.listens.fetch_or(kind, Ordering::Relaxed);
        id
    }

    pub(super) fn remove(&self, id: ListenerId) -> bool {
        let mut rare = self.rare.lock();
        let Some(hooks) = rare.as_mut().map(|rare| &mut rare.hooks) else { return false };
        let Some(at) = hooks.iter().position(|hook| hook.id == id) else { return false };
        let removed = Arc::make_mut(hooks).remove(at);
        drop(rare);
        // What it holds may do anything when it is dropped.
        drop(removed);
        true
    }

    pub(crate) fn ready_state(&self) -> ReadyState {
        match self.state.load(Ordering::Acquire) & STATES {
            0 => ReadyState::Opening,
            1 => ReadyState::Open,
            2 => ReadyState::Closing,
            _ => ReadyState::Closed,
        }
    }

    pub(super) fn upgraded(&self) -> bool {
        self.state.load(Ordering::Acquire) & UPGRADED != 0
    }

    pub(crate) fn set_open(&self) {
        self.state.fetch_or(1, Ordering::AcqRel);
    }

    pub(crate) fn set_upgraded(&self) {
        self.state.fetch_or(UPGRADED, Ordering::AcqRel);
    }

    /// From open; a closed one stays so.
    pub(crate) fn set_closing(&self) {
        let closing = |state: u8| (state & STATES == 1).then_some((state & !STATES) | 2);
        // It is closed, or closing, already.
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, closing);
    }

    /// True for the first. Then [`clear`](Self::clear).
    pub(crate) fn set_closed(&self) -> bool {
        self.state.fetch_or(STATES, Ordering::AcqRel) & STATES != STATES
    }

    /// Drops all that listen, which may hold this very session.
    pub(crate) fn clear(&self) {
        let hooks = self.rare.lock().as_mut().map(|rare| mem::take(&mut rare.hooks)).unwrap_or_default();
        if !drop_each(Arc::unwrap_or_clone(hooks)) {
            trace!(error, "patera::engine", "what a listener of a connection holds panicked when it was dropped");
        }
    }

    /// Why exactly it ends, by who knows it. The first one counts: what comes then is a consequence.
    pub(crate) fn set_details(&self, details: DisconnectDetails) {
        self.rare.lock().get_or_insert_default().details.get_or_insert(details);
    }

    /// What is known of an end with this reason: a socket may leave its namespace before the session ends.
    pub(crate) fn details(&self, reason: DisconnectReason) -> DisconnectDetails {
        match reason {
            DisconnectReason::ClientNamespaceDisconnect | DisconnectReason::ServerNamespaceDisconnect => {
                DisconnectDetails::default()
            }
            _ => self.rare.lock().as_ref().and_then(|rare| rare.details.clone()).unwrap_or_default(),
        }
    }
}

/// Tells of what goes out with one write or one answer. Where nobody listens each call is one look at a flag.
pub(crate) struct Told<'a> {
    life: &'a Life,
    is_watched: bool,
    packets: usize,
    result: Result<(), DisconnectReason>,
}

impl<'a> Told<'a> {
    #[inline]
    pub(crate) fn new(life: &'a Life) -> Self {
        Told { life, is_watched: life.is_watched(kinds::OUTGOING), packets: 0, result: Ok(()) }
    }

    /// A packet of the session itself. Of those of an upgrade and of the end nobody is told.
    #[inline]
    pub(crate) fn control(&mut self, packet: Packet<'_>) {
        if self.is_watched && matches!(packet, Packet::Ping("") | Packet::Pong("")) {
            self.tell_packet(packet);
        }
    }

    /// So many packets of the session itself go out now, told of before.
    #[inline]
    pub(crate) fn waited(&mut self, packets: usize) {
        self.packets = packets;
    }

    #[inline]
    pub(crate) fn item(&mut self, prepared: &Prepared) {
        if self.is_watched {
            self.tell_item(prepared);
        }
    }

    /// All of them are being handed over.
    #[inline]
    pub(crate) fn flush(&mut self) {
        if self.is_watched {
            self.tell_flush();
        }
    }

    /// The transport has taken all there was, if `has_taken`: something of an earlier write.
    ///
    /// # Errors
    /// Somebody who was told of something panicked: the session is to end.
    #[inline]
    pub(crate) fn drain(self, has_taken: bool) -> Result<(), DisconnectReason> {
        if self.is_watched { self.tell_drain(has_taken) } else { Ok(()) }
    }

    /// The transport has not taken all.
    ///
    /// # Errors
    /// As for [`drain`](Self::drain).
    #[inline]
    pub(crate) fn finish(self) -> Result<(), DisconnectReason> {
        if self.is_watched { self.result } else { Ok(()) }
    }

    #[cold]
    fn tell_item(&mut self, prepared: &Prepared) {
        prepared.each_message(&mut |message: Message<'_>| self.tell_packet(Packet::Message(message)));
    }

    #[cold]
    fn tell_packet(&mut self, packet: Packet<'_>) {
        self.packets += 1;
        let told = self.life.tell_rare(kinds::PACKET_CREATE, &Event::PacketCreate(packet));
        self.result = self.result.and(told);
    }

    #[cold]
    fn tell_flush(&mut self) {
        if self.packets > 0 {
            let told = self.life.tell_rare(kinds::FLUSH, &Event::Flush(self.packets));
            self.result = self.result.and(told);
        }
    }

    #[cold]
    fn tell_drain(self, has_taken: bool) -> Result<(), DisconnectReason> {
        let is_told = has_taken || self.packets > 0;
        self.result.and(if is_told { self.life.tell_rare(kinds::DRAIN, &Event::Drain) } else { Ok(()) })
    }
}
