//! One Engine.IO session, of both roles: state, heartbeat and upgrade in one machine. It holds no message: what is to
//! be sent waits in the shell's outbox. EIO 4 and 3, which differ in who pings.

use std::time::{Duration, Instant};

use super::{
    config::SessionConfig,
    event::{CloseReason, SessionEvent, Transmit},
    handshake::Handshake,
    heartbeat::{Heartbeat, HeartbeatAction, Span},
    packet::{Message, Packet, Transport},
    upgrade::{ProbeRefused, Step, Upgrade},
    version::Version,
};
use crate::time::after;

/// The state of one session.
///
/// ```text
///             client: open packet                  close, silence, violation, transport lost
///   opening ──────────────────────▶ open ─────────────────────────────────────────────────────▶ closed
///   (client)                       (server: from the start)
/// ```
///
/// After each call that changes it, drain [`poll_transmit`](Session::poll_transmit) and
/// [`poll_event`](Session::poll_event), and wake at [`poll_timeout`](Session::poll_timeout).
#[derive(Debug)]
pub struct Session {
    role: Role,
    version: Version,
    state: State,
    transport: Transport,
    allow_upgrades: bool,
    upgrade_timeout: Span,
    heartbeat: Heartbeat,
    upgrade: Upgrade,
    /// What the upgrade, if there is one, leads to.
    probe: Transport,
    /// What waits for `poll_transmit` and `poll_event`, a bit each, given out in the order of the bits. Each is due at
    /// most once: a second one before the first is drained adds nothing.
    transmits: u8,
    events: u8,
    reason: CloseReason,
    /// Client: what came with the open packet, until `Opened` is drained.
    handshake: Option<Box<Handshake>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Closed,
}

// In the order in which they leave. The upgrade packet goes before anything else on the new transport.
const PROBE_PONG: u8 = 1 << 0;
const PROBE_PING: u8 = 1 << 1;
const NOOP: u8 = 1 << 2;
const UPGRADE: u8 = 1 << 3;
const PING: u8 = 1 << 4;
const PONG: u8 = 1 << 5;
const CLOSE: u8 = 1 << 6;

const OPENED: u8 = 1 << 0;
const UPGRADING: u8 = 1 << 1;
const UPGRADED: u8 = 1 << 2;
const UPGRADE_FAILED: u8 = 1 << 3;
const CLOSED: u8 = 1 << 4;

impl Session {
    /// A session that a client has just opened on this transport. The shell sends the [`Handshake`] by itself.
    pub fn server(transport: Transport, config: &SessionConfig, now: Instant) -> Session {
        Session::server_with_version(Version::V4, transport, config, now)
    }

    /// As [`Session::server`], of either revision. In revision 3 the client pings and we pong, and it counts as gone when
    /// nothing came for `ping_interval` + `ping_timeout`, whatever the transport.
    pub fn server_with_version(
        version: Version,
        transport: Transport,
        config: &SessionConfig,
        now: Instant,
    ) -> Session {
        let heartbeat = match version {
            Version::V3 => Heartbeat::listening(config.ping_interval, config.ping_timeout, now),
            Version::V4 => Heartbeat::new(config.ping_interval, config.ping_timeout, now),
        };
        Session::new(Role::Server, version, transport, config, heartbeat)
    }

    /// A session that we have just asked a server for; it is open when the open packet has come, and closes with
    /// "ping timeout" if that takes longer than `config.ping_timeout`.
    pub fn client(transport: Transport, config: &SessionConfig, now: Instant) -> Session {
        Session::client_with_version(Version::V4, transport, config, now)
    }

    /// As [`Session::client`], of either revision. In revision 3 we ping.
    pub fn client_with_version(
        version: Version,
        transport: Transport,
        config: &SessionConfig,
        now: Instant,
    ) -> Session {
        let heartbeat = Heartbeat::expecting(Duration::ZERO, config.ping_timeout, now);
        Session::new(Role::Client, version, transport, config, heartbeat)
    }

    fn new(
        role: Role,
        version: Version,
        transport: Transport,
        config: &SessionConfig,
        heartbeat: Heartbeat,
    ) -> Session {
        Session {
            role,
            version,
            state: if role == Role::Server { State::Open } else { State::Opening },
            transport,
            allow_upgrades: config.allow_upgrades,
            upgrade_timeout: config.upgrade_timeout.into(),
            heartbeat,
            upgrade: Upgrade::default(),
            probe: Transport::WebSocket,
            transmits: 0,
            events: 0,
            reason: CloseReason::ForcedClose,
            handshake: None,
        }
    }

