//! Who is connected to a namespace, and who is in which room. A socket's own room is the map of ids, not a set.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;

use crate::error::JoinError;
use crate::socket::SocketInner;

/// Safe from any thread. Its read lock is held while a broadcast is pushed to the outboxes, and never while user code runs.
#[derive(Default)]
pub(crate) struct Rooms(RwLock<Index>);

#[derive(Default)]
struct Index {
    /// By id, which is in the socket: a pointer an entry.
    sockets: HashTable<Arc<SocketInner>>,
    rooms: HashMap<Arc<str>, Members>,
    hasher: RandomState,
}

/// By the socket's number, which is drawn by us: no need to defend against chosen keys.
type Members = HashMap<u64, Arc<SocketInner>, BuildHasherDefault<NumberHasher>>;

#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing: consecutive numbers fill the table's low and high bits alike.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
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
        let Index { sockets, hasher, .. } = &mut *self.0.write();
        let hash = |socket: &Arc<SocketInner>| hasher.hash_one(socket.id.as_str());
        sockets.insert_unique(hash(socket), socket.clone(), hash);
    }

    /// Takes a socket out of the namespace and out of all its rooms.
    pub(crate) fn remove(&self, socket: &Arc<SocketInner>) {
        let mut index = self.0.write();
        let rooms = std::mem::take(&mut *socket.rooms.lock());
        for room in rooms.names() {
            index.leave(room, socket.number);
        }
        let hash = index.hasher.hash_one(socket.id.as_str());
        if let Ok(found) = index.sockets.find_entry(hash, |known| known.number == socket.number) {
            found.remove();
        }
    }

    pub(crate) fn join(&self, socket: &Arc<SocketInner>, room: &str, rooms_max: usize) -> Result<(), JoinError> {
        if socket.id.as_str() == room {
            return Ok(());
        }
        let mut index = self.0.write();
        // Checked under the lock: who disconnects changes the state first and takes the lock then.
        if socket.is_disconnected() {
            return Err(JoinError::Disconnected);
        }
        let mut joined = socket.rooms.lock();
        if joined.contains(room) {
            return Ok(());
        }
        if joined.len() >= rooms_max {
            return Err(JoinError::TooMany);
        }
        let name = index.rooms.get_key_value(room).map_or_else(|| room.into(), |(name, _)| name.clone());
        joined.insert(name.clone());
        index.rooms.entry(name).or_default().insert(socket.number, socket.clone());
        Ok(())
    }

    pub(crate) fn leave(&self, socket: &Arc<SocketInner>, room: &str) {
        let mut index = self.0.write();
        if socket.rooms.lock().remove(room) {
            index.leave(room, socket.number);
        }
    }

    /// Calls `each` once for every socket of the target. Nothing of the user's may run in it.
    pub(crate) fn for_each(&self, target: &Target, mut each: impl FnMut(&Arc<SocketInner>)) {
        let index = self.0.read();
        let except = index.numbers(&target.except);
        let mut each_not_excepted = |socket: &Arc<SocketInner>| {
            if except.is_empty() || !except.contains(&socket.number) {
                each(socket);
            }
        };
        match &target.rooms[..] {
            [] => index.sockets.iter().for_each(each_not_excepted),
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

    /// A copy of all, so that each can be told something without the lock.
    pub(crate) fn sockets(&self) -> Vec<Arc<SocketInner>> {
        self.0.read().sockets.iter().cloned().collect()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<SocketInner>> {
        self.0.read().socket(id).cloned()
    }

    pub(crate) fn room_count(&self) -> usize {
        self.0.read().rooms.len()
    }
}

impl Index {
    fn members(&self, room: &str, each: &mut impl FnMut(&Arc<SocketInner>)) {
        if let Some(members) = self.rooms.get(room) {
            members.values().for_each(&mut *each);
        }
        if let Some(socket) = self.socket(room) {
            each(socket);
        }
    }

    fn socket(&self, id: &str) -> Option<&Arc<SocketInner>> {
        self.sockets.find(self.hasher.hash_one(id), |socket| socket.id.as_str() == id)
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

    fn leave(&mut self, room: &str, number: u64) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(&number);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
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
