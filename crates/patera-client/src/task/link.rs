//! The connection as a whole: attempts and their delays, what all sockets are told, the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use patera_protocol::engineio::{CloseReason, Message};
use patera_protocol::socketio::{Connection, Slot};
use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Task;
use crate::engine::{Engine, EngineEvent};
use crate::error::{ConnectError, TransportError};
use crate::lifecycle::{Disconnect, DisconnectReason, Lifecycle};
use crate::namespace::Phase;
use crate::trace::trace;

/// So many messages are taken before commands and handlers have their turn.
const TURN_EVENTS: usize = 32;

/// How the connection stands.
///
/// ```text
///   down ── a socket wants in ──▶ opening ── handshake ──▶ up ── lost ──▶ waiting ── delay ──▶ opening …
///    ▲                                │ failed ──────────────────────────────▲
///    └── no socket wants in any more, or no attempt is left ── any of them
/// ```
pub(super) enum Link {
    Down,
    Waiting {
        until: Instant,
    },
    Opening {
        engine: Box<Engine>,
        deadline: Option<Instant>,
        /// 0 for the first.
        attempt: u32,
    },
    Up(Box<Up>),
}

/// A session that is open, and what is inside.
pub(super) struct Up {
    pub(super) engine: Engine,
    pub(super) connection: Connection,
    /// Which socket has which slot.
    pub(super) slots: HashMap<Slot, u64>,
    /// Too many handlers wait, or too many answers: nothing is read.
    is_resting: bool,
}

impl Link {
    /// The session, if messages pass.
    pub(super) fn engine(&mut self) -> Option<&mut Engine> {
        match self {
            Link::Up(up) => Some(&mut up.engine),
            Link::Down | Link::Waiting { .. } | Link::Opening { .. } => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Link::Down => None,
            Link::Waiting { until } => Some(*until),
            Link::Opening { engine, deadline, .. } => {
                [*deadline, engine.poll_timeout().map(Instant::from_std)].into_iter().flatten().min()
            }
            Link::Up(up) => {
                let both = [up.engine.poll_timeout(), up.connection.poll_timeout()];
                both.into_iter().flatten().min().map(Instant::from_std)
            }
        }
    }
}

impl Task {
    /// Begins an attempt, if none is under way and there is no connection. A delay is cut short by who calls `connect`.
    pub(super) fn open(&mut self, attempt: u32, cx: &mut Context<'_>) {
        let now = Instant::now();
        let deadline = self.config.timeout.and_then(|timeout| now.checked_add(timeout));
        let engine = Box::new(Engine::open(self.endpoint.clone(), now.into_std()));
        trace!(debug, "connecting", attempt = %attempt);
        self.link = Link::Opening { engine, deadline, attempt };
        self.tell_active(&Lifecycle::Connecting, cx);
    }

    /// Moves the session. Whether it had anything to say.
    pub(super) fn poll_link(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut has_moved = false;
        for _ in 0..TURN_EVENTS {
            let must_rest = self.must_rest();
            let event = match &mut self.link {
                Link::Down | Link::Waiting { .. } => return has_moved,
                Link::Opening { engine, .. } => engine.poll(cx, now.into_std(), true),
                Link::Up(up) => {
                    if up.is_resting != must_rest {
                        up.is_resting = must_rest;
                        up.engine.set_reading(!must_rest, now.into_std());
                    }
                    up.engine.poll(cx, now.into_std(), !must_rest)
                }
            };
            match event {
                Poll::Ready(event) => self.handle_event(event, cx, now),
                // What kept us from reading may have been written just now.
                Poll::Pending if must_rest && !self.must_rest() => {}
                Poll::Pending => return has_moved,
            }
            has_moved = true;
        }
        has_moved
    }

    /// Whether too much is under way to read more.
    fn must_rest(&self) -> bool {
        self.calls.len() >= self.config.pending_handlers_max || self.shared.answers.is_full()
    }

