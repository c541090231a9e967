//! `connect`, `churn` and `storm`: what connecting costs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::client::{CONNECT_TIMEOUT, Client, MASK};
use super::driver::{Driver, Slot};
use super::error::Failure;
use super::frames::{Template, Verb};
use super::idle::Idle;
use super::limits::files_max;
use super::order::Arrival;
use super::pacer::{Schedule, pace};
use super::packet::{Expected, Heard, Reader};
use super::payload::Payload;
use super::run::{Measured, Run};
use super::tally::Phase;

/// `connect` keeps the newest so many connections.
const HELD_MAX: u64 = 15_000;
/// Files that are not for held connections, beside those being opened.
const FILES_SPARE: u64 = 100;
/// How long a worker rests after a failure: a server that refuses is not flooded.
const REST: Duration = Duration::from_millis(10);

/// What the workers share.
struct Opening {
    run: Rc<Run>,
    /// In the open loop: when the next one is due, and one permit for each that is.
    schedule: Cell<Option<Schedule>>,
    due: Semaphore,
    begun: Cell<u64>,
    held: RefCell<VecDeque<AbortHandle>>,
    held_max: u64,
    echo: Echo,
}

/// The one event of a cycle.
struct Echo {
    payload: Payload,
    template: RefCell<Template>,
    expected: Expected,
}

/// Connections are opened, some at a time, and kept.
pub(crate) async fn connect(run: &Rc<Run>) -> Measured {
    let opening = Rc::new(Opening::new(run));
    let mut measured = opening
        .measure(async |opening: &Opening, _| {
            let client = Client::open(&opening.run.target).await?;
            opening.hold(client);
            Ok(())
        })
        .await;
    run.settle().await;
    measured.rss_connected = run.rss();
    measured.connections = opening.held.borrow().len() as u64;
    measured
}

/// Connections are opened, used once and closed, some at a time.
pub(crate) async fn churn(run: &Rc<Run>) -> Measured {
    let opening = Rc::new(Opening::new(run));
    let measured = opening
        .measure(async |opening: &Opening, number| {
            let mut client = Client::open(&opening.run.target).await?;
            opening.echo.call(&mut client, number).await?;
            client.close(&opening.run.target).await
        })
        .await;
    Measured { connections: u64::from(run.options.connections), ..measured }
}

/// All connections at once.
pub(crate) async fn storm(run: &Rc<Run>) -> Measured {
    let total = u64::from(run.options.connections);
    let held = Rc::new(Cell::new(0));
    let before = run.clocks_before();
    let begin = run.tally.now();
    run.tally.set_phase(Phase::Measuring);
    run.tally.expect(total);
    run.progress.begin("connecting", total);
    let mut opening = JoinSet::new();
    for _ in 0..total {
        let (run, held) = (run.clone(), held.clone());
        opening.spawn_local(async move {
            match Client::open(&run.target).await {
                Ok(client) => {
                    run.tally.arrived(Arrival::InOrder, begin, run.tally.now());
                    held.set(held.get() + 1);
                    run.progress.set(held.get());
                    spawn_local(Driver::new(client, Idle::new(run.tally.clone()), Rc::new(Slot::default())));
                }
                Err(failure) => {
                    run.tally.withdraw(1);
                    run.tally.error(&failure);
                }
            }
        });
    }
    while opening.join_next().await.is_some() {}
    run.tally.set_phase(Phase::Draining);
    let mut measured = Measured::default();
    run.note(before, &mut measured);
    run.progress.end();
    measured.rss_after = run.rss();
    run.settle().await;
    measured.rss_connected = run.rss();
    Measured { connections: held.get(), ..measured }
}

impl Opening {
    fn new(run: &Rc<Run>) -> Opening {
        let options = &run.options;
        let payload = Payload::new(options.size as usize);
        let namespace = run.target.namespace();
        Opening {
            run: run.clone(),
            schedule: Cell::default(),
            due: Semaphore::new(0),
            begun: Cell::default(),
            held: RefCell::default(),
            held_max: HELD_MAX.min(files_max().saturating_sub(u64::from(options.connections) + FILES_SPARE)),
            echo: Echo {
                template: RefCell::new(Template::frames(Verb::Echo, namespace, &payload, options.binary, MASK)),
                expected: Expected::new(Verb::Echo, &run.target, options.binary),
                payload,
            },
        }
    }

    /// Lets `--connections` workers do it again and again.
    async fn measure(
        self: &Rc<Self>,
        operation: impl AsyncFn(&Opening, u64) -> Result<(), Failure> + Clone + 'static,
    ) -> Measured {
        let run = &self.run;
        let begin = || {
            if let Some(rate) = run.options.rate {
                let schedule = Schedule::new(run.tally.now(), rate);
                self.schedule.set(Some(schedule));
                let opening = self.clone();
                spawn_local(pace(run.tally.clone(), schedule, move |_| opening.due.add_permits(1)));
            }
            for _ in 0..run.options.connections {
                let (opening, operation) = (self.clone(), operation.clone());
                run.tally.connected();
                spawn_local(async move { opening.work(operation).await });
            }
        };
        run.measure(begin).await
    }

    async fn work(&self, operation: impl AsyncFn(&Opening, u64) -> Result<(), Failure>) {
        let tally = &self.run.tally;
        while tally.is_running() {
            let mut begin = None;
            if let Some(schedule) = self.schedule.get() {
                let Ok(permit) = self.due.acquire().await else { return };
                permit.forget();
                begin = Some(schedule.due(self.begun.get()));
            }
            let number = self.begun.get();
            self.begun.set(number + 1);
            let begin = begin.unwrap_or_else(|| tally.now());
            tally.expect(1);
            match operation(self, number).await {
                Ok(()) => tally.arrived(Arrival::InOrder, begin, tally.now()),
                Err(failure) => {
                    tally.withdraw(1);
                    tally.error(&failure);
                    sleep(REST).await;
                }
            }
        }
    }

    /// Keeps a connection, which answers heartbeats meanwhile; the oldest one beyond the limit is closed.
    fn hold(&self, client: Client) {
        let idle = Driver::new(client, Idle::new(self.run.tally.clone()), Rc::new(Slot::default()));
        let mut held = self.held.borrow_mut();
        held.push_back(spawn_local(idle).abort_handle());
        if held.len() as u64 > self.held_max
            && let Some(oldest) = held.pop_front()
        {
            oldest.abort();
        }
    }
}

impl Echo {
    /// Sends the event and waits until it is back.
    async fn call(&self, client: &mut Client, number: u64) -> Result<(), Failure> {
        let mut attachment = None;
        self.template.borrow_mut().append(&self.payload, 0, number, client.output());
        let answer = client.wait_for(|message| {
            let mut reader = Reader::resume(&self.expected, attachment.take());
            let heard = reader.read(message);
            attachment = reader.pause();
            match heard? {
                Heard::Payload(x, _) if self.payload.check(&x, 0, number) == Some(number) => Ok(true),
                Heard::Payload(..) => Err(Failure::Changed),
                Heard::Nothing => Ok(false),
            }
        });
        timeout(CONNECT_TIMEOUT, answer).await.unwrap_or(Err(Failure::Timeout))
    }
}
