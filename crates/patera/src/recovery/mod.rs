//! Connection state recovery: a client that comes back in time finds its id, its rooms, its data and the events it missed.
//!
//! *The recoverable session is its outbox.* Offline it stays in its rooms and goes on collecting, so its position in what it
//! was sent decides what it missed: not the rooms of today, nor any order of the whole namespace.
//!
//! ```text
//! 40{"sid":"…","pid":"P"}                    CONNECT tells the private id P
//! 42["news",1,"k3_xQz8a.17"]                 each event ends with an offset
//!    ✂                                       the connection is lost
//! 40{"pid":"P","offset":"k3_xQz8a.17", …}    the client comes back: stock clients do so by themselves
//! 40{"sid":"…","pid":"P"}                    the same ids: recovered
//! 42["news",2,"k3_xQz8a.18"]                 what it missed
//! ```
//!
//! | file | content |
//! |---|---|
//! | `offset` | what stands behind an event's arguments |
//! | `event` | one event, with its offset and without |
//! | `log` | what a client was sent and may not have |
//! | `recoverable` | a socket that outlives its connections |
//! | here | all of them: by private id, and until when each is kept |

mod event;
mod log;
mod offset;
mod recoverable;
mod sweeper;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use patera_protocol::parser::Parser;
use patera_protocol::socketio::OwnedArgs;
use tokio::sync::Notify;

pub(crate) use self::event::Event;
pub(crate) use self::offset::{Number, Suffix};
use self::offset::{Offsets, Resume};
pub(crate) use self::recoverable::{Ended, Recoverable};
use crate::config::ConnectionStateRecovery;
use crate::core::Shared;
use crate::error::DisconnectReason;
use crate::namespace::NamespaceInner;
use crate::prepared::Flags;
use crate::sid::Sid;
use crate::sync::{AtomicUsize, Mutex, RwLock};

/// The recoverable sockets of one server, in all its namespaces.
pub(crate) struct Recovery {
    config: ConnectionStateRecovery,
    parser: Option<Arc<dyn Parser>>,
    offsets: Offsets,
    /// Those that have been let in and have not ended, by private id. A pointer an entry: the id is in it.
    sockets: RwLock<HashTable<Arc<Recoverable>>>,
    hasher: RandomState,
    away: Mutex<Departed>,
    /// What those keep that are not connected.
    away_bytes: AtomicUsize,
    /// Tells the sweeper that something is due earlier.
    changed: Notify,
}

/// Until when one is kept, and which.
type Key = (Instant, Sid);

/// Those whose clients may come back.
#[derive(Default)]
struct Departed {
    until: BTreeMap<Key, Arc<Recoverable>>,
    /// To be ended and taken out of the rooms: those whose place is needed, and those that lost something.
    doomed: Vec<(Key, Arc<Recoverable>)>,
    is_swept: bool,
    is_closed: bool,
}

