//! What the handles and the task of one connection share: commands one way, a few facts the other.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::Mutex;
use patera_protocol::engineio::Transport;
use patera_protocol::socketio::OwnedArgs;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::Owner;
use crate::config::Config;
use crate::engine::{Packet, Permit, Quota};
use crate::error::{AckError, ConnectError, EmitError};
use crate::socket::Socket;

/// One connection's meeting place.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    /// What waits to be sent by the user's own will.
    pub(crate) quota: Arc<Quota>,
    /// What waits to be sent because the server asked for it: while it is full, nothing is read.
    pub(crate) answers: Arc<Quota>,
    pub(crate) sockets: Mutex<HashMap<String, Weak<Owner>>>,
    inbox: Mutex<Inbox>,
    transport: AtomicU8,
    /// What the server takes in one message; without a connection anything.
    max_payload: AtomicUsize,
    numbers: AtomicU64,
}

/// What the task has to do, in order.
#[derive(Default)]
struct Inbox {
    commands: VecDeque<Command>,
    waker: Option<Waker>,
    /// Nobody is left who could want anything, or the task is gone.
    ended: bool,
}

/// What a handle wants of the task.
pub(crate) enum Command {
    /// There is a new socket.
    Add(Socket),
    /// The last handle of a socket is gone.
    Remove(u64),
    Connect(u64, oneshot::Sender<Result<(), ConnectError>>),
    Disconnect(u64, oneshot::Sender<()>),
    Emit(u64, Item),
    Answer(Answer),
    /// Disconnect all.
    Close(oneshot::Sender<()>),
}

/// An event on its way out.
pub(crate) struct Item {
    pub(crate) packet: Packet,
    pub(crate) permit: Permit,
    pub(crate) volatile: bool,
    pub(crate) ack: Option<Box<AckRequest>>,
    /// For those who listen to what goes out, if somebody does.
    pub(crate) outgoing: Option<Box<(String, OwnedArgs)>>,
}

/// The acknowledgement that an event asks for.
pub(crate) struct AckRequest {
    pub(crate) id: u64,
    pub(crate) timeout: Option<std::time::Duration>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) answer: oneshot::Sender<Result<OwnedArgs, AckError>>,
}

/// An acknowledgement of ours.
pub(crate) struct Answer {
    pub(crate) socket: u64,
    /// The connection that the event came over: the answer is of no use to another.
    pub(crate) generation: u64,
    pub(crate) packet: Packet,
    pub(crate) permit: Option<Permit>,
}

const NONE: u8 = 0;
const POLLING: u8 = 1;
const WEBSOCKET: u8 = 2;

impl Shared {
    pub(crate) fn new(config: Arc<Config>) -> Arc<Self> {
        let quota = || Quota::new(config.send_buffer_events_max, config.send_buffer_bytes_max);
        Arc::new(Shared {
            quota: quota(),
            answers: quota(),
            config,
            sockets: Mutex::default(),
            inbox: Mutex::default(),
            transport: AtomicU8::new(NONE),
            max_payload: AtomicUsize::new(usize::MAX),
            numbers: AtomicU64::new(0),
        })
    }

    /// A number for a socket, never used twice.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Leaves a command.
    ///
    /// # Errors
    /// The task has ended: the command is dropped.
    pub(crate) fn command(&self, command: Command) -> Result<(), EmitError> {
        let waker = {
            let mut inbox = self.inbox.lock();
            if inbox.ended {
                // Dropped outside of the lock: whoever waits for it is woken.
                drop(inbox);
                drop(command);
                return Err(EmitError::Ended);
            }
            inbox.commands.push_back(command);
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// The last handle is gone: the task is to end.
    pub(crate) fn end(&self) {
        let waker = {
            let mut inbox = self.inbox.lock();
            inbox.ended = true;
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The task: what there is to do, and whether to end behind it. It is woken when more comes.
    pub(crate) fn take_commands(&self, into: &mut VecDeque<Command>, waker: &Waker) -> bool {
        let mut inbox = self.inbox.lock();
        into.append(&mut inbox.commands);
        if inbox.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            inbox.waker = Some(waker.clone());
        }
        inbox.ended
    }

    pub(crate) fn transport(&self) -> Option<Transport> {
        match self.transport.load(Ordering::Acquire) {
            POLLING => Some(Transport::Polling),
            WEBSOCKET => Some(Transport::WebSocket),
            _ => None,
        }
    }

    /// Whether the server takes what is sent now.
    pub(crate) fn check_size(&self, packet: &Packet) -> Result<(), EmitError> {
        let max = self.max_payload.load(Ordering::Relaxed);
        let bytes = packet.largest(self.transport() == Some(Transport::Polling));
        if bytes > max { Err(EmitError::TooLarge { bytes, max }) } else { Ok(()) }
    }

    pub(crate) fn set_max_payload(&self, bytes: usize) {
        self.max_payload.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_transport(&self, transport: Option<Transport>) {
        if transport.is_none() {
            self.set_max_payload(usize::MAX);
        }
        let transport = match transport {
            None => NONE,
            Some(Transport::Polling) => POLLING,
            Some(Transport::WebSocket | Transport::WebTransport) => WEBSOCKET,
        };
        self.transport.store(transport, Ordering::Release);
    }
}
