//! This server among others: what it says to them, and what they ask of it.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the server's part of it: its name, its bus, counters, the end |
//! | `membership` | one namespace's part: its node, and who waits for answers of others |
//! | `queue` | what waits for the bus |
//! | `task` | the one task that speaks with the bus, and keeps time |
//! | `incoming` | what others ask is done here |
//! | `asks` | others' questions to clients of this server, until their time is over |
//! | `outside` | what is asked of others: `fetch_sockets` and its kin, server-side events |
//! | `server_side` | handlers of server-side events |
//! | `description` | a socket as it is told to others |
//!
//! Local delivery comes first, and never waits for any of it: what is for others is put into a bounded queue. Without a bus
//! there is no [`Cluster`], and that is all that a broadcast sees of it.

mod asks;
pub(crate) mod description;
mod incoming;
mod membership;
mod outside;
mod queue;
mod server_side;
mod task;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use patera_cluster::{Bus, BusError, ClusterConfig, Uid};
use rand::Rng as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::config::BUS_FAREWELL;
use crate::io::IoInner;
use crate::stats::{Stats, count};
use crate::sync::{Mutex, RwLock};
use crate::tasks::catch;
use crate::trace::trace;

use asks::Asks;
pub(crate) use membership::{Membership, Parting};
use queue::{Job, Queue};
pub use server_side::{ServerSide, ServerSideCall};
pub(crate) use server_side::{ServerSideListeners, Started};

type BusErrorHook = Arc<dyn Fn(&BusError) + Send + Sync>;

/// What all namespaces of one server share. Safe from any thread.
pub(crate) struct Cluster {
    uid: Uid,
    config: Arc<ClusterConfig>,
    bus: Arc<dyn Bus>,
    queue: Queue,
    asks: Asks,
    /// Handlers of server-side events that have been started; taken by the task.
    started: Mutex<Vec<Started>>,
    has_started: Notify,
    /// A request has been made: its timeout may be the next thing to happen.
    has_asked: Notify,
    task: Mutex<Task>,
    hook: RwLock<Option<BusErrorHook>>,
    counters: BusCounters,
}

/// What goes over the bus, in total.
#[derive(Default)]
struct BusCounters {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
}

enum Task {
    /// There was no runtime yet.
    NotStarted,
    Running(JoinHandle<()>),
    Ended,
}

impl Cluster {
    pub(crate) fn new(bus: Arc<dyn Bus>, config: ClusterConfig) -> Arc<Self> {
        Arc::new(Cluster {
            uid: Uid::from_bits(rand::rng().next_u64()),
            config: Arc::new(config),
            bus,
            queue: Queue::default(),
            asks: Asks::default(),
            started: Mutex::default(),
            has_started: Notify::new(),
            has_asked: Notify::new(),
            task: Mutex::new(Task::NotStarted),
            hook: RwLock::default(),
            counters: BusCounters::default(),
        })
    }

    pub(crate) fn uid(&self) -> &Uid {
        &self.uid
    }

    /// Starts the task, unless that was done, or there is no runtime to start it in: whoever comes from one tries again.
    pub(crate) fn start(self: &Arc<Self>, io: &Arc<IoInner>) {
        let mut task = self.task.lock();
        if let Task::NotStarted = *task
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            *task = Task::Running(runtime.spawn(task::run(self.clone(), Arc::downgrade(io))));
        }
    }

    /// Leaves the cluster: others are told, if the bus takes that in time, and the task ends.
    pub(crate) async fn close(&self, io: &IoInner) {
        self.end(io);
        let task = std::mem::replace(&mut *self.task.lock(), Task::Ended);
        if let Task::Running(mut task) = task
            && tokio::time::timeout(2 * BUS_FAREWELL, &mut task).await.is_err()
        {
            task.abort();
        }
    }

    /// As [`close`](Self::close), without waiting for it.
    pub(crate) fn end(&self, io: &IoInner) {
        for namespace in io.namespaces.all() {
            namespace.leave_cluster().into_iter().for_each(Parting::tell);
        }
        self.queue.close();
    }

    pub(crate) fn set_hook(&self, hook: BusErrorHook) {
        let old = self.hook.write().replace(hook);
        drop(old);
    }

    /// Something went wrong between servers: counted, traced, and told.
    fn report(&self, error: &BusError) {
        count(&self.counters.errors, 1);
        trace!(warn, "patera::cluster", "the bus failed", error = %error);
        let hook = self.hook.read().clone();
        if let Some(hook) = hook
            && catch(|| hook(error)).is_none()
        {
            trace!(error, "patera::cluster", "the hook of bus errors itself panicked");
        }
    }

    pub(crate) fn add_to(&self, stats: Stats) -> Stats {
        let BusCounters { messages_in, messages_out, dropped, errors } = &self.counters;
        Stats {
            bus_in: messages_in.load(Relaxed),
            bus_out: messages_out.load(Relaxed),
            bus_dropped: dropped.load(Relaxed),
            bus_errors: errors.load(Relaxed),
            ..stats
        }
    }

    /// Puts something behind what waits for the bus; when that is too much, it is lost.
    fn push(&self, job: Job) {
        if !self.queue.push(job) {
            count(&self.counters.dropped, 1);
            trace!(debug, "patera::cluster", "message to other servers dropped");
        }
    }

    /// The task is to poll this.
    fn take_on(&self, started: Started) {
        self.started.lock().push(started);
        self.has_started.notify_one();
    }
}

/// Now, by the clock that tests can stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use patera_cluster::MemoryBus;

    use super::*;
    use crate::config::Config;
    use crate::io::Io;

    /// Two servers that know each other.
    async fn two() -> [Io; 2] {
        let mut config = Config::default();
        config.bus(MemoryBus::new());
        let servers = [Io::with_config(config.clone()), Io::with_config(config)];
        while servers.iter().any(|io| io.server_count() < 2) {
            tokio::task::yield_now().await;
        }
        servers
    }

    fn waiting(io: &Io) -> usize {
        io.broadcast().shared_namespaces()[0].membership().map_or(0, Membership::waiting_count)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_what_nobody_waits_for() {
        let servers = two().await;
        let io = &servers[0];
        let server_side = io.server_side_emit_with_ack::<u8>("nobody listens", ());
        let acks = io.broadcast().emit_with_ack::<u8>("q", ());
        assert_eq!(waiting(io), 2);
        drop((server_side, acks));
        assert_eq!(waiting(io), 0);
        assert!(io.fetch_sockets().now_or_never().is_none());
        assert_eq!(waiting(io), 0);
        assert_eq!(io.server_side_emit_with_ack::<u8>("e", ()).await.unwrap_err().failures.len(), 1);
        assert_eq!(waiting(io), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn questions_of_others_are_kept_until_their_time_is_over() {
        let servers = two().await;
        let cluster = servers[1].broadcast().shared_namespaces()[0].membership().map(|own| own.cluster().clone());
        let cluster = cluster.expect("it has a bus");
        let answers = servers[0].timeout(Duration::from_secs(30)).emit_with_ack::<u8>("q", ());
        assert!(answers.await.unwrap().is_empty());
        assert!(cluster.asks.next_expiry().is_some());
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(cluster.asks.next_expiry().is_none());
    }
}
