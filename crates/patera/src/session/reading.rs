//! The way in: frames and polling bodies to Engine.IO packets to messages for the application.

use std::ops::ControlFlow;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use patera_protocol::engineio::{self, Message, Packet, Transport, Version, payload};
use patera_websocket::Event as Received;
use tokio::task::coop::has_budget_remaining;

use super::ending::{Ending, Farewell};
use super::throttle::Throttle;
use super::{Application, Link, Scope, Session};
use crate::conn::{Event, kinds};
use crate::details::DisconnectDetails;
use crate::error::DisconnectReason;
use crate::trace::trace;
use crate::transport::{Dialect, PollingLink, PostAnswer, ReadEnd};

impl<A: Application> Session<A> {
    /// True if all that has come is read; false if reading broke off before.
    pub(super) fn read(&mut self, waker: &Waker, now: Instant, budget: &mut usize) -> bool {
        match self.link {
            Link::Polling(_) => self.read_post(waker, now, budget),
            Link::WebSocket(_) => self.read_websocket(waker, now, budget),
        }
    }

    fn read_websocket(&mut self, waker: &Waker, now: Instant, budget: &mut usize) -> bool {
        let Session { shared, engine, link, app, throttle, .. } = self;
        let Link::WebSocket(link) = link else { return true };
        let scope = Scope { waker, shared, now };
        let inlet = Inlet::new(engine, app, throttle, &scope);
        let (dialect, transport) = (link.dialect, link.transport());
        let mut receiver = Receiver { inlet, dialect, transport, probing: false, end: None };
        let mut is_dry = false;
        let read_end = loop {
            if *budget == 0 || receiver.end.is_some() || receiver.inlet.is_full() || !has_budget_remaining() {
                break None;
            }
            match link.poll_read(&mut Context::from_waker(waker), budget, |event| receiver.handle_event(event)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => break Some(end),
                Poll::Pending => {
                    is_dry = true;
                    break None;
                }
            }
        };
        if let Some(reason) = receiver.finish() {
            // What was answered before the violation still goes out.
            self.end(reason, Farewell::Flush);
        }
        match read_end {
            None => {}
            Some(ReadEnd::Gone) => self.end(DisconnectReason::TransportClose, Farewell::None),
            Some(ReadEnd::Closed(frame)) => {
                let frame = frame.as_ref().map(|frame| (u16::from(frame.code), &*frame.reason));
                let (code, reason) = frame.unzip();
                self.shared.life.set_details(DisconnectDetails::closed(code, reason.unwrap_or_default()));
                self.end(DisconnectReason::TransportClose, Farewell::Now);
            }
            Some(ReadEnd::Protocol(error)) => {
                self.shared.life.set_details(DisconnectDetails::described(error.to_string()));
                trace!(debug, "patera::engine", "WebSocket violated", sid = %self.shared.sid, error = %error);
                self.end(DisconnectReason::TransportError, Farewell::Now);
            }
        }
        is_dry
    }

    /// Reads the WebSocket that is about to take over, up to its `5`; what comes behind it is read when it has.
    pub(super) fn read_probe(&mut self, waker: &Waker, now: Instant, budget: &mut usize) {
        let Session { shared, engine, probe: Some(probe), app, throttle, .. } = self else { return };
        let scope = Scope { waker, shared, now };
        let inlet = Inlet::new(engine, app, throttle, &scope);
        let (dialect, transport) = (probe.dialect, probe.transport());
        let mut receiver = Receiver { inlet, dialect, transport, probing: true, end: None };
        let mut closed = None;
        while *budget > 0 && receiver.end.is_none() && receiver.inlet.engine.is_upgrading() {
            match probe.poll_read(&mut Context::from_waker(waker), budget, |event| receiver.handle_event(event)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => {
                    closed = Some(end);
                    break;
                }
                Poll::Pending => break,
            }
        }
        if let Some(reason) = receiver.finish() {
            self.end(reason, Farewell::Now);
        }
        let error = match closed {
            None => return,
            Some(ReadEnd::Gone | ReadEnd::Closed(_)) => false,
            Some(ReadEnd::Protocol(_)) => true,
        };
        self.write_farewell_to_probe(waker, now);
        self.lose_probe(error);
    }

