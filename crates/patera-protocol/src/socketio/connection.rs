//! The state of one Socket.IO connection: which namespaces it is in, and which attachments are still to come. SIO 5
//! and 4, both roles.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    args::Args,
    config::ConnectionConfig,
    error::{ConnectError, Error, Limit},
    json,
    namespaces::{Namespaces, Slot, Status},
    packet::{self, Header, Kind},
    placeholder,
    revision::{Revision, query_to_object},
};
use crate::engineio::Message;
use crate::time::after;

/// One Socket.IO connection: Engine.IO messages in, packets out, in order.
///
/// It says what a packet means, refuses what may not come now, and puts attachments back where they belong. It owns no
/// buffers while nothing is missing. The shell decides about each CONNECT, and encodes what is to be sent with
/// [`encode`](super::encode).
///
/// After an error the two sides no longer agree on what was said: close the connection, and feed nothing more.
#[derive(Debug)]
pub struct Connection {
    config: Arc<ConnectionConfig>,
    role: Role,
    revision: Revision,
    namespaces: Namespaces,
    /// A binary packet, from its header until the next message after its last attachment.
    binary: Option<Box<Binary>>,
    /// Revision 4: what the last CONNECT said in its query, until the next CONNECT or `release`.
    auth: Option<Box<Auth>>,
}

/// Boxed once more, for nearly no connection has it.
#[derive(Debug)]
struct Auth(Box<RawValue>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

/// A binary packet whose attachments are coming, or that is being handed out.
#[derive(Debug)]
struct Binary {
    slot: Slot,
    kind: Kind,
    ack: Option<u64>,
    /// Checked when the header came.
    json: String,
    attachments: Vec<Bytes>,
    missing: usize,
    bytes: usize,
    patience: Patience,
    /// For a namespace that has been left: the attachments are taken off the wire, and nothing is kept.
    discarded: bool,
}

/// How long attachments may still take.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Until(Instant),
    /// We do not read: they may have come.
    Rests(Duration),
}

/// What came.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Server: the client asks for a namespace. [`Connection::accept`] or [`Connection::refuse`] it.
    Connect {
        /// Its slot from now on.
        slot: Slot,
        /// Its name.
        namespace: &'a str,
        /// What the client says about itself: an object. In revision 4 it is made of the query behind the name,
        /// `0/chat?token=x,` → `{"token":"x"}`.
        auth: Option<&'a RawValue>,
    },
    /// Client: the server has taken us in.
    Connected {
        /// The slot that [`Connection::connect`] returned.
        slot: Slot,
        /// Its name.
        namespace: &'a str,
        /// An object with our `sid`. In revision 4 nothing.
        payload: Option<&'a RawValue>,
    },
    /// Client: the server has refused us. The slot is free.
    ConnectError {
        /// The slot that [`Connection::connect`] returned.
        slot: Slot,
        /// Its name.
        namespace: &'a str,
        /// An object with a `message`, or text. In revision 4 anything.
        payload: Option<&'a RawValue>,
    },
    /// The peer has left the namespace, or no longer wants to enter it. The slot is free: a later
    /// [`Connection::accept`] or [`Connection::refuse`] of it would be for somebody else.
    Disconnect {
        /// Its slot until now.
        slot: Slot,
    },
    /// An event.
    Event {
        /// Of the namespace.
        slot: Slot,
        /// Never one of [`RESERVED_EVENTS`](super::RESERVED_EVENTS).
        name: Cow<'a, str>,
        /// Without the name.
        args: Args<'a>,
        /// The id to acknowledge with, if the peer wants that.
        ack: Option<u64>,
    },
    /// The acknowledgement of an event of ours. It may well be one that nobody awaits.
    Ack {
        /// Of the namespace.
        slot: Slot,
        /// The id that the event had.
        id: u64,
        /// The answer.
        args: Args<'a>,
    },
}

impl Connection {
    /// The server's side: namespaces are entered when the client asks and we accept.
    pub fn server(config: Arc<ConnectionConfig>) -> Self {
        Connection::server_with_revision(Revision::V5, config)
    }

    /// As [`Connection::server`], of either revision. In revision 4 begin with [`Connection::enter_root`].
    pub fn server_with_revision(revision: Revision, config: Arc<ConnectionConfig>) -> Self {
        Connection::new(config, Role::Server, revision)
    }

    /// The client's side: namespaces are entered when we ask and the server accepts.
    pub fn client(config: Arc<ConnectionConfig>) -> Self {
        Connection::client_with_revision(Revision::V5, config)
    }

    /// As [`Connection::client`], of either revision. In revision 4 [`connect`](Connection::connect) to `/` at once and send
    /// no CONNECT for it: the server does.
    pub fn client_with_revision(revision: Revision, config: Arc<ConnectionConfig>) -> Self {
        Connection::new(config, Role::Client, revision)
    }

