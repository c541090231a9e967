//! What handles want of a socket: to connect, to leave, to send; and the way into a namespace.

use std::task::{Context, Poll};
use std::time::Duration;

use patera_protocol::socketio::ConnectError as NamespaceError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Task;
use super::link::{Link, Up};
use crate::auth::{Auth, payload};
use crate::calls::catch;
use crate::error::{ConnectError, TransportError};
use crate::lifecycle::{Disconnect, DisconnectReason, Lifecycle};
use crate::namespace::{Namespace, Phase};
use crate::shared::{Answer, Command, Item};

/// How long a socket waits for one of the same name that is being left, before it looks again.
const LEAVING_PAUSE: Duration = Duration::from_millis(20);

impl Task {
    /// Does what handles have asked for. Whether there was anything.
    pub(super) fn take_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut commands = std::mem::take(&mut self.commands);
        let ends = self.shared.take_commands(&mut commands, cx.waker());
        let has_some = !commands.is_empty();
        for command in commands.drain(..) {
            self.handle_command(command, cx);
        }
        self.commands = commands;
        if ends && !self.is_ending {
            self.is_ending = true;
            self.leave_all(cx);
            self.close_if_unused(Vec::new(), cx);
            self.calls.clear();
        }
        has_some
    }

    fn handle_command(&mut self, command: Command, cx: &mut Context<'_>) {
        match command {
            Command::Add(socket) => {
                let namespace = Namespace::new(socket, &self.config);
                self.namespaces.insert(namespace.socket.0.number, namespace);
            }
            Command::Remove(number) => self.remove(number, cx),
            Command::Connect(number, waiter) => self.connect(number, waiter, cx),
            Command::Disconnect(number, done) => {
                self.leave(number, cx);
                self.close_if_unused(vec![done], cx);
            }
            Command::Emit(number, item) => self.emit(number, item),
            Command::Answer(answer) => self.answer(answer),
            Command::Close(done) => {
                self.leave_all(cx);
                self.close_if_unused(vec![done], cx);
            }
        }
    }

    fn emit(&mut self, number: u64, item: Item) {
        if let Some(namespace) = self.namespaces.get_mut(&number) {
            namespace.emit(item, self.link.engine());
        }
    }

    fn answer(&mut self, Answer { socket, generation, packet, permit }: Answer) {
        let Some(namespace) = self.namespaces.get(&socket) else { return };
        let is_same = namespace.is_connected() && namespace.socket.0.state.lock().generation == generation;
        if is_same && let Some(engine) = self.link.engine() {
            engine.send(packet, permit);
        }
    }

    fn connect(&mut self, number: u64, waiter: oneshot::Sender<Result<(), ConnectError>>, cx: &mut Context<'_>) {
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        if namespace.is_connected() {
            let _ = waiter.send(Ok(()));
            return;
        }
        namespace.waiters.retain(|waiter| !waiter.is_closed());
        namespace.waiters.push(waiter);
        namespace.set_active(true);
        if let Phase::Connecting { leaving, .. } = &mut namespace.phase {
            *leaving = false;
            return;
        }
        match self.link {
            Link::Down => self.open(0, cx),
            // Whoever wants it now need not wait; further delays go on from there.
            Link::Waiting { .. } => self.open(self.backoff.attempts(), cx),
            Link::Opening { .. } => {}
            Link::Up(_) => {
                self.tell(number, &Lifecycle::Connecting, cx);
                self.begin_connect(number, cx);
            }
        }
    }

    /// Asks for what the server is to be told, then for the namespace.
    pub(super) fn begin_connect(&mut self, number: u64, cx: &mut Context<'_>) {
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        if !matches!(namespace.phase, Phase::Idle | Phase::Deferred { .. }) {
            return;
        }
        let auth = namespace.socket.0.auth.lock().clone();
        match auth {
            Auth::None => self.send_connect(number, serde_json::Value::Null, cx),
            Auth::Value(value) => self.send_connect(number, value, cx),
            Auth::Closure(ask) => {
                let deadline = self.config.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
                match catch(|| ask()) {
                    Some(asked) => {
                        namespace.phase = Phase::Authorizing { asked, deadline };
                        cx.waker().wake_by_ref();
                    }
                    None => self.defer(number, "the closure panicked", cx),
                }
            }
        }
    }

    /// Polls the closures that are being asked. Whether one has answered.
    pub(super) fn poll_auth(&mut self, cx: &mut Context<'_>) -> bool {
        let mut answers = Vec::new();
        for (number, namespace) in &mut self.namespaces {
            if let Phase::Authorizing { asked, .. } = &mut namespace.phase {
                match catch(|| asked.as_mut().poll(cx)) {
                    Some(Poll::Ready(answer)) => answers.push((*number, answer)),
                    Some(Poll::Pending) => {}
                    None => answers.push((*number, Err("the closure panicked".to_owned()))),
                }
            }
        }
        let has_some = !answers.is_empty();
        for (number, answer) in answers {
            match answer {
                Ok(auth) => self.send_connect(number, auth, cx),
                Err(error) => self.defer(number, &error, cx),
            }
        }
        has_some
    }

    fn send_connect(&mut self, number: u64, auth: serde_json::Value, cx: &mut Context<'_>) {
        let (Link::Up(up), Some(namespace)) = (&mut self.link, self.namespaces.get_mut(&number)) else { return };
        let Up { engine, connection, slots, .. } = &mut **up;
        let name = &namespace.socket.0.namespace;
        let payload = payload(auth, namespace.recovery());
        let packet = match namespace.socket.codec().connect(name, payload.as_ref()) {
            Ok(packet) => packet,
            Err(error) => return self.give_up(number, ConnectError::Auth(error.to_string()), cx),
        };
        match connection.connect(name) {
            Ok(slot) => {
                engine.send(packet, None);
                slots.insert(slot, number);
                let deadline = self.config.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
                namespace.phase = Phase::Connecting { deadline, leaving: false };
            }
            // Another socket of this name is on its way out, and the server has to tell it something first.
            Err(NamespaceError::AlreadyConnected) => {
                namespace.phase = Phase::Deferred { until: Instant::now() + LEAVING_PAUSE };
            }
            Err(error) => self.give_up(number, ConnectError::Namespace(error), cx),
        }
    }

    /// `auth` has failed: it is asked again later.
    fn defer(&mut self, number: u64, error: &str, cx: &mut Context<'_>) {
        let random = rand::RngExt::random(&mut self.random);
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        let error = ConnectError::Auth(error.to_owned());
        let attempts = namespace.backoff.attempts();
        if !self.config.reconnection || self.config.gives_up_after(attempts) {
            return self.give_up(number, error, cx);
        }
        namespace.phase = Phase::Deferred { until: Instant::now() + namespace.backoff.next(random) };
        self.refuse(number, error, cx);
    }

    /// A socket's attempt has failed, and there may be others.
    pub(super) fn refuse(&mut self, number: u64, error: ConnectError, cx: &mut Context<'_>) {
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        let outcome = Err(error.clone());
        namespace.resolve(&outcome);
        self.tell(number, &Lifecycle::ConnectError(error), cx);
    }

    /// A socket's attempt has failed for good.
    pub(super) fn give_up(&mut self, number: u64, error: ConnectError, cx: &mut Context<'_>) {
        if let Some(namespace) = self.namespaces.get_mut(&number) {
            namespace.disconnect();
            namespace.backoff.reset();
            namespace.set_active(false);
        }
        self.refuse(number, error, cx);
        self.close_if_unused(Vec::new(), cx);
    }

    /// What a socket on its way into its namespace waits for. Whether it was due.
    pub(super) fn handle_phase_timeout(&mut self, number: u64, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(namespace) = self.namespaces.get_mut(&number) else { return false };
        match &mut namespace.phase {
            Phase::Authorizing { deadline: Some(deadline), .. } if *deadline <= now => {
                self.defer(number, "timeout", cx);
            }
            Phase::Deferred { until } if *until <= now => self.begin_connect(number, cx),
            Phase::Connecting { deadline: late @ Some(_), leaving } if late.is_some_and(|deadline| deadline <= now) => {
                *late = None;
                if !*leaving {
                    self.miss_answer(number, cx);
                }
            }
            Phase::Idle | Phase::Authorizing { .. } | Phase::Deferred { .. } | Phase::Connecting { .. } => {
                return false;
            }
            Phase::Connected { .. } => return false,
        }
        true
    }

    /// The server does not say whether it lets us in. If it has let nobody in, the connection is of no use.
    fn miss_answer(&mut self, number: u64, cx: &mut Context<'_>) {
        if self.namespaces.values().any(Namespace::is_connected) {
            return self.refuse(number, ConnectError::Timeout, cx);
        }
        if let Some(engine) = self.link.engine() {
            engine.fail(TransportError::Timeout);
        }
    }

    /// Leaves a namespace, or stops wanting in.
    fn leave(&mut self, number: u64, cx: &mut Context<'_>) {
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        namespace.set_active(false);
        namespace.backoff.reset();
        namespace.resolve(&Err(ConnectError::Closed));
        match &mut namespace.phase {
            Phase::Connected { slot } => {
                if let Link::Up(up) = &mut self.link {
                    up.connection.leave(*slot);
                    up.slots.remove(slot);
                    let name = &namespace.socket.0.namespace;
                    up.engine.send(namespace.socket.codec().disconnect(name), None);
                }
                namespace.disconnect();
                let reason = DisconnectReason::IoClientDisconnect;
                self.tell(number, &Lifecycle::Disconnect(Disconnect { reason, details: None }), cx);
            }
            Phase::Connecting { leaving, .. } => *leaving = true,
            Phase::Idle | Phase::Authorizing { .. } | Phase::Deferred { .. } => namespace.phase = Phase::Idle,
        }
    }

    fn leave_all(&mut self, cx: &mut Context<'_>) {
        let numbers: Vec<u64> = self.namespaces.keys().copied().collect();
        for number in numbers {
            self.leave(number, cx);
        }
    }

    /// The last handle of a socket is gone.
    fn remove(&mut self, number: u64, cx: &mut Context<'_>) {
        self.leave(number, cx);
        if let Some(namespace) = self.namespaces.get_mut(&number) {
            namespace.socket.0.listeners.clear();
            namespace.removed = true;
            if matches!(namespace.phase, Phase::Idle) {
                self.forget(number);
            }
        }
        self.close_if_unused(Vec::new(), cx);
    }

    pub(super) fn forget(&mut self, number: u64) {
        if let Some(mut namespace) = self.namespaces.remove(&number) {
            namespace.disconnect();
        }
    }
}
