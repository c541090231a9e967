//! One run: connections are opened, then warm-up, measuring and draining follow each other. What a scenario does in them is
//! its own affair.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::error::Failure;
use super::options::Options;
use super::progress::Progress;
use super::server::{CpuTime, Process, own_cpu_microseconds};
use super::tally::{Phase, Tally};
use super::target::Target;

/// How often the bar is drawn and a standstill looked for.
const TICK: Duration = Duration::from_millis(100);
/// A server that uses less than this share of a core is quiet.
const QUIET_SHARE: f64 = 0.02;
/// How long quiet is waited for.
const QUIET_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Run {
    pub(crate) options: Options,
    pub(crate) target: Target,
    pub(crate) tally: Rc<Tally>,
    pub(crate) process: Option<Process>,
    pub(crate) progress: Progress,
    /// The server's memory before the first connection.
    pub(crate) rss_before: Option<u64>,
}

/// What was found beside the operations.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) connections: u64,
    pub(crate) seconds: f64,
    pub(crate) generator_cpu_us: f64,
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) server_threads: usize,
    pub(crate) rss_connected: Option<u64>,
    pub(crate) rss_after: Option<u64>,
}

/// Where the clocks stood.
pub(super) struct Clocks {
    server: Option<CpuTime>,
    generator: f64,
    now: u64,
}

impl Run {
    /// Opens all connections, some at a time, each with its number, and hands those that succeeded on with theirs: both
    /// are 0, 1, 2 …
    pub(crate) async fn open_all<T: 'static>(
        self: &Rc<Self>,
        open: impl AsyncFn(Rc<Run>, u64) -> Result<T, Failure> + Clone + 'static,
        mut ready: impl FnMut(T, u64),
    ) {
        let total = u64::from(self.options.connections);
        self.progress.begin("connecting", total);
        let mut opening = JoinSet::new();
        let mut begun = 0;
        let mut opened = 0;
        loop {
            while begun < total && opening.len() < self.options.ramp as usize {
                let (run, number, open) = (self.clone(), begun, open.clone());
                begun += 1;
                opening.spawn_local(async move { open(run, number).await });
            }
            match opening.join_next().await {
                None => return,
                Some(Ok(Ok(client))) => {
                    ready(client, opened);
                    opened += 1;
                    self.progress.set(opened);
                }
                Some(Ok(Err(failure))) => self.tally.error(&failure),
                Some(Err(_)) => {}
            }
        }
    }

    /// The server's memory now.
    pub(crate) fn rss(&self) -> Option<u64> {
        self.process.and_then(|process| process.rss_bytes().ok())
    }

    /// Waits until the server has nothing to do, as far as that can be seen.
    pub(crate) async fn settle(&self) {
        let Some(process) = self.process else { return sleep(3 * TICK).await };
        let deadline = Instant::now() + QUIET_TIMEOUT;
        let mut quiet = 0;
        let mut before = process.cpu_time().unwrap_or_default();
        while quiet < 3 && Instant::now() < deadline {
            sleep(TICK).await;
            let after = process.cpu_time().unwrap_or_default();
            let share = after.microseconds_since(&before) / TICK.as_micros() as f64;
            quiet = if share < QUIET_SHARE { quiet + 1 } else { 0 };
            before = after;
        }
    }

    /// Warm-up, measuring and draining. `begin` starts the scenario; from then on it keeps itself going.
    pub(crate) async fn measure(&self, begin: impl FnOnce()) -> Measured {
        let mut measured = Measured { rss_connected: self.rss(), ..Measured::default() };
        let tally = &*self.tally;
        tally.set_phase(Phase::Warmup);
        begin();
        if !self.options.warmup.is_zero() {
            self.progress.begin("warming up", 0);
            sleep(self.options.warmup).await;
        }
        let before = self.clocks_before();
        tally.set_phase(Phase::Measuring);
        self.wait_for_end().await;
        tally.set_phase(Phase::Draining);
        self.note(before, &mut measured);
        measured.rss_after = self.rss();
        self.drain().await;
        self.progress.end();
        measured
    }

    /// The server's clock first: what it does meanwhile is counted rather than not.
    pub(super) fn clocks_before(&self) -> Clocks {
        let server = self.process.and_then(|process| process.cpu_time().ok());
        Clocks { server, generator: own_cpu_microseconds(), now: self.tally.now() }
    }

    pub(super) fn note(&self, before: Clocks, measured: &mut Measured) {
        measured.seconds = (self.tally.now() - before.now) as f64 / 1e9;
        measured.generator_cpu_us = own_cpu_microseconds() - before.generator;
        let server = self.process.and_then(|process| process.cpu_time().ok());
        if let (Some(before), Some(after)) = (before.server, server) {
            measured.server_cpu_us = Some(after.microseconds_since(&before));
            measured.server_threads = after.threads();
        }
    }

    /// Until the time is over, the operations are done, or nothing goes on any more.
    async fn wait_for_end(&self) {
        let Options { duration, operations, timeout, .. } = self.options;
        let begin = Instant::now();
        match (operations, duration) {
            (Some(operations), _) => self.progress.begin("measuring", operations),
            (None, duration) => self.progress.begin("measuring", duration.unwrap_or_default().as_millis() as u64),
        }
        let deadline = begin + duration.unwrap_or(Duration::from_secs(86_400));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = (self.activity(), begin);
        while self.tally.phase() == Phase::Measuring {
            tokio::select! {
                () = self.tally.changed() => {}
                () = sleep_until(deadline) => return,
                now = tick.tick() => {
                    let is_by_time = operations.is_none();
                    let at = if is_by_time { (now - begin).as_millis() as u64 } else { self.tally.operations() };
                    self.progress.set(at);
                    let activity = self.activity();
                    if activity != last.0 {
                        last = (activity, now);
                    } else if now - last.1 >= timeout && self.tally.is_stuck() {
                        return;
                    }
                }
            }
        }
    }

    fn activity(&self) -> u64 {
        self.tally.received()
    }

    /// Until nothing is under way, or replies do not come any more.
    async fn drain(&self) {
        let mut last = (self.tally.received(), Instant::now());
        while self.tally.under_way() > 0 && last.1.elapsed() < self.options.timeout {
            let _ = tokio::time::timeout(TICK, self.tally.changed()).await;
            if self.tally.received() != last.0 {
                last = (self.tally.received(), Instant::now());
            }
        }
        // What comes double or late may still be on its way.
        sleep(TICK).await;
    }
}
