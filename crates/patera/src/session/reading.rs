//! The way in: frames and polling bodies to Engine.IO packets to messages for the application.

use std::ops::ControlFlow;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use patera_protocol::engineio::{self, Message, Packet, Transport, payload};
use patera_websocket::Event;

use super::ending::{Ending, Farewell};
use super::{Application, Link, Scope, Session};
use crate::error::DisconnectReason;
use crate::stats::count;
use crate::trace::trace;
use crate::transport::{Dialect, PollingLink, PostAnswer, ReadEnd};

impl<A: Application> Session<A> {
    pub(super) fn read(&mut self, waker: &Waker, now: Instant, budget: &mut usize) {
        match self.link {
            Link::Polling(_) => self.read_post(waker, now, budget),
            Link::WebSocket(_) => self.read_websocket(waker, now, budget),
        }
    }

    fn read_websocket(&mut self, waker: &Waker, now: Instant, budget: &mut usize) {
        let Session { shared, engine, link, app, .. } = self;
        let Link::WebSocket(link) = link else { return };
        let scope = Scope { waker, shared, now };
        let mut receiver = Receiver { engine, app, scope: &scope, dialect: link.dialect, probing: false, end: None };
        let read_end = loop {
            if *budget == 0 || receiver.end.is_some() || receiver.app.is_full() {
                break None;
            }
            match link.poll_read(&mut Context::from_waker(waker), budget, |event| receiver.handle_event(event)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => break Some(end),
                Poll::Pending => break None,
            }
        };
        if let Some(reason) = receiver.end.take() {
            // What was answered before the violation still goes out.
            self.end(reason, Farewell::Flush);
        }
        match read_end {
            None => {}
            Some(ReadEnd::Gone) => self.end(DisconnectReason::TransportClose, Farewell::None),
            Some(ReadEnd::Closed) => self.end(DisconnectReason::TransportClose, Farewell::Now),
            Some(ReadEnd::Protocol(error)) => {
                trace!(debug, "patera::engine", "WebSocket violated", sid = %self.shared.sid, error = %error);
                self.end(DisconnectReason::TransportError, Farewell::Now);
            }
        }
    }

    /// Reads the WebSocket that is about to take over, up to its `5`; what comes behind it is read when it has.
    pub(super) fn read_probe(&mut self, waker: &Waker, now: Instant, budget: &mut usize) {
        let Session { shared, engine, probe: Some(probe), app, .. } = self else { return };
        let scope = Scope { waker, shared, now };
        let mut receiver = Receiver { engine, app, scope: &scope, dialect: probe.dialect, probing: true, end: None };
        let mut closed = None;
        while *budget > 0 && receiver.end.is_none() && receiver.engine.is_upgrading() {
            match probe.poll_read(&mut Context::from_waker(waker), budget, |event| receiver.handle_event(event)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => {
                    closed = Some(end);
                    break;
                }
                Poll::Pending => break,
            }
        }
        if let Some(reason) = receiver.end.take() {
            self.end(reason, Farewell::Now);
        }
        let error = match closed {
            None => return,
            Some(ReadEnd::Gone | ReadEnd::Closed) => false,
            Some(ReadEnd::Protocol(_)) => true,
        };
        self.write_farewell_to_probe(waker, now);
        self.engine.handle_transport_closed(Transport::WebSocket, error);
    }

    /// The close frame that is owed to a WebSocket which did not make it; it is not waited for.
    fn write_farewell_to_probe(&mut self, waker: &Waker, now: Instant) {
        if let Some(probe) = &mut self.probe {
            // Whether it arrives changes nothing: the polling session goes on.
            let _ = probe.poll_write(&mut Context::from_waker(waker), now, |_, _| 0, |_| {});
        }
    }

    fn read_post(&mut self, waker: &Waker, now: Instant, budget: &mut usize) {
        let Session { shared, engine, link: Link::Polling(link), app, ending, .. } = self else { return };
        let scope = Scope { waker, shared, now };
        while *budget > 0 && ending.is_none() && !app.is_full() {
            let Some(packet) = link.next_packet() else { return };
            *budget -= 1;
            match receive_polled(&packet, engine, app, link, &scope) {
                Err(reason) => {
                    let invalid = reason != DisconnectReason::TransportClose;
                    link.answer_post(if invalid { PostAnswer::Invalid } else { PostAnswer::Taken });
                    *ending = Some(Ending { reason, farewell: Farewell::Now });
                }
                Ok(()) if link.is_post_done() => link.answer_post(PostAnswer::Taken),
                Ok(()) => {}
            }
        }
    }
}

fn receive_polled<A: Application>(
    packet: &[u8],
    engine: &mut engineio::Session,
    app: &mut A,
    link: &mut PollingLink,
    scope: &Scope<'_>,
) -> Result<(), DisconnectReason> {
    let mut decoder = payload::Decoder::new(packet).map_err(|_| DisconnectReason::ParseError)?;
    while let Some(packet) = decoder.next_packet() {
        let packet = packet.map_err(|_| DisconnectReason::ParseError)?;
        if !matches!(packet, Packet::Message(_)) && !link.count_control(scope.shared.core.config.control_packets_max) {
            return Err(DisconnectReason::ParseError);
        }
        receive(engine, app, Transport::Polling, packet, scope)?;
    }
    Ok(())
}

/// Where the events of a WebSocket go.
struct Receiver<'a, A> {
    engine: &'a mut engineio::Session,
    app: &'a mut A,
    scope: &'a Scope<'a>,
    dialect: Dialect,
    /// Whether it is the WebSocket that is about to take over.
    probing: bool,
    end: Option<DisconnectReason>,
}

impl<A: Application> Receiver<'_, A> {
    fn handle_event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let result = match (self.dialect, event) {
            (Dialect::Engine { .. }, Event::Text(text)) => match Packet::decode_with(text, &mut Vec::new()) {
                Ok(packet) => receive(self.engine, self.app, Transport::WebSocket, packet, self.scope),
                Err(_) => Err(DisconnectReason::ParseError),
            },
            (Dialect::Engine { .. }, Event::Binary(data)) => {
                let packet = Packet::Message(Message::Binary(data));
                receive(self.engine, self.app, Transport::WebSocket, packet, self.scope)
            }
            (Dialect::Native { .. }, Event::Text(text)) => deliver(self.app, Message::Text(text), self.scope),
            (Dialect::Native { .. }, Event::Binary(data)) => deliver(self.app, Message::Binary(data), self.scope),
            (Dialect::Native { .. }, Event::Pong(_)) => {
                receive(self.engine, self.app, Transport::WebSocket, Packet::Pong(""), self.scope)
            }
            (_, _) => Ok(()),
        };
        if let Err(reason) = result {
            self.end = Some(reason);
        }
        // A full application stops reading between two packets, not after the buffer; so does a session that moves.
        let moves = self.probing && !self.engine.is_upgrading();
        if self.end.is_some() || moves || self.app.is_full() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn receive<A: Application>(
    engine: &mut engineio::Session,
    app: &mut A,
    transport: Transport,
    packet: Packet<'_>,
    scope: &Scope<'_>,
) -> Result<(), DisconnectReason> {
    match engine.handle_packet(transport, packet, scope.now)? {
        Some(message) => deliver(app, message, scope),
        None => Ok(()),
    }
}

fn deliver<A: Application>(app: &mut A, message: Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
    let counters = &scope.shared.core.counters;
    let size = match message {
        Message::Text(text) => text.len(),
        Message::Binary(data) => data.len(),
    };
    count(&counters.packets_in, 1);
    count(&counters.bytes_in, size as u64);
    app.handle_message(message, scope)
}
