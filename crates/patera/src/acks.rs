//! The acknowledgements one session awaits from its client.

use std::collections::HashMap;

use patera_protocol::socketio::{OwnedArgs, Slot};
use tokio::sync::oneshot;

use crate::error::AckError;
use crate::outbox::PendingAck;

/// At most `pending_acks_max`; those nobody waits for any more are forgotten first. Idle it owns nothing.
#[derive(Default)]
pub(crate) struct PendingAcks(Option<Box<Waiting>>);

type Waiting = HashMap<(Slot, u64), oneshot::Sender<Result<OwnedArgs, AckError>>>;

impl PendingAcks {
    pub(crate) fn insert(&mut self, ack: PendingAck, max: usize) {
        let waiting = self.0.get_or_insert_default();
        if waiting.len() >= max {
            waiting.retain(|_, answer| !answer.is_closed());
        }
        if waiting.len() < max {
            waiting.insert((ack.slot, ack.id), ack.answer);
        } else {
            // Whoever awaited it may have left, which is fine.
            let _ = ack.answer.send(Err(AckError::TooMany));
        }
    }

    /// The client's answer; one that nobody waits for is ignored.
    pub(crate) fn resolve(&mut self, slot: Slot, id: u64, args: impl FnOnce() -> OwnedArgs) {
        let Some(waiting) = &mut self.0 else { return };
        if let Some(answer) = waiting.remove(&(slot, id)) {
            let _ = answer.send(Ok(args()));
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
