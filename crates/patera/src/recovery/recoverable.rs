//! A socket that outlives its connections: its id, its rooms, its data, and what its client may have missed.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::log::Log;
use super::offset::{Number, Position};
use super::{Key, Recovery};
use crate::config::OutboxPolicy;
use crate::core::Shared;
use crate::error::{DisconnectReason, EmitError};
use crate::flush::Sleepers;
use crate::namespace::NamespaceInner;
use crate::outbox::{Command, Item};
use crate::sid::Sid;
use crate::socket::{Data, SocketInner};
use crate::sync::{Mutex, MutexGuard};

/// ```text
///            let in                  the connection is lost                    time or room is over
///   New ───────────────▶ Online ──────────────────────────────▶ Away ──────────────────────────────▶ Ended
///                          ▲  │                                 │  ▲                                   ▲
///                   let in │  │ the client comes back before    │  │ refused, or lost again            │
///                          │  │ the loss is known               │  │                                   │
///                          │  └────────────▶ Claimed ◀──────────┘  │     either side has left,         │
///                          └──────────────── Claimed ──────────────┘     or what was missed is gone ───┘
/// ```
/// The sockets of its connections, one after the other, share it. What is emitted through any of them goes in here, and on to the
/// connection that has it now. Its lock is taken under those of the rooms, and before that of an outbox; never while user code runs.
pub(crate) struct Recoverable {
    /// The private id, with which the client comes back. Who knows it is the client.
    pub(super) pid: Sid,
    pub(super) id: Sid,
    pub(super) namespace: Arc<NamespaceInner>,
    recovery: Arc<Recovery>,
    state: Mutex<State>,
    /// Wakes who waits until the handlers of the connection before are told.
    told: Notify,
}

#[derive(Default)]
struct State {
    holder: Holder,
    log: Log,
    /// The socket's data, once it is let in.
    data: Option<Arc<dyn Data>>,
    /// Whether the last of the sockets has dropped what it keeps.
    is_cleared: bool,
    /// The socket whose connection has ended, or was taken from it, and whose handlers have not been told.
    untold: Option<u64>,
}

#[derive(Default)]
enum Holder {
    #[default]
    New,
    Online(Online),
    Away(Away),
    Claimed(Claimed),
    Ended,
}

struct Online {
    session: Arc<Shared>,
    /// Of the socket.
    socket: u64,
    /// An event is not in the session's outbox, which ends: a ping is no sign of it any more.
    severed: bool,
}

impl Online {
    /// Into the session's outbox. Where `sleepers` are collected, a session that sleeps is one of them.
    fn push(&self, item: Item, sleepers: Option<&mut Sleepers>) -> Result<(), EmitError> {
        match sleepers {
            Some(sleepers) => sleepers.push(&self.session, item),
            None => self.session.outbox.push(item, &self.session.core.config),
        }
    }
}

struct Away {
    until: Instant,
    /// Events before it may have been received. Once one behind it is dropped, the client has missed it for good.
    departed: u64,
}

struct Claimed {
    session: Arc<Shared>,
    socket: u64,
    away: Away,
}

/// It cannot be recovered any more.
#[derive(Debug)]
pub(crate) struct Ended;

impl Recoverable {
    pub(super) fn new(recovery: Arc<Recovery>, namespace: Arc<NamespaceInner>) -> Arc<Self> {
        Arc::new(Recoverable {
            pid: Sid::random(),
            id: Sid::random(),
            namespace,
            recovery,
            state: Mutex::default(),
            told: Notify::new(),
        })
    }

    pub(crate) fn id(&self) -> Sid {
        self.id
    }

    pub(crate) fn pid(&self) -> &str {
        self.pid.as_str()
    }

    pub(crate) fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// A packet of the socket with this number. One with an offset is kept until the client has it; others need a connection.
    pub(crate) fn push(
        self: &Arc<Self>,
        socket: u64,
        item: Item,
        number: Option<Number>,
        sleepers: Option<&mut Sleepers>,
    ) -> Result<(), EmitError> {
        let mut state = self.state.lock();
        let State { holder, log, .. } = &mut *state;
        let config = &self.recovery.config;
        match (holder, number) {
            (Holder::Online(online), None) if online.socket == socket => online.push(item, sleepers),
            (Holder::Online(online), Some(number)) => {
                let prepared = item.prepared.clone();
                let options = &online.session.core.config;
                match online.push(item, sleepers) {
                    Ok(()) => {}
                    Err(EmitError::Full) if options.outbox_policy == OutboxPolicy::DropNewest => {
                        return Err(EmitError::Full);
                    }
                    // The session ends; the client comes back for it.
                    Err(_) => online.severed = true,
                }
                log.push(number, prepared, config.packets_max, config.bytes_max);
                Ok(())
            }
            (
                Holder::Away(Away { departed, .. }) | Holder::Claimed(Claimed { away: Away { departed, .. }, .. }),
                Some(number),
            ) => {
                let before = log.bytes();
                log.push(number, item.prepared, config.packets_max, config.bytes_max);
                let is_lost = log.first() > *departed;
                let is_over = self.recovery.account(before, log.bytes());
                if is_lost || is_over {
                    self.give_up(state);
                }
                Ok(())
            }
            (Holder::New | Holder::Online(_) | Holder::Away(_) | Holder::Claimed(_) | Holder::Ended, _) => {
                let is_volatile = item.prepared.flags.volatile;
                Err(if is_volatile { EmitError::Volatile } else { EmitError::Disconnected })
            }
        }
    }