    /// The WebSocket that is about to take over has ended.
    pub(super) fn lose_probe(&mut self, error: bool) {
        if let Some(probe) = &self.probe {
            self.engine.handle_transport_closed(probe.transport(), error);
        }
    }

    /// The close frame that is owed to a WebSocket which did not make it; it is not waited for.
    fn write_farewell_to_probe(&mut self, waker: &Waker, now: Instant) {
        if let Some(probe) = &mut self.probe {
            // Whether it arrives changes nothing: the polling session goes on.
            let _ = probe.poll_write(&mut Context::from_waker(waker), now, |_, _, _| 0);
        }
    }

    fn read_post(&mut self, waker: &Waker, now: Instant, budget: &mut usize) -> bool {
        let Session { shared, engine, link: Link::Polling(link), app, ending, throttle, .. } = self else {
            return true;
        };
        let scope = Scope { waker, shared, now };
        let mut inlet = Inlet::new(engine, app, throttle, &scope);
        while *budget > 0 && ending.is_none() && !inlet.is_full() {
            let Some(received) = inlet.receive_polled(link) else { break };
            *budget -= 1;
            match received {
                // As over a WebSocket, what was answered before still goes out; a stock client whose POST fails does not come for it.
                Err(reason @ DisconnectReason::RateExceeded) => {
                    link.answer_post(PostAnswer::Taken);
                    *ending = Some(Ending { reason, farewell: Farewell::Flush });
                }
                Err(reason) => {
                    let invalid = reason != DisconnectReason::TransportClose;
                    link.answer_post(if invalid { PostAnswer::Invalid } else { PostAnswer::Taken });
                    *ending = Some(Ending { reason, farewell: Farewell::Now });
                }
                Ok(()) if link.is_post_done() => link.answer_post(PostAnswer::Taken),
                Ok(()) => {}
            }
        }
        link.is_post_done()
    }
}

/// Where packets go in, and what came is counted: once for all of them, when it is dropped.
struct Inlet<'a, A> {
    engine: &'a mut engineio::Session,
    app: &'a mut A,
    throttle: &'a mut Option<Box<Throttle>>,
    scope: &'a Scope<'a>,
    packets: u64,
    bytes: usize,
}

impl<'a, A: Application> Inlet<'a, A> {
    fn new(
        engine: &'a mut engineio::Session,
        app: &'a mut A,
        throttle: &'a mut Option<Box<Throttle>>,
        scope: &'a Scope<'a>,
    ) -> Self {
        Inlet { engine, app, throttle, scope, packets: 0, bytes: 0 }
    }

    /// Whether no more may be read.
    fn is_full(&self) -> bool {
        self.app.is_full() || self.throttle.as_ref().is_some_and(|throttle| throttle.rests(self.scope.now))
    }

    /// Takes the next packet of the POST that is worked on; `None` if there is none.
    fn receive_polled(&mut self, link: &mut PollingLink) -> Option<Result<(), DisconnectReason>> {
        if let Some((body, reader)) = link.post_v3() {
            let packet = reader.next_packet(body)?.map_err(|_| DisconnectReason::ParseError);
            return Some(packet.and_then(|packet| self.receive(Transport::Polling, packet)));
        }
        let packet = link.next_packet()?;
        Some(self.decode_polled(&packet, link))
    }

    fn decode_polled(&mut self, packet: &[u8], link: &mut PollingLink) -> Result<(), DisconnectReason> {
        let control_max = self.scope.shared.core.config.control_packets_max;
        let mut decoder = payload::Decoder::new(packet).map_err(|_| DisconnectReason::ParseError)?;
        while let Some(packet) = decoder.next_packet() {
            let packet = packet.map_err(|_| DisconnectReason::ParseError)?;
            if !matches!(packet, Packet::Message(_)) && !link.count_control(control_max) {
                return Err(DisconnectReason::ParseError);
            }
            self.receive(Transport::Polling, packet)?;
        }
        Ok(())
    }

    #[cold]
    fn receive_v3(&mut self, packet: Result<Packet<'_>, engineio::PacketError>) -> Result<(), DisconnectReason> {
        self.receive(Transport::WebSocket, packet.map_err(|_| DisconnectReason::ParseError)?)
    }