    fn new(config: Arc<ConnectionConfig>, role: Role, revision: Revision) -> Self {
        Connection { config, role, revision, namespaces: Namespaces::default(), binary: None, auth: None }
    }

    /// Server, revision 4: the client has asked for `/` by opening the session. Treat the slot as that of an
    /// [`Incoming::Connect`] for `/`: [`Connection::accept`] or [`Connection::refuse`] it. `None` if `/` is entered already.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use patera_protocol::{engineio::Version, socketio::{Connection, ConnectionConfig, encode}};
    ///
    /// let mut connection = Connection::server_with_revision(Version::V3.into(), Arc::new(ConnectionConfig::default()));
    /// let root = connection.enter_root().expect("nothing is entered yet");
    /// connection.accept(root);
    /// let mut out = Vec::new();
    /// encode::connect(&mut out, "/", &()).expect("nothing is always JSON");
    /// assert_eq!(out, b"0");
    /// ```
    pub fn enter_root(&mut self) -> Option<Slot> {
        match self.namespaces.find("/") {
            Some((_, Status::Connecting | Status::Reconnecting | Status::Connected)) => None,
            Some((_, Status::Left | Status::Refused)) | None => {
                self.namespaces.enter("/", Status::Connecting, self.config.namespaces_max)
            }
        }
    }

    /// One Engine.IO message. `None` when there is nothing to do: attachments are missing, or it was for a namespace
    /// that we have left. What is returned borrows from the message, or from here if it had attachments; those are kept
    /// until the next message, or [`Connection::release`].
    ///
    /// # Errors
    /// The peer broke the protocol or a limit: close the connection.
    pub fn handle_message<'a>(&'a mut self, message: Message<'a>, now: Instant) -> Result<Option<Incoming<'a>>, Error> {
        let complete = match (&self.binary, message) {
            (Some(binary), Message::Text(_)) if binary.missing > 0 => {
                return Err(Error::UnexpectedText);
            }
            (_, Message::Text(text)) => {
                self.binary = None;
                return self.handle_text(text, now);
            }
            (Some(binary), Message::Binary(data)) if binary.missing > 0 => self.handle_attachment(data)?,
            (_, Message::Binary(_)) => return Err(Error::UnexpectedBinary),
        };
        if complete { self.assembled() } else { Ok(None) }
    }

