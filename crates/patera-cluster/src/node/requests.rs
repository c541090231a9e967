//! What this node has asked others: whose answer is still awaited, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Outcome, Refused};
use crate::ids::{RequestId, Uid};

/// At most `max`. What has ended is not kept.
#[derive(Debug)]
pub(super) struct Requests {
    open: BTreeMap<RequestId, Request>,
    /// One of each that is open.
    deadlines: BTreeSet<(Instant, RequestId)>,
    max: usize,
    answers_max: usize,
}

#[derive(Debug)]
struct Request {
    kind: Kind,
    deadline: Instant,
    awaited: BTreeMap<Uid, Awaited>,
    /// How many of `awaited` have not said all.
    missing: usize,
    /// How many answers have come.
    answers: usize,
}

/// What was asked: an answer of another kind is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sockets,
    ServerSide,
    Acks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// It has said nothing.
    Silent,
    /// Of a broadcast: so many acknowledgements may come.
    Acks(u64),
    /// It has said all.
    Done,
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nobody asked for it, or not any more.
    No,
    /// It is one.
    Yes,
    /// It is the last one.
    Last,
}

impl Request {
    fn settle(&mut self, uid: &Uid, to: Awaited) {
        let before = self.awaited.insert(uid.clone(), to).unwrap_or(Awaited::Done);
        match (before == Awaited::Done, to == Awaited::Done) {
            (false, true) => self.missing = self.missing.saturating_sub(1),
            (true, false) => self.missing = self.missing.saturating_add(1),
            (true, true) | (false, false) => {}
        }
    }

    fn taken(&self) -> Taken {
        if self.missing == 0 { Taken::Last } else { Taken::Yes }
    }
}

impl Requests {
    pub(super) fn new(max: usize, answers_max: usize) -> Self {
        Requests { open: BTreeMap::new(), deadlines: BTreeSet::new(), max, answers_max }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Awaits an answer of each peer.
    pub(super) fn open<'a>(
        &mut self,
        id: RequestId,
        kind: Kind,
        peers: impl Iterator<Item = &'a Uid>,
        deadline: Instant,
    ) -> Result<(), Refused> {
        if self.open.len() >= self.max {
            return Err(Refused::TooMany);
        }
        let awaited: BTreeMap<Uid, Awaited> = peers.map(|uid| (uid.clone(), Awaited::Silent)).collect();
        let request = Request { kind, deadline, missing: awaited.len(), awaited, answers: 0 };
        self.deadlines.insert((deadline, id.clone()));
        self.open.insert(id, request);
        Ok(())
    }

    /// True if nobody is awaited.
    pub(super) fn is_complete(&self, id: &RequestId) -> bool {
        self.open.get(id).is_some_and(|request| request.missing == 0)
    }

    /// How many nodes have not said all.
    pub(super) fn remove(&mut self, id: &RequestId) -> Option<usize> {
        let request = self.open.remove(id)?;
        self.deadlines.remove(&(request.deadline, id.clone()));
        Some(request.missing)
    }

    /// A node has said all that it has to say. One that was not known when it was asked may answer too.
    pub(super) fn answer(&mut self, id: &RequestId, kind: Kind, uid: &Uid) -> Taken {
        let answers_max = self.answers_max;
        let Some(request) = self.open.get_mut(id).filter(|request| request.kind == kind) else { return Taken::No };
        if request.awaited.get(uid) == Some(&Awaited::Done) || request.answers >= answers_max {
            return Taken::No;
        }
        request.answers = request.answers.saturating_add(1);
        request.settle(uid, Awaited::Done);
        request.taken()
    }

    /// A node says how many acknowledgements may come from it.
    pub(super) fn client_count(&mut self, id: &RequestId, uid: &Uid, count: u64) -> Taken {
        let answers_max = self.answers_max;
        let Some(request) = self.open.get_mut(id).filter(|request| request.kind == Kind::Acks) else {
            return Taken::No;
        };
        let is_known = request.awaited.contains_key(uid);
        if request.awaited.get(uid).is_some_and(|awaited| *awaited != Awaited::Silent)
            || (!is_known && request.awaited.len() >= answers_max)
        {
            return Taken::No;
        }
        request.settle(uid, if count == 0 { Awaited::Done } else { Awaited::Acks(count) });
        request.taken()
    }

    /// A client of a node has acknowledged: taken if the node has announced so many.
    pub(super) fn ack(&mut self, id: &RequestId, uid: &Uid) -> Taken {
        let answers_max = self.answers_max;
        let Some(request) = self.open.get_mut(id).filter(|request| request.kind == Kind::Acks) else {
            return Taken::No;
        };
        if request.answers >= answers_max {
            return Taken::No;
        }
        match request.awaited.get(uid) {
            // How many there are got lost: what comes counts, but it is never complete.
            Some(Awaited::Silent) => {}
            Some(Awaited::Acks(1)) => request.settle(uid, Awaited::Done),
            Some(Awaited::Acks(left)) => {
                let left = left.saturating_sub(1);
                request.settle(uid, Awaited::Acks(left));
            }
            Some(Awaited::Done) | None => return Taken::No,
        }
        request.answers = request.answers.saturating_add(1);
        request.taken()
    }

    /// A node is gone: nobody waits for it any more. The requests that this completes.
    pub(super) fn forget(&mut self, uid: &Uid) -> Vec<RequestId> {
        for request in self.open.values_mut().filter(|request| request.awaited.contains_key(uid)) {
            request.settle(uid, Awaited::Done);
        }
        let complete = self.open.iter().filter(|(_, request)| request.missing == 0);
        let complete: Vec<RequestId> = complete.map(|(id, _)| id.clone()).collect();
        complete.iter().for_each(|id| {
            self.remove(id);
        });
        complete
    }

    /// The requests whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(RequestId, Outcome)> {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.pop_first() {
            if deadline > now {
                self.deadlines.insert((deadline, id));
                break;
            }
            let missing = self.open.remove(&id).map_or(0, |request| request.missing);
            expired.push((id, Outcome::TimedOut { missing }));
        }
        expired
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn close(&mut self) -> Vec<RequestId> {
        self.deadlines.clear();
        std::mem::take(&mut self.open).into_keys().collect()
    }
}