    fn handle_event(&mut self, event: EngineEvent, cx: &mut Context<'_>, now: Instant) {
        match event {
            EngineEvent::Opened => self.handle_opened(cx),
            EngineEvent::Text(text) => self.handle_incoming(Message::Text(&text), cx, now),
            EngineEvent::Binary(data) => self.handle_incoming(Message::Binary(&data), cx, now),
            EngineEvent::Upgraded => self.handle_upgraded(cx),
            EngineEvent::Closed { reason, error } => self.handle_closed(reason, error, cx),
        }
    }

    fn handle_opened(&mut self, cx: &mut Context<'_>) {
        let Link::Opening { engine, attempt, .. } = std::mem::replace(&mut self.link, Link::Down) else { return };
        trace!(debug, "connection open", transport = %engine.transport());
        self.backoff.reset();
        self.shared.set_transport(Some(engine.transport()));
        self.shared.set_max_payload(engine.max_payload);
        self.link = Link::Up(Box::new(Up {
            engine: *engine,
            connection: Connection::client(Arc::new(self.config.protocol.clone())),
            slots: HashMap::new(),
            is_resting: false,
        }));
        if attempt > 0 {
            self.tell_active(&Lifecycle::Reconnect { attempt }, cx);
        }
        for number in self.active() {
            self.begin_connect(number, cx);
        }
    }

    fn handle_upgraded(&mut self, cx: &mut Context<'_>) {
        let Some(engine) = self.link.engine() else { return };
        let transport = engine.transport();
        self.shared.set_transport(Some(transport));
        self.tell_active(&Lifecycle::Upgrade(transport), cx);
    }

