//! One socket as the task has it: how far it is, what it has buffered, what it awaits.

use std::collections::VecDeque;

use patera_protocol::socketio::{Args, OwnedArgs, Slot};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::acks::Acks;
use crate::backoff::Backoff;
use crate::calls::tell_outgoing;
use crate::config::Config;
use crate::engine::{Boxed, Engine, Packet, Permit};
use crate::error::{AckError, ConnectError};
use crate::retries::Retries;
use crate::shared::{AckRequest, Item};
use crate::socket::Socket;

/// An offset longer than this is no server's: it is not kept.
const OFFSET_BYTES_MAX: usize = 256;

/// A namespace of a connection.
pub(crate) struct Namespace {
    pub(crate) socket: Socket,
    pub(crate) phase: Phase,
    /// It wants to be connected.
    pub(crate) active: bool,
    /// Its last handle is gone: it is forgotten when the server knows.
    pub(crate) removed: bool,
    /// Those who wait for the outcome of the attempt.
    pub(crate) waiters: Vec<oneshot::Sender<Result<(), ConnectError>>>,
    /// Between attempts that failed by `auth` alone.
    pub(crate) backoff: Backoff,
    buffer: VecDeque<Buffered>,
    /// Came before the server let us in, and their bytes.
    received: Vec<(String, OwnedArgs, Option<u64>)>,
    received_bytes: usize,
    acks: Acks,
    retries: Retries<Retried>,
    /// When the answer to what is on its way counts as missing.
    retry_at: Option<Instant>,
    /// What recovers this connection's state.
    pid: Option<String>,
    offset: Option<String>,
}

/// The last argument, if it can be where the server is: it is a short text.
pub(crate) fn offset(args: &Args<'_>) -> Option<String> {
    let last = args.len().checked_sub(1)?;
    let is_short_text = args.get(last)?.starts_with('"') && args.get(last)?.len() <= OFFSET_BYTES_MAX;
    if is_short_text { args.decode(last).ok() } else { None }
}

/// How far it is.
///
/// ```text
/// idle ─▶ authorizing ─▶ connecting ─▶ connected
///  ▲          │ failed       │ leaving: waits for the server's answer, since a DISCONNECT before it may break the connection
///  └──────── deferred ◀──────┴──────────────────────── any of them, when the connection is gone ──▶ idle
/// ```
pub(crate) enum Phase {
    /// There is no connection, or it does not want in.
    Idle,
    /// `auth` is being asked.
    Authorizing { asked: Boxed<Result<serde_json::Value, String>>, deadline: Option<Instant> },
    /// `auth` has failed; it is asked again then.
    Deferred { until: Instant },
    /// The server decides.
    Connecting { deadline: Option<Instant>, leaving: bool },
    /// We are in.
    Connected { slot: Slot },
}

/// An event that waits for the connection.
struct Buffered {
    packet: Packet,
    permit: Permit,
    ack_id: Option<u64>,
    outgoing: Option<Box<(String, OwnedArgs)>>,
}

/// An event that is sent until it is acknowledged.
struct Retried {
    packet: Packet,
    ack: Box<AckRequest>,
    outgoing: Option<Box<(String, OwnedArgs)>>,
    /// It counts as waiting until it is done.
    _permit: Permit,
}

impl Namespace {
    pub(crate) fn new(socket: Socket, config: &Config) -> Self {
        Namespace {
            socket,
            phase: Phase::Idle,
            active: false,
            removed: false,
            waiters: Vec::new(),
            backoff: Backoff::new(
                config.reconnection_delay,
                config.reconnection_delay_max,
                config.randomization_factor,
            ),
            buffer: VecDeque::new(),
            received: Vec::new(),
            received_bytes: 0,
            acks: Acks::new(config.pending_acks_max),
            retries: Retries::new(config.retries),
            retry_at: None,
            pid: None,
            offset: None,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected { .. })
    }

    /// What the CONNECT asks to be recovered.
    pub(crate) fn recovery(&self) -> Option<(&str, Option<&str>)> {
        self.pid.as_deref().map(|pid| (pid, self.offset.as_deref()))
    }

    /// Sends an event, keeps it, or drops it.
    pub(crate) fn emit(&mut self, item: Item, engine: Option<&mut Engine>) {
        let engine = engine.filter(|_| self.is_connected());
        let Item { packet, permit, volatile, ack, outgoing } = item;
        if volatile && !engine.as_ref().is_some_and(|engine| engine.is_writable()) {
            if let Some(ack) = ack {
                let _ = ack.answer.send(Err(AckError::Volatile));
            }
            return;
        }
        let mut ack_id = None;
        match ack {
            Some(ack) if self.socket.0.shared.config.retries > 0 && !volatile => {
                self.retries.push(Retried { packet, ack, outgoing, _permit: permit });
                return self.retry(engine);
            }
            Some(ack) => {
                ack_id = Some(ack.id);
                if !self.acks.insert(ack.id, ack.answer, ack.deadline) {
                    return;
                }
            }
            None => {}
        }
        let event = Buffered { packet, permit, ack_id, outgoing };
        match engine {
            Some(engine) => self.send(event, engine),
            None => self.buffer.push_back(event),
        }
    }

