//! Nodes on a bus that loses, delays and cuts, in virtual time, by seed: what must hold whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _};

use super::world::start;
use crate::ids::split_mix;
use crate::{
    Asker, Bus, ClusterConfig, Description, Encoded, Event, Faults, Incoming, MemoryBus, Node, Outcome, RequestId,
    Target, Transmit, Uid,
};

const MS: Duration = Duration::from_millis(1);
const RUNS: u64 = 600;

/// A server of the simulation. It lives or is gone; its name is never used again.
struct Server {
    node: Node,
    incoming: Incoming,
    /// The number of its next broadcast.
    next: u64,
    /// Of each sender, the numbers of the broadcasts that came.
    heard: BTreeMap<Uid, Vec<u64>>,
    /// Acknowledgements its clients have not given yet.
    owed: Vec<Asker>,
    /// What it has asked: how many answers have come.
    open: BTreeMap<RequestId, usize>,
    finished: Vec<(RequestId, usize, Outcome)>,
}

struct Simulation {
    seed: u64,
    random: u64,
    bus: MemoryBus,
    now: Instant,
    servers: Vec<Server>,
    /// How many there have been.
    born: u64,
    /// Whether all have time enough to answer.
    is_patient: bool,
    config: Arc<ClusterConfig>,
}

/// Clients that acknowledge, at each server.
const CLIENTS: usize = 2;

impl Simulation {
    fn new(seed: u64, servers: usize) -> Self {
        let mut simulation = Simulation {
            seed,
            random: seed,
            bus: MemoryBus::with_faults(seed, Faults::default()),
            now: start(),
            servers: Vec::new(),
            born: 0,
            is_patient: false,
            config: Arc::default(),
        };
        for _ in 0..servers {
            simulation.bear();
        }
        simulation
    }

    fn below(&mut self, limit: u64) -> u64 {
        split_mix(&mut self.random) % limit
    }

    fn some_timeout(&mut self) -> Duration {
        let some = MS * self.below(8000) as u32;
        if self.is_patient { 60_000 * MS } else { some }
    }

    fn some_server(&mut self) -> usize {
        self.below(self.servers.len() as u64) as usize
    }

    fn bear(&mut self) {
        self.born += 1;
        let uid = Uid::from_bits(self.born);
        let ready = "the bus in memory never waits";
        let incoming = self.bus.subscribe(uid.clone()).now_or_never().expect(ready).unwrap();
        self.bus.enter(uid.clone(), "/".into()).now_or_never().expect(ready).unwrap();
        self.servers.push(Server {
            node: Node::new(uid, "/".into(), self.config.clone(), self.seed ^ (self.born << 32), self.now),
            incoming,
            next: 0,
            heard: BTreeMap::new(),
            owed: Vec::new(),
            open: BTreeMap::new(),
            finished: Vec::new(),
        });
    }

    /// It leaves, and says so if it can.
    fn bury(&mut self, index: usize, says_so: bool) {
        let mut server = self.servers.swap_remove(index);
        if says_so {
            server.node.close(self.now);
            self.transmit(&mut server);
            self.tell(&mut server);
            assert!(server.open.is_empty(), "seed {}: requests end with their node", self.seed);
        }
    }

    fn transmit(&self, server: &mut Server) {
        while let Some(Transmit { message, to }) = server.node.poll_transmit() {
            self.bus.publish(message, to).now_or_never().expect("it never waits").unwrap();
        }
    }

    /// Lets everyone read and do what is to be done, until nothing is left that need not time.
    fn settle(&mut self) {
        let mut servers = std::mem::take(&mut self.servers);
        loop {
            let mut any = false;
            for server in &mut servers {
                self.transmit(server);
                while let Some(Some(message)) = server.incoming.next().now_or_never() {
                    server.node.handle_message(message.expect("nobody is that slow"), self.now);
                    any = true;
                }
                self.tell(server);
                self.transmit(server);
            }
            if !any {
                break;
            }
        }
        self.servers = servers;
    }

    fn tell(&self, server: &mut Server) {
        while let Some(event) = server.node.poll_event() {
            match event {
                Event::Broadcast { event, asker, .. } => {
                    self.hear(server, &event);
                    if let Some(asker) = asker {
                        server.node.answer_client_count(&asker, CLIENTS as u64);
                        server.owed.extend(std::iter::repeat_n(asker, CLIENTS));
                    }
                }
                Event::FetchSockets { asker, .. } => {
                    let (id, rooms) = (server.node.uid().as_str().into(), Vec::new());
                    let socket = Description { id, handshake: ().into(), rooms, data: ().into() };
                    server.node.answer_sockets(&asker, vec![socket]);
                }
                Event::ServerSideEmit { asker: Some(asker), .. } => {
                    server.node.answer_server_side(&asker, Encoded::of(&1).unwrap());
                }
                Event::Sockets { request, .. } | Event::Answer { request, .. } => {
                    *server.open.get_mut(&request).expect("answers come while a request is open") += 1;
                }
                Event::Finished { request, outcome } => {
                    let answers = server.open.remove(&request).expect("a request ends once");
                    server.finished.push((request, answers, outcome));
                }
                Event::PeerJoined { .. }
                | Event::PeerLeft { .. }
                | Event::SocketsJoin { .. }
                | Event::SocketsLeave { .. }
                | Event::DisconnectSockets { .. }
                | Event::ServerSideEmit { asker: None, .. } => {}
            }
        }
    }

    fn hear(&self, server: &mut Server, event: &Encoded) {
        let values = event.to_values();
        let (from, number) = (Uid::from_bits(values[1].as_u64().unwrap()), values[2].as_u64().unwrap());
        let heard = server.heard.entry(from).or_default();
        assert!(heard.last().is_none_or(|last| *last < number), "seed {}: {number} after {heard:?}", self.seed);
        heard.push(number);
    }