impl Recovery {
    pub(crate) fn new(mut config: ConnectionStateRecovery, parser: Option<Arc<dyn Parser>>) -> Arc<Self> {
        let day = Duration::from_secs(24 * 60 * 60);
        config.max_disconnection_duration = config.max_disconnection_duration.min(365 * day);
        Arc::new(Recovery {
            config,
            parser,
            offsets: Offsets::new(),
            sockets: RwLock::default(),
            hasher: RandomState::default(),
            away: Mutex::default(),
            away_bytes: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    pub(crate) fn parser(&self) -> Option<&dyn Parser> {
        self.parser.as_deref()
    }

    pub(crate) fn skips_middlewares(&self) -> bool {
        self.config.skip_middlewares
    }

    /// See [`Offsets::append`].
    pub(crate) fn append_offset(&self, packet: &mut Vec<u8>, flags: Flags) -> Suffix {
        self.offsets.append(packet, flags)
    }

    /// Whose a client is that asks to join a namespace: what it comes back for, and true; or something new.
    pub(crate) fn admit(
        self: &Arc<Self>,
        namespace: &Arc<NamespaceInner>,
        auth: Option<&OwnedArgs>,
        socket: u64,
        session: &Arc<Shared>,
    ) -> (Arc<Recoverable>, bool) {
        let resume: Option<Resume> = auth.and_then(|auth| auth.as_args().decode(0).ok());
        let found = resume.and_then(|resume| {
            let known = self.find(resume.pid.as_ref()?.as_str()?)?;
            if !Arc::ptr_eq(&known.namespace, namespace) {
                return None;
            }
            let position = self.offsets.parse(resume.offset.as_ref()).ok();
            known.claim(socket, session, position).ok()?;
            Some(known)
        });
        match found {
            Some(known) => (known, true),
            None => (Recoverable::new(self.clone(), namespace.clone()), false),
        }
    }

    /// How many may come back now.
    pub(crate) fn away_count(&self) -> usize {
        self.away.lock().until.len()
    }

    fn find(&self, pid: &str) -> Option<Arc<Recoverable>> {
        let pid = Sid::parse(pid)?;
        self.sockets.read().find(self.hasher.hash_one(pid), |known| known.pid == pid).cloned()
    }

    fn insert(&self, recoverable: &Arc<Recoverable>) {
        let hash = |known: &Arc<Recoverable>| self.hasher.hash_one(known.pid);
        self.sockets.write().insert_unique(hash(recoverable), recoverable.clone(), hash);
    }

    fn unregister(&self, recoverable: &Arc<Recoverable>) {
        let hash = self.hasher.hash_one(recoverable.pid);
        if let Ok(found) = self.sockets.write().find_entry(hash, |known| Arc::ptr_eq(known, recoverable)) {
            found.remove();
        }
    }

    /// Nobody comes back for it: takes it out of the rooms. Nothing if that was done.
    fn finish(&self, recoverable: &Arc<Recoverable>) {
        self.unregister(recoverable);
        if let Some(socket) = recoverable.namespace.rooms.find(recoverable.id.as_str())
            && socket.forget_away()
        {
            socket.leave_namespace();
            socket.clear();
        }
    }

    /// Until when one is kept that departs now.
    fn until(&self) -> Instant {
        tokio::time::Instant::now().into_std() + self.config.max_disconnection_duration
    }

    /// Keeps one that is away; false if the server is closed. Where there are too many, the one that has been away longest goes.
    fn remember(self: &Arc<Self>, key: Key, recoverable: &Arc<Recoverable>) -> bool {
        if self.config.sessions_max == 0 {
            return false;
        }
        let mut away = self.away.lock();
        if away.is_closed {
            return false;
        }
        if away.until.len() >= self.config.sessions_max
            && let Some(oldest) = away.until.pop_first()
        {
            away.doomed.push(oldest);
        }
        away.until.insert(key, recoverable.clone());
        let is_urgent = !away.doomed.is_empty() || away.until.first_key_value().is_some_and(|(first, _)| *first == key);
        let is_swept = mem::replace(&mut away.is_swept, true);
        drop(away);
        if !is_swept {
            sweeper::spawn(self.clone());
        } else if is_urgent {
            self.changed.notify_one();
        }
        true
    }

    /// It is away no more.
    fn forget(&self, key: Key) {
        self.away.lock().until.remove(&key);
    }

    /// One that is away has ended where the rooms are locked.
    fn doom(&self, key: Key, recoverable: Arc<Recoverable>) {
        let mut away = self.away.lock();
        away.until.remove(&key);
        away.doomed.push((key, recoverable));
        drop(away);
        self.changed.notify_one();
    }

    /// One that is not connected kept so many bytes, and now so many. True if all together keep too many.
    fn account(&self, before: usize, now: usize) -> bool {
        if now < before {
            self.away_bytes.fetch_sub(before - now, Ordering::Relaxed);
            return false;
        }
        let more = now - before;
        more > 0 && self.away_bytes.fetch_add(more, Ordering::Relaxed) + more > self.config.away_bytes_max
    }

    /// Nobody comes back to a server that is closed.
    pub(crate) fn close(&self) {
        let mut away = self.away.lock();
        away.is_closed = true;
        let (until, doomed) = (mem::take(&mut away.until), mem::take(&mut away.doomed));
        drop(away);
        self.changed.notify_one();
        until.into_iter().chain(doomed).for_each(|(key, recoverable)| recoverable.expire(key));
    }
}

/// Whether a client whose connection ended so may come back for its socket: as in socket.io, and after `outbox full`, which is
/// ours. Those that left, were sent away, or broke Engine.IO itself or a rate may not, nor those whose handler panicked.
pub(crate) fn is_recoverable(reason: DisconnectReason) -> bool {
    match reason {
        DisconnectReason::TransportError
        | DisconnectReason::TransportClose
        | DisconnectReason::PingTimeout
        | DisconnectReason::ForcedClose
        | DisconnectReason::ServerShuttingDown
        | DisconnectReason::ForcedServerClose
        | DisconnectReason::OutboxFull => true,
        DisconnectReason::ParseError
        | DisconnectReason::ClientNamespaceDisconnect
        | DisconnectReason::ServerNamespaceDisconnect
        | DisconnectReason::RateExceeded
        | DisconnectReason::HandlerPanicked => false,
    }
}