    /// Ends it where the rooms are locked: who can takes it out of them.
    fn give_up(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let key = if let Holder::Away(away) = &state.holder { Some(self.key(away.until)) } else { None };
        let rest = self.end_locked(&mut state);
        drop(state);
        drop(rest);
        // One that is claimed is finished by who has claimed it.
        if let Some(key) = key {
            self.recovery.doom(key, self.clone());
        }
    }

    /// The client comes back, by a socket that is about to be decided on. Whoever had it before has it no more.
    pub(super) fn claim(
        self: &Arc<Self>,
        socket: u64,
        session: &Arc<Shared>,
        position: Option<Position>,
    ) -> Result<(), Ended> {
        let mut state = self.state.lock();
        let (until, rival) = match mem::replace(&mut state.holder, Holder::Ended) {
            Holder::Online(online) => {
                state.untold = Some(online.socket);
                self.recovery.account(0, state.log.bytes());
                (self.recovery.until(), Some(online.session))
            }
            Holder::Away(away) => {
                self.recovery.forget(self.key(away.until));
                (away.until, None)
            }
            // Its socket was never let in, and will not be.
            Holder::Claimed(claimed) => (claimed.away.until, Some(claimed.session)),
            Holder::New | Holder::Ended => return Err(Ended),
        };
        state.log.forget_ping();
        let before = state.log.bytes();
        let resumed = position.is_some_and(|position| state.log.resume(position).is_ok());
        self.recovery.account(before, state.log.bytes());
        let away = Away { until, departed: state.log.first() };
        state.holder = Holder::Claimed(Claimed { session: session.clone(), socket, away });
        let rest = (!resumed).then(|| self.end_locked(&mut state));
        drop(state);
        drop(rest);
        if let Some(rival) = rival {
            // Most likely nobody is there to read it.
            rival.outbox.command(Command::Close { reason: DisconnectReason::ForcedServerClose, flush: false });
        }
        if resumed {
            return Ok(());
        }
        self.recovery.finish(self);
        Err(Ended)
    }

