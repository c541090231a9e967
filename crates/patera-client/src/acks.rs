//! The acknowledgements one socket awaits from the server.

use std::collections::{BTreeSet, HashMap};

use patera_protocol::socketio::OwnedArgs;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::AckError;

type Sender = oneshot::Sender<Result<OwnedArgs, AckError>>;

/// At most so many; those nobody waits for any more are forgotten first.
#[derive(Debug)]
pub(crate) struct Acks {
    waiting: HashMap<u64, Waiting>,
    deadlines: BTreeSet<(Instant, u64)>,
    max: usize,
}

#[derive(Debug)]
struct Waiting {
    answer: Sender,
    deadline: Option<Instant>,
    /// Of an event that is still buffered, a lost connection means nothing.
    sent: bool,
}

impl Acks {
    pub(crate) fn new(max: usize) -> Self {
        Acks { waiting: HashMap::new(), deadlines: BTreeSet::new(), max }
    }

    /// Whether there is room; if not, whoever waits is told.
    pub(crate) fn insert(&mut self, id: u64, answer: Sender, deadline: Option<Instant>) -> bool {
        if self.waiting.len() >= self.max {
            let gone: Vec<u64> = self
                .waiting
                .iter()
                .filter(|(_, each)| each.sent && each.answer.is_closed())
                .map(|(id, _)| *id)
                .collect();
            for id in gone {
                self.remove(id);
            }
        }
        if self.waiting.len() >= self.max {
            let _ = answer.send(Err(AckError::TooMany));
            return false;
        }
        self.deadlines.extend(deadline.map(|deadline| (deadline, id)));
        self.waiting.insert(id, Waiting { answer, deadline, sent: false });
        true
    }

    /// The event is on its way.
    pub(crate) fn set_sent(&mut self, id: u64) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.sent = true;
        }
    }

    /// The answer, or what came instead. One that nobody waits for is ignored.
    pub(crate) fn resolve(&mut self, id: u64, answer: Result<OwnedArgs, AckError>) {
        if let Some(waiting) = self.remove(id) {
            let _ = waiting.answer.send(answer);
        }
    }

    /// The connection is gone, and with it the answers.
    pub(crate) fn disconnect(&mut self) {
        let sent: Vec<u64> = self.waiting.iter().filter(|(_, each)| each.sent).map(|(id, _)| *id).collect();
        for id in sent {
            self.resolve(id, Err(AckError::Disconnected));
        }
    }

    /// When the next one has taken too long.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// One that has taken too long; whoever waits is told.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<u64> {
        let (deadline, id) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.resolve(id, Err(AckError::Timeout));
        Some(id)
    }

    fn remove(&mut self, id: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn insert(acks: &mut Acks, id: u64, deadline: Option<Instant>) -> oneshot::Receiver<Result<OwnedArgs, AckError>> {
        let (sender, receiver) = oneshot::channel();
        acks.insert(id, sender, deadline);
        receiver
    }

    #[test]
    fn limit_is_told_and_those_who_left_make_room() {
        let mut acks = Acks::new(2);
        let first = insert(&mut acks, 0, None);
        let _second = insert(&mut acks, 1, None);
        assert!(matches!(insert(&mut acks, 2, None).try_recv(), Ok(Err(AckError::TooMany))));
        acks.set_sent(0);
        drop(first);
        let mut third = insert(&mut acks, 3, None);
        assert!(third.try_recv().is_err());
        acks.resolve(3, Ok(OwnedArgs::default()));
        assert!(matches!(third.try_recv(), Ok(Ok(_))));
    }

    #[test]
    fn what_was_not_sent_outlives_the_connection() {
        let mut acks = Acks::new(2);
        let (mut sent, mut buffered) = (insert(&mut acks, 0, None), insert(&mut acks, 1, None));
        acks.set_sent(0);
        acks.disconnect();
        assert!(matches!(sent.try_recv(), Ok(Err(AckError::Disconnected))));
        assert!(buffered.try_recv().is_err());
    }

    #[tokio::test]
    async fn late_answers_are_told_in_order() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut acks = Acks::new(9);
        let mut late = insert(&mut acks, 0, Some(at(2)));
        let _soon = insert(&mut acks, 1, Some(at(1)));
        let _never = insert(&mut acks, 2, None);
        assert_eq!(acks.poll_timeout(), Some(at(1)));
        assert_eq!(acks.handle_timeout(now), None);
        assert_eq!(acks.handle_timeout(at(2)), Some(1));
        assert_eq!(acks.handle_timeout(at(2)), Some(0));
        assert_eq!(acks.handle_timeout(at(2)), None);
        assert_eq!(acks.poll_timeout(), None);
        assert!(matches!(late.try_recv(), Ok(Err(AckError::Timeout))));
    }
}
