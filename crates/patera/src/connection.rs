//! One client of Socket.IO: its sockets in all namespaces, over one session.

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use patera_protocol::engineio::{Message, Version};
use patera_protocol::socketio::{self, Args, EncodeError, Incoming, OwnedArgs, Slot, encode};
use serde::Serialize;
use smallvec::SmallVec;
use tokio::task::coop::has_budget_remaining;

use crate::acks::PendingAcks;
use crate::choosing::Chosen;
use crate::core::Shared;
use crate::details::DisconnectDetails;
use crate::dispatch;
use crate::error::{DisconnectReason, Error};
use crate::handler::DROP;
use crate::io::IoInner;
use crate::lines;
use crate::namespace::NamespaceInner;
use crate::namespaces::NoNamespace;
use crate::outbox::{Command, Item, PendingAck};
use crate::prepared::{Flags, Prepared};
use crate::session::{Application, Scope};
use crate::socket::{Socket, SocketInner};
use crate::tasks::{Outcome, Tasks};
use crate::trace::trace;

pub(crate) struct Connection {
    io: Arc<IoInner>,
    protocol: socketio::Connection,
    /// By slot.
    sockets: SmallVec<[Option<Socket>; 1]>,
    acks: PendingAcks,
    tasks: Tasks,
    /// Until the client has joined its first namespace.
    connect_until: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(io: Arc<IoInner>, version: Version) -> Self {
        Connection {
            protocol: socketio::Connection::server_with_revision(version.into(), io.core.protocol.clone()),
            sockets: SmallVec::new(),
            acks: PendingAcks::default(),
            tasks: Tasks::default(),
            connect_until: None,
            io,
        }
    }

    /// Whether the client is in no namespace, nor about to be let into one.
    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.iter().all(Option::is_none) && !self.tasks.is_choosing()
    }

    /// Whether all its sockets are let in.
    pub(crate) fn is_open(&self) -> bool {
        self.sockets.iter().flatten().all(|socket| socket.0.was_let_in())
    }

    /// A client asks to join a namespace.
    fn handle_connect(
        &mut self,
        slot: Slot,
        name: &str,
        auth: Option<Box<OwnedArgs>>,
        scope: &Scope<'_>,
    ) -> Result<(), DisconnectReason> {
        match self.io.namespaces.enter(name) {
            Some(namespace) => self.begin(slot, namespace, auth, scope),
            None if self.io.namespaces.has_parents() => {
                self.tasks.choosing().start(&self.io, slot, name, auth);
                self.begin_chosen(scope)
            }
            None => {
                self.refuse_namespace(slot, name, NoNamespace::Unknown, scope);
                Ok(())
            }
        }
    }

    fn refuse_namespace(&mut self, slot: Slot, name: &str, why: NoNamespace, scope: &Scope<'_>) {
        self.protocol.refuse(slot);
        push(scope.shared, |out| encode::connect_error(out, name, why.message(), None));
    }

    /// Goes on with those whose namespaces have been found.
    fn begin_chosen(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        while let Some(Chosen { slot, name, auth, found, .. }) = self.tasks.next_chosen(scope.waker) {
            match found {
                Some(Ok(seat)) => self.begin(slot, seat.take(), auth, scope)?,
                Some(Err(why)) => self.refuse_namespace(slot, &name, why, scope),
                None => {
                    trace!(error, "patera::socket", "the choice of a namespace panicked", namespace = ?name);
                    return Err(DisconnectReason::HandlerPanicked);
                }
            }
        }
        Ok(())
    }

    /// A socket in a namespace that exists, and the middlewares' decision about it.
    fn begin(
        &mut self,
        slot: Slot,
        namespace: Arc<NamespaceInner>,
        auth: Option<Box<OwnedArgs>>,
        scope: &Scope<'_>,
    ) -> Result<(), DisconnectReason> {
        let socket = SocketInner::new(self.io.clone(), slot, namespace, scope.shared.clone(), auth);
        if self.sockets.len() <= slot.index() {
            self.sockets.resize(slot.index() + 1, None);
        }
        let socket = self.sockets[slot.index()].insert(Socket(socket));
        match dispatch::decide(socket, &mut self.tasks, scope.waker) {
            Some(outcome) => self.handle_outcome(outcome, scope),
            None => Ok(()),
        }
    }

    fn handle_outcome(&mut self, outcome: Outcome, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Panicked => Err(DisconnectReason::HandlerPanicked),
            Outcome::Connect { number, decision } => match (self.socket(number), decision) {
                // The client has given up meanwhile.
                (None, _) => Ok(()),
                (Some(socket), Ok(())) => self.let_in(&socket, scope),
                (Some(socket), Err(error)) => self.refuse(&socket, &error, scope),
            },
            Outcome::Stepped { number, decision } => match self.socket(number) {
                None => Ok(()),
                Some(socket) => {
                    let resume = || lines::resume(&socket, decision, &mut self.tasks, scope.waker);
                    dispatch::guarded(&socket, DROP, resume)
                }
            },
        }
    }

    fn socket(&self, number: u64) -> Option<Socket> {
        self.sockets.iter().flatten().find(|socket| socket.0.number == number).cloned()
    }

    fn let_in(&mut self, socket: &Socket, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        #[derive(Serialize)]
        struct Connected<'a> {
            sid: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            pid: Option<&'a str>,
        }
        self.connect_until = None;
        scope.shared.join();
        self.protocol.accept(socket.0.slot);
        let payload = match scope.shared.dialect.version {
            Version::V4 => {
                Some(Connected { sid: socket.id(), pid: socket.0.recoverable().map(|recoverable| recoverable.pid()) })
            }
            // It knows its id by itself.
            _ => None,
        };
        let packet = Prepared::packet(scope.shared.core.parser(), Flags::control(), |out| {
            encode::connect(out, &socket.0.namespace.name, &payload).map(|()| Vec::new())
        });
        let packet = packet.map_err(|_| DisconnectReason::ForcedServerClose)?;
        dispatch::connect(socket, packet, &mut self.tasks, scope.waker)
    }

    fn refuse(&mut self, socket: &Socket, error: &Error, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        trace!(debug, "patera::socket", "refused", namespace = %socket.0.namespace.name, error = %error);
        self.protocol.refuse(socket.0.slot);
        self.sockets[socket.0.slot.index()] = None;
        let name = &socket.0.namespace.name;
        push(scope.shared, |out| match scope.shared.dialect.version {
            Version::V4 => encode::connect_error(out, name, &error.message(), error.data()),
            _ => encode::error_v4(out, name, &error.message(), error.data()),
        });
        dispatch::disconnect(socket, DisconnectReason::ServerNamespaceDisconnect, &mut self.tasks, scope.waker)
    }

    /// Takes the socket out of its slot.
    fn remove(&mut self, slot: Slot, reason: DisconnectReason, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        self.acks.drop_slot(slot);
        self.tasks.cancel_choice(slot);
        match self.sockets.get_mut(slot.index()).and_then(Option::take) {
            Some(socket) => dispatch::disconnect(&socket, reason, &mut self.tasks, scope.waker),
            None => Ok(()),
        }
    }

    fn leave(&mut self, socket: &Socket, scope: &Scope<'_>) {
        push(scope.shared, |out| encode::disconnect(out, &socket.0.namespace.name));
        self.protocol.leave(socket.0.slot);
        // A panic of a disconnect handler is reported; the connection ends or goes on as it would have.
        let _ = self.remove(socket.0.slot, DisconnectReason::ServerNamespaceDisconnect, scope);
    }
}

