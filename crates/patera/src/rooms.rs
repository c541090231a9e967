//! Who is connected to a namespace, and who is in which room. A socket's own room is the table of ids, not a list.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::error::JoinError;
use crate::room_events::{RoomEvent, RoomEvents};
use crate::socket::{Socket, SocketInner};
use crate::sync::RwLock;

/// Safe from any thread. Its read lock is held while a broadcast is pushed to the outboxes, and never while user code runs.
#[derive(Default)]
pub(crate) struct Rooms {
    index: RwLock<Index>,
    /// Pushed to under the index's lock, so that they are in order.
    pub(crate) events: RoomEvents,
}

#[derive(Default)]
struct Index {
    sockets: Members,
    /// By id, which is in the socket: a pointer an entry.
    by_id: HashTable<Arc<SocketInner>>,
    hasher: RandomState,
    rooms: HashMap<Arc<str>, Members>,
}

/// Sockets side by side, in the order in which they came as long as nobody leaves, so that a broadcast goes through memory in
/// order, ours and the kernel's. Each socket knows its place.
#[derive(Default)]
struct Members(Vec<Arc<SocketInner>>);

/// What a socket keeps of its rooms, changed under the index's lock only.
#[derive(Default)]
pub(crate) struct Joined {
    /// Its place among the namespace's sockets.
    place: usize,
    /// The rooms it is in, and its place in each.
    #[allow(clippy::box_collection, reason = "a pointer in each of a million sockets, not a table")]
    rooms: Option<Box<HashMap<Arc<str>, usize>>>,
}

impl Members {
    /// Returns the place.
    fn push(&mut self, socket: Arc<SocketInner>) -> usize {
        self.0.push(socket);
        self.0.len() - 1
    }

    /// The last one moves into the place that is empty then, and is told by `moved`.
    fn remove(&mut self, place: usize, moved: impl FnOnce(&mut Joined)) {
        self.0.swap_remove(place);
        if let Some(last) = self.0.get(place) {
            moved(&mut last.rooms.lock());
        }
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }
}

impl Joined {
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rooms.iter().flat_map(|rooms| rooms.keys())
    }

    fn contains(&self, room: &str) -> bool {
        self.rooms.as_ref().is_some_and(|rooms| rooms.contains_key(room))
    }

    fn len(&self) -> usize {
        self.rooms.as_ref().map_or(0, |rooms| rooms.len())
    }

    fn insert(&mut self, room: Arc<str>, place: usize) {
        self.rooms.get_or_insert_default().insert(room, place);
    }

    /// The place it had in the room.
    fn remove(&mut self, room: &str) -> Option<(Arc<str>, usize)> {
        let rooms = self.rooms.as_mut()?;
        let removed = rooms.remove_entry(room);
        if rooms.is_empty() {
            self.rooms = None;
        }
        removed
    }
}

/// Whom a packet goes to: the union of `rooms` (everyone if there is none) without the members of `except`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) rooms: Vec<Arc<str>>,
    pub(crate) except: Vec<Arc<str>>,
}

impl Rooms {
    pub(crate) fn insert(&self, socket: &Arc<SocketInner>) {
        let Index { sockets, by_id, hasher, .. } = &mut *self.index.write();
        let hash = |socket: &Arc<SocketInner>| hasher.hash_one(socket.id.as_str());
        by_id.insert_unique(hash(socket), socket.clone(), hash);
        socket.rooms.lock().place = sockets.push(socket.clone());
    }

    /// Takes a socket out of the namespace and out of all its rooms; one that never got in stays out.
    pub(crate) fn remove(&self, socket: &Arc<SocketInner>) {
        let mut index = self.index.write();
        let joined = std::mem::take(&mut *socket.rooms.lock());
        for (room, place) in joined.rooms.iter().flat_map(|rooms| rooms.iter()) {
            let deleted = index.leave(room, *place);
            self.left(room, socket, deleted);
        }
        let hash = index.hasher.hash_one(socket.id.as_str());
        if let Ok(found) = index.by_id.find_entry(hash, |known| known.number == socket.number) {
            found.remove();
            index.sockets.remove(joined.place, |moved| moved.place = joined.place);
        }
    }

    /// Puts a socket in the place of the one that had its id before: among all, and in every room. False if there is none.
    pub(crate) fn replace(&self, socket: &Arc<SocketInner>) -> bool {
        let mut index = self.index.write();
        let hash = index.hasher.hash_one(socket.id.as_str());
        let Some(known) = index.by_id.find_mut(hash, |known| known.id == socket.id) else {
            drop(index);
            self.insert(socket);
            return false;
        };
        let old = std::mem::replace(known, socket.clone());
        old.supersede();
        let joined = std::mem::take(&mut *old.rooms.lock());
        index.sockets.0[joined.place] = socket.clone();
        socket.rooms.lock().place = joined.place;
        for (room, place) in joined.rooms.into_iter().flat_map(|rooms| *rooms) {
            // It may have joined early.
            if socket.rooms.lock().contains(&room) {
                index.leave(&room, place);
            } else if let Some(members) = index.rooms.get_mut(&room) {
                members.0[place] = socket.clone();
                socket.rooms.lock().insert(room, place);
            }
        }
        true
    }

