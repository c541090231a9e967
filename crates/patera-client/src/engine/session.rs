//! The session: the protocol's state machine, and the transports that carry its packets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use patera_protocol::engineio::payload::Decoder;
use patera_protocol::engineio::{
    CloseReason, Handshake, Message, Packet as EnginePacket, PacketError, Session, SessionConfig, SessionEvent,
    Transmit, Transport,
};
use patera_websocket::stream::{Error as WebSocketError, Message as WebSocketMessage};

use super::endpoint::Endpoint;
use super::frame::{Frame, Packet, Payload, Permit};
use super::polling::Polling;
use super::websocket::WebSocket;
use crate::error::TransportError;

/// Packets that are no messages which one polling answer may have: a server has use for a few.
const CONTROL_PACKETS_MAX: usize = 1024;
/// How long a session may take to open where there is no limit: longer than anybody waits.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// One session, from the first request to its end.
///
/// Everything happens in [`poll`](Engine::poll). After [`EngineEvent::Closed`] it is over.
pub(crate) struct Engine {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) session: Session,
    /// Transports to try when this one does not open.
    remaining: VecDeque<Transport>,
    pub(super) sid: Option<String>,
    pub(crate) max_payload: usize,
    pub(super) polling: Option<Polling>,
    /// The main transport, or the probe.
    pub(super) websocket: Option<WebSocket>,
    /// A probe was answered: no request begins any more.
    pausing: bool,
    pub(super) queue: VecDeque<Frame>,
    events: VecDeque<EngineEvent>,
    error: Option<TransportError>,
}

/// What a session has to say.
#[derive(Debug)]
pub(crate) enum EngineEvent {
    /// Messages pass.
    Opened,
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// The WebSocket has taken over.
    Upgraded,
    /// The end.
    Closed { reason: CloseReason, error: Option<TransportError> },
}

impl Engine {
    /// Begins to open a session.
    pub(crate) fn open(endpoint: Arc<Endpoint>, now: Instant) -> Self {
        let mut remaining = VecDeque::from(endpoint.transports());
        let first = remaining.pop_front();
        let mut engine = Engine {
            session: session(&endpoint, first.unwrap_or(Transport::Polling), now),
            endpoint,
            remaining,
            sid: None,
            max_payload: usize::MAX,
            polling: None,
            websocket: None,
            pausing: false,
            queue: VecDeque::new(),
            events: VecDeque::new(),
            error: None,
        };
        match first {
            Some(transport) => engine.start(transport),
            None => {
                engine.error = Some(TransportError::NoTransport);
                engine.session.handle_transport_closed(Transport::Polling, true);
            }
        }
        engine
    }

    fn start(&mut self, transport: Transport) {
        (self.polling, self.websocket) = (None, None);
        match transport {
            Transport::Polling => {
                let mut polling = Polling::new(self.endpoint.clone());
                polling.receive(None);
                self.polling = Some(polling);
            }
            Transport::WebSocket | Transport::WebTransport => {
                self.websocket = Some(WebSocket::open(self.endpoint.clone(), None));
            }
        }
    }

    /// Sends a packet, behind all others.
    pub(crate) fn send(&mut self, packet: Packet, permit: Option<Permit>) {
        self.queue.extend(packet.into_frames(permit));
    }

    /// Whether what is sent now goes out at once: what a volatile event asks for.
    pub(crate) fn is_writable(&self) -> bool {
        let is_ready = match (self.session.transport(), &self.polling, &self.websocket) {
            (Transport::Polling, Some(polling), _) => self.pausing || polling.can_send(),
            (Transport::WebSocket, _, Some(websocket)) => websocket.unsent_bytes() == 0,
            (Transport::Polling | Transport::WebSocket | Transport::WebTransport, _, _) => false,
        };
        self.session.is_open() && self.queue.is_empty() && is_ready
    }

    /// The main transport.
    pub(crate) fn transport(&self) -> Transport {
        self.session.transport()
    }

    /// When [`poll`](Engine::poll) has something to do, if nothing happens until then.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// Reading rests or goes on: while it rests, nothing can be heard of the server.
    pub(crate) fn set_reading(&mut self, reading: bool, now: Instant) {
        match reading {
            true => self.session.resume_heartbeat(now),
            false => self.session.pause_heartbeat(),
        }
    }

    /// What comes is not what we understand: the session ends.
    pub(crate) fn fail(&mut self, error: TransportError) {
        self.error.get_or_insert(error);
        self.session.close(CloseReason::ParseError);
    }

