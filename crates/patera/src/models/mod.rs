//! Models: small scenes of several threads, which loom plays in many orders. The code in them is the server's own; what stands
//! in for the rest of the world is in `stage`. Only `cargo xtask loom` builds them.

mod outbox;
mod recovery;
mod registry;
mod rooms;
mod session;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How often a thread is interrupted where it need not be, in one order. With one more, a run takes five times as long.
const PREEMPTIONS: usize = 4;

/// Plays a model in every order of this bound, which `LOOM_MAX_PREEMPTIONS` may set too.
fn check(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = 10_000;
    let (started, orders) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let counted = orders.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let (seconds, orders) = (started.elapsed().as_secs_f64(), orders.load(Ordering::Relaxed));
    println!("{seconds:>6.1} s {orders:>7} orders  {name}");
}

/// The same for models in which sessions are polled: they have timers.
fn check_sessions(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let _runtime = stage::runtime().enter();
    check(name, model);
}