    /// Waits until the handlers of the connection before have been told of its end.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn wait_for_others(&self) {
        loop {
            let mut told = std::pin::pin!(self.told.notified());
            told.as_mut().enable();
            if !self.has_others() {
                return;
            }
            told.await;
        }
    }

    /// Whether handlers of a connection before have not been told yet.
    pub(crate) fn has_others(&self) -> bool {
        self.state.lock().untold.is_some()
    }

    /// The socket is let in: its CONNECT packet first, then what the client missed, then what was emitted meanwhile.
    ///
    /// # Errors
    /// What the client missed is gone, or another connection has come: this one must end.
    pub(crate) fn enter(
        self: &Arc<Self>,
        socket: &SocketInner,
        connect: Item,
        held: Vec<(Item, Option<Number>)>,
        data: Option<Arc<dyn Data>>,
    ) -> Result<(), Ended> {
        let mut state = self.state.lock();
        match &state.holder {
            Holder::New => self.recovery.insert(self),
            Holder::Claimed(claimed) if claimed.socket == socket.number => {
                self.recovery.account(state.log.bytes(), 0);
            }
            Holder::Claimed(_) | Holder::Online(_) | Holder::Away(_) | Holder::Ended => return Err(Ended),
        }
        let mut items = vec![connect];
        items.extend(state.log.packets().map(|prepared| Item { prepared: prepared.clone(), ack: None }));
        let known = if held.is_empty() { Default::default() } else { state.log.numbers() };
        for (item, number) in held {
            let Some(number) = number else {
                items.push(item);
                continue;
            };
            // In a room that the socket joined early, an event may have come both ways.
            if !known.contains(&number) {
                let config = &self.recovery.config;
                state.log.push(number, item.prepared.clone(), config.packets_max, config.bytes_max);
                items.push(item);
            }
        }
        let severed = socket.session.outbox.push_all(items).is_err();
        state.holder = Holder::Online(Online { session: socket.session.clone(), socket: socket.number, severed });
        let old = match data {
            Some(data) => state.data.replace(data),
            None => None,
        };
        drop(state);
        drop(old);
        Ok(())
    }

    /// The connection of a socket has ended. Whether its client may come back is told to `settle`, under the lock.
    pub(crate) fn depart<T>(self: &Arc<Self>, socket: u64, may_return: bool, settle: impl FnOnce(bool) -> T) -> T {
        let mut state = self.state.lock();
        let mut rest = None;
        // If it is not, it was taken from it.
        if matches!(&state.holder, Holder::Online(online) if online.socket == socket) {
            state.untold = Some(socket);
            let until = self.recovery.until();
            if may_return && self.recovery.remember(self.key(until), self) {
                state.log.forget_ping();
                self.recovery.account(0, state.log.bytes());
                let departed = state.log.end();
                state.holder = Holder::Away(Away { until, departed });
            } else {
                rest = Some(self.end_locked(&mut state));
            }
        }
        let settled = settle(!matches!(state.holder, Holder::Ended));
        drop(state);
        if rest.is_some() {
            self.recovery.unregister(self);
        }
        settled
    }

    /// The handlers of a socket's end have been started: the next may begin.
    pub(crate) fn told(&self, socket: u64) {
        let mut state = self.state.lock();
        if state.untold == Some(socket) {
            state.untold = None;
            drop(state);
            self.told.notify_waiters();
        }
    }

    /// A socket that has claimed it will not be let in.
    pub(crate) fn unclaim(self: &Arc<Self>, socket: u64) {
        let mut state = self.state.lock();
        let mut rest = None;
        match &state.holder {
            Holder::Claimed(claimed) if claimed.socket == socket => {
                let Away { until, departed } = claimed.away;
                if self.recovery.remember(self.key(until), self) {
                    state.holder = Holder::Away(Away { until, departed });
                    return;
                }
                rest = Some(self.end_locked(&mut state));
            }
            // A new one, which nobody else knows.
            Holder::New => return,
            Holder::Online(_) | Holder::Away(_) | Holder::Claimed(_) => return,
            Holder::Ended => {}
        }
        drop(state);
        drop(rest);
        self.recovery.finish(self);
    }

    /// Its time is over, or its place is needed, if it is still away since then.
    pub(super) fn expire(self: &Arc<Self>, key: Key) {
        let mut state = self.state.lock();
        let is_due = match &state.holder {
            Holder::Away(away) => self.key(away.until) == key,
            Holder::Ended => true,
            Holder::New | Holder::Online(_) | Holder::Claimed(_) => false,
        };
        if !is_due {
            return;
        }
        let rest = self.end_locked(&mut state);
        drop(state);
        drop(rest);
        self.recovery.finish(self);
    }

    /// One of both sides has left for good, by a handle of the socket with this number: too late if its client has come back
    /// and another socket has it.
    pub(crate) fn end(self: &Arc<Self>, socket: u64) {
        let mut state = self.state.lock();
        match &state.holder {
            Holder::Online(online) if online.socket != socket => return,
            Holder::Away(away) => self.recovery.forget(self.key(away.until)),
            Holder::New | Holder::Online(_) | Holder::Claimed(_) | Holder::Ended => {}
        }
        let rest = self.end_locked(&mut state);
        drop(state);
        drop(rest);
        self.recovery.finish(self);
    }

    /// What was kept can be dropped without the lock.
    fn end_locked(&self, state: &mut State) -> Log {
        if let Holder::Away(_) | Holder::Claimed(_) = state.holder {
            self.recovery.account(state.log.bytes(), 0);
        }
        state.holder = Holder::Ended;
        mem::take(&mut state.log)
    }

    fn key(&self, until: Instant) -> Key {
        (until, self.pid)
    }

    /// A ping of this session is on its way, behind all that was taken from its outbox.
    pub(crate) fn handle_ping_sent(&self, session: &Arc<Shared>) {
        let mut state = self.state.lock();
        let State { holder: Holder::Online(online), log, .. } = &mut *state else { return };
        if Arc::ptr_eq(&online.session, session) && !online.severed {
            // Each event that has not been taken is among those that wait.
            log.handle_ping_sent(session.outbox.item_count());
        }
    }

    /// The client has answered it.
    pub(crate) fn handle_pong(&self, session: &Arc<Shared>) {
        let mut state = self.state.lock();
        let State { holder: Holder::Online(online), log, .. } = &mut *state else { return };
        if Arc::ptr_eq(&online.session, session) {
            log.handle_pong();
        }
    }

    pub(crate) fn data(&self) -> Option<Arc<dyn Data>> {
        self.state.lock().data.clone()
    }

    /// Returns what it replaces, or what comes too late.
    pub(crate) fn set_data(&self, data: Arc<dyn Data>) -> Option<Arc<dyn Data>> {
        let mut state = self.state.lock();
        if state.is_cleared { Some(data) } else { state.data.replace(data) }
    }

    /// A socket drops what it keeps: if nobody comes back, the data too, which may hold that very socket.
    #[must_use = "it is the user's"]
    pub(crate) fn clear(&self) -> Option<Arc<dyn Data>> {
        let mut state = self.state.lock();
        let Holder::Ended = state.holder else { return None };
        state.is_cleared = true;
        state.data.take()
    }
}