impl Drop for Connection {
    /// A session whose task is torn down without its end (a runtime that stops) leaves no socket in a room.
    fn drop(&mut self) {
        self.sockets.iter().flatten().for_each(dispatch::forget);
    }
}

/// What changes which sockets there are, and so cannot be done while the packet is borrowed.
enum Step {
    Done(Result<(), DisconnectReason>),
    Connect(Slot, String, Option<Box<OwnedArgs>>),
    Disconnect(Slot),
}

impl Application for Connection {
    fn open(&mut self, scope: &Scope<'_>) {
        self.connect_until = Some(scope.now + self.io.core.config.connect_timeout);
        // A client of Engine.IO 3 has asked for the default namespace by opening the session.
        if scope.shared.dialect.version == Version::V3
            && let Some(slot) = self.protocol.enter_root()
            && let Err(reason) = self.handle_connect(slot, "/", None, scope)
        {
            scope.shared.outbox.command(Command::Close { reason, flush: true });
        }
    }

    fn handle_message(&mut self, message: Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        let Connection { protocol, sockets, acks, tasks, .. } = self;
        let incoming = protocol.handle_message(message, scope.now);
        let step = match incoming.map_err(|error| violated(scope, &error))? {
            None => Step::Done(Ok(())),
            Some(Incoming::Event { slot, name, args, ack }) => Step::Done(match sockets.get(slot.index()) {
                Some(Some(socket)) => dispatch::event(socket, &name, &args, ack, tasks, scope.waker),
                Some(None) | None => Ok(()),
            }),
            Some(Incoming::Ack { slot, id, args }) => {
                acks.resolve(slot, id, || args.to_owned_args());
                Step::Done(Ok(()))
            }
            Some(Incoming::Connect { slot, namespace, auth }) => {
                let auth = auth.map(|auth| Box::new(Args::from_raw(Some(auth)).to_owned_args()));
                Step::Connect(slot, namespace.to_owned(), auth)
            }
            Some(Incoming::Disconnect { slot }) => Step::Disconnect(slot),
            Some(Incoming::Connected { .. } | Incoming::ConnectError { .. }) => {
                Step::Done(Err(DisconnectReason::ForcedClose))
            }
        };
        if matches!(message, Message::Binary(_)) {
            protocol.release();
        }
        match step {
            Step::Done(result) => result,
            Step::Connect(slot, name, auth) => {
                self.protocol.release();
                self.handle_connect(slot, &name, auth, scope)
            }
            Step::Disconnect(slot) => self.remove(slot, DisconnectReason::ClientNamespaceDisconnect, scope),
        }
    }