    fn receive(&mut self, transport: Transport, packet: Packet<'_>) -> Result<(), DisconnectReason> {
        if self.scope.shared.life.is_watched(kinds::PACKET) && transport == self.engine.transport() {
            self.tell(packet)?;
        }
        match self.engine.handle_packet(transport, packet, self.scope.now)? {
            Some(message) => self.deliver(message),
            None => {
                if matches!(packet, Packet::Ping(_) | Packet::Pong(_)) && transport == self.engine.transport() {
                    return self.receive_heartbeat(packet);
                }
                Ok(())
            }
        }
    }

    #[cold]
    fn tell(&self, packet: Packet<'_>) -> Result<(), DisconnectReason> {
        self.scope.shared.life.tell(kinds::PACKET, &Event::Packet(packet))
    }

    #[cold]
    fn receive_heartbeat(&mut self, packet: Packet<'_>) -> Result<(), DisconnectReason> {
        if matches!(packet, Packet::Pong(_)) {
            self.app.handle_pong(self.scope.shared);
        }
        self.scope.shared.life.tell_rare(kinds::HEARTBEAT, &Event::Heartbeat)
    }

    /// A message of a plain WebSocket.
    fn receive_native(&mut self, message: Message<'_>) -> Result<(), DisconnectReason> {
        if self.scope.shared.life.is_watched(kinds::PACKET) {
            self.tell(Packet::Message(message))?;
        }
        self.deliver(message)
    }

    fn deliver(&mut self, message: Message<'_>) -> Result<(), DisconnectReason> {
        self.packets += 1;
        self.bytes += message.len();
        self.count(message.len())?;
        self.app.handle_message(message, self.scope)
    }

    /// Something came of which there may be only so much.
    fn count(&mut self, bytes: usize) -> Result<(), DisconnectReason> {
        self.throttle.as_mut().map_or(Ok(()), |throttle| throttle.take(bytes, self.scope))
    }
}

impl<A> Drop for Inlet<'_, A> {
    fn drop(&mut self) {
        if self.packets > 0 {
            self.scope.shared.core.counters.received(self.packets, self.bytes);
        }
    }
}

/// Where the events of a WebSocket go.
struct Receiver<'a, A> {
    inlet: Inlet<'a, A>,
    dialect: Dialect,
    transport: Transport,
    /// Whether it is the WebSocket that is about to take over.
    probing: bool,
    end: Option<DisconnectReason>,
}

impl<A: Application> Receiver<'_, A> {
    /// Why the session is to end, if it is.
    fn finish(self) -> Option<DisconnectReason> {
        self.end
    }

    fn handle_event(&mut self, event: Received<'_>) -> ControlFlow<()> {
        let inlet = &mut self.inlet;
        let result = match (self.dialect, event) {
            (Dialect::Engine { .. }, Received::Text(text)) => match Packet::decode_with(text, &mut Vec::new()) {
                Ok(packet) => inlet.receive(self.transport, packet),
                Err(_) => Err(DisconnectReason::ParseError),
            },
            (Dialect::Engine { .. }, Received::Binary(data)) => {
                inlet.receive(self.transport, Packet::Message(Message::Binary(data)))
            }
            (Dialect::EngineV3 { .. }, Received::Text(text)) => {
                inlet.receive_v3(Version::V3.decode_text(text, &mut Vec::new()))
            }
            (Dialect::EngineV3 { .. }, Received::Binary(data)) => inlet.receive_v3(Version::V3.decode_binary(data)),
            (Dialect::Native { .. }, Received::Text(text)) => inlet.receive_native(Message::Text(text)),
            (Dialect::Native { .. }, Received::Binary(data)) => inlet.receive_native(Message::Binary(data)),
            (Dialect::Native { .. }, Received::Pong(_)) => inlet.receive(Transport::WebSocket, Packet::Pong("")),
            (_, Received::Ping(data)) => inlet.count(data.len()),
            (_, _) => Ok(()),
        };
        if let Err(reason) = result {
            self.end = Some(reason);
        }
        // A full application stops reading between two packets, not after the buffer; so does a session that moves.
        let moves = self.probing && !self.inlet.engine.is_upgrading();
        // Where handlers have used up the turn's budget, those that come would wait without need.
        if self.end.is_some() || moves || self.inlet.is_full() || !has_budget_remaining() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
