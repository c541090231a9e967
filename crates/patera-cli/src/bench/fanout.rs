//! `broadcast` and `rooms`: one client emits, all receive.
//!
//! Broadcasts are numbered through all rooms: number `n` goes to room `n` modulo their count. So each member knows which
//! one comes next.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::spawn_local;

use super::client::{CONNECT_TIMEOUT, Client, MASK};
use super::driver::{Driver, OUTPUT_BYTES_MAX, Script, Slot};
use super::error::Failure;
use super::frames::{Template, Verb, namespace_part, room_name};
use super::order::Order;
use super::pacer::{Schedule, pace};
use super::packet::{Expected, Heard, Message, Reader};
use super::payload::Payload;
use super::run::{Measured, Run};
use super::tally::Tally;

/// The sender's number in every payload.
const EMITTER: u64 = 0;
/// How many windows back a broadcast may be incomplete while others go on.
const WINDOWS_KEPT: u64 = 4;
/// How many broadcasts are remembered in the open loop.
const FLIGHTS_MAX: u64 = 65_536;

/// What all members share.
struct Fan {
    tally: Rc<Tally>,
    payload: Payload,
    template: RefCell<Template>,
    expected: Expected,
    window: u64,
    flights_max: u64,
    /// Live members of each room.
    members: Vec<Cell<u64>>,
    /// Those that are not everywhere yet, and some between them; the first has number `first`.
    flights: RefCell<VecDeque<Flight>>,
    first: Cell<u64>,
    under_way: Cell<u64>,
    /// In the open loop.
    schedule: Cell<Option<Schedule>>,
    emitter: RefCell<Option<Rc<Slot>>>,
}

/// A broadcast.
struct Flight {
    begin: u64,
    /// Members that have yet to receive it.
    missing: u64,
}

/// One connection's.
struct Member {
    fan: Rc<Fan>,
    emits: bool,
    room: u64,
    order: Order,
    attachment: Option<Option<u64>>,
}

pub(crate) async fn run(run: &Rc<Run>, verb: Verb) -> Measured {
    let fan = Rc::new(Fan::new(run, verb));
    let rooms = fan.rooms();
    let join = async move |run: Rc<Run>, number: u64| {
        let mut client = Client::open(&run.target).await?;
        if run.options.rooms.is_some() {
            join(&run, &mut client, number % rooms).await?;
        }
        Ok((client, number % rooms))
    };
    let mut connections = 0;
    run.open_all(join, |(client, room), number| {
        let slot = Rc::new(Slot::default());
        if number == EMITTER {
            fan.emitter.replace(Some(slot.clone()));
        }
        connections = number + 1;
        spawn_local(Driver::new(client, Member::new(fan.clone(), room, number == EMITTER), slot));
    })
    .await;
    run.settle().await;
    let Some(emitter) = fan.emitter.borrow().clone() else { return Measured::default() };
    let begin = || match run.options.rate {
        Some(rate) => {
            let deliveries = connections as f64 / rooms as f64;
            let schedule = Schedule::new(run.tally.now(), rate / deliveries);
            fan.schedule.set(Some(schedule));
            spawn_local(pace(run.tally.clone(), schedule, move |_| emitter.release()));
        }
        None => emitter.wake(),
    };
    let measured = run.measure(begin).await;
    Measured { connections, ..measured }
}

