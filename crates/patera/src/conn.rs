//! The connection below a socket, as socket.io's `socket.conn`: its state, its end, and what happens to it.

mod life;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use patera_protocol::engineio::{Packet, Transport, Version};

pub(crate) use self::life::{Event, Life, Told, kinds};
use crate::core::Shared;
use crate::details::DisconnectDetails;
use crate::error::DisconnectReason;
use crate::handshake::Handshake;
use crate::listeners::ListenerId;
use crate::outbox::Command;

/// A client's connection, with all its sockets: [`Socket::conn`](crate::Socket::conn),
/// [`Session::conn`](crate::engine::Session::conn). Cheap to clone; clones are the same connection. Safe to use from any task or
/// thread.
///
/// ```
/// # let io = patera::Io::new();
/// io.on_connection(async |socket: patera::Socket| {
///     let conn = socket.conn();
///     println!("{} over {}", conn.id(), conn.transport());
///     conn.on_upgrade(|transport| println!("now over {transport}"));
///     conn.on_close(|reason, details| println!("{reason}: {:?}", details.description()));
/// });
/// ```
///
/// # Events
///
/// What is registered is called by the connection's own task, one after the other, in the order of what happens: it must be quick. One that
/// panics ends the connection, with the reason `handler panicked`. When the connection has closed, all are dropped; so is one that
/// is registered then. They may hold the socket: it is no leak.
#[derive(Clone)]
pub struct Conn(Arc<Shared>);

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyState {
    /// Its handshake is being answered.
    Opening,
    /// Packets pass.
    Open,
    /// Its sockets have ended; what was sent before is going out.
    Closing,
    /// It is gone.
    Closed,
}

impl Conn {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Conn(shared)
    }

    /// The session's id, as in `?sid=…`. See [`Config::generate_id`](crate::Config::generate_id).
    pub fn id(&self) -> &str {
        self.0.sid.as_str()
    }

    /// The revision of Engine.IO that the client speaks: 3 for clients of Socket.IO 1 and 2.
    pub fn protocol(&self) -> Version {
        self.0.dialect.version
    }

    /// The transport the client is on now.
    pub fn transport(&self) -> Transport {
        self.0.transport()
    }

    /// Whether the client began on another transport than it is on now.
    pub fn upgraded(&self) -> bool {
        self.0.life.upgraded()
    }

    /// How far it is.
    pub fn ready_state(&self) -> ReadyState {
        self.0.life.ready_state()
    }

    /// The request that opened it.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// Where the client's connection came from, where known: see [`Handshake::address`].
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.0.handshake.address()
    }

    /// Ends the connection, behind what was sent: reason `forced close`. Sockets get no `41`, so that stock clients come back; see
    /// [`Socket::close`](crate::Socket::close).
    pub fn close(&self) {
        self.0.outbox.command(Command::Close { reason: DisconnectReason::ForcedClose, flush: true });
    }

    /// A packet came, on the transport the client is on: called before anything is done with it. The `packet` of engine.io.
    ///
    /// Of a plain WebSocket it is each message, as it came.
    pub fn on_packet(&self, hook: impl Fn(&Packet<'_>) + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::PACKET, move |event| {
            if let Event::Packet(packet) = event {
                hook(packet);
            }
        })
    }

    /// A packet is about to go out: messages, pings and pongs, in their order. The `packetCreate` of engine.io, which is told when they are
    /// sent, and so before they have waited.
    ///
    /// Of a plain WebSocket it is what other clients would get.
    pub fn on_packet_create(&self, hook: impl Fn(&Packet<'_>) + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::PACKET_CREATE, move |event| {
            if let Event::PacketCreate(packet) = event {
                hook(packet);
            }
        })
    }

    /// So many packets are handed to the transport, in one write or one polling answer. The `flush` of engine.io.
    pub fn on_flush(&self, hook: impl Fn(usize) + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::FLUSH, move |event| {
            if let Event::Flush(packets) = event {
                hook(*packets);
            }
        })
    }

    /// The transport has taken all that was flushed. The `drain` of engine.io.
    pub fn on_drain(&self, hook: impl Fn() + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::DRAIN, move |event| {
            if let Event::Drain = event {
                hook();
            }
        })
    }

    /// The client has shown that it is there: by a pong, or in revision 3 by a ping. The `heartbeat` of engine.io.
    pub fn on_heartbeat(&self, hook: impl Fn() + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::HEARTBEAT, move |event| {
            if let Event::Heartbeat = event {
                hook();
            }
        })
    }

    /// The client tries another transport: `2probe` came on it. The `upgrading` of engine.io.
    pub fn on_upgrading(&self, hook: impl Fn(Transport) + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::UPGRADING, move |event| {
            if let Event::Upgrading(transport) = event {
                hook(*transport);
            }
        })
    }

    /// The client has moved to another transport. The `upgrade` of engine.io.
    pub fn on_upgrade(&self, hook: impl Fn(Transport) + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::UPGRADE, move |event| {
            if let Event::Upgrade(transport) = event {
                hook(*transport);
            }
        })
    }

    /// The connection is closed, and nothing more goes out. Its sockets have been told before. The `close` of engine.io.
    ///
    /// Not called where the runtime ends below the connection.
    pub fn on_close(&self, hook: impl Fn(DisconnectReason, &DisconnectDetails) + Send + Sync + 'static) -> ListenerId {
        self.add(kinds::CLOSE, move |event| {
            if let Event::Close(reason, details) = event {
                hook(*reason, details);
            }
        })
    }

    /// Takes away what was registered. False if it is not there. What is being told meanwhile, on the connection's task, may be told still.
    pub fn off(&self, id: ListenerId) -> bool {
        self.0.life.remove(id)
    }

    fn add(&self, kind: u8, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> ListenerId {
        self.0.life.add(kind, Arc::new(hook))
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("id", &self.id()).field("transport", &self.transport()).finish_non_exhaustive()
    }
}
