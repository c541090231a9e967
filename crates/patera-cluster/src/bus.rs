//! What carries messages between servers.

use std::error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;

use crate::ids::Uid;
use crate::message::Message;

/// What carries messages between servers: a driver of Redis, NATS, Postgres, or [`MemoryBus`](crate::MemoryBus).
///
/// A server subscribes once, under its name, and again when its subscription has ended. It enters each of its namespaces before
/// any client is in it.
///
/// # What a driver guarantees
/// - **At most once.** A message may get lost, and is never there twice. Where a driver knows that some got lost, it says so, with an
///   error in the stream.
/// - **In order for each sender.** What one server publishes, one call after the other has resolved, arrives in that order at each
///   subscriber. Of different senders nothing is said.
/// - **Bounded.** What waits for a subscriber that does not keep up is bounded; at the limit messages are lost, and it is told so.
///   `publish` may wait as long as the bus needs; the server puts a bounded queue in front.
/// - A server may see its own messages, and messages to others: it ignores them.
pub trait Bus: Send + Sync + 'static {
    /// Subscribes under a name: from the time it resolves, messages of the namespaces that were entered arrive.
    ///
    /// # Errors
    /// The bus is out of reach; the server tries again later.
    fn subscribe(&self, uid: Uid) -> BusFuture<'_, Incoming>;

    /// Messages of this namespace are to arrive at the subscriber of this name from now on. Entering twice is entering once; a new
    /// subscription of the same name begins with no namespace.
    ///
    /// # Errors
    /// The bus is out of reach.
    fn enter(&self, uid: Uid, namespace: Arc<str>) -> BusFuture<'_, ()>;

    /// Messages of this namespace need not arrive any more.
    ///
    /// # Errors
    /// The bus is out of reach.
    fn leave(&self, uid: Uid, namespace: Arc<str>) -> BusFuture<'_, ()>;

    /// Puts a message on its way: to the node `to`, or to all that have entered its namespace.
    ///
    /// # Errors
    /// It was not published. It is lost: the server does not try again, so that what is behind it is not late.
    fn publish(&self, message: Message, to: Option<Uid>) -> BusFuture<'_, ()>;
}

/// The messages for one subscriber. An error in it says that messages may have been lost; its end, that the subscription is over.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<Message, BusError>> + Send>>;

/// What a [`Bus`] is about to do.
pub type BusFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BusError>> + Send + 'a>>;

/// What went wrong on the way between servers. None of it disturbs what a server does for its own clients.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BusError {
    /// The bus cannot be reached, or has refused: what the driver says.
    Driver(Arc<dyn error::Error + Send + Sync>),
    /// So many messages were lost, since this server did not take them fast enough.
    Lost {
        /// How many.
        messages: u64,
    },
    /// A message could not be read: what the driver says.
    Malformed(Arc<dyn error::Error + Send + Sync>),
    /// Whoever was to be reached has not subscribed, or not any more.
    NotSubscribed,
}

impl BusError {
    /// The bus cannot be reached, or has refused.
    pub fn driver(error: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        BusError::Driver(error.into().into())
    }

    /// A message could not be read.
    pub fn malformed(error: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        BusError::Malformed(error.into().into())
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BusError::Driver(error) => write!(f, "the bus failed: {error}"),
            BusError::Lost { messages } => write!(f, "{messages} messages of other servers were lost"),
            BusError::Malformed(error) => write!(f, "a message of another server cannot be read: {error}"),
            BusError::NotSubscribed => f.write_str("there is no such subscriber"),
        }
    }
}

impl error::Error for BusError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            BusError::Driver(error) | BusError::Malformed(error) => Some(&**error),
            BusError::Lost { .. } | BusError::NotSubscribed => None,
        }
    }
}