    /// A packet came on this transport. Returns the message to hand up, if it was one.
    ///
    /// Packets of a transport that is neither the main one nor a probe, and packets after the end, are passed over. So
    /// are `0`, `5` and `6` where they mean nothing.
    ///
    /// # Errors
    /// The session is now closed, with this reason: the peer closed it or broke the protocol on the main transport.
    /// [`SessionEvent::Closed`] says the same. A violation on a probe is none: it ends only the probe.
    #[inline]
    pub fn handle_packet<'a>(
        &mut self,
        transport: Transport,
        packet: Packet<'a>,
        now: Instant,
    ) -> Result<Option<Message<'a>>, CloseReason> {
        if let Packet::Message(message) = packet
            && self.state == State::Open
            && self.transport == transport
        {
            self.heartbeat.handle_activity(now);
            return Ok(Some(message));
        }
        self.handle_control(transport, packet, now)?;
        Ok(None)
    }

    /// A WebSocket for this session has opened beside its long-polling: an upgrade begins.
    ///
    /// # Errors
    /// This session takes no probe now. Refuse the WebSocket; the session is untouched.
    pub fn handle_probe(&mut self, now: Instant) -> Result<(), ProbeRefused> {
        self.handle_probe_over(Transport::WebSocket, now)
    }

    /// As [`Session::handle_probe`], over this transport.
    ///
    /// # Errors
    /// As [`Session::handle_probe`].
    pub fn handle_probe_over(&mut self, transport: Transport, now: Instant) -> Result<(), ProbeRefused> {
        if self.state != State::Open {
            return Err(ProbeRefused::NotOpen);
        }
        if !self.allow_upgrades {
            return Err(ProbeRefused::NotAllowed);
        }
        if self.transport != Transport::Polling {
            return Err(ProbeRefused::NotPolling);
        }
        if !self.upgrade.is_idle() {
            return Err(ProbeRefused::AlreadyProbing);
        }
        let deadline = after(now, self.upgrade_timeout.get());
        self.probe = transport;
        self.upgrade = match self.role {
            Role::Server => Upgrade::opened(deadline),
            Role::Client => {
                self.transmits |= PROBE_PING;
                Upgrade::probing(deadline)
            }
        };
        if self.heartbeat.is_paused() {
            self.upgrade.pause();
        }
        Ok(())
    }

    /// Client: after [`SessionEvent::Upgrading`], neither a GET nor a POST is on its way any more. The upgrade packet
    /// follows, and the WebSocket is the main transport.
    pub fn handle_polling_paused(&mut self) {
        if self.state == State::Open && self.upgrade.handle_paused() {
            self.transmits |= UPGRADE;
            self.complete_upgrade();
        }
    }

    /// A transport has ended: the main one, which closes the session with "transport error" or "transport close", or a
    /// probe, which fails. One that was given up before is nothing.
    pub fn handle_transport_closed(&mut self, transport: Transport, error: bool) {
        if self.transport == transport {
            self.end(if error { CloseReason::TransportError } else { CloseReason::TransportClose });
        } else if !self.upgrade.is_idle() {
            self.upgrade.abandon();
            self.fail_upgrade();
        }
    }

    /// Time has passed; cheap and harmless if nothing is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        while let Some(action) = self.heartbeat.poll(now) {
            match action {
                HeartbeatAction::SendPing => self.transmits |= PING,
                HeartbeatAction::TimedOut => return self.close(CloseReason::PingTimeout),
            }
        }
        if let Some(step) = self.upgrade.handle_timeout(now) {
            self.apply(step);
        }
    }

    /// When [`handle_timeout`](Session::handle_timeout) has something to do, if nothing happens until then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        match (self.heartbeat.poll_timeout(), self.upgrade.poll_timeout()) {
            (Some(heartbeat), Some(upgrade)) => Some(heartbeat.min(upgrade)),
            (one, other) => one.or(other),
        }
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let bit = take_lowest(&mut self.transmits)?;
        let (transport, packet) = match bit {
            PROBE_PONG => (self.probe, Packet::Pong("probe")),
            PROBE_PING => (self.probe, Packet::Ping("probe")),
            NOOP => (Transport::Polling, Packet::Noop),
            UPGRADE => (self.probe, Packet::Upgrade),
            PING => (self.transport, Packet::Ping("")),
            PONG => (self.transport, Packet::Pong("")),
            CLOSE => (self.transport, Packet::Close),
            bit => unreachable!("no transmit has the bit {bit:#b}"),
        };
        Some(Transmit { transport, packet })
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        Some(match take_lowest(&mut self.events)? {
            OPENED => SessionEvent::Opened(self.handshake.take().expect("set together with the bit")),
            UPGRADING => SessionEvent::Upgrading,
            UPGRADED => SessionEvent::Upgraded,
            UPGRADE_FAILED => SessionEvent::UpgradeFailed,
            CLOSED => SessionEvent::Closed(self.reason),
            bit => unreachable!("no event has the bit {bit:#b}"),
        })
    }

    /// We stop reading for back-pressure: a pong (or a ping) may wait unread, so the ping deadline rests. Pings go on. The
    /// deadline of an upgrade rests too: a client ends its POST before it moves.
    pub fn pause_heartbeat(&mut self) {
        self.heartbeat.pause();
        self.upgrade.pause();
    }

    /// We read again: the peer has its full time from now, for a pong and for an upgrade.
    pub fn resume_heartbeat(&mut self, now: Instant) {
        if self.heartbeat.is_paused() {
            self.heartbeat.resume(now);
            self.upgrade.resume(after(now, self.upgrade_timeout.get()));
        }
    }

    /// Ends the session from our side: a [`Packet::Close`] to send behind what is in the outbox, and
    /// [`SessionEvent::Closed`]. Does nothing to a closed one.
    pub fn close(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.end(reason);
            self.transmits |= CLOSE;
        }
    }

    /// Whether messages pass.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it has ended.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a probe is under way.
    #[inline]
    pub fn is_upgrading(&self) -> bool {
        !self.upgrade.is_idle()
    }

    /// The main transport.
    #[inline]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    fn handle_control(&mut self, transport: Transport, packet: Packet<'_>, now: Instant) -> Result<(), CloseReason> {
        if self.state == State::Closed {
            return Ok(());
        }
        if self.transport != transport {
            if !self.upgrade.is_idle() {
                let step = self.upgrade.handle_packet(packet, now);
                self.apply(step);
            }
            return Ok(());
        }
        if packet == Packet::Close {
            self.end(CloseReason::TransportClose);
            // A GET that waits is answered, so that the peer's HTTP client is done with it.
            if self.role == Role::Server && transport == Transport::Polling {
                self.transmits |= NOOP;
            }
            return Err(CloseReason::TransportClose);
        }
        match self.role {
            Role::Server => self.handle_server_control(packet, now),
            Role::Client => self.handle_client_control(packet, now),
        }
    }

    fn handle_server_control(&mut self, packet: Packet<'_>, now: Instant) -> Result<(), CloseReason> {
        match packet {
            Packet::Ping(_) | Packet::Pong(_) => self.handle_heartbeat(packet, now),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop | Packet::Close | Packet::Message(_) => {
                self.heartbeat.handle_activity(now);
                Ok(())
            }
        }
    }

    fn handle_client_control(&mut self, packet: Packet<'_>, now: Instant) -> Result<(), CloseReason> {
        match (self.state, packet) {
            (State::Opening, Packet::Open(json)) => match Handshake::parse(json) {
                Ok(handshake) => {
                    let (interval, timeout) = (handshake.ping_interval, handshake.ping_timeout);
                    self.heartbeat = match self.version {
                        Version::V3 => Heartbeat::new(interval, timeout, now),
                        Version::V4 => Heartbeat::expecting(interval, timeout, now),
                    };
                    self.state = State::Open;
                    self.handshake = Some(Box::new(handshake));
                    self.events |= OPENED;
                    Ok(())
                }
                Err(_) => Err(self.violate(CloseReason::ParseError)),
            },
            (State::Opening, Packet::Noop) => Ok(()),
            (State::Opening, _) => Err(self.violate(CloseReason::ParseError)),
            (State::Open | State::Closed, Packet::Ping(_)) => self.handle_heartbeat(packet, now),
            (State::Open | State::Closed, Packet::Pong(_)) if self.version == Version::V3 => {
                self.handle_heartbeat(packet, now)
            }
            (State::Open | State::Closed, _) => Ok(()),
        }
    }

    /// A ping to the side that answers, or a pong to the side that asks: the server asks in revision 4, the client in
    /// revision 3. The other way round is a violation.
    fn handle_heartbeat(&mut self, packet: Packet<'_>, now: Instant) -> Result<(), CloseReason> {
        let asks = match self.version {
            Version::V3 => self.role == Role::Client,
            Version::V4 => self.role == Role::Server,
        };
        match (asks, packet) {
            (true, Packet::Pong(_)) => self.heartbeat.handle_pong(now),
            (false, Packet::Ping(_)) => {
                self.heartbeat.handle_ping(now);
                self.transmits |= PONG;
            }
            (true | false, _) => return Err(self.violate(CloseReason::TransportError)),
        }
        Ok(())
    }

    /// What the probe's next step means for the session.
    fn apply(&mut self, step: Step) {
        match step {
            Step::Answer => {
                self.transmits |= PROBE_PONG | NOOP;
                self.events |= UPGRADING;
            }
            Step::Release => self.transmits |= NOOP,
            Step::Pause => self.events |= UPGRADING,
            Step::Complete => self.complete_upgrade(),
            Step::Fail => self.fail_upgrade(),
        }
    }

    /// The heartbeat is not touched: a ping on its way over one transport is answered over the other.
    fn complete_upgrade(&mut self) {
        self.transport = self.probe;
        self.transmits &= !NOOP;
        self.events |= UPGRADED;
    }

    fn fail_upgrade(&mut self) {
        self.transmits &= !(PROBE_PONG | PROBE_PING | UPGRADE);
        self.events |= UPGRADE_FAILED;
    }

    fn violate(&mut self, reason: CloseReason) -> CloseReason {
        self.close(reason);
        reason
    }

    fn end(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.reason = reason;
            self.upgrade.abandon();
            self.transmits = 0;
            self.events |= CLOSED;
        }
    }
}

fn take_lowest(bits: &mut u8) -> Option<u8> {
    let lowest = *bits & bits.wrapping_neg();
    *bits &= !lowest;
    (lowest != 0).then_some(lowest)
}

#[cfg(test)]
#[path = "../tests/session.rs"]
mod tests;
