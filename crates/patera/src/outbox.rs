//! What waits for one session's task: packets for its client, and commands. Anyone may push; only the task takes.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Waker};

use patera_protocol::engineio::payload::Format;
use patera_protocol::socketio::Slot;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::acks::Awaiting;
use crate::config::{COPY_BYTES_MAX, Config, OutboxPolicy};
use crate::error::{DisconnectReason, EmitError};
use crate::prepared::Prepared;
use crate::sync::{Mutex, MutexGuard};
use crate::transport::{Batch, Leftover, Outlet, Post, WebSocketLink};

/// One packet on its way to a client.
pub(crate) struct Item {
    pub(crate) prepared: Arc<Prepared>,
    /// Who awaits its acknowledgement; it enters the session's table when the item is sent.
    pub(crate) ack: Option<Box<PendingAck>>,
}

/// Somebody who awaits an acknowledgement.
pub(crate) struct PendingAck {
    pub(crate) slot: Slot,
    /// Of the socket: a slot may be another's by the time the item is sent.
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) answer: Awaiting,
}

/// What other tasks ask of a session.
pub(crate) enum Command {
    /// A polling GET: answer it.
    Poll(Poll),
    /// A polling POST: its body.
    Post(Post),
    /// A WebSocket, or what stands for one, that wants to take the session over.
    Probe(Box<WebSocketLink>),
    /// What [`Outbox::flush`] could not write to the end: it goes in front.
    Write(Leftover),
    /// Nobody waits for this acknowledgement any more.
    Forget { slot: Slot, id: u64 },
    /// Disconnect one socket from its namespace.
    Leave { slot: Slot, number: u64 },
    /// End the session.
    Close { reason: DisconnectReason, flush: bool },
}

/// What a session's task finds when it is awake.
pub(crate) struct Turn {
    pub(crate) commands: Vec<Command>,
    /// Too much waits: the session is to end.
    pub(crate) overflowed: bool,
}

/// A polling GET.
pub(crate) struct Poll {
    pub(crate) format: Format,
    /// Tells it from all others of its session, where that matters.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) answer: oneshot::Sender<PollAnswer>,
}

/// A hash of what a client put into the URL of a request to make it unique: `t=…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) u64);

/// The answer to a polling GET.
pub(crate) enum PollAnswer {
    Payload {
        body: Vec<u8>,
        content_type: &'static str,
        /// Whether it may be compressed.
        compress: bool,
    },
    /// Another GET is waiting already: 400.
    Overlap,
}

/// What waits, or has been taken: most often one packet, which then costs no allocation.
pub(crate) type Items = SmallVec<[Item; 1]>;

/// Bounded in bytes by `outbox_bytes_max`; what happens at the limit is `outbox_policy`. Safe from any thread.
#[derive(Default)]
pub(crate) struct Outbox(Mutex<State>);

