//! The namespaces that one client has asked for and that are still being looked for.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, Abortable, Aborted, BoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, Stream as _};
use patera_protocol::socketio::{Args, OwnedArgs, Slot, Value};

use crate::io::IoInner;
use crate::namespaces::{NoNamespace, Seat, choose};

/// At most as many as a client may have namespaces. Idle it owns nothing.
#[derive(Default)]
pub(crate) struct Choosing(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    futures: FuturesUnordered<Abortable<BoxFuture<'static, Chosen>>>,
    /// The slots that still wait, and what ends their futures: a client may ask for one again and again.
    slots: Vec<(Slot, AbortHandle)>,
}

/// A namespace was found, or none.
pub(crate) struct Chosen {
    pub(crate) slot: Slot,
    pub(crate) name: Box<str>,
    pub(crate) auth: Option<Box<OwnedArgs>>,
    /// `None` if user code panicked.
    pub(crate) found: Option<Result<Seat, NoNamespace>>,
}

impl Choosing {
    /// Begins to look; [`poll_next`](Self::poll_next) may have the answer at once.
    pub(crate) fn start(&mut self, io: &Arc<IoInner>, slot: Slot, name: &str, auth: Option<Box<OwnedArgs>>) {
        let (io, name): (_, Box<str>) = (io.clone(), name.into());
        let chosen: BoxFuture<'static, Chosen> = Box::pin(async move {
            let value = auth.as_ref().map_or_else(Args::empty_object, |auth| auth.as_args()).value(0);
            let choosing = choose(io, name.clone(), value.unwrap_or(Value::Null));
            let found = AssertUnwindSafe(choosing).catch_unwind().await.ok();
            Chosen { slot, name, auth, found }
        });
        let (chosen, abort) = abortable(chosen);
        let waiting = self.0.get_or_insert_default();
        waiting.futures.push(chosen);
        waiting.slots.push((slot, abort));
    }

    /// The client does not want it any more. What looks for it is dropped when the session is polled next.
    pub(crate) fn cancel(&mut self, slot: Slot) {
        let Some(waiting) = &mut self.0 else { return };
        if let Some(place) = waiting.slots.iter().position(|(of, _)| *of == slot) {
            let (_, abort) = waiting.slots.swap_remove(place);
            abort.abort();
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
                Poll::Ready(Some(Ok(chosen))) => {
                    waiting.slots.retain(|(slot, _)| *slot != chosen.slot);
                    return Some(chosen);
                }
                Poll::Ready(Some(Err(Aborted))) => {}
                Poll::Ready(None) => {
                    self.0 = None;
                    return None;
                }
                Poll::Pending => return None,
            }
        }
    }
}
