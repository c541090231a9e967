//! The task that owns one session: its Engine.IO state, its transports, its application. Nothing else touches them.
//!
//! ```text
//! New ─▶ Open ─▶ Closing ─▶ Lingering ─▶ Ended ─▶ (the application's last handlers end)
//!                (flush)    (WebSocket)
//! ```

mod ending;
mod reading;
mod throttle;
mod timer;
mod writing;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use patera_protocol::engineio::{self, Message, SessionEvent, Transport};
use patera_protocol::socketio::Slot;
use tokio::runtime::Handle;
use tokio::task::coop::has_budget_remaining;

use self::ending::{Ending, Farewell, Phase};
use self::throttle::Throttle;
use self::timer::Timer;
use crate::config::PACKETS_PER_TURN;
use crate::conn::{Event, kinds};
use crate::core::{LinkState, Shared};
use crate::details::DisconnectDetails;
use crate::error::DisconnectReason;
use crate::opening::Opening;
use crate::outbox::{Command, PendingAck};
use crate::stats::count;
use crate::trace::trace;
use crate::transport::{Leftover, PollingLink, Post, WebSocketLink};

/// What a session carries: Socket.IO, a plain WebSocket, or a user's own protocol on Engine.IO. Called by the session's task only.
pub(crate) trait Application: Send + Unpin + 'static {
    /// The session is open.
    fn open(&mut self, scope: &Scope<'_>);
    /// A message came. `Err` ends the session.
    fn handle_message(&mut self, message: Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason>;
    /// A socket is to leave its namespace.
    fn handle_leave(&mut self, slot: Slot, number: u64, scope: &Scope<'_>);
    /// All sockets are to leave, before the session ends.
    fn handle_leave_all(&mut self, scope: &Scope<'_>);
    /// A packet whose acknowledgement somebody awaits is being sent.
    fn handle_sent(&mut self, ack: PendingAck);
    /// Nobody awaits an acknowledgement any more.
    fn handle_forget(&mut self, slot: Slot, id: u64);
    /// A ping is being sent, behind all that was taken from the outbox before.
    fn handle_ping_sent(&mut self, _: &Arc<Shared>) {}
    /// The client has answered a ping.
    fn handle_pong(&mut self, _: &Arc<Shared>) {}
    fn poll_timeout(&self) -> Option<Instant>;
    fn handle_timeout(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason>;
    /// Reading has broken off: what is awaited may lie unread. Said again while it does.
    fn pause(&mut self, _: Instant) {}
    /// All that has come is read.
    fn resume(&mut self, _: Instant) {}
    /// Whether so much is under way that no more may be read.
    fn is_full(&self) -> bool;
    /// Drives what waits.
    fn poll(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason>;
    /// The session has ended. Called once.
    fn close(&mut self, reason: DisconnectReason, scope: &Scope<'_>);
    /// Drives what still waits after `close`; ready when nothing does.
    fn poll_closed(&mut self, scope: &Scope<'_>) -> Poll<()>;
}

/// What an application may use of its session while it is called.
pub(crate) struct Scope<'a> {
    pub(crate) waker: &'a Waker,
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) now: Instant,
}

pub(crate) struct Session<A: Application> {
    shared: Arc<Shared>,
    engine: engineio::Session,
    link: Link,
    /// A WebSocket, or what stands for one, that is about to take over.
    probe: Option<Box<WebSocketLink>>,
    app: A,
    timer: Timer,
    phase: Phase,
    /// Until when it is flushing or lingering; rare, so boxed.
    patience: Option<Box<Instant>>,
    ending: Option<Ending>,
    /// An end that lets the client move first: one that has stopped polling would not hear of it any more.
    postponed: Option<Ending>,
    /// Whether something may lie unread because the application was full, or the client too fast: since reading broke off for
    /// that, until it has come to an end of what there is.
    resting: bool,
    /// How fast the client may send, if that is limited.
    throttle: Option<Box<Throttle>>,
}

pub(crate) enum Link {
    Polling(PollingLink),
    WebSocket(WebSocketLink),
}

impl Link {
    /// A WebSocket tells only when it is read, and a polling client has nothing on its way but its POST.
    fn may_be_unread(&self) -> bool {
        match self {
            Link::Polling(link) => !link.is_post_done(),
            Link::WebSocket(_) => true,
        }
    }
}

impl<A: Application> Session<A> {
    /// Starts the session's task. It ends by itself; `Command::Close` ends it from outside.
    pub(crate) fn spawn(opening: Opening, link: Link, app: A) {
        opening.core.runtime.get_or_init(Handle::current);
        tokio::spawn(Session::new(opening, link, app));
    }

    /// The session's task, not running yet.
    pub(crate) fn new(opening: Opening, link: Link, app: A) -> Self {
        let shared = opening.begin();
        let now = tokio::time::Instant::now().into_std();
        let transport = match &link {
            Link::Polling(_) => Transport::Polling,
            Link::WebSocket(link) => link.transport(),
        };
        let engine =
            engineio::Session::server_with_version(shared.dialect.version, transport, &shared.core.engine, now);
        let throttle = Throttle::new(&shared.core.config, now);
        count(&shared.core.counters.sessions_opened, 1);
        if shared.core.is_closing() {
            // `close` may have looked before this one was there.
            shared.outbox.command(Command::Close { reason: DisconnectReason::ServerShuttingDown, flush: true });
        }
        trace!(debug, "patera::engine", "session opened", sid = %shared.sid, transport = %transport.as_str());
        Session {
            shared,
            engine,
            link,
            probe: None,
            app,
            timer: Timer::default(),
            phase: Phase::New,
            patience: None,
            ending: None,
            postponed: None,
            resting: false,
            throttle,
        }
    }

    /// One round: commands, timers, reading, waiting handlers, writing. `Ready` when the phase has changed.
    fn poll_open(&mut self, waker: &Waker, budget: &mut usize) -> Poll<()> {
        loop {
            let now = tokio::time::Instant::now().into_std();
            let turn = self.shared.outbox.begin_turn();
            self.handle_commands(turn.commands, waker, now);
            // First: the pong of a client that was not read is no missing one.
            self.rest_if_must(now);
            self.handle_timeouts(waker, now);
            if self.read(waker, now, budget) {
                self.resume(now);
            } else {
                self.rest_if_must(now);
            }
            self.read_probe(waker, now, budget);
            if self.ending.is_none() {
                let polled = self.app.poll(&Scope { waker, shared: &self.shared, now });
                self.end_if(polled);
            }
            // Neither a client that may be read again nor one that has moved has been asked for bytes yet.
            let unread = self.handle_engine_events() || (self.resting && !self.must_rest(now));
            if self.ending.is_none() && turn.overflowed {
                self.end(DisconnectReason::OutboxFull, Farewell::Now);
            }
            self.postpone_or_resume_end(now);
            if let Some(ending) = self.ending.take() {
                self.begin_closing(ending, waker, now);
                return Poll::Ready(());
            }
            let idle = self.write(waker, now);
            // Writing to a probe may have shown that it is gone.
            let unread = unread || self.handle_engine_events();
            if (*budget == 0 || !has_budget_remaining()) && self.ending.is_none() {
                waker.wake_by_ref();
                return Poll::Pending;
            }
            if self.ending.is_some() || unread {
                continue;
            }
            if self.timer.poll(waker, self.deadline(now), now).is_ready() {
                continue;
            }
            if self.park(waker, idle) {
                return Poll::Pending;
            }
        }
    }

    fn park(&mut self, waker: &Waker, can_send: bool) -> bool {
        let written = match &mut self.link {
            Link::WebSocket(link) => link.take_written(),
            Link::Polling(_) => 0,
        };
        self.shared.outbox.park(&Context::from_waker(waker), can_send, written)
    }

    fn postpone_or_resume_end(&mut self, now: Instant) {
        if self.engine.is_upgrading() {
            if self.ending.is_some_and(|ending| ending.farewell == Farewell::Flush) {
                self.postponed = self.postponed.or(self.ending.take());
                self.engine.resume_heartbeat(now);
            }
        } else {
            self.ending = self.ending.or(self.postponed.take());
        }
    }

    fn handle_commands(&mut self, commands: Vec<Command>, waker: &Waker, now: Instant) {
        for command in commands {
            match command {
                Command::Poll(get) => self.handle_get(get),
                Command::Post(post) => self.handle_post(post),
                Command::Probe(probe) => self.handle_probe(probe, now),
                Command::Write(leftover) => self.take_over(leftover),
                Command::Forget { slot, id } => self.app.handle_forget(slot, id),
                Command::Leave { slot, number } => {
                    self.app.handle_leave(slot, number, &Scope { waker, shared: &self.shared, now });
                }
                Command::Close { reason, flush } => {
                    if reason == DisconnectReason::ServerNamespaceDisconnect {
                        self.app.handle_leave_all(&Scope { waker, shared: &self.shared, now });
                    }
                    self.end(reason, if flush { Farewell::Flush } else { Farewell::Now });
                }
            }
        }
    }

    fn take_over(&mut self, leftover: Leftover) {
        if let Link::WebSocket(link) = &mut self.link {
            link.take_over(leftover);
        }
    }

    fn handle_get(&mut self, get: crate::outbox::Poll) {
        let Link::Polling(link) = &mut self.link else { return };
        if link.handle_get(get).is_err() {
            self.shared.life.set_details(DisconnectDetails::described("overlap from client"));
            self.end(DisconnectReason::TransportError, Farewell::Now);
        } else {
            self.shared.outbox.set_writable(true);
        }
    }

    fn handle_post(&mut self, post: Post) {
        let Link::Polling(link) = &mut self.link else { return };
        if link.handle_post(post).is_err() {
            self.shared.life.set_details(DisconnectDetails::described("data request overlap from client"));
            self.end(DisconnectReason::TransportError, Farewell::Now);
        }
    }

    /// One that comes too late, while another takes over or has, is dropped and so closed at once.
    fn handle_probe(&mut self, probe: Box<WebSocketLink>, now: Instant) {
        if self.engine.handle_probe_over(probe.transport(), now).is_ok() {
            self.shared.set_link(LinkState::Upgrading);
            self.probe = Some(probe);
        }
    }

    /// Whether there may be something to read that must wait.
    fn must_rest(&self, now: Instant) -> bool {
        let must = self.app.is_full() || self.throttle.as_ref().is_some_and(|throttle| throttle.rests(now));
        must && self.link.may_be_unread()
    }

    /// At the limit of waiting handlers, or of its rate, nothing is read, and what the client is to do in time rests.
    fn rest_if_must(&mut self, now: Instant) {
        if !self.must_rest(now) {
            return;
        }
        self.resting = true;
        // An end that waits until the client has moved does not wait for more than that.
        if self.postponed.is_none() {
            self.engine.pause_heartbeat();
        }
        self.app.pause(now);
        if let Some(throttle) = &mut self.throttle {
            throttle.pause(self.app.is_full(), now);
        }
    }

    /// All that has come is read, not only until it must rest again: its pong would have been there.
    fn resume(&mut self, now: Instant) {
        if self.resting {
            self.resting = false;
            self.engine.resume_heartbeat(now);
            self.app.resume(now);
            if let Some(throttle) = &mut self.throttle {
                throttle.resume();
            }
        }
    }

    fn handle_timeouts(&mut self, waker: &Waker, now: Instant) {
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        if self.app.poll_timeout().is_some_and(|at| at <= now) {
            let handled = self.app.handle_timeout(&Scope { waker, shared: &self.shared, now });
            self.end_if(handled);
        }
        if self.stalled_until().is_some_and(|at| at <= now) {
            self.shared.life.set_details(DisconnectDetails::described("the client takes no more"));
            self.end(DisconnectReason::TransportError, Farewell::None);
        }
        if let Some(throttle) = &mut self.throttle
            && let Err(reason) = throttle.handle_timeout(&self.shared, now)
        {
            self.end(reason, Farewell::Flush);
        }
    }

    /// When a WebSocket that takes no byte is given up.
    fn stalled_until(&self) -> Option<Instant> {
        match &self.link {
            Link::WebSocket(link) => {
                link.stalled_since().map(|since| since + self.shared.core.config.outbox_stall_timeout)
            }
            Link::Polling(_) => None,
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let throttle = self.throttle.as_ref().and_then(|throttle| throttle.poll_timeout(now));
        let timeouts = [self.engine.poll_timeout(), self.app.poll_timeout(), self.stalled_until(), throttle];
        timeouts.into_iter().flatten().min()
    }

    /// True if the session has moved to another transport.
    fn handle_engine_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.engine.poll_event() {
            match event {
                SessionEvent::Opened(_) => {}
                SessionEvent::Upgrading => {
                    let transport = self.probe.as_ref().map_or(Transport::WebSocket, |probe| probe.transport());
                    self.tell(kinds::UPGRADING, &Event::Upgrading(transport));
                }
                SessionEvent::Upgraded => {
                    self.finish_upgrade();
                    moved = true;
                    self.tell(kinds::UPGRADE, &Event::Upgrade(self.engine.transport()));
                }
                SessionEvent::UpgradeFailed => {
                    self.probe = None;
                    self.shared.set_link(LinkState::Polling);
                }
                SessionEvent::Closed(reason) => self.end(reason.into(), Farewell::Now),
            }
        }
        moved
    }

    #[cold]
    fn tell(&mut self, kind: u8, event: &Event<'_>) {
        let told = self.shared.life.tell_rare(kind, event);
        self.end_if(told);
    }

    /// The client has moved: from here on everything goes over the new transport, what had waited for a GET too.
    fn finish_upgrade(&mut self) {
        let Some(probe) = self.probe.take() else { return };
        let old = std::mem::replace(&mut self.link, Link::WebSocket(*probe));
        self.shared.set_link(self.engine.transport().into());
        self.shared.life.set_upgraded();
        self.shared.outbox.set_writable(true);
        let (Link::Polling(mut polling), Link::WebSocket(link)) = (old, &mut self.link) else { return };
        link.owe_control(polling.take_control());
        self.shared.outbox.lend(link.lend_outlet());
        polling.answer_get(|_| false);
        trace!(debug, "patera::engine", "session upgraded", sid = %self.shared.sid);
    }

    fn end(&mut self, reason: DisconnectReason, farewell: Farewell) {
        self.ending.get_or_insert(Ending { reason, farewell });
    }

    fn end_if(&mut self, result: Result<(), DisconnectReason>) {
        if let Err(reason) = result {
            self.end(reason, Farewell::Now);
        }
    }
}

impl<A: Application> Future for Session<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let session = self.get_mut();
        let waker = cx.waker();
        let mut budget = PACKETS_PER_TURN;
        loop {
            let changed = match session.phase {
                Phase::New => {
                    session.phase = Phase::Open;
                    session.open(waker);
                    Poll::Ready(())
                }
                Phase::Open => session.poll_open(waker, &mut budget),
                Phase::Closing => session.poll_closing(waker),
                Phase::Lingering => session.poll_lingering(waker),
                Phase::Ended => return session.poll_ended(waker),
            };
            if changed.is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<A: Application> Session<A> {
    #[cold]
    fn open(&mut self, waker: &Waker) {
        let now = tokio::time::Instant::now().into_std();
        if let Link::WebSocket(link) = &mut self.link {
            self.shared.outbox.set_writable(true);
            self.shared.outbox.lend(link.lend_outlet());
        }
        self.shared.life.set_open();
        self.app.open(&Scope { waker, shared: &self.shared, now });
    }
}

impl<A: Application> Drop for Session<A> {
    fn drop(&mut self) {
        self.shared.outbox.close();
        self.shared.life.set_closed();
        self.shared.life.clear();
        self.shared.unregister();
        count(&self.shared.core.counters.sessions_closed, 1);
        self.shared.core.session_ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Connection;

    #[test]
    fn an_idle_session_is_small() {
        assert!(size_of::<Session<Connection>>() <= 512, "{}", size_of::<Session<Connection>>());
    }
}
