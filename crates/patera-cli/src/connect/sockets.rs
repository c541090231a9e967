//! A connection that speaks Socket.IO, with its namespaces.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, SelectAll, Stream, StreamExt as _};
use patera_client::{
    AckError, Client, ConnectError, DisconnectReason, EmitError, Event, Lifecycle, Manager, Received, Rest,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::command::{Command, Request};
use super::config::{ASKED_MAX, EVENTS_MAX};
use super::happening::{Happening, What};
use super::link::Outcome;
use super::saving::Saving;
use crate::argument::Arguments;
use crate::remote::Remote;
use crate::trouble::{Trouble, unanswered};

/// The namespaces of one connection, and what they wait for.
pub(super) struct Sockets {
    remote: Remote,
    reconnects: bool,
    manager: Manager,
    members: Vec<Member>,
    current: usize,
    events: SelectAll<Boxed<dyn Stream<Item = (usize, Event)> + Send>>,
    calls: FuturesUnordered<Boxed<dyn Future<Output = Answered> + Send>>,
    last_call: u64,
    asked: VecDeque<(u64, Received)>,
    last_asked: u64,
    saving: Option<Saving>,
}

type Boxed<T> = Pin<Box<T>>;

/// A namespace.
struct Member {
    client: Client,
    phase: watch::Sender<Phase>,
}

/// How a namespace stands as far as its events have been told; the client itself may be ahead of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// On the way in, or back.
    Connecting,
    Connected,
    /// We left.
    Left,
    /// It will not connect by itself any more, and not because we left.
    Over,
}

impl Member {
    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }
}

/// What came of a call.
struct Answered {
    member: usize,
    call: u64,
    event: String,
    time: Duration,
    answer: Result<Rest, AckError>,
}

impl Sockets {
    /// Connects to the URL's namespace and to these; if the URL names none, only to these. `closing` is how long the end may take.
    ///
    /// # Errors
    /// An option is none that can be used.
    pub(super) fn new(
        remote: &Remote,
        namespaces: &[String],
        reconnects: bool,
        closing: Duration,
        saving: Option<Saving>,
    ) -> Result<Self, String> {
        let builder = remote.builder().reconnection(reconnects).configure(|config| {
            config.stream_events_max = EVENTS_MAX;
            config.close_timeout = closing;
        });
        let first = builder.build().map_err(|error| Trouble::new(remote, &error).to_string())?;
        let mut sockets = Sockets {
            remote: remote.clone(),
            reconnects,
            manager: first.manager(),
            members: Vec::new(),
            current: 0,
            events: SelectAll::new(),
            calls: FuturesUnordered::new(),
            last_call: 0,
            asked: VecDeque::new(),
            last_asked: 0,
            saving,
        };
        if namespaces.is_empty() || first.namespace() != "/" {
            sockets.member(first.namespace())?;
        }
        for name in namespaces {
            sockets.member(name)?;
        }
        Ok(sockets)
    }

    /// The namespace that commands without one go to.
    pub(super) fn current(&self) -> &str {
        self.members[self.current].client.namespace()
    }

    /// The member of this namespace, which is there from now on, and connecting.
    fn member(&mut self, name: &str) -> Result<usize, String> {
        if let Some(member) = self.members.iter().position(|member| member.client.namespace() == name) {
            return Ok(member);
        }
        let client = self.manager.socket(name).map_err(|error| error.to_string())?;
        self.remote.authorize(&client)?;
        let number = self.members.len();
        self.events.push(Box::pin(client.events().map(move |event| (number, event))));
        // What becomes of it is among the events.
        drop(client.connect());
        self.members.push(Member { client, phase: watch::Sender::new(Phase::Connecting) });
        Ok(number)
    }

