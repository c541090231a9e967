//! The simulated link and the two shells on it: what arrives, and what each shell does then. What they send is in
//! `wire.rs`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    at,
    peer::{Frame, Peer},
};
use crate::engineio::{
    CloseReason, Handshake, SessionConfig,
    Transport::{Polling, WebSocket},
    Version,
};

/// Nothing new is sent and nothing is lost after `QUIET`, so that at `END` everything has come or the session is closed.
pub(super) const QUIET: u64 = 12_000;
const END: u64 = 30_000;

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// How bad the link is.
#[derive(Clone, Copy)]
pub(super) struct Link {
    /// Of a thousand requests, and of a thousand answers.
    pub(super) loss: u64,
    /// Of a hundred WebSockets.
    pub(super) cut: u64,
    /// At most, in milliseconds.
    pub(super) delay: u64,
    /// In milliseconds.
    pub(super) upgrade_timeout: u64,
    /// Whether one side closes the session at some time.
    pub(super) may_close: bool,
    /// Of both sides.
    pub(super) version: Version,
}

/// What arrives, or is done. A WebSocket has a number, so that what arrives for an old one is told from the new.
#[derive(Debug)]
pub(super) enum Event {
    Get,
    GetAnswer(Result<Vec<u8>, ()>),
    Post(Vec<u8>),
    PostAnswer(Result<(), ()>),
    Open(u64),
    Opened(u64, bool),
    ToServer(u64, Frame),
    ToClient(u64, Frame),
    ServerCut(u64),
    ClientCut(u64),
    Probe,
    Emit,
    Close,
}

pub(super) struct World {
    pub(super) link: Link,
    config: SessionConfig,
    pub(super) random: Random,
    pub(super) now: u64,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub(super) client: Peer,
    pub(super) server: Option<Peer>,
    /// Whether the client has a GET and a POST on their way, and whether the server holds a GET.
    pub(super) get: bool,
    pub(super) post: bool,
    pub(super) waiting: bool,
    /// Whether the client begins no request.
    pub(super) paused: bool,
    /// The number of the WebSocket that still carries frames; of the one that the client and the server know of; and of
    /// the last one that was begun. 0 is none.
    carrier: u64,
    pub(super) socket: [u64; 2],
    pub(super) sockets: u64,
    /// How often the server gave up a probe.
    pub(super) failures: u32,
    /// When the last frame each way arrives.
    pub(super) arrivals: [u64; 2],
}