    /// When attachments that are missing will have taken too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.binary.as_deref()? {
            Binary { missing: 1.., patience: Patience::Until(at), .. } => Some(*at),
            Binary { .. } => None,
        }
    }

    /// We stop reading for back-pressure: attachments may wait unread, so their deadline rests. Harmless while it does.
    pub fn pause(&mut self, now: Instant) {
        if let Some(Binary { patience, .. }) = self.binary.as_deref_mut()
            && let Patience::Until(at) = *patience
        {
            *patience = Patience::Rests(at.saturating_duration_since(now));
        }
    }

    /// We read again: attachments have the time that was left to them.
    pub fn resume(&mut self, now: Instant) {
        if let Some(Binary { patience, .. }) = self.binary.as_deref_mut()
            && let Patience::Rests(left) = *patience
        {
            *patience = Patience::Until(after(now, left));
        }
    }

    /// Time has passed; harmless if nothing is due.
    ///
    /// # Errors
    /// `AttachmentsTimeout`: close the connection.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match self.poll_timeout() {
            Some(deadline) if deadline <= now => Err(Error::AttachmentsTimeout),
            Some(_) | None => Ok(()),
        }
    }

    /// Frees what a packet held that has been dealt with: attachments, or a query. Without it those go with the next
    /// message, and that with the next CONNECT.
    pub fn release(&mut self) {
        self.auth = None;
        if self.binary.as_deref().is_some_and(|binary| binary.missing == 0) {
            self.binary = None;
        }
    }

    /// Server: the client is in. Does nothing to a slot that is not connecting any more.
    pub fn accept(&mut self, slot: Slot) {
        if self.namespaces.status(slot) == Some(Status::Connecting) {
            self.namespaces.set(slot, Status::Connected);
        }
    }

    /// Server: the client stays out, and may ask again. Does nothing to a slot that is not connecting any more.
    pub fn refuse(&mut self, slot: Slot) {
        if self.namespaces.status(slot) == Some(Status::Connecting) {
            self.namespaces.set(slot, Status::Refused);
        }
    }

    /// This side has left; the shell sends the DISCONNECT. What the peer sent for the namespace before it knows is passed
    /// over, and a CONNECT after that is a new connection.
    ///
    /// A client that is still connecting waits for the answer, and leaves then: servers of other makes close the
    /// whole connection on a DISCONNECT that is too early.
    pub fn leave(&mut self, slot: Slot) {
        if self.namespaces.status(slot).is_some() {
            self.namespaces.set(slot, Status::Left);
        }
        if let Some(binary) = &mut self.binary
            && binary.slot == slot
        {
            binary.discarded = true;
            binary.json = String::new();
            binary.attachments = Vec::new();
        }
    }

    /// Client: begins to enter a namespace; the shell sends the CONNECT.
    ///
    /// # Errors
    /// The name is none, or in use, or there are too many. Nothing has changed.
    pub fn connect(&mut self, namespace: &str) -> Result<Slot, ConnectError> {
        let well_formed = namespace.starts_with('/') && !namespace.contains(',');
        if !well_formed || namespace.len() > self.config.namespace_bytes_max {
            return Err(ConnectError::InvalidName);
        }
        let status = match self.namespaces.find(namespace) {
            Some((_, Status::Connecting | Status::Reconnecting | Status::Connected)) => {
                return Err(ConnectError::AlreadyConnected);
            }
            // What is on its way is for the connection that we left.
            Some((_, Status::Left)) => Status::Reconnecting,
            Some((_, Status::Refused)) | None => Status::Connecting,
        };
        self.namespaces.enter(namespace, status, self.config.namespaces_max).ok_or(ConnectError::TooMany)
    }

    /// The name of a namespace that is connecting, connected or just left; empty for a slot that is free.
    pub fn name(&self, slot: Slot) -> &str {
        self.namespaces.name(slot).unwrap_or("")
    }

    fn handle_text<'a>(&'a mut self, text: &'a str, now: Instant) -> Result<Option<Incoming<'a>>, Error> {
        let header = Header::parse(text, self.revision, &self.config)?;
        match header.kind {
            Kind::Event | Kind::Ack => self.handle_data(header, now),
            Kind::Disconnect => self.handle_disconnect(header),
            Kind::Connect if self.role == Role::Server => self.handle_connect(header, text),
            Kind::Connect => self.handle_connected(header),
            Kind::ConnectError if self.role == Role::Client => self.handle_connect_error(header),
            Kind::ConnectError => Err(Error::WrongDirection),
        }
    }

    fn handle_connect<'a>(&'a mut self, header: Header<'a>, text: &str) -> Result<Option<Incoming<'a>>, Error> {
        let namespace = header.namespace;
        match self.namespaces.find(namespace) {
            Some((_, Status::Connecting | Status::Reconnecting | Status::Connected)) => {
                return Err(Error::AlreadyConnected);
            }
            Some((_, Status::Left | Status::Refused)) | None => {}
        }
        let auth = json::object(header.json, &self.config)?;
        let max = self.config.namespaces_max;
        let slot = self.namespaces.enter(namespace, Status::Connecting, max);
        let slot = slot.ok_or(Error::Limit { what: Limit::Namespaces, max })?;
        let auth = match self.revision {
            // A payload means nothing there, and is passed over.
            Revision::V4 => {
                self.auth = query_to_object(packet::query(text)).map(|auth| Box::new(Auth(auth)));
                self.auth.as_ref().map(|auth| &*auth.0)
            }
            Revision::V5 => auth,
        };
        Ok(Some(Incoming::Connect { slot, namespace, auth }))
    }

    fn handle_connected<'a>(&mut self, header: Header<'a>) -> Result<Option<Incoming<'a>>, Error> {
        let namespace = header.namespace;
        let payload = json::object(header.json, &self.config)?;
        match self.namespaces.find(namespace) {
            Some((slot, Status::Connecting | Status::Reconnecting)) => {
                self.namespaces.set(slot, Status::Connected);
                Ok(Some(Incoming::Connected { slot, namespace, payload }))
            }
            Some((_, Status::Connected)) => Err(Error::AlreadyConnected),
            Some((_, Status::Left)) => Ok(None),
            Some((_, Status::Refused)) | None => Err(Error::NotConnected),
        }
    }

    fn handle_connect_error<'a>(&mut self, header: Header<'a>) -> Result<Option<Incoming<'a>>, Error> {
        let namespace = header.namespace;
        let payload = match self.revision {
            // Anything, or nothing: it is not decoded here, nor is its depth anything to us.
            Revision::V4 if header.json.is_empty() => None,
            Revision::V4 => Some(serde_json::from_str(header.json).map_err(|_| Error::InvalidPayload)?),
            Revision::V5 => json::object_or_text(header.json, &self.config)?,
        };
        match self.namespaces.find(namespace) {
            Some((slot, Status::Connecting | Status::Reconnecting)) => {
                self.namespaces.free(slot);
                Ok(Some(Incoming::ConnectError { slot, namespace, payload }))
            }
            Some((_, Status::Left)) => Ok(None),
            Some((_, Status::Connected | Status::Refused)) | None => Err(Error::NotConnected),
        }
    }

    fn handle_disconnect<'a>(&mut self, header: Header<'_>) -> Result<Option<Incoming<'a>>, Error> {
        if !header.json.is_empty() {
            return Err(Error::InvalidPayload);
        }
        match self.namespaces.find(header.namespace) {
            Some((slot, Status::Connecting | Status::Connected)) => {
                self.namespaces.free(slot);
                Ok(Some(Incoming::Disconnect { slot }))
            }
            // It crossed our own DISCONNECT, or our CONNECT_ERROR: nothing more comes for that connection.
            Some((slot, Status::Left | Status::Refused)) => {
                self.namespaces.free(slot);
                Ok(None)
            }
            Some((_, Status::Reconnecting)) => Ok(None),
            None => Err(Error::NotConnected),
        }
    }

    /// An event or an acknowledgement, or the header of one.
    fn handle_data<'a>(&'a mut self, header: Header<'a>, now: Instant) -> Result<Option<Incoming<'a>>, Error> {
        let (slot, passed_over) = match self.namespaces.find(header.namespace) {
            Some((slot, Status::Connected)) => (slot, false),
            // A server may greet before it answers the CONNECT; a client keeps that until it is connected.
            Some((slot, Status::Connecting)) if self.role == Role::Client => (slot, false),
            Some((slot, Status::Left | Status::Reconnecting)) => (slot, true),
            Some((_, Status::Connecting | Status::Refused)) | None => {
                return Err(Error::NotConnected);
            }
        };
        let incoming = read(slot, header.kind, header.ack, header.json, &[], &self.config)?;
        if header.attachments == 0 {
            return Ok((!passed_over).then_some(incoming));
        }
        let (Incoming::Event { args, .. } | Incoming::Ack { args, .. }) = incoming else {
            unreachable!("only events and acknowledgements have attachments");
        };
        if !args.iter().all(|raw| placeholder::placeholders_are_legal(raw, header.attachments)) {
            return Err(Error::IllegalPlaceholder);
        }
        self.binary = Some(Box::new(Binary {
            slot,
            kind: header.kind,
            ack: header.ack,
            json: if passed_over { String::new() } else { header.json.to_owned() },
            attachments: Vec::new(),
            missing: header.attachments,
            bytes: 0,
            patience: Patience::Until(after(now, self.config.attachments_timeout)),
            discarded: passed_over,
        }));
        Ok(None)
    }

    /// Takes one attachment; whether it was the last.
    fn handle_attachment(&mut self, data: &[u8]) -> Result<bool, Error> {
        let binary = self.binary.as_deref_mut().expect("the caller has seen that attachments are missing");
        let max = self.config.attachments_bytes_max;
        binary.bytes = binary.bytes.saturating_add(data.len());
        if binary.bytes > max {
            return Err(Error::Limit { what: Limit::AttachmentsBytes, max });
        }
        binary.missing = binary.missing.saturating_sub(1);
        if !binary.discarded {
            binary.attachments.push(Bytes::copy_from_slice(data));
        }
        Ok(binary.missing == 0)
    }

    fn assembled(&mut self) -> Result<Option<Incoming<'_>>, Error> {
        let binary = self.binary.as_deref().expect("its last attachment has just come");
        if binary.discarded {
            return Ok(None);
        }
        read(binary.slot, binary.kind, binary.ack, &binary.json, &binary.attachments, &self.config).map(Some)
    }
}

/// Takes the JSON of an event or an acknowledgement apart.
fn read<'a>(
    slot: Slot,
    kind: Kind,
    ack: Option<u64>,
    json: &'a str,
    attachments: &'a [Bytes],
    config: &ConnectionConfig,
) -> Result<Incoming<'a>, Error> {
    match (kind, ack) {
        (Kind::Ack, Some(id)) => {
            let values = json::split_array(json, config)?;
            Ok(Incoming::Ack { slot, id, args: Args::new(values, attachments) })
        }
        (Kind::Event, ack) => {
            let (name, values) = json::split_event(json, config)?;
            Ok(Incoming::Event { slot, name, args: Args::new(values, attachments), ack })
        }
        (Kind::Ack, None) | (Kind::Connect | Kind::Disconnect | Kind::ConnectError, _) => {
            unreachable!("the header's parser gives an acknowledgement its id, and the caller sorts out the rest")
        }
    }
}

#[cfg(test)]
#[path = "../tests/connection.rs"]
mod tests;