    fn emit(&mut self, index: usize) {
        let (now, kind, timeout) = (self.now, self.below(3), self.some_timeout());
        let server = &mut self.servers[index];
        let from = u64::from_str_radix(server.node.uid().as_str(), 16).unwrap();
        let event = Encoded::of(&("e", from, server.next)).unwrap();
        server.next += 1;
        match kind {
            0 => server.node.broadcast(event, Target::default(), now),
            1 => server.node.broadcast(event, Target::room("an id"), now),
            _ => {
                let request = server.node.broadcast_with_ack(event, Target::default(), timeout, now).unwrap();
                server.open.insert(request, 0);
            }
        }
    }

    fn ask(&mut self, index: usize) {
        let (now, timeout, sockets) = (self.now, self.some_timeout(), self.below(2) == 0);
        let server = &mut self.servers[index];
        let request = match sockets {
            true => server.node.fetch_sockets(Target::default(), timeout, now),
            false => server.node.server_side_emit_with_ack(Encoded::of(&"s").unwrap(), timeout, now),
        };
        server.open.insert(request.unwrap(), 0);
    }

    fn acknowledge(&mut self, index: usize) {
        let server = &mut self.servers[index];
        if let Some(asker) = server.owed.pop() {
            server.node.answer_ack(&asker, Encoded::of(&"yes").unwrap());
        }
    }

    /// Time passes in small steps, so that what is due is done when it is.
    fn pass(&mut self, steps: u64, step: Duration) {
        for _ in 0..steps {
            self.now += step;
            self.bus.advance(step);
            for server in &mut self.servers {
                server.node.handle_timeout(self.now);
            }
            self.settle();
        }
    }

    fn disturb(&mut self) {
        match self.below(6) {
            0 => {
                let (loss, delay) = (self.below(40) as f64 / 100.0, MS * self.below(4000) as u32);
                self.bus.set_faults(Faults { loss, delay_min: Duration::ZERO, delay_max: delay });
            }
            1 => {
                let uids: Vec<Uid> = self.servers.iter().map(|server| server.node.uid().clone()).collect();
                let (left, _) = uids.split_at(self.below(uids.len() as u64 + 1) as usize);
                self.bus.partition(&[left]);
            }
            2 | 3 => self.bus.heal(),
            4 if self.servers.len() > 2 => {
                let (index, says_so) = (self.some_server(), self.below(2) == 0);
                self.bury(index, says_so);
            }
            _ if self.servers.len() < 6 => self.bear(),
            _ => {}
        }
    }

    /// After all faults everyone finds everyone, and nothing is left of what was asked.
    fn recover_and_end(mut self) {
        self.bus.heal();
        self.bus.set_faults(Faults::default());
        self.pass(60, 500 * MS);
        let count = self.servers.len();
        for server in &self.servers {
            assert_eq!(server.node.server_count(), count, "seed {}", self.seed);
            assert_eq!((server.node.request_count(), server.open.len()), (0, 0), "seed {}", self.seed);
        }
        while !self.servers.is_empty() {
            self.bury(0, true);
            self.settle();
            let count = self.servers.len();
            assert!(self.servers.iter().all(|server| server.node.server_count() == count), "seed {}", self.seed);
        }
        assert!(self.bus.is_empty(), "seed {}", self.seed);
    }
}

#[test]
fn order_and_ends_hold_whatever_gets_lost() {
    for seed in 0..RUNS {
        let mut simulation = Simulation::new(seed, 2 + (seed % 4) as usize);
        for _ in 0..150 {
            let index = simulation.some_server();
            match simulation.below(12) {
                0..=4 => simulation.emit(index),
                5 => simulation.ask(index),
                6..=8 => simulation.acknowledge(index),
                9 => simulation.disturb(),
                _ => {
                    let steps = simulation.below(6);
                    simulation.pass(steps, 200 * MS);
                }
            }
        }
        simulation.recover_and_end();
    }
}

#[test]
fn nothing_is_missing_where_nothing_gets_lost() {
    for seed in 0..RUNS / 4 {
        let count = 2 + (seed % 4) as usize;
        let mut simulation = Simulation::new(seed, count);
        simulation.is_patient = true;
        simulation.settle();
        simulation.bus.set_faults(Faults { delay_max: 300 * MS, ..Faults::default() });
        for _ in 0..60 {
            let index = simulation.some_server();
            match simulation.below(4) {
                0 | 1 => simulation.emit(index),
                2 => simulation.ask(index),
                _ => simulation.pass(1, 100 * MS),
            }
        }
        simulation.pass(20, 100 * MS);
        for index in 0..count {
            while !simulation.servers[index].owed.is_empty() {
                simulation.acknowledge(index);
            }
        }
        simulation.pass(100, 100 * MS);
        for receiver in &simulation.servers {
            for sender in simulation.servers.iter().filter(|sender| sender.node.uid() != receiver.node.uid()) {
                let heard = receiver.heard.get(sender.node.uid()).cloned().unwrap_or_default();
                assert!(heard.into_iter().eq(0..sender.next), "seed {seed}");
            }
            for (request, answers, outcome) in &receiver.finished {
                let is_all = [count - 1, CLIENTS * (count - 1)].contains(answers);
                assert!(is_all && *outcome == Outcome::Complete, "seed {seed}: {request} {answers} {outcome:?}");
            }
            assert!(receiver.open.is_empty(), "seed {seed}");
        }
        simulation.recover_and_end();
    }
}
