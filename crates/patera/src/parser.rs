//! Other forms of packets than JSON: [`Config::parser`](crate::Config::parser). And a connection of a client that speaks one.
//!
//! ```
//! use std::sync::Arc;
//! use patera::{Config, Io, parser::MessagePack};
//!
//! let mut config = Config::default();
//! config.parser = Some(Arc::new(MessagePack));
//! let io = Io::with_config(config);
//! ```
//!
//! In JavaScript the client says `io(url, { parser })`, with `parser` from `socket.io-msgpack-parser`, or loads the build that has it:
//! `/socket.io/socket.io.msgpack.min.js`. Nothing is negotiated: a client with another parser is disconnected at its first packet.
//!
//! A form of your own is a [`Parser`]; its page has an example.

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

pub use patera_protocol::engineio::Message;
pub use patera_protocol::parser::{Decoder, MessagePack, OwnedMessage, Packet, PacketType, Parser};
pub use patera_protocol::socketio::{Error, Limit};

use patera_protocol::socketio::Slot;

use crate::connection::{Connection, violated};
use crate::core::Shared;
use crate::error::DisconnectReason;
use crate::outbox::PendingAck;
use crate::session::{Application, Scope};
use crate::tasks::catch;
use crate::trace::trace;

/// What comes is translated, packet by packet; what goes out was translated when it was made (`prepared.rs`).
pub(crate) struct ParsedConnection {
    connection: Connection,
    decoder: Box<dyn Decoder>,
}

impl ParsedConnection {
    pub(crate) fn new(connection: Connection, parser: &dyn Parser) -> Self {
        ParsedConnection { connection, decoder: parser.decoder() }
    }
}

impl Application for ParsedConnection {
    fn open(&mut self, scope: &Scope<'_>) {
        self.connection.open(scope);
    }

    fn handle_message(&mut self, message: Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        let limits = &scope.shared.core.protocol;
        let Some(decoded) = catch(|| self.decoder.decode(message, limits)) else {
            trace!(error, "patera::socket", "a parser panicked", sid = %scope.shared.sid);
            return Err(DisconnectReason::HandlerPanicked);
        };
        let Some(packet) = decoded.map_err(|error| violated(scope, &error))? else { return Ok(()) };
        let text = packet.to_text().map_err(|error| violated(scope, &error))?;
        self.connection.handle_message(Message::Text(&text), scope)?;
        packet.attachments().iter().try_for_each(|data| self.connection.handle_message(Message::Binary(data), scope))
    }

    fn handle_leave(&mut self, slot: Slot, number: u64, scope: &Scope<'_>) {
        self.connection.handle_leave(slot, number, scope);
    }

    fn handle_leave_all(&mut self, scope: &Scope<'_>) {
        self.connection.handle_leave_all(scope);
    }

    fn handle_sent(&mut self, ack: PendingAck) {
        self.connection.handle_sent(ack);
    }

    fn handle_forget(&mut self, slot: Slot, id: u64) {
        self.connection.handle_forget(slot, id);
    }

    fn handle_ping_sent(&mut self, shared: &Arc<Shared>) {
        self.connection.handle_ping_sent(shared);
    }

    fn handle_pong(&mut self, shared: &Arc<Shared>) {
        self.connection.handle_pong(shared);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn handle_timeout(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        self.connection.handle_timeout(scope)
    }

    fn is_full(&self) -> bool {
        self.connection.is_full()
    }

    fn poll(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        self.connection.poll(scope)
    }

    fn close(&mut self, reason: DisconnectReason, scope: &Scope<'_>) {
        self.connection.close(reason, scope);
    }

    fn poll_closed(&mut self, scope: &Scope<'_>) -> Poll<()> {
        self.connection.poll_closed(scope)
    }
}
