//! The acknowledgements one session awaits from its client.

use std::collections::HashMap;

use patera_protocol::socketio::{OwnedArgs, Slot};
use tokio::sync::oneshot;

use crate::answers::Waiter;
use crate::error::AckError;
use crate::outbox::PendingAck;
use crate::stats::{Counted, Counters};

/// Who awaits an acknowledgement. Declared first, the count goes down before anyone hears that it is over.
pub(crate) struct Awaiting {
    counted: Counted,
    who: Who,
}

enum Who {
    One(oneshot::Sender<Result<OwnedArgs, AckError>>),
    Many(Waiter),
}

impl Awaiting {
    pub(crate) fn one(counters: &Counters, one: oneshot::Sender<Result<OwnedArgs, AckError>>) -> Self {
        Awaiting { counted: counters.acks_pending.one_more(), who: Who::One(one) }
    }

    pub(crate) fn many(counters: &Counters, waiter: Waiter) -> Self {
        Awaiting { counted: counters.acks_pending.one_more(), who: Who::Many(waiter) }
    }

    fn answer(self, answer: Result<OwnedArgs, AckError>) {
        drop(self.counted);
        match self.who {
            // Whoever awaited it may have left, which is fine.
            Who::One(one) => drop(one.send(answer)),
            Who::Many(waiter) => waiter.answer(answer),
        }
    }

    /// Whether nobody waits any more.
    fn is_closed(&self) -> bool {
        match &self.who {
            Who::One(one) => one.is_closed(),
            Who::Many(waiter) => waiter.is_closed(),
        }
    }
}

/// At most `pending_acks_max`; those nobody waits for any more are forgotten first. Idle it owns nothing.
#[derive(Default)]
pub(crate) struct PendingAcks(Option<Box<Waiting>>);

type Waiting = HashMap<(Slot, u64), Awaiting>;

impl PendingAcks {
    pub(crate) fn insert(&mut self, ack: PendingAck, max: usize) {
        if ack.answer.is_closed() {
            return;
        }
        let waiting = self.0.get_or_insert_default();
        if waiting.len() >= max {
            waiting.retain(|_, answer| !answer.is_closed());
        }
        if waiting.len() < max {
            waiting.insert((ack.slot, ack.id), ack.answer);
        } else {
            ack.answer.answer(Err(AckError::TooMany));
        }
    }

    /// The client's answer; one that nobody waits for is ignored.
    pub(crate) fn resolve(&mut self, slot: Slot, id: u64, args: impl FnOnce() -> OwnedArgs) {
        let Some(waiting) = &mut self.0 else { return };
        if let Some(answer) = waiting.remove(&(slot, id)) {
            answer.answer(Ok(args()));
        }
        if waiting.is_empty() {
            self.0 = None;
        }
    }

    /// Nobody waits for this one any more, unless the slot and the id are another's by now.
    pub(crate) fn forget(&mut self, slot: Slot, id: u64) {
        let Some(waiting) = &mut self.0 else { return };
        if waiting.get(&(slot, id)).is_some_and(Awaiting::is_closed) {
            waiting.remove(&(slot, id));
        }
        if waiting.is_empty() {
            self.0 = None;
        }
    }

    /// The socket has left: those who wait see it.
    pub(crate) fn drop_slot(&mut self, slot: Slot) {
        if let Some(waiting) = &mut self.0 {
            waiting.retain(|(of, _), _| *of != slot);
        }
    }
}
