//! The two shells of a simulated pair, outward: they drain their machines and put on the link what is to be sent.

use std::collections::VecDeque;

use super::{
    peer::Frame,
    world::{CLIENT, Event, QUIET, SERVER, World},
};
use crate::engineio::{
    Packet, SessionEvent, Transmit,
    Transport::{Polling, WebSocket, WebTransport},
    payload::{Encoder, Format},
};

impl World {
    /// Both shells do what their machines want, until they want nothing.
    pub(super) fn pump(&mut self) {
        self.pump_client();
        if self.paused && !self.get && !self.post && self.client.session.is_upgrading() {
            self.client.session.handle_polling_paused();
            self.pump_client();
        }
        self.pump_server();
        self.flush_client();
        self.flush_server();
    }

    pub(super) fn open_socket(&mut self) {
        let delay = 1 + self.random.below(self.link.delay);
        self.sockets += 1;
        self.socket[CLIENT] = self.sockets;
        self.schedule(delay, Event::Open(self.sockets));
    }

    /// One side closes its WebSocket; the other hears of it behind what was sent before.
    pub(super) fn close_socket(&mut self, side: usize) {
        let socket = std::mem::take(&mut self.socket[side]);
        if socket != 0 {
            let event = if side == CLIENT { Event::ServerCut(socket) } else { Event::ClientCut(socket) };
            self.schedule_in_order(side, event);
        }
    }

    pub(super) fn send_frame(&mut self, side: usize, frame: Frame) {
        let event = if side == CLIENT { Event::ToServer } else { Event::ToClient };
        self.schedule_in_order(side, event(self.socket[side], frame));
    }

    /// Sends an answer, or loses it; then the client notices, or not.
    pub(super) fn answer(&mut self, answer: Event) {
        let failure = match answer {
            Event::GetAnswer(_) => Event::GetAnswer(Err(())),
            _ => Event::PostAnswer(Err(())),
        };
        self.deliver(answer, failure);
    }

    fn pump_client(&mut self) {
        let (transmits, events) = self.client.drain();
        self.send_at_once(CLIENT, transmits);
        for event in events {
            match event {
                SessionEvent::Opened(_) => self.client.connect(),
                SessionEvent::Upgrading => self.paused = true,
                SessionEvent::Upgraded => self.paused = false,
                SessionEvent::UpgradeFailed => {
                    self.paused = false;
                    self.close_socket(CLIENT);
                }
                SessionEvent::Closed(_) => {
                    self.paused = false;
                    if self.client.session.transport() == Polling {
                        self.close_socket(CLIENT);
                    }
                }
            }
        }
    }

    fn pump_server(&mut self) {
        let Some(server) = &mut self.server else { return };
        let (transmits, events) = server.drain();
        let transport = server.session.transport();
        self.send_at_once(SERVER, transmits);
        for event in events {
            match event {
                SessionEvent::Upgraded => self.answer_get(vec![Frame::text(&Packet::Noop)]),
                SessionEvent::UpgradeFailed => {
                    self.failures += 1;
                    self.close_socket(SERVER);
                }
                SessionEvent::Closed(_) if transport == Polling => self.close_socket(SERVER),
                SessionEvent::Closed(_) | SessionEvent::Upgrading => {}
                SessionEvent::Opened(_) => panic!("a server is open from the start"),
            }
        }
    }

    fn send_at_once(&mut self, side: usize, transmits: Vec<Transmit>) {
        for Transmit { transport, packet } in transmits {
            match transport {
                WebSocket => self.send_frame(side, Frame::text(&packet)),
                // Whatever waits will release the GET as well.
                Polling if self.server.as_ref().is_some_and(|server| !server.outbox.is_empty()) => {}
                Polling => self.answer_get(vec![Frame::text(&packet)]),
                WebTransport => unreachable!("nobody probes over it here"),
            }
        }
    }

    fn flush_client(&mut self) {
        if self.client.session.transport() == WebSocket {
            let frames = std::mem::take(&mut self.client.outbox);
            return self.flush_socket(CLIENT, frames);
        }
        let (open, closed) = (self.client.session.is_open(), self.client.session.is_closed());
        if self.paused {
            return;
        }
        if !closed && !std::mem::replace(&mut self.get, true) {
            self.deliver(Event::Get, Event::GetAnswer(Err(())));
        }
        if (open || closed) && !self.client.outbox.is_empty() && !std::mem::replace(&mut self.post, true) {
            let frames = std::mem::take(&mut self.client.outbox);
            let body = self.payload(frames);
            self.deliver(Event::Post(body), Event::PostAnswer(Err(())));
        }
    }

    fn flush_server(&mut self) {
        let Some(server) = &mut self.server else { return };
        if server.session.transport() == WebSocket {
            let frames = std::mem::take(&mut server.outbox);
            self.flush_socket(SERVER, frames);
        } else if self.waiting && !server.outbox.is_empty() {
            let frames = std::mem::take(&mut server.outbox);
            self.answer_get(frames);
        } else if self.waiting && server.session.is_closed() {
            self.waiting = false;
            self.answer(Event::GetAnswer(Err(())));
        }
    }

    fn flush_socket(&mut self, side: usize, frames: VecDeque<Frame>) {
        for frame in frames {
            match &frame {
                // On a WebSocket the close packet is the close of the WebSocket.
                Frame::Text(text) if text == "1" => self.close_socket(side),
                Frame::Text(_) => self.send_frame(side, frame),
                Frame::Binary(bytes) => {
                    let prefix = self.link.version.binary_prefix();
                    self.send_frame(side, Frame::Binary([prefix, bytes].concat().into()));
                }
            }
        }
    }

    fn answer_get(&mut self, frames: impl IntoIterator<Item = Frame>) {
        if std::mem::replace(&mut self.waiting, false) {
            let body = self.payload(frames);
            self.answer(Event::GetAnswer(Ok(body)));
        }
    }

    fn deliver(&mut self, event: Event, failure: Event) {
        let delay = 1 + self.random.below(self.link.delay);
        if self.random.below(1000) >= self.link.loss || self.now > QUIET {
            self.schedule(delay, event);
        } else if self.random.below(3) > 0 {
            self.schedule(delay, failure);
        }
    }

    /// Nothing on a WebSocket arrives before what was sent earlier the same way.
    fn schedule_in_order(&mut self, side: usize, event: Event) {
        let when = self.now + 1 + self.random.below(self.link.delay);
        self.arrivals[side] = self.arrivals[side].max(when);
        self.schedule(self.arrivals[side] - self.now, event);
    }

    /// One body; bytes are base64 in it from time to time.
    pub(super) fn payload(&self, frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
        let base64 = self.now.is_multiple_of(2);
        let mut encoder = Encoder::with_format(Format { version: self.link.version, base64, jsonp: None });
        for frame in frames {
            match frame {
                Frame::Text(text) => encoder.push_text(text.as_bytes()),
                Frame::Binary(bytes) => encoder.push_binary(&bytes),
            }
        }
        encoder.finish()
    }
}