    /// Moves everything that can move, and gives the next event.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, reading: bool) -> Poll<EngineEvent> {
        self.session.handle_timeout(now);
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            self.drain_session(now);
            if !self.events.is_empty() {
                continue;
            }
            if self.session.is_closed() {
                return Poll::Pending;
            }
            let mut has_moved = self.poll_opened(cx, now);
            self.poll_send(cx);
            if reading {
                has_moved |= self.poll_receive(cx, now);
            }
            has_moved |= self.poll_paused();
            if !has_moved && self.events.is_empty() && !self.session.is_closed() {
                return Poll::Pending;
            }
        }
    }

    /// Does what the state machine wants done.
    fn drain_session(&mut self, now: Instant) {
        while let Some(Transmit { transport, packet }) = self.session.poll_transmit() {
            self.transmit(transport, packet);
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Opened(handshake) => self.handle_opened(*handshake),
                SessionEvent::Upgrading => self.pausing = true,
                SessionEvent::Upgraded => {
                    (self.polling, self.pausing) = (None, false);
                    self.endpoint.remember(Some(Transport::WebSocket));
                    self.events.push_back(EngineEvent::Upgraded);
                }
                SessionEvent::UpgradeFailed => {
                    (self.websocket, self.pausing) = (None, false);
                    self.keep_polling();
                }
                SessionEvent::Closed(reason) => self.handle_closed(reason, now),
            }
        }
    }

    fn transmit(&mut self, transport: Transport, packet: EnginePacket<'static>) {
        let mut text = Vec::new();
        packet.encode_text(&mut text);
        let payload = Payload::Text(String::from_utf8(text).expect("packets that are no messages are text"));
        if transport == Transport::WebSocket && (self.pausing || self.session.is_upgrading()) {
            self.send_on_probe(payload);
        } else if matches!(packet, EnginePacket::Upgrade) {
            // It goes before everything else on the new transport.
            self.queue.push_front(Frame::control(payload));
        } else if !matches!(packet, EnginePacket::Close) && !self.waits_last(&payload) {
            self.queue.push_back(Frame::control(payload));
        }
    }

    /// Whether the same already waits behind everything else: a server that pings and does not read is owed one pong, not
    /// thousands.
    fn waits_last(&self, payload: &Payload) -> bool {
        let last = self.queue.back().map(|frame| &frame.payload);
        matches!((last, payload), (Some(Payload::Text(last)), Payload::Text(text)) if last == text)
    }

    fn send_on_probe(&mut self, payload: Payload) {
        if let Some(websocket) = &mut self.websocket
            && websocket.start_send(Frame::control(payload)).is_err()
        {
            self.session.handle_transport_closed(Transport::WebSocket, true);
        }
    }

    fn handle_opened(&mut self, handshake: Handshake) {
        let config = &self.endpoint.config;
        let is_polling = self.session.transport() == Transport::Polling;
        let upgrades = is_polling
            && config.upgrade
            && config.transports.contains(&Transport::WebSocket)
            && handshake.upgrades.contains(&Transport::WebSocket);
        self.endpoint.remember((!is_polling).then_some(Transport::WebSocket));
        self.max_payload = handshake.max_payload;
        if upgrades {
            self.websocket = Some(WebSocket::open(self.endpoint.clone(), Some(handshake.sid.clone())));
        }
        self.sid = Some(handshake.sid);
        self.events.push_back(EngineEvent::Opened);
    }

    fn handle_closed(&mut self, reason: CloseReason, now: Instant) {
        let has_opened = self.sid.is_some();
        if !has_opened {
            self.endpoint.remember(None);
            if self.endpoint.config.try_all_transports
                && let Some(transport) = self.remaining.pop_front()
            {
                self.session = session(&self.endpoint, transport, now);
                self.error = None;
                return self.start(transport);
            }
        }
        let missing = (!has_opened).then_some(match reason {
            CloseReason::PingTimeout => TransportError::Timeout,
            _ => TransportError::Handshake(None),
        });
        let error = self.error.take().or(missing);
        self.events.push_back(EngineEvent::Closed { reason, error });
    }

    /// A WebSocket has opened: the main transport, or a probe.
    fn poll_opened(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(websocket) = &mut self.websocket else { return false };
        let is_main = self.session.transport() == Transport::WebSocket;
        match websocket.poll_opened(cx, self.endpoint.config.force_base64) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if is_main => {}
            Poll::Ready(Ok(())) => {
                if self.session.handle_probe(now).is_err() {
                    self.websocket = None;
                }
            }
            Poll::Ready(Err(error)) if is_main => self.lose(Transport::WebSocket, Some(error)),
            // Polling goes on.
            Poll::Ready(Err(_)) => self.websocket = None,
        }
        true
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) {
        match (self.session.transport(), &mut self.polling, &mut self.websocket) {
            (Transport::Polling, Some(polling), websocket) => {
                if let Poll::Ready(Err(error)) = polling.poll_sent(cx) {
                    return self.lose(Transport::Polling, Some(error));
                }
                if let Some(sid) = &self.sid
                    && !self.pausing
                {
                    polling.send(sid, &mut self.queue, self.max_payload);
                    if let Poll::Ready(Err(error)) = polling.poll_sent(cx) {
                        return self.lose(Transport::Polling, Some(error));
                    }
                }
                if let Some(probe) = websocket
                    && let Poll::Ready(Err(_)) = probe.poll_send(&mut VecDeque::new(), cx)
                {
                    self.lose(Transport::WebSocket, None);
                }
            }
            (Transport::WebSocket, _, Some(websocket)) => {
                if let Poll::Ready(Err(error)) = websocket.poll_send(&mut self.queue, cx) {
                    self.lose(Transport::WebSocket, Some(error));
                }
            }
            (Transport::Polling | Transport::WebSocket | Transport::WebTransport, _, _) => {}
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut has_moved = false;
        // The probe first: if it was answered, no further GET has to be waited for.
        if let Some(websocket) = &mut self.websocket
            && let Poll::Ready(message) = websocket.poll_next(cx)
        {
            match message {
                Some(Ok(message)) => self.handle_message(message, now),
                Some(Err(error)) => self.lose(Transport::WebSocket, Some(error)),
                None => self.lose(Transport::WebSocket, None),
            }
            has_moved = true;
        }
        if let Some(polling) = &mut self.polling
            && let Poll::Ready(answer) = polling.poll_received(cx)
        {
            match answer {
                Ok(body) => self.handle_payload(&body, now),
                Err(error) => self.lose(Transport::Polling, Some(error)),
            }
            self.keep_polling();
            has_moved = true;
        }
        has_moved
    }

    /// The next GET, unless an upgrade waits for the last one.
    fn keep_polling(&mut self) {
        if let Some(polling) = &mut self.polling
            && let Some(sid) = &self.sid
            && !self.pausing
            && self.session.is_open()
        {
            polling.receive(Some(sid));
        }
    }

    /// An upgrade waits for the last GET and the last POST.
    fn poll_paused(&mut self) -> bool {
        let is_paused = self.pausing && self.polling.as_ref().is_some_and(Polling::is_idle);
        if is_paused {
            self.session.handle_polling_paused();
            self.pausing = false;
        }
        is_paused
    }

    fn handle_payload(&mut self, body: &[u8], now: Instant) {
        let mut decoder = match Decoder::with_control_packets_max(body, CONTROL_PACKETS_MAX) {
            Ok(decoder) => decoder,
            Err(error) => return self.fail(TransportError::Payload(error)),
        };
        while let Some(packet) = decoder.next_packet() {
            let packet = match packet {
                Ok(packet) => packet,
                Err(error) => return self.fail(TransportError::Payload(error)),
            };
            match self.session.handle_packet(Transport::Polling, packet, now) {
                Ok(Some(Message::Text(text))) => self.events.push_back(EngineEvent::Text(text.to_owned())),
                Ok(Some(Message::Binary(data))) => {
                    self.events.push_back(EngineEvent::Binary(Bytes::copy_from_slice(data)));
                }
                Ok(None) => {}
                Err(_) => return,
            }
            // The open packet may have messages behind it.
            if self.sid.is_none() {
                self.drain_session(now);
            }
        }
        if self.sid.is_none() {
            self.fail(TransportError::Handshake(None));
        }
    }

    fn handle_message(&mut self, message: WebSocketMessage, now: Instant) {
        let mut scratch = Vec::new();
        let packet = match &message {
            WebSocketMessage::Binary(data) => Ok(EnginePacket::Message(Message::Binary(data))),
            WebSocketMessage::Text(text) => EnginePacket::decode_with(text, &mut scratch),
            // A kind of message that this crate does not know is no packet.
            _ => Err(PacketError::Empty),
        };
        let packet = match (packet, self.session.transport()) {
            (Ok(packet), _) => packet,
            (Err(error), Transport::WebSocket | Transport::WebTransport) => {
                return self.fail(TransportError::Packet(error));
            }
            (Err(_), Transport::Polling) => return self.lose(Transport::WebSocket, None),
        };
        match (self.session.handle_packet(Transport::WebSocket, packet, now), &message) {
            (Ok(Some(Message::Text(text))), _) => self.events.push_back(EngineEvent::Text(text.to_owned())),
            (Ok(Some(Message::Binary(_))), WebSocketMessage::Binary(data)) => {
                self.events.push_back(EngineEvent::Binary(data.clone()));
            }
            (Ok(Some(Message::Binary(data))), _) => {
                self.events.push_back(EngineEvent::Binary(Bytes::copy_from_slice(data)));
            }
            (Ok(None) | Err(_), _) => {}
        }
    }

    /// A transport has ended. Of the main one the error is kept, for who asks why.
    fn lose(&mut self, transport: Transport, error: Option<TransportError>) {
        let is_main = self.session.transport() == transport;
        // Who hangs up without a word has closed the connection, as in the reference.
        let is_error = !matches!(error, None | Some(TransportError::WebSocket(WebSocketError::Disconnected)));
        if is_main {
            self.error = self.error.take().or(error);
        } else {
            (self.websocket, self.pausing) = (None, false);
        }
        self.session.handle_transport_closed(transport, is_error);
        if !is_main {
            self.keep_polling();
        }
    }
}

fn session(endpoint: &Endpoint, transport: Transport, now: Instant) -> Session {
    let timeout = endpoint.config.timeout.unwrap_or(NO_TIMEOUT);
    let config = SessionConfig { ping_timeout: timeout, ..SessionConfig::default() };
    Session::client(transport, &config, now)
}