    /// See [`Link::perform`](super::link::Link::perform).
    pub(super) fn perform(&mut self, Request { namespace, command }: Request) -> Result<Outcome, String> {
        let number = match namespace {
            Some(name) => self.member(&name)?,
            None => self.current,
        };
        let member = &self.members[number];
        let client = &member.client;
        let emits = matches!(command, Command::Emit { .. } | Command::Call { .. });
        if emits && matches!(member.phase(), Phase::Left | Phase::Over) {
            return Err("not connected; connect tries again".to_owned());
        }
        match command {
            Command::Namespace => self.current = number,
            Command::Emit { event, args } => match client.try_emit(&event, Arguments(&args)) {
                Ok(()) => {}
                Err(EmitError::Full) => {
                    let namespace = Some(client.namespace().to_owned());
                    return Ok(Outcome::Busy(Request { namespace, command: Command::Emit { event, args } }));
                }
                Err(error) => return Err(error.to_string()),
            },
            Command::Call { event, args } => return Ok(self.call(number, event, &args)),
            Command::Acknowledge { id, args } => {
                let position = self.asked.iter().position(|(asked, _)| *asked == id);
                let asked = position.and_then(|position| self.asked.remove(position));
                let (_, event) = asked.ok_or_else(|| format!("no event waits for an acknowledgement {id}"))?;
                event.acknowledge(Arguments(&args));
            }
            Command::Auth(auth) => client.set_auth(auth).map_err(|error| error.to_string())?,
            Command::Connect => {
                drop(client.connect());
                if member.phase() != Phase::Connected {
                    member.phase.send_replace(Phase::Connecting);
                }
            }
            Command::Disconnect(_) => {
                drop(client.disconnect());
                member.phase.send_replace(Phase::Left);
            }
            Command::Status => return Ok(Outcome::Told(self.status())),
            Command::Help => return Ok(Outcome::Told(super::command::Dialect::SocketIo.help().to_owned())),
            Command::Quit => return Ok(Outcome::Quit),
            Command::SendText(_) | Command::SendBytes(_) => return Err("this is no plain WebSocket".to_owned()),
        }
        Ok(Outcome::Done)
    }

    fn call(&mut self, member: usize, event: String, args: &[patera_client::Value]) -> Outcome {
        self.last_call += 1;
        let call = self.last_call;
        let (client, begun) = (&self.members[member].client, Instant::now());
        let answer = client.timeout(self.remote.timeout).emit_with_ack::<Rest>(&event, Arguments(args));
        let mut phase = self.members[member].phase.subscribe();
        self.calls.push(Box::pin(async move {
            let answer = tokio::select! {
                biased;
                answer = answer => answer,
                // It waits to be sent, which nobody may ever do.
                _ = phase.wait_for(|phase| *phase == Phase::Over) => Err(AckError::Disconnected),
            };
            Answered { member, call, event, time: begun.elapsed(), answer }
        }));
        Outcome::Called(call)
    }

    fn status(&self) -> String {
        let transport = self.manager.transport().map_or("no connection", |transport| transport.as_str());
        let mut status = format!("{} by {transport}", self.remote.url());
        for (number, Member { client, .. }) in self.members.iter().enumerate() {
            let state = match (client.id(), client.active()) {
                (Some(id), _) => format!("connected as {id}"),
                (None, true) => "connecting".to_owned(),
                (None, false) => "not connected".to_owned(),
            };
            let mark = if number == self.current { "*" } else { " " };
            status += &format!("\n{mark} {} {state}", client.namespace());
        }
        status
    }

    /// See [`Link::next`](super::link::Link::next).
    pub(super) async fn next(&mut self) -> Happening {
        loop {
            tokio::select! {
                Some((member, event)) = self.events.next() => {
                    if let Some(what) = self.describe(member, event) {
                        return self.happening(member, what);
                    }
                }
                Some(answered) = self.calls.next(), if !self.calls.is_empty() => {
                    let member = answered.member;
                    let what = self.answered(answered);
                    return self.happening(member, what);
                }
                // The streams end with their clients, which are ours.
                else => std::future::pending().await,
            }
        }
    }

    fn happening(&self, member: usize, what: What) -> Happening {
        Happening { namespace: Some(self.members[member].client.namespace().to_owned()), what }
    }

    fn describe(&mut self, member: usize, event: Event) -> Option<What> {
        match event {
            Event::Received(received) => Some(self.received(received)),
            Event::Lifecycle(lifecycle) => {
                self.note(member, &lifecycle);
                self.lifecycle(member, lifecycle)
            }
            Event::Lagged(count) => Some(What::Lagged { count }),
            // A kind that this does not know yet.
            _ => None,
        }
    }