    fn send(&mut self, event: Buffered, engine: &mut Engine) {
        if let Some(outgoing) = &event.outgoing {
            tell_outgoing(&self.socket, &outgoing.0, &outgoing.1);
        }
        if let Some(id) = event.ack_id {
            self.acks.set_sent(id);
        }
        engine.send(event.packet, Some(event.permit));
    }

    /// Sends what has waited for the connection.
    pub(crate) fn flush(&mut self, engine: &mut Engine) {
        while let Some(event) = self.buffer.pop_front() {
            self.send(event, engine);
        }
        self.retry(Some(engine));
    }

    /// Sends the next of those that are sent until they are acknowledged, if none is on its way.
    fn retry(&mut self, engine: Option<&mut Engine>) {
        let Some(engine) = engine else { return };
        let Some(Retried { packet, ack, outgoing, .. }) = self.retries.send() else { return };
        self.retry_at = ack.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(outgoing) = outgoing {
            tell_outgoing(&self.socket, &outgoing.0, &outgoing.1);
        }
        engine.send(packet.clone(), None);
    }

    /// What was on its way has failed: it is given up, or sent again.
    fn retry_failed(&mut self, error: AckError, engine: Option<&mut Engine>) {
        self.retry_at = None;
        if let Some(given_up) = self.retries.failed() {
            let _ = given_up.ack.answer.send(Err(error));
        }
        let engine = engine.filter(|_| self.is_connected());
        self.retry(engine);
    }

    /// The server has answered.
    pub(crate) fn handle_ack(&mut self, id: u64, args: &Args<'_>, engine: &mut Engine) {
        if self.retries.in_flight().is_some_and(|retried| retried.ack.id == id) {
            self.retry_at = None;
            if let Some(done) = self.retries.acknowledged() {
                let _ = done.ack.answer.send(Ok(args.to_owned_args()));
            }
            return self.retry(Some(engine));
        }
        self.acks.resolve(id, Ok(args.to_owned_args()));
    }

    /// Keeps an event until the server has let us in. Whether there was room.
    pub(crate) fn keep(&mut self, name: &str, args: &Args<'_>, ack: Option<u64>, bytes_max: usize) -> bool {
        let bytes = name.len()
            + args.iter().map(str::len).sum::<usize>()
            + args.attachments().iter().map(bytes::Bytes::len).sum::<usize>()
            // What an entry takes by itself.
            + 64;
        self.received_bytes += bytes;
        let fits = self.received_bytes <= bytes_max;
        if fits {
            self.received.push((name.to_owned(), args.to_owned_args(), ack));
        }
        fits
    }

    /// What came before the server let us in.
    pub(crate) fn take_received(&mut self) -> Vec<(String, OwnedArgs, Option<u64>)> {
        self.received_bytes = 0;
        std::mem::take(&mut self.received)
    }

    /// The server has let us in: whether it has recovered the connection before.
    pub(crate) fn set_pid(&mut self, pid: Option<String>) -> bool {
        let recovered = pid.is_some() && pid == self.pid;
        if !recovered {
            self.offset = None;
        }
        self.pid = pid;
        recovered
    }

    /// The last argument of an event that wants no answer may be where the server is, if it recovers connections.
    pub(crate) fn remember_offset(&mut self, args: &Args<'_>) {
        if self.pid.is_some()
            && let Some(offset) = offset(args)
        {
            self.offset = Some(offset);
        }
    }

    /// The connection, or our place on it, is gone.
    pub(crate) fn disconnect(&mut self) {
        self.phase = Phase::Idle;
        self.received.clear();
        self.received_bytes = 0;
        self.acks.disconnect();
        self.retry_failed(AckError::Disconnected, None);
        let mut state = self.socket.0.state.lock();
        state.id = None;
    }

    /// It wants to be connected, or not any more.
    pub(crate) fn set_active(&mut self, active: bool) {
        self.active = active;
        self.socket.0.state.lock().active = active;
    }

    /// Tells those who wait for the attempt.
    pub(crate) fn resolve(&mut self, outcome: &Result<(), ConnectError>) {
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(outcome.clone());
        }
    }

    /// When something here has taken too long.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Authorizing { deadline, .. } | Phase::Connecting { deadline, .. } => *deadline,
            Phase::Deferred { until } => Some(*until),
            Phase::Idle | Phase::Connected { .. } => None,
        };
        [phase, self.retry_at, self.acks.poll_timeout()].into_iter().flatten().min()
    }

    /// Answers that have taken too long. Whether there was one.
    pub(crate) fn handle_timeout(&mut self, now: Instant, engine: Option<&mut Engine>) -> bool {
        let mut was_late = false;
        while let Some(id) = self.acks.handle_timeout(now) {
            // What nobody waits for any more is not sent.
            self.buffer.retain(|event| event.ack_id != Some(id));
            was_late = true;
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_failed(AckError::Timeout, engine);
            was_late = true;
        }
        was_late
    }
}