    fn handle_closed(&mut self, reason: CloseReason, error: Option<TransportError>, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.link, Link::Down) {
            Link::Opening { engine, attempt, .. } => {
                self.close_engine(*engine, Vec::new());
                let error = match error {
                    Some(TransportError::Timeout) => ConnectError::Timeout,
                    Some(error) => ConnectError::Transport(Arc::new(error)),
                    None => ConnectError::Timeout,
                };
                self.fail_attempt(&error, attempt, cx);
            }
            Link::Up(up) => {
                // The server may be there still, and not know that we are not.
                if matches!(reason, CloseReason::ParseError | CloseReason::PingTimeout) {
                    self.close_engine(up.engine, Vec::new());
                }
                self.lose(reason.into(), error.map(Arc::new), cx);
            }
            Link::Down | Link::Waiting { .. } => {}
        }
    }

    /// The session is gone: every socket is told, and the next attempt is on its way.
    pub(super) fn lose(&mut self, reason: DisconnectReason, error: Option<Arc<TransportError>>, cx: &mut Context<'_>) {
        trace!(debug, "connection lost", reason = %reason);
        self.link = Link::Down;
        self.shared.set_transport(None);
        self.backoff.reset();
        if let Some(error) = &error {
            self.tell_active(&Lifecycle::Error(error.clone()), cx);
        }
        for number in self.numbers() {
            let Some(namespace) = self.namespaces.get_mut(&number) else { continue };
            let (was_connected, was_active) = (namespace.is_connected(), namespace.active);
            namespace.disconnect();
            if namespace.removed {
                self.forget(number);
            } else if was_connected {
                self.tell(number, &Lifecycle::Disconnect(Disconnect { reason, details: error.clone() }), cx);
            } else if was_active {
                let error = error
                    .clone()
                    .unwrap_or_else(|| Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()));
                self.refuse(number, ConnectError::Transport(error), cx);
            }
        }
        self.schedule(cx);
    }

    /// An attempt has failed.
    fn fail_attempt(&mut self, error: &ConnectError, attempt: u32, cx: &mut Context<'_>) {
        trace!(debug, "attempt failed", error = %error);
        for number in self.active() {
            self.refuse(number, error.clone(), cx);
        }
        if attempt > 0 {
            self.tell_active(&Lifecycle::ReconnectError(error.clone()), cx);
        }
        self.schedule(cx);
    }

    /// Decides on the next attempt.
    fn schedule(&mut self, cx: &mut Context<'_>) {
        let active = self.active();
        // A handler may have begun one already by a command; that comes later. Nobody is left, or nothing is to be tried again.
        if active.is_empty() || !matches!(self.link, Link::Down) {
            return;
        }
        if !self.config.reconnection || self.config.gives_up_after(self.backoff.attempts()) {
            self.backoff.reset();
            if self.config.reconnection {
                self.tell_active(&Lifecycle::ReconnectFailed, cx);
            }
            for number in active {
                if let Some(namespace) = self.namespaces.get_mut(&number) {
                    namespace.set_active(false);
                }
            }
            return;
        }
        let delay = self.backoff.next(self.random.random());
        self.link = Link::Waiting { until: Instant::now() + delay };
        self.tell_active(&Lifecycle::Reconnecting { attempt: self.backoff.attempts(), delay }, cx);
    }

    /// What the connection as a whole waits for. Whether it was due.
    pub(super) fn handle_link_timeout(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        match &mut self.link {
            Link::Waiting { until } if *until <= now => {
                let attempt = self.backoff.attempts();
                self.open(attempt, cx);
                true
            }
            Link::Opening { deadline: Some(deadline), attempt, .. } if *deadline <= now => {
                let attempt = *attempt;
                if let Link::Opening { engine, .. } = std::mem::replace(&mut self.link, Link::Down) {
                    self.close_engine(*engine, Vec::new());
                }
                self.fail_attempt(&ConnectError::Timeout, attempt, cx);
                true
            }
            Link::Up(up) => {
                let missing = up.connection.handle_timeout(now.into_std());
                let is_late = missing.is_err();
                if let Err(error) = missing {
                    up.engine.fail(TransportError::Protocol(error));
                }
                is_late
            }
            Link::Down | Link::Waiting { .. } | Link::Opening { .. } => false,
        }
    }

    /// Ends the connection if no socket needs it. What waits is sent; `done` is told then, or at once if it goes on.
    pub(super) fn close_if_unused(&mut self, done: Vec<oneshot::Sender<()>>, cx: &mut Context<'_>) {
        let is_used = self.namespaces.values().any(|namespace| namespace.active);
        let link = if is_used { None } else { Some(std::mem::replace(&mut self.link, Link::Down)) };
        let engine = match link {
            Some(Link::Opening { engine, .. }) => Some(*engine),
            Some(Link::Up(up)) => Some(up.engine),
            Some(Link::Down | Link::Waiting { .. }) | None => None,
        };
        if !is_used {
            self.shared.set_transport(None);
            self.backoff.reset();
            for number in self.numbers() {
                let Some(namespace) = self.namespaces.get_mut(&number) else { continue };
                if !matches!(namespace.phase, Phase::Idle) {
                    namespace.disconnect();
                }
                if namespace.removed {
                    self.forget(number);
                }
            }
        }
        match engine {
            Some(engine) => self.close_engine(engine, done),
            None => tell_all(done),
        }
        cx.waker().wake_by_ref();
    }

    /// Ends a session in the background, within its time.
    fn close_engine(&mut self, engine: Engine, done: Vec<oneshot::Sender<()>>) {
        let limit = self.config.close_timeout;
        self.closing.push(Box::pin(async move {
            // Too late is cut.
            let _ = tokio::time::timeout(limit, engine.close()).await;
            tell_all(done);
        }));
    }

    pub(super) fn tell_active(&mut self, lifecycle: &Lifecycle, cx: &mut Context<'_>) {
        for number in self.active() {
            self.tell(number, lifecycle, cx);
        }
    }

    pub(super) fn tell(&mut self, number: u64, lifecycle: &Lifecycle, cx: &mut Context<'_>) {
        if let Some(namespace) = self.namespaces.get(&number) {
            self.calls.tell(&namespace.socket, lifecycle, cx);
        }
    }

    fn numbers(&self) -> Vec<u64> {
        self.namespaces.keys().copied().collect()
    }

    /// The sockets that want to be connected.
    pub(super) fn active(&self) -> Vec<u64> {
        self.namespaces.iter().filter(|(_, namespace)| namespace.active).map(|(number, _)| *number).collect()
    }
}

fn tell_all(done: Vec<oneshot::Sender<()>>) {
    for done in done {
        // Whoever asked may have left.
        let _ = done.send(());
    }
}