    fn received(&mut self, received: Received) -> What {
        let (name, mut args) = (received.name().to_owned(), received.args());
        if received.offset().is_some() {
            args.pop();
        }
        let saved = self.save(&name, &args);
        let ack = received.wants_ack().then(|| {
            self.last_asked += 1;
            if self.asked.len() >= ASKED_MAX {
                self.asked.pop_front();
            }
            self.asked.push_back((self.last_asked, received));
            self.last_asked
        });
        match saved {
            Ok(saved) => What::Event { name, args, ack, saved },
            Err(error) => What::Error { message: format!("event {name} cannot be saved: {error}") },
        }
    }

    fn answered(&mut self, Answered { call, event, time, answer, .. }: Answered) -> What {
        match answer {
            Ok(Rest(args)) => match self.save(&event, &args) {
                Ok(saved) => What::Answer { call, event, args, time, saved },
                Err(error) => What::NoAnswer { call, event, message: format!("it cannot be saved: {error}"), time },
            },
            Err(error) => What::NoAnswer { call, event, message: unanswered(&error, self.remote.timeout), time },
        }
    }

    fn save(&mut self, name: &str, args: &[patera_client::Value]) -> std::io::Result<Vec<std::path::PathBuf>> {
        self.saving.as_mut().map_or(Ok(Vec::new()), |saving| saving.save(name, args))
    }

    /// Keeps in mind how a namespace stands.
    fn note(&mut self, member: usize, lifecycle: &Lifecycle) {
        let lost = if self.reconnects { Phase::Connecting } else { Phase::Over };
        let phase = &self.members[member].phase;
        let next = match lifecycle {
            Lifecycle::Connect => Phase::Connected,
            Lifecycle::ConnectError(ConnectError::Transport(_) | ConnectError::Timeout | ConnectError::Auth(_)) => lost,
            Lifecycle::ConnectError(_) | Lifecycle::ReconnectFailed => Phase::Over,
            Lifecycle::Disconnect(disconnect) => match disconnect.reason {
                // That is known, unless it was connected to again since.
                DisconnectReason::IoClientDisconnect => return,
                DisconnectReason::IoServerDisconnect => Phase::Over,
                _ => lost,
            },
            _ => return,
        };
        if *phase.borrow() != Phase::Left {
            phase.send_replace(next);
        }
    }

    fn lifecycle(&self, member: usize, lifecycle: Lifecycle) -> Option<What> {
        let client = &self.members[member].client;
        Some(match lifecycle {
            Lifecycle::Connecting => What::Connecting,
            Lifecycle::Connect => What::Connect {
                id: client.id(),
                transport: client.transport().map(|transport| transport.as_str()),
                recovered: client.recovered(),
                subprotocol: None,
            },
            Lifecycle::ConnectError(error) => {
                let Trouble { message, advice } = Trouble::new(&self.remote, &error);
                What::ConnectError { message, advice, data: error.data().cloned() }
            }
            Lifecycle::Error(error) => What::Error { message: error.to_string() },
            Lifecycle::Disconnect(disconnect) => What::Disconnect {
                reason: disconnect.reason.to_string(),
                details: disconnect.details.map(|details| details.to_string()),
                code: None,
            },
            Lifecycle::Reconnecting { attempt, delay } => What::Reconnecting { attempt, delay },
            Lifecycle::Reconnect { attempt } => What::Reconnect { attempt },
            Lifecycle::ReconnectError(error) => {
                What::ReconnectError { message: Trouble::new(&self.remote, &error).message }
            }
            Lifecycle::ReconnectFailed => What::ReconnectFailed,
            Lifecycle::Upgrade(transport) => What::Upgrade { transport: transport.as_str() },
            // A kind that this does not know yet.
            _ => return None,
        })
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.members.iter().any(|member| member.phase() == Phase::Connecting)
    }

    pub(super) fn is_asking(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.phase() == Phase::Over)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.members.iter().any(|member| member.phase() == Phase::Connected)
    }

    pub(super) async fn close(self) {
        self.manager.disconnect().await;
    }
}
