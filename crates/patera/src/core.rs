//! What all sessions of one server share: options, the registry of sessions, counters.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use patera_protocol::engineio::{self, SessionConfig, Transport, Version};
use patera_protocol::parser::Parser;
use patera_protocol::socketio::ConnectionConfig;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::admission::{Admission, Seat};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::conn::Life;
use crate::connection_error::ConnectionErrors;
use crate::engine::Message;
use crate::error::EmitError;
use crate::handshake::Handshake;
use crate::outbox::Outbox;
use crate::prepared::Prepared;
use crate::recovery::Recovery;
use crate::registry::Registry;
use crate::sid::Id;
use crate::stats::{Counters, Stats, count};
use crate::sync::{AtomicBool, AtomicU8};

pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) engine: SessionConfig,
    pub(crate) protocol: Arc<ConnectionConfig>,
    pub(crate) registry: Registry,
    pub(crate) counters: Counters,
    pub(crate) admission: Admission,
    pub(crate) connection_errors: ConnectionErrors,
    /// What each client gets behind its open packet.
    pub(crate) initial_packet: Option<Arc<Prepared>>,
    pub(crate) recovery: Option<Arc<Recovery>>,
    /// Other servers, where there is a bus.
    pub(crate) cluster: Option<Arc<Cluster>>,
    #[cfg(feature = "webtransport")]
    pub(crate) endpoints: crate::http::Endpoints,
    /// Set by `close`: no session opens any more.
    pub(crate) closing: AtomicBool,
    /// Tells listeners that the server is closed.
    pub(crate) closed: Notify,
    /// Tells `close` that a session's task has ended.
    pub(crate) session_ended: Notify,
    /// Of the first session: there broadcasts are written.
    pub(crate) runtime: OnceLock<Handle>,
}

impl Core {
    pub(crate) fn new(mut config: Config) -> Self {
        config.bound_durations();
        let engine = SessionConfig {
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            upgrade_timeout: config.upgrade_timeout,
            max_payload: config.max_http_buffer_size,
            allow_upgrades: config.allow_upgrades && upgrades(&config).next().is_some(),
        };
        Core {
            engine,
            protocol: Arc::new(ConnectionConfig {
                attachments_bytes_max: config.max_http_buffer_size,
                ..config.protocol.clone()
            }),
            initial_packet: config.initial_packet.clone().map(Message::prepare),
            recovery: config
                .connection_state_recovery
                .clone()
                .map(|recovery| Recovery::new(recovery, config.parser.clone())),
            cluster: config.bus.clone().map(|bus| Cluster::new(bus, config.cluster.clone())),
            config,
            registry: Registry::default(),
            counters: Counters::default(),
            admission: Admission::default(),
            connection_errors: ConnectionErrors::default(),
            #[cfg(feature = "webtransport")]
            endpoints: Default::default(),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
            session_ended: Notify::new(),
            runtime: OnceLock::new(),
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// What its packets are written in, if that is not JSON.
    pub(crate) fn parser(&self) -> Option<&dyn Parser> {
        self.config.parser.as_deref()
    }

    pub(crate) fn stats(&self) -> Stats {
        let (handshakes, addresses) = (self.admission.handshakes(), self.admission.addresses());
        Stats { handshakes, addresses, ..self.counters.snapshot() }
    }

    /// Counts a packet that did not get into an outbox.
    pub(crate) fn count_drop(&self, error: &EmitError) {
        let counter = match error {
            EmitError::Volatile => &self.counters.dropped_volatile,
            EmitError::Full => &self.counters.dropped_full,
            EmitError::Disconnected => &self.counters.dropped_disconnected,
            EmitError::Encode(_) => &self.counters.dropped_invalid,
        };
        count(counter, 1);
    }

    /// The open packet of a session that begins on `transport`.
    pub(crate) fn open_packet(&self, sid: &Id, transport: Transport) -> String {
        let upgrades = match transport {
            Transport::Polling if self.engine.allow_upgrades => upgrades(&self.config).collect(),
            Transport::Polling | Transport::WebSocket | Transport::WebTransport => Vec::new(),
        };
        engineio::Handshake {
            sid: sid.as_str().to_owned(),
            upgrades,
            ping_interval: self.engine.ping_interval,
            ping_timeout: self.engine.ping_timeout,
            max_payload: self.engine.max_payload,
        }
        .to_packet()
    }
}

/// What a client that polls may change to, in the reference's order.
fn upgrades(config: &Config) -> impl Iterator<Item = Transport> {
    let there = [Transport::WebSocket, Transport::WebTransport].into_iter();
    let there = there.filter(|transport| cfg!(feature = "webtransport") || *transport != Transport::WebTransport);
    there.filter(|transport| config.transports.contains(transport))
}

/// The part of a session that others may touch: its outbox, and what never changes.
pub(crate) struct Shared {
    pub(crate) sid: Id,
    pub(crate) core: Arc<Core>,
    pub(crate) outbox: Outbox,
    pub(crate) handshake: Handshake,
    pub(crate) dialect: EngineDialect,
    pub(crate) life: Life,
    seat: Seat,
    link: AtomicU8,
    /// Whether a POST is under way: a second one ends the session.
    pub(crate) posting: AtomicBool,
}

/// How Engine.IO is spoken with a client, from its handshake to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EngineDialect {
    pub(crate) version: Version,
    /// The client takes bytes as base64 alone: `b64=1`. Clients of revision 3 say so in the handshake and not again.
    pub(crate) base64: bool,
    /// The client knows of private ids and offsets, and could come back for its sockets.
    pub(crate) recovers: bool,
}

/// How far a session is on its way from polling to another transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LinkState {
    Polling = 0,
    Upgrading = 1,
    WebSocket = 2,
    WebTransport = 3,
}

impl From<Transport> for LinkState {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Polling => LinkState::Polling,
            Transport::WebSocket => LinkState::WebSocket,
            Transport::WebTransport => LinkState::WebTransport,
        }
    }
}

impl Shared {
    pub(crate) fn new(
        core: Arc<Core>,
        seat: Seat,
        sid: Id,
        handshake: Handshake,
        dialect: EngineDialect,
        state: LinkState,
    ) -> Arc<Self> {
        Arc::new(Shared {
            sid,
            core,
            outbox: Outbox::default(),
            handshake,
            dialect,
            life: Life::default(),
            seat,
            link: AtomicU8::new(state as u8),
            posting: AtomicBool::new(false),
        })
    }

    /// The client is in a namespace, or needs none.
    pub(crate) fn join(&self) {
        self.seat.join(&self.core);
    }

    /// The connection is gone: nobody finds the session any more, and it counts no more.
    pub(crate) fn unregister(self: &Arc<Self>) {
        self.core.registry.remove(self);
        self.seat.leave(&self.core);
    }

    pub(crate) fn link(&self) -> LinkState {
        match self.link.load(Ordering::Acquire) {
            0 => LinkState::Polling,
            1 => LinkState::Upgrading,
            2 => LinkState::WebSocket,
            _ => LinkState::WebTransport,
        }
    }

    pub(crate) fn set_link(&self, state: LinkState) {
        self.link.store(state as u8, Ordering::Release);
    }

    pub(crate) fn transport(&self) -> Transport {
        match self.link() {
            LinkState::Polling | LinkState::Upgrading => Transport::Polling,
            LinkState::WebSocket => Transport::WebSocket,
            LinkState::WebTransport => Transport::WebTransport,
        }
    }
}