/// Commands in the order they came.
#[derive(Default)]
struct Commands(Vec<Command>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sleep {
    #[default]
    Awake,
    /// It waits until its transport takes more.
    Blocked,
    /// It waits for something to send.
    Idle,
}

#[derive(Default)]
struct State {
    items: Items,
    /// Rare, so boxed.
    commands: Option<Box<Commands>>,
    /// Of `items` and of what the task has taken but not written yet.
    bytes: usize,
    sleep: Sleep,
    /// Lent by the task while all that it was given is written and it waits for more.
    outlet: Option<Outlet>,
    /// Somebody has promised to call [`flush`](Outbox::flush).
    promised: bool,
    /// Kept from one sleep to the next.
    waker: Option<Waker>,
    /// Whether a volatile packet would go out at once.
    writable: bool,
    overflowed: bool,
    /// No more items, but still commands: the session says goodbye.
    ending: bool,
    closed: bool,
}

impl Outbox {
    /// Puts a packet behind those that wait, and wakes the session.
    pub(crate) fn push(&self, item: Item, config: &Config) -> Result<(), EmitError> {
        self.admit(item, config).map(Self::wake)
    }

    /// Puts a packet behind those that wait. True if the session sleeps on: whoever pushed has to call
    /// [`flush`](Self::flush) soon, on any thread.
    #[inline]
    pub(crate) fn push_for_flush(&self, item: Item, config: &Config) -> Result<bool, EmitError> {
        let mut state = self.admit(item, config)?;
        if state.promised {
            return Ok(false);
        }
        if state.sleep == Sleep::Idle && state.outlet.is_some() {
            state.promised = true;
            return Ok(true);
        }
        Self::wake(state);
        Ok(false)
    }

    fn admit(&self, item: Item, config: &Config) -> Result<MutexGuard<'_, State>, EmitError> {
        let size = item.prepared.size();
        let mut state = self.0.lock();
        if state.ending {
            return Err(EmitError::Disconnected);
        }
        if item.prepared.flags.volatile && !state.writable {
            return Err(EmitError::Volatile);
        }
        if state.bytes > 0 && state.bytes + size > config.outbox_bytes_max {
            if item.prepared.flags.volatile {
                return Err(EmitError::Volatile);
            }
            if config.outbox_policy == OutboxPolicy::Close || item.prepared.flags.control {
                state.overflowed = true;
                state.ending = true;
                Self::wake(state);
            }
            return Err(EmitError::Full);
        }
        state.bytes += size;
        state.items.push(item);
        Ok(state)
    }

    /// Writes what waits for a session that sleeps, in its place. One that is awake does so by itself, and one that must do more
    /// than write is woken. Gives the number of packets and bytes that were written.
    pub(crate) fn flush(&self, config: &Config) -> (usize, usize) {
        let mut state = self.0.lock();
        state.promised = false;
        let State { sleep: Sleep::Idle, outlet: Some(outlet), items, bytes, commands, writable, .. } = &mut *state
        else {
            Self::wake(state);
            return (0, 0);
        };
        if *bytes > COPY_BYTES_MAX || items.iter().any(|item| item.ack.is_some()) {
            Self::wake(state);
            return (0, 0);
        }
        let mut batch = Batch::take();
        items.iter().for_each(|item| outlet.add(&item.prepared, config, &mut batch));
        let done = (items.len(), *bytes);
        items.clear();
        if let Some(queue) = outlet.write(batch) {
            *writable = false;
            commands.get_or_insert_default().0.push(Command::Write(Leftover { queue, bytes: done.1 }));
            Self::wake(state);
        } else {
            *bytes = 0;
        }
        done
    }

    /// Puts packets behind those that wait, whatever there is room for: they are bounded by where they were kept.
    ///
    /// # Errors
    /// The session ends: none of them is sent.
    pub(crate) fn push_all(&self, items: Vec<Item>) -> Result<(), EmitError> {
        let mut state = self.0.lock();
        if state.ending {
            drop(state);
            return Err(EmitError::Disconnected);
        }
        state.bytes += items.iter().map(|item| item.prepared.size()).sum::<usize>();
        state.items.extend(items);
        Self::wake(state);
        Ok(())
    }

    /// How many packets have not been taken.
    pub(crate) fn item_count(&self) -> usize {
        self.0.lock().items.len()
    }

    /// Leaves a command. One that comes too late is dropped, and with it its answer.
    pub(crate) fn command(&self, command: Command) {
        let mut state = self.0.lock();
        if !state.closed {
            state.commands.get_or_insert_default().0.push(command);
            Self::wake(state);
        }
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        if mem::take(&mut state.sleep) == Sleep::Awake {
            return;
        }
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    /// The task is awake: takes all commands. The session's task only, as all below.
    pub(crate) fn begin_turn(&self) -> Turn {
        let mut state = self.0.lock();
        state.sleep = Sleep::Awake;
        Turn {
            commands: state.commands.take().map(|commands| commands.0).unwrap_or_default(),
            overflowed: state.overflowed,
        }
    }

    /// Takes what waits, up to `bytes_max` and at least one item. `written` bytes of what was taken before have left the
    /// process; until then they count.
    pub(crate) fn take_items(&self, bytes_max: usize, written: usize) -> Items {
        let mut state = self.0.lock();
        state.bytes = state.bytes.saturating_sub(written);
        if state.bytes <= bytes_max {
            return mem::take(&mut state.items);
        }
        let mut sum = 0;
        let mut fits = |item: &Item| {
            sum += item.prepared.size();
            sum <= bytes_max
        };
        let count = state.items.iter().take_while(|item| fits(item)).count().max(1).min(state.items.len());
        let rest: Items = state.items.drain(count..).collect();
        mem::replace(&mut state.items, rest)
    }

    /// Whether a packet waits.
    pub(crate) fn has_items(&self) -> bool {
        !self.0.lock().items.is_empty()
    }

    /// `bytes` of what was taken have left the process.
    pub(crate) fn written(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Lets others write while the session sleeps.
    pub(crate) fn lend(&self, outlet: Option<Outlet>) {
        self.0.lock().outlet = outlet;
    }

    pub(crate) fn take_back(&self) -> Option<Outlet> {
        self.0.lock().outlet.take()
    }

    pub(crate) fn set_writable(&self, writable: bool) {
        self.0.lock().writable = writable;
    }

    /// Goes to sleep unless there is something to do: a command, or an item while `can_send`. `written` as for
    /// [`take_items`](Self::take_items).
    pub(crate) fn park(&self, cx: &Context<'_>, can_send: bool, written: usize) -> bool {
        let mut state = self.0.lock();
        state.bytes = state.bytes.saturating_sub(written);
        if state.overflowed || state.commands.is_some() || (can_send && !state.items.is_empty()) {
            return false;
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.sleep = if can_send { Sleep::Idle } else { Sleep::Blocked };
        true
    }

    /// Refuses packets from now on; commands are still taken while the session says goodbye.
    pub(crate) fn refuse_items(&self) {
        let mut state = self.0.lock();
        state.overflowed = false;
        state.ending = true;
    }

    /// Drops everything; whoever waits for an answer sees it dropped.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        (state.ending, state.closed) = (true, true);
        state.overflowed = false;
        state.writable = false;
        state.bytes = 0;
        state.waker = None;
        let dropped = (mem::take(&mut state.items), state.commands.take(), state.outlet.take());
        drop(state);
        drop(dropped);
    }
}
