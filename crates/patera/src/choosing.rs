//! The namespaces that one client has asked for and that are still being looked for.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream as _};
use patera_protocol::socketio::{Args, OwnedArgs, Slot, Value};

use crate::io::IoInner;
use crate::namespaces::{NoNamespace, Seat, choose};

/// At most as many as a client may have namespaces. Idle it owns nothing.
#[derive(Default)]
pub(crate) struct Choosing(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    futures: FuturesUnordered<BoxFuture<'static, Chosen>>,
    /// The slots that still wait, each with a number: a slot may be asked for again by the time the first answer comes.
    slots: Vec<(Slot, u64)>,
    next: u64,
}

/// A namespace was found, or none.
pub(crate) struct Chosen {
    pub(crate) slot: Slot,
    number: u64,
    pub(crate) name: Box<str>,
    pub(crate) auth: Option<Box<OwnedArgs>>,
    /// `None` if user code panicked.
    pub(crate) found: Option<Result<Seat, NoNamespace>>,
}

impl Choosing {
    /// Begins to look; [`poll_next`](Self::poll_next) may have the answer at once.
    pub(crate) fn start(&mut self, io: &Arc<IoInner>, slot: Slot, name: &str, auth: Option<Box<OwnedArgs>>) {
        let waiting = self.0.get_or_insert_default();
        let number = waiting.next;
        waiting.next += 1;
        waiting.slots.push((slot, number));
        let (io, name): (_, Box<str>) = (io.clone(), name.into());
        waiting.futures.push(Box::pin(async move {
            let value = auth.as_ref().map_or_else(Args::empty_object, |auth| auth.as_args()).value(0);
            let choosing = choose(io, name.clone(), value.unwrap_or(Value::Null));
            let found = AssertUnwindSafe(choosing).catch_unwind().await.ok();
            Chosen { slot, number, name, auth, found }
        }));
    }

    /// The client does not want it any more.
    pub(crate) fn cancel(&mut self, slot: Slot) {
        if let Some(waiting) = &mut self.0 {
            waiting.slots.retain(|(of, _)| *of != slot);
        }
    }

    /// Whether nothing is under way, not even for nobody.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|waiting| waiting.slots.is_empty())
    }

    /// The next answer that somebody still waits for. `None` if there is none, for now or at all.
    pub(crate) fn poll_next(&mut self, waker: &Waker) -> Option<Chosen> {
        let waiting = self.0.as_mut()?;
        loop {
            match Pin::new(&mut waiting.futures).poll_next(&mut Context::from_waker(waker)) {
                Poll::Ready(Some(chosen)) => {
                    let place = waiting.slots.iter().position(|waits| *waits == (chosen.slot, chosen.number));
                    if let Some(place) = place {
                        waiting.slots.remove(place);
                        return Some(chosen);
                    }
                }
                Poll::Ready(None) => {
                    self.0 = None;
                    return None;
                }
                Poll::Pending => return None,
            }
        }
    }
}