    pub(crate) fn join(&self, socket: &Arc<SocketInner>, room: &str, rooms_max: usize) -> Result<(), JoinError> {
        if socket.id.as_str() == room {
            return Ok(());
        }
        let mut index = self.index.write();
        // Checked under the lock: who disconnects changes the state first and takes the lock then.
        if socket.has_left() {
            return Err(JoinError::Disconnected);
        }
        let mut joined = socket.rooms.lock();
        if joined.contains(room) {
            return Ok(());
        }
        if joined.len() >= rooms_max {
            return Err(JoinError::TooMany);
        }
        let known = index.rooms.get_key_value(room).map(|(name, _)| name.clone());
        let created = known.is_none();
        let name: Arc<str> = known.unwrap_or_else(|| room.into());
        let place = index.rooms.entry(Arc::clone(&name)).or_default().push(socket.clone());
        joined.insert(name.clone(), place);
        self.joined(name, socket, created);
        Ok(())
    }

    fn joined(&self, room: Arc<str>, socket: &Arc<SocketInner>, created: bool) {
        if self.events.is_watched() {
            if created {
                self.events.push(RoomEvent::Create { room: room.clone() });
            }
            self.events.push(RoomEvent::Join { room, socket: Socket(socket.clone()) });
        }
    }

    fn left(&self, room: &Arc<str>, socket: &Arc<SocketInner>, deleted: bool) {
        if self.events.is_watched() {
            self.events.push(RoomEvent::Leave { room: room.clone(), socket: Socket(socket.clone()) });
            if deleted {
                self.events.push(RoomEvent::Delete { room: room.clone() });
            }
        }
    }

    pub(crate) fn leave(&self, socket: &Arc<SocketInner>, room: &str) {
        let mut index = self.index.write();
        let removed = socket.rooms.lock().remove(room);
        if let Some((room, place)) = removed {
            let deleted = index.leave(&room, place);
            self.left(&room, socket, deleted);
        }
    }

    /// Calls `each` once for every socket of the target. Nothing of the user's may run in it.
    pub(crate) fn for_each(&self, target: &Target, mut each: impl FnMut(&Arc<SocketInner>)) {
        let index = self.index.read();
        let except = index.numbers(&target.except);
        let mut each_not_excepted = |socket: &Arc<SocketInner>| {
            if except.is_empty() || !except.contains(&socket.number) {
                each(socket);
            }
        };
        match &target.rooms[..] {
            [] => index.sockets.0.iter().for_each(each_not_excepted),
            [room] => index.members(room, &mut each_not_excepted),
            rooms => {
                let mut seen = HashSet::new();
                let mut each_once = |socket: &Arc<SocketInner>| {
                    if seen.insert(socket.number) {
                        each_not_excepted(socket);
                    }
                };
                rooms.iter().for_each(|room| index.members(room, &mut each_once));
            }
        }
    }

    /// A copy of all that are connected, so that each can be told something without the lock.
    pub(crate) fn sockets(&self) -> Vec<Arc<SocketInner>> {
        self.index.read().sockets.0.iter().filter(|socket| !socket.is_away()).cloned().collect()
    }

    /// The socket with this id, be it connected or away.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<SocketInner>> {
        self.index.read().socket(id).cloned()
    }

    pub(crate) fn room_count(&self) -> usize {
        self.index.read().rooms.len()
    }
}

impl Index {
    fn members(&self, room: &str, each: &mut impl FnMut(&Arc<SocketInner>)) {
        if let Some(members) = self.rooms.get(room) {
            members.0.iter().for_each(&mut *each);
        }
        if let Some(socket) = self.socket(room) {
            each(socket);
        }
    }

    fn socket(&self, id: &str) -> Option<&Arc<SocketInner>> {
        self.by_id.find(self.hasher.hash_one(id), |socket| socket.id.as_str() == id)
    }

    fn numbers(&self, rooms: &[Arc<str>]) -> HashSet<u64> {
        let mut numbers = HashSet::new();
        for room in rooms {
            self.members(room, &mut |socket: &Arc<SocketInner>| {
                numbers.insert(socket.number);
            });
        }
        numbers
    }

    /// True if that was the room's last member.
    fn leave(&mut self, room: &str, place: usize) -> bool {
        let Some(members) = self.rooms.get_mut(room) else { return false };
        members.remove(place, |moved| {
            if let Some(known) = moved.rooms.as_mut().and_then(|rooms| rooms.get_mut(room)) {
                *known = place;
            }
        });
        let is_empty = members.0.is_empty();
        if is_empty {
            self.rooms.remove(room);
        }
        is_empty
    }
}

/// One room or several: `"lobby"`, a `String`, an array, a slice or a `Vec` of them.
pub trait IntoRooms {
    /// Calls `each` with every name.
    #[doc(hidden)]
    fn each_room(self, each: &mut dyn FnMut(&str));
}

impl IntoRooms for &str {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        each(self);
    }
}

impl IntoRooms for String {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        each(&self);
    }
}

impl IntoRooms for &String {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        each(self);
    }
}

impl<S: AsRef<str>, const N: usize> IntoRooms for [S; N] {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        self.iter().for_each(|room| each(room.as_ref()));
    }
}

impl<S: AsRef<str>> IntoRooms for Vec<S> {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        self.iter().for_each(|room| each(room.as_ref()));
    }
}

impl<S: AsRef<str>> IntoRooms for &[S] {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        self.iter().for_each(|room| each(room.as_ref()));
    }
}

impl<S: AsRef<str>> IntoRooms for &Vec<S> {
    fn each_room(self, each: &mut dyn FnMut(&str)) {
        self.iter().for_each(|room| each(room.as_ref()));
    }
}
