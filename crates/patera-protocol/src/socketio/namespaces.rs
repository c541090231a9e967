//! The namespaces of one connection: a small table, looked through from the start, since nearly every connection has
//! one entry.

use smallvec::SmallVec;

/// A namespace of one connection: an index below `namespaces_max`, stable from CONNECT until it is left or refused,
/// and given to another namespace some time after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(usize);

impl Slot {
    /// The index, for a table beside this one.
    pub fn index(self) -> usize {
        self.0
    }
}

/// How the two sides stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// A CONNECT is being decided.
    Connecting,
    /// Client: the same, after it has left a connection from which packets may still be on their way.
    Reconnecting,
    Connected,
    /// We have left, and the peer may not know yet.
    Left,
    /// Server: we have refused, and the peer may not know yet.
    Refused,
}

#[derive(Debug)]
struct Entry {
    /// `None` is `/`, where nearly everyone is.
    name: Option<Box<str>>,
    status: Status,
}

impl Entry {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("/")
    }
}

#[derive(Debug, Default)]
pub(super) struct Namespaces {
    entries: SmallVec<[Option<Entry>; 1]>,
}

impl Namespaces {
    pub(super) fn find(&self, name: &str) -> Option<(Slot, Status)> {
        self.entries.iter().enumerate().find_map(|(index, entry)| {
            let entry = entry.as_ref()?;
            (entry.name() == name).then_some((Slot(index), entry.status))
        })
    }

    pub(super) fn status(&self, slot: Slot) -> Option<Status> {
        self.entries.get(slot.0)?.as_ref().map(|entry| entry.status)
    }

    pub(super) fn name(&self, slot: Slot) -> Option<&str> {
        self.entries.get(slot.0)?.as_ref().map(Entry::name)
    }

    pub(super) fn set(&mut self, slot: Slot, status: Status) {
        if let Some(Some(entry)) = self.entries.get_mut(slot.0) {
            entry.status = status;
        }
    }

    pub(super) fn free(&mut self, slot: Slot) {
        if let Some(entry) = self.entries.get_mut(slot.0) {
            *entry = None;
        }
    }

    /// Gives the name an entry: the one it had, a free one, a new one, or that of a namespace that was left (whose late
    /// packets are then an error; that is the price of a bounded table).
    pub(super) fn enter(&mut self, name: &str, status: Status, max: usize) -> Option<Slot> {
        let over =
            |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| matches!(e.status, Status::Left | Status::Refused));
        let index = self
            .find(name)
            .map(|(slot, _)| slot.0)
            .or_else(|| self.entries.iter().position(Option::is_none))
            .or_else(|| (self.entries.len() < max).then_some(self.entries.len()))
            .or_else(|| self.entries.iter().position(over))?;
        let entry = Some(Entry { name: (name != "/").then(|| name.into()), status });
        match self.entries.get_mut(index) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        Some(Slot(index))
    }
}