/// Joins, and waits for an echo: events are handled in order, so that then the room is joined.
async fn join(run: &Run, client: &mut Client, room: u64) -> Result<(), Failure> {
    let namespace = namespace_part(run.target.namespace());
    client.push(format!(r#"42{namespace}["join","{}"]"#, room_name(room)).as_bytes());
    // An offset may follow what is said.
    let echo = format!(r#"42{namespace}["echo","joined the room""#);
    client.push(format!("{echo}]").as_bytes());
    let answer = client.wait_for(|message| Ok(matches!(message, Message::Text(text) if text.starts_with(&echo))));
    tokio::time::timeout(CONNECT_TIMEOUT, answer).await.unwrap_or(Err(Failure::Timeout))
}

impl Fan {
    fn new(run: &Run, verb: Verb) -> Fan {
        let options = &run.options;
        let payload = Payload::new(options.size as usize);
        let namespace = run.target.namespace();
        let window = options.window();
        Fan {
            tally: run.tally.clone(),
            template: RefCell::new(Template::frames(verb, namespace, &payload, options.binary, MASK)),
            expected: Expected::new(verb, &run.target, options.binary),
            payload,
            window,
            flights_max: window.saturating_mul(WINDOWS_KEPT).min(FLIGHTS_MAX),
            members: vec![Cell::new(0); options.rooms.unwrap_or(1) as usize],
            flights: RefCell::default(),
            first: Cell::default(),
            under_way: Cell::default(),
            schedule: Cell::default(),
            emitter: RefCell::default(),
        }
    }

    fn rooms(&self) -> u64 {
        self.members.len() as u64
    }

    /// The number of the next broadcast.
    fn next(&self) -> u64 {
        self.first.get() + self.flights.borrow().len() as u64
    }

    /// One member received this broadcast, or never will. Returns when it was emitted.
    fn tick_off(&self, number: u64) -> u64 {
        let mut flights = self.flights.borrow_mut();
        let at = number.checked_sub(self.first.get());
        let Some(flight) = at.and_then(|at| flights.get_mut(at as usize)) else { return self.tally.now() };
        let begin = flight.begin;
        flight.missing = flight.missing.saturating_sub(1);
        if flight.missing == 0 {
            self.under_way.set(self.under_way.get() - 1);
            while flights.front().is_some_and(|flight| flight.missing == 0) {
                flights.pop_front();
                self.first.set(self.first.get() + 1);
            }
            if let Some(emitter) = &*self.emitter.borrow() {
                emitter.wake();
            }
        }
        begin
    }

    fn emit(&self, due: &Cell<u64>, output: &mut Vec<u8>) {
        let now = self.tally.now();
        let mut template = self.template.borrow_mut();
        while self.under_way.get() < self.window
            && (self.flights.borrow().len() as u64) < self.flights_max
            && output.len() < OUTPUT_BYTES_MAX
        {
            let number = self.next();
            let mut begin = now;
            if let Some(schedule) = self.schedule.get() {
                if due.get() == 0 {
                    return;
                }
                due.set(due.get() - 1);
                begin = schedule.due(number);
            }
            let room = number % self.rooms();
            let missing = self.members[room as usize].get();
            self.flights.borrow_mut().push_back(Flight { begin, missing });
            self.under_way.set(self.under_way.get() + 1);
            if missing == 0 {
                self.tick_off(number);
                continue;
            }
            template.set_room(room);
            template.append(&self.payload, EMITTER, number, output);
            self.tally.expect(missing);
        }
    }
}

impl Member {
    fn new(fan: Rc<Fan>, room: u64, emits: bool) -> Member {
        fan.tally.connected();
        let members = &fan.members[room as usize];
        members.set(members.get() + 1);
        Member { fan, emits, room, order: Order::default(), attachment: None }
    }

    /// The number of this room's broadcast `index` among all.
    fn number(&self, index: u64) -> u64 {
        index * self.fan.rooms() + self.room
    }
}

impl Script for Member {
    fn receive(&mut self, message: Message<'_>) -> Result<(), Failure> {
        let fan = &*self.fan;
        let mut reader = Reader::resume(&fan.expected, self.attachment.take());
        let heard = reader.read(message);
        self.attachment = reader.pause();
        let Heard::Payload(x, _) = heard? else { return Ok(()) };
        let near = self.number(self.order.next());
        let number = fan.payload.check(&x, EMITTER, near);
        let number = number.filter(|number| *number < fan.next() && number % fan.rooms() == self.room);
        let Some(number) = number else {
            fan.tally.error(&Failure::Changed);
            return Ok(());
        };
        let arrival = self.order.receive(number / fan.rooms());
        let end = fan.tally.now();
        let begin = if arrival.is_first() { fan.tick_off(number) } else { end };
        fan.tally.arrived(arrival, begin, end);
        Ok(())
    }

    fn send(&mut self, due: &Cell<u64>, output: &mut Vec<u8>) {
        if self.emits && self.fan.tally.is_running() {
            self.fan.emit(due, output);
        }
    }

    fn end(&mut self, failure: &Failure) {
        let fan = &*self.fan;
        fan.tally.disconnected(failure);
        let members = &fan.members[self.room as usize];
        members.set(members.get() - 1);
        let indices = (fan.next() + fan.rooms() - 1 - self.room) / fan.rooms();
        for index in self.order.outstanding(indices) {
            fan.tick_off(self.number(index));
            fan.tally.abandon(1);
        }
        if self.emits {
            fan.tally.stop();
        }
    }
}