impl World {
    pub(super) fn new(seed: u64, link: Link) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678);
        let config = SessionConfig {
            ping_interval: Duration::from_millis(1000),
            ping_timeout: Duration::from_millis(1500),
            upgrade_timeout: Duration::from_millis(link.upgrade_timeout),
            ..SessionConfig::default()
        };
        let polling = random.below(8) != 0;
        let mut world = World {
            link,
            config,
            random,
            now: 0,
            events: BTreeMap::new(),
            scheduled: 0,
            client: Peer::client(link.version, if polling { Polling } else { WebSocket }, &config, at(0)),
            server: None,
            get: false,
            post: false,
            waiting: false,
            paused: false,
            carrier: 0,
            socket: [0; 2],
            sockets: 0,
            failures: 0,
            arrivals: [0; 2],
        };
        if !polling {
            world.open_socket();
        }
        world.schedule(0, Event::Emit);
        world.schedule(0, Event::Probe);
        if link.may_close {
            let when = 500 + world.random.below(QUIET);
            world.schedule(when, Event::Close);
        }
        world
    }

    /// The next arrival or the next timer, whichever is first, until the end.
    pub(super) fn run(&mut self) {
        self.pump();
        loop {
            let timeouts = [self.client.poll_timeout(), self.server.as_ref().and_then(Peer::poll_timeout)];
            let timeout = timeouts.into_iter().flatten().min().map(milliseconds);
            let arrival = self.events.first_key_value().map(|(&(when, _), _)| when);
            let Some(next) = timeout.into_iter().chain(arrival).min().filter(|&next| next <= END) else { return };
            assert!(next >= self.now, "a timer that was due has not been dealt with");
            self.now = next;
            if arrival == Some(next) {
                let (_, event) = self.events.pop_first().expect("it has just been looked at");
                self.handle(event, at(next));
            } else {
                self.client.handle_timeout(at(next));
                self.server.iter_mut().for_each(|server| server.handle_timeout(at(next)));
            }
            self.pump();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.closed.is_some()
    }

    pub(super) fn schedule(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.now + delay, self.scheduled), event);
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Get => self.handle_get(now),
            Event::Post(body) => self.handle_post(&body, now),
            Event::GetAnswer(answer) => {
                self.get = false;
                match answer {
                    Ok(body) => self.client.handle_payload(&body, now),
                    Err(()) => self.handle_request_failed(),
                }
            }
            Event::PostAnswer(answer) => {
                self.post = false;
                if answer.is_err() {
                    self.handle_request_failed();
                }
            }
            Event::Open(socket) => self.handle_open(socket, now),
            Event::Opened(socket, accepted) => self.handle_opened(socket, accepted, now),
            Event::ToServer(socket, frame) if socket == self.carrier => {
                self.server.as_mut().expect("it has accepted").handle_frame(WebSocket, &frame, now);
            }
            Event::ToClient(socket, frame) if socket == self.carrier => {
                self.client.handle_frame(WebSocket, &frame, now);
            }
            Event::ToServer(..) | Event::ToClient(..) => {}
            Event::ServerCut(socket) => {
                self.cut(socket);
                if take_if(&mut self.socket[SERVER], socket) {
                    self.server.as_mut().expect("it has accepted").session.handle_transport_closed(WebSocket, false);
                }
            }
            Event::ClientCut(socket) => {
                self.cut(socket);
                if take_if(&mut self.socket[CLIENT], socket) {
                    self.client.session.handle_transport_closed(WebSocket, false);
                }
            }
            Event::Probe => self.handle_probe(),
            Event::Emit => self.handle_emit(),
            Event::Close => {
                let client_closes = self.random.below(2) == 0;
                match &mut self.server {
                    Some(server) if !client_closes => server.session.close(CloseReason::ForcedClose),
                    Some(_) | None => self.client.session.close(CloseReason::ForcedClose),
                }
            }
        }
    }

    /// The application of either side, in bursts.
    fn handle_emit(&mut self) {
        for _ in 0..self.random.below(4) {
            let (client, ack) = (self.random.below(2) == 0, self.random.below(3) == 0);
            let attachments = [0, 0, 1, 3][usize::try_from(self.random.below(4)).expect("less than four")];
            match &mut self.server {
                Some(server) if !client => server.emit(attachments, ack),
                Some(_) | None => self.client.emit(attachments, ack),
            }
        }
        let next = 1 + self.random.below(300);
        if self.now + next < QUIET {
            self.schedule(next, Event::Emit);
        }
    }

    /// The client tries to upgrade, from time to time, until it has succeeded.
    fn handle_probe(&mut self) {
        if self.client.session.is_open() && self.client.session.transport() == Polling && self.socket[CLIENT] == 0 {
            self.open_socket();
        }
        let next = 1 + self.random.below(4000);
        if self.now + next < QUIET {
            self.schedule(next, Event::Probe);
        }
    }

    fn handle_get(&mut self, now: Instant) {
        match &mut self.server {
            None => {
                self.server = Some(Peer::server(self.link.version, Polling, &self.config, now));
                let body = self.payload([Frame::Text(self.handshake())]);
                self.answer(Event::GetAnswer(Ok(body)));
            }
            Some(server) if server.session.is_closed() && server.outbox.is_empty() => {
                self.answer(Event::GetAnswer(Err(())));
            }
            Some(server) => {
                assert_eq!(server.session.transport(), Polling, "a client that has upgraded polls no more");
                assert!(!std::mem::replace(&mut self.waiting, true), "one GET at a time");
            }
        }
    }

    fn handle_post(&mut self, body: &[u8], now: Instant) {
        let answer = match &mut self.server {
            Some(server) if !server.session.is_closed() => {
                assert_eq!(server.session.transport(), Polling, "a client that has upgraded posts no more");
                server.handle_payload(body, now);
                Ok(())
            }
            Some(_) | None => Err(()),
        };
        self.answer(Event::PostAnswer(answer));
    }

    /// A WebSocket has reached the server: a probe, or a session of its own.
    fn handle_open(&mut self, socket: u64, now: Instant) {
        let accepted = match &mut self.server {
            Some(server) => server.session.handle_probe(now).is_ok(),
            None => {
                self.server = Some(Peer::server(self.link.version, WebSocket, &self.config, now));
                true
            }
        };
        let delay = 1 + self.random.below(self.link.delay);
        if !accepted {
            return self.schedule(delay, Event::Opened(socket, false));
        }
        (self.carrier, self.socket[SERVER]) = (socket, socket);
        self.arrivals = [self.now, self.now + delay];
        self.schedule(delay, Event::Opened(socket, true));
        if self.server.as_ref().is_some_and(|server| server.session.transport() == WebSocket) {
            let open = self.handshake();
            self.send_frame(SERVER, Frame::Text(open));
        }
        if self.random.below(100) < self.link.cut {
            // Neither side need notice.
            let when = self.random.below(6000);
            for event in [Event::ServerCut(socket), Event::ClientCut(socket)] {
                if self.random.below(5) > 0 {
                    self.schedule(when, event);
                }
            }
        }
    }

    fn handle_opened(&mut self, socket: u64, accepted: bool, now: Instant) {
        if socket != self.socket[CLIENT] {
            // The client did not wait so long.
            self.schedule(1, Event::ServerCut(socket));
        } else if !accepted {
            self.socket[CLIENT] = 0;
            self.client.session.handle_transport_closed(WebSocket, true);
        } else if self.client.session.transport() == Polling && self.client.session.handle_probe(now).is_err() {
            self.close_socket(CLIENT);
        }
    }

    /// What was in the request may not have come, so nothing may be sent after it.
    fn handle_request_failed(&mut self) {
        self.client.session.handle_transport_closed(Polling, true);
        if self.client.session.is_closed() {
            self.client.outbox.clear();
        }
    }

    fn cut(&mut self, socket: u64) {
        take_if(&mut self.carrier, socket);
    }

    fn handshake(&self) -> String {
        let SessionConfig { ping_interval, ping_timeout, max_payload, .. } = self.config;
        let (sid, upgrades) = ("x".to_owned(), vec![WebSocket]);
        Handshake { sid, upgrades, ping_interval, ping_timeout, max_payload }.to_packet()
    }
}

/// Sets the number to none if it is this one; whether it was.
fn take_if(number: &mut u64, socket: u64) -> bool {
    let same = *number == socket && socket != 0;
    if same {
        *number = 0;
    }
    same
}

fn milliseconds(when: Instant) -> u64 {
    u64::try_from(when.duration_since(at(0)).as_millis()).expect("runs are short")
}

/// xorshift64*: different each time, and the same again.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