    fn handle_leave(&mut self, slot: Slot, number: u64, scope: &Scope<'_>) {
        if let Some(Some(socket)) = self.sockets.get(slot.index())
            && socket.0.number == number
        {
            self.leave(&socket.clone(), scope);
        }
    }

    fn handle_leave_all(&mut self, scope: &Scope<'_>) {
        let sockets: Vec<_> = self.sockets.iter().flatten().cloned().collect();
        sockets.iter().for_each(|socket| self.leave(socket, scope));
    }

    fn handle_sent(&mut self, ack: PendingAck) {
        // Who has left meanwhile answers nothing: dropped, the acknowledgement fails at once.
        if let Some(Some(socket)) = self.sockets.get(ack.slot.index())
            && socket.0.number == ack.number
        {
            self.acks.insert(ack, self.io.core.config.pending_acks_max);
        }
    }

    fn handle_forget(&mut self, slot: Slot, id: u64) {
        self.acks.forget(slot, id);
    }

    fn handle_ping_sent(&mut self, shared: &Arc<Shared>) {
        let recoverable = self.sockets.iter().flatten().filter_map(|socket| socket.0.recoverable());
        recoverable.for_each(|recoverable| recoverable.handle_ping_sent(shared));
    }

    fn handle_pong(&mut self, shared: &Arc<Shared>) {
        let recoverable = self.sockets.iter().flatten().filter_map(|socket| socket.0.recoverable());
        recoverable.for_each(|recoverable| recoverable.handle_pong(shared));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.connect_until, self.protocol.poll_timeout()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        if self.connect_until.is_some_and(|at| at <= scope.now) {
            return Err(DisconnectReason::ForcedClose);
        }
        self.protocol.handle_timeout(scope.now).map_err(|_| DisconnectReason::ForcedClose)
    }

    fn pause(&mut self, now: Instant) {
        self.protocol.pause(now);
    }

    fn resume(&mut self, now: Instant) {
        self.protocol.resume(now);
    }

    fn is_full(&self) -> bool {
        self.tasks.is_full(&self.io.core.config)
    }

    fn poll(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        // Without a budget each would be polled in vain; the session comes back at once.
        while has_budget_remaining()
            && let Poll::Ready(Some(outcome)) = self.tasks.poll_next(scope.waker)
        {
            self.handle_outcome(outcome, scope)?;
        }
        self.begin_chosen(scope)
    }

    fn close(&mut self, reason: DisconnectReason, scope: &Scope<'_>) {
        self.acks = PendingAcks::default();
        self.tasks.cancel_choices();
        for slot in std::mem::take(&mut self.sockets).iter().flatten() {
            let _ = dispatch::disconnect(slot, reason, &mut self.tasks, scope.waker);
        }
    }

    fn poll_closed(&mut self, scope: &Scope<'_>) -> Poll<()> {
        loop {
            match self.tasks.poll_next(scope.waker) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

pub(crate) fn violated(scope: &Scope<'_>, error: &socketio::Error) -> DisconnectReason {
    scope.shared.life.set_details(DisconnectDetails::described(error.to_string()));
    trace!(debug, "patera::socket", "protocol violated", sid = %scope.shared.sid, error = %error);
    DisconnectReason::ForcedClose
}

/// Pushes a packet of the connection itself.
fn push(session: &Arc<Shared>, encode: impl FnOnce(&mut Vec<u8>)) {
    let packet = Prepared::packet(session.core.parser(), Flags::control(), |out| {
        encode(out);
        Ok::<_, EncodeError>(Vec::new())
    });
    let Ok(prepared) = packet else { return };
    if let Err(error) = session.outbox.push(Item { prepared, ack: None }, &session.core.config) {
        session.core.count_drop(&error);
    }
}
