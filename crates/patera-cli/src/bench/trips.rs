//! `echo` and `ack`: every connection sends and waits for what it sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::task::spawn_local;

use super::client::{Client, MASK};
use super::driver::{Driver, OUTPUT_BYTES_MAX, Script, Slot};
use super::error::Failure;
use super::frames::{Template, Verb, ack_id};
use super::order::Order;
use super::pacer::{Schedule, pace};
use super::packet::{Expected, Heard, Message, Reader};
use super::payload::Payload;
use super::run::{Measured, Run};
use super::tally::Tally;

/// How many windows back a reply may be while others go on, before its connection waits for it.
const WINDOWS_KEPT: u64 = 4;

/// What the connections share.
pub(crate) struct Trips {
    tally: Rc<Tally>,
    payload: Payload,
    template: RefCell<Template>,
    expected: Expected,
    is_ack: bool,
    window: u64,
    /// In the open loop.
    schedule: Cell<Option<Schedule>>,
    connections: Cell<u64>,
}

/// One connection's.
pub(crate) struct Trip {
    shared: Rc<Trips>,
    number: u64,
    /// How many were sent.
    sent: u64,
    order: Order,
    under_way: u64,
    /// When the newest were sent: that with number `n` stands at `n` modulo their count. Empty in the open loop.
    sent_at: Box<[u64]>,
    attachment: Option<Option<u64>>,
}

/// Over WebSocket.
pub(crate) async fn run(run: &Rc<Run>, verb: Verb) -> Measured {
    let template =
        |payload: &Payload| Template::frames(verb, run.target.namespace(), payload, run.options.binary, MASK);
    let shared = Trips::new(run, verb, template);
    let mut slots: Vec<Rc<Slot>> = Vec::new();
    let open = async |run: Rc<Run>, _| Client::open(&run.target).await;
    run.open_all(open, |client, number| {
        let slot = Rc::new(Slot::default());
        slots.push(slot.clone());
        spawn_local(Driver::new(client, Trip::new(shared.clone(), number), slot));
    })
    .await;
    shared.measure(run, slots).await
}

impl Trips {
    pub(crate) fn new(run: &Run, verb: Verb, template: impl FnOnce(&Payload) -> Template) -> Rc<Trips> {
        let payload = Payload::new(run.options.size as usize);
        Rc::new(Trips {
            tally: run.tally.clone(),
            template: RefCell::new(template(&payload)),
            expected: Expected::new(verb, &run.target, run.options.binary),
            payload,
            is_ack: verb == Verb::Ack,
            window: run.options.window(),
            schedule: Cell::default(),
            connections: Cell::default(),
        })
    }

    /// Lets the connections begin, and measures.
    pub(crate) async fn measure(&self, run: &Run, slots: Vec<Rc<Slot>>) -> Measured {
        let connections = slots.len() as u64;
        if connections == 0 {
            return Measured::default();
        }
        self.connections.set(connections);
        run.settle().await;
        let begin = || match run.options.rate {
            Some(rate) => {
                let schedule = Schedule::new(run.tally.now(), rate);
                self.schedule.set(Some(schedule));
                let release = move |operation| slots[(operation % connections) as usize].release();
                spawn_local(pace(run.tally.clone(), schedule, release));
            }
            None => slots.iter().for_each(|slot| slot.wake()),
        };
        let measured = run.measure(begin).await;
        Measured { connections, ..measured }
    }
}

impl Trip {
    pub(crate) fn new(shared: Rc<Trips>, number: u64) -> Trip {
        shared.tally.connected();
        let kept = if shared.window == u64::MAX { 0 } else { (shared.window * WINDOWS_KEPT).next_power_of_two() };
        Trip {
            shared,
            number,
            sent: 0,
            order: Order::default(),
            under_way: 0,
            sent_at: vec![0; kept as usize].into(),
            attachment: None,
        }
    }

    fn begin(&self, number: u64) -> u64 {
        match self.shared.schedule.get() {
            Some(schedule) => schedule.due(self.number + number * self.shared.connections.get()),
            None => self.sent_at[number as usize & (self.sent_at.len() - 1)],
        }
    }

    fn may_send(&self) -> bool {
        let is_kept = self.sent_at.is_empty() || self.sent - self.order.oldest() < self.sent_at.len() as u64;
        self.under_way < self.shared.window && is_kept
    }
}

impl Script for Trip {
    fn receive(&mut self, message: Message<'_>) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let mut reader = Reader::resume(&shared.expected, self.attachment.take());
        let heard = reader.read(message);
        self.attachment = reader.pause();
        let Heard::Payload(x, ack) = heard? else { return Ok(()) };
        let number = shared.payload.check(&x, self.number, self.order.next()).filter(|number| *number < self.sent);
        let Some(number) = number.filter(|number| !shared.is_ack || ack == Some(ack_id(*number))) else {
            shared.tally.error(&Failure::Changed);
            return Ok(());
        };
        let begin = self.begin(number);
        let arrival = self.order.receive(number);
        if arrival.is_first() {
            self.under_way -= 1;
        }
        shared.tally.arrived(arrival, begin, shared.tally.now());
        Ok(())
    }

    fn send(&mut self, due: &Cell<u64>, output: &mut Vec<u8>) {
        let shared = &*self.shared;
        if !shared.tally.is_running() {
            return;
        }
        let is_open = shared.schedule.get().is_some();
        let now = shared.tally.now();
        while self.may_send() && output.len() < OUTPUT_BYTES_MAX && !(is_open && due.get() == 0) {
            if is_open {
                due.set(due.get() - 1);
            }
            if !self.sent_at.is_empty() {
                let at = self.sent as usize & (self.sent_at.len() - 1);
                self.sent_at[at] = now;
            }
            shared.template.borrow_mut().append(&shared.payload, self.number, self.sent, output);
            self.sent += 1;
            self.under_way += 1;
            shared.tally.expect(1);
        }
    }

    fn end(&mut self, failure: &Failure) {
        self.shared.tally.disconnected(failure);
        self.shared.tally.abandon(self.under_way);
    }
}
