//! The one task of a server that speaks with its bus: it receives, it publishes, it keeps time, and it polls the handlers of
//! server-side events. It ends with the server.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use patera_cluster::{BusError, Incoming};
use tokio::time::{Instant, sleep, sleep_until};

use super::queue::{Job, Next};
use super::{Cluster, incoming, now};
use crate::config::{BUS_FAREWELL, BUS_RETRY, PACKETS_PER_TURN, SERVER_SIDE_HANDLERS_MAX};
use crate::io::IoInner;
use crate::stats::count;
use crate::trace::trace;

/// Until the queue is closed and empty, or has been closed for too long.
pub(super) async fn run(cluster: Arc<Cluster>, io: Weak<IoInner>) {
    let farewell = async {
        cluster.queue.closed().await;
        sleep(BUS_FAREWELL).await;
    };
    tokio::select! {
        () = speak(&cluster, &io) => {}
        () = farewell => {}
        () = keep_time(&cluster, &io) => {}
        never = poll_handlers(&cluster) => match never {},
    }
}

/// Subscribes, and again when that has come to an end.
async fn speak(cluster: &Cluster, io: &Weak<IoInner>) {
    loop {
        // A bus is others' code: one that panics is out of reach.
        let spoken = AssertUnwindSafe(speak_until_it_ends(cluster, io)).catch_unwind().await;
        match spoken.unwrap_or_else(|_| Err(BusError::driver("the bus panicked"))) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                cluster.report(&error);
                // What is said meanwhile is lost, and not late.
                count(&cluster.counters.dropped, cluster.queue.clear() as u64);
                sleep(BUS_RETRY).await;
            }
        }
    }
}

/// True when all has been said.
async fn speak_until_it_ends(cluster: &Cluster, io: &Weak<IoInner>) -> Result<bool, BusError> {
    let incoming = subscribe(cluster, io).await?;
    tokio::select! {
        () = receive(cluster, io, incoming) => {
            cluster.report(&BusError::driver("the subscription has ended"));
            Ok(false)
        }
        is_over = publish(cluster) => Ok(is_over),
    }
}

/// Others are told that this server is there, in each of its namespaces.
async fn subscribe(cluster: &Cluster, io: &Weak<IoInner>) -> Result<Incoming, BusError> {
    let incoming = cluster.bus.subscribe(cluster.uid.clone()).await?;
    let namespaces = io.upgrade().map(|io| io.namespaces.all()).unwrap_or_default();
    for namespace in namespaces {
        if let Some(membership) = namespace.membership() {
            cluster.bus.enter(cluster.uid.clone(), namespace.name.clone()).await?;
            membership.announce();
        }
    }
    Ok(incoming)
}

async fn receive(cluster: &Cluster, io: &Weak<IoInner>, mut incoming: Incoming) {
    let mut turn = 0;
    while let Some(received) = incoming.next().await {
        match received {
            Ok(message) => {
                count(&cluster.counters.messages_in, 1);
                let Some(io) = io.upgrade() else { return pending().await };
                incoming::handle(&io, message);
            }
            Err(error) => cluster.report(&error),
        }
        rest(&mut turn).await;
    }
}

/// True when all has been said; false when it is to begin anew.
async fn publish(cluster: &Cluster) -> bool {
    let uid = || cluster.uid.clone();
    let mut turn = 0;
    loop {
        let done = match cluster.queue.next().await {
            Next::Job(Job::Enter(namespace)) => cluster.bus.enter(uid(), namespace).await,
            Next::Job(Job::Leave(namespace)) => cluster.bus.leave(uid(), namespace).await,
            Next::Job(Job::Publish(transmit)) => {
                let mut publishing = Publishing { cluster, is_out: false };
                let published = cluster.bus.publish(transmit.message, transmit.to).await;
                publishing.is_out = published.is_ok();
                published
            }
            Next::Subscribe => return false,
            Next::End => return true,
        };
        if let Err(error) = done {
            cluster.report(&error);
        }
        rest(&mut turn).await;
    }
}

/// A message that the bus has, counted when it is done with it: also if it panics, or is left before that.
struct Publishing<'a> {
    cluster: &'a Cluster,
    is_out: bool,
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        let counters = &self.cluster.counters;
        count(if self.is_out { &counters.messages_out } else { &counters.dropped }, 1);
    }
}

/// Lets other tasks run now and then: a bus need not.
async fn rest(turn: &mut usize) {
    *turn += 1;
    if turn.is_multiple_of(PACKETS_PER_TURN) {
        tokio::task::yield_now().await;
    }
}

/// Until the server is no more.
async fn keep_time(cluster: &Cluster, io: &Weak<IoInner>) {
    loop {
        let Some(server) = io.upgrade() else { return pending().await };
        cluster.asks.expire(now());
        let mut next = cluster.asks.next_expiry();
        for namespace in server.namespaces.all() {
            if let Some(membership) = namespace.membership() {
                let events = membership.handle_timeout();
                incoming::apply_all(&server, &namespace, events);
                next = [next, membership.poll_timeout()].into_iter().flatten().min();
            }
        }
        drop(server);
        let next = next.map_or_else(|| Instant::now() + Duration::from_secs(60), Instant::from_std);
        tokio::select! {
            () = sleep_until(next) => {}
            () = cluster.has_asked.notified() => {}
        }
    }
}

async fn poll_handlers(cluster: &Cluster) -> Infallible {
    let mut under_way = FuturesUnordered::new();
    loop {
        for started in std::mem::take(&mut *cluster.started.lock()) {
            if under_way.len() < SERVER_SIDE_HANDLERS_MAX {
                under_way.push(started);
            } else {
                trace!(warn, "patera::cluster", "too many handlers of server-side events wait: one is dropped");
            }
        }
        tokio::select! {
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
            () = cluster.has_started.notified() => {}
        }
    }
}
