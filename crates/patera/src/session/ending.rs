//! The end of a session: what is said to the client, and what still runs afterwards.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use patera_protocol::engineio::Packet;
use patera_websocket::CloseCode;

use super::{Application, Link, Scope, Session};
use crate::config::LINGER;
use crate::conn::{Event, Told, kinds};
use crate::error::DisconnectReason;
use crate::outbox::Command;
use crate::trace::trace;
use crate::transport::{PostAnswer, WebSocketLink};

#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) reason: DisconnectReason,
    pub(super) farewell: Farewell,
}

/// What the client is still told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Nothing: the transport is gone.
    None,
    /// A close frame or a close packet, at once.
    Now,
    /// All that waits, then the same.
    Flush,
}

#[derive(Clone, Copy)]
pub(super) enum Phase {
    New,
    Open,
    /// Flushing.
    Closing,
    /// Reading and forgetting.
    Lingering,
    Ended,
}

impl<A: Application> Session<A> {
    #[cold]
    pub(super) fn begin_closing(&mut self, ending: Ending, waker: &Waker, now: Instant) {
        trace!(debug, "patera::engine", "session ends", sid = %self.shared.sid, reason = %ending.reason);
        self.shared.outbox.refuse_items();
        self.shared.life.set_closing();
        if let (Some(outlet), Link::WebSocket(link)) = (self.shared.outbox.take_back(), &mut self.link) {
            link.take_back(outlet);
        }
        if ending.farewell != Farewell::Flush {
            drop(self.shared.outbox.take_items(usize::MAX, 0));
        }
        self.app.close(ending.reason, &Scope { waker, shared: &self.shared, now });
        self.engine.close(patera_protocol::engineio::CloseReason::ForcedClose);
        while self.engine.poll_event().is_some() {}
        self.probe = None;
        let wait = match &mut self.link {
            Link::WebSocket(_) if ending.farewell == Farewell::None => None,
            Link::WebSocket(link) => {
                if ending.farewell == Farewell::Now {
                    close_link(link, ending.reason);
                }
                Some(self.shared.core.config.outbox_stall_timeout)
            }
            Link::Polling(_) if ending.farewell == Farewell::Flush => Some(self.poll_patience(ending.reason)),
            Link::Polling(link) => {
                // A client that closed by packet gets a noop for the GET that waits.
                let closed = ending.reason == DisconnectReason::TransportClose;
                link.push_control(if closed { Packet::Noop } else { Packet::Close });
                None
            }
        };
        self.ending = Some(ending);
        self.phase = match wait {
            Some(wait) => self.wait(Phase::Closing, now + wait),
            None => self.hang_up(),
        };
    }

    /// How long a polling client may take to come for its goodbye; a server that closes does not wait longer than it drains.
    fn poll_patience(&self, reason: DisconnectReason) -> std::time::Duration {
        let config = &self.shared.core.config;
        match reason {
            DisconnectReason::ServerShuttingDown => config.close_timeout.min(config.drain),
            _ => config.close_timeout,
        }
    }

    /// Answers what hangs on the session, and leaves the registry.
    fn hang_up(&mut self) -> Phase {
        if let Link::Polling(link) = &mut self.link {
            link.answer_post(PostAnswer::Invalid);
            link.answer_get(|_| false);
        }
        self.shared.unregister();
        self.shared.outbox.close();
        self.tell_closed();
        Phase::Ended
    }

    /// Those who listen hear of the end, and of nothing else.
    fn tell_closed(&self) {
        let reason = self.ending.map_or(DisconnectReason::ForcedClose, |ending| ending.reason);
        if self.shared.life.set_closed() {
            let event = Event::Close(reason, &self.shared.life.details(reason));
            // It is over in either case.
            let _ = self.shared.life.tell_rare(kinds::CLOSE, &event);
            self.shared.life.clear();
        }
    }

    fn wait(&mut self, phase: Phase, until: Instant) -> Phase {
        self.patience = Some(Box::new(until));
        phase
    }

    fn is_out_of_patience(&self, now: Instant) -> bool {
        self.patience.as_ref().is_none_or(|until| now >= **until)
    }

    fn poll_patience_timer(&mut self, waker: &Waker, now: Instant) -> Poll<()> {
        self.timer.poll(waker, self.patience.as_deref().copied(), now)
    }

    #[cold]
    pub(super) fn poll_closing(&mut self, waker: &Waker) -> Poll<()> {
        loop {
            let now = tokio::time::Instant::now().into_std();
            self.take_late_commands();
            // Handlers that still wait go on meanwhile.
            let _ = self.app.poll_closed(&Scope { waker, shared: &self.shared, now });
            let done = match &mut self.link {
                Link::Polling(_) => self.close_polling(),
                Link::WebSocket(_) => self.close_websocket(waker, now),
            };
            if done || self.is_out_of_patience(now) {
                self.phase = match &self.link {
                    Link::WebSocket(_) if done && !self.is_gone() => {
                        self.shared.unregister();
                        self.shared.outbox.close();
                        self.tell_closed();
                        self.wait(Phase::Lingering, now + LINGER)
                    }
                    _ => self.hang_up(),
                };
                return Poll::Ready(());
            }
            if self.poll_patience_timer(waker, now).is_pending() && self.park(waker, false) {
                return Poll::Pending;
            }
        }
    }

    fn is_gone(&self) -> bool {
        self.ending.is_some_and(|ending| ending.farewell == Farewell::None)
    }

    fn take_late_commands(&mut self) {
        for command in self.shared.outbox.begin_turn().commands {
            match (command, &mut self.link) {
                (Command::Poll(get), Link::Polling(link)) => {
                    // An overlap says nothing new to a session that ends.
                    let _ = link.handle_get(get);
                }
                (Command::Post(post), Link::Polling(_)) => {
                    // A stock client would take an error for a broken transport, forget the goodbye, and come back.
                    let _ = post.answer.send(PostAnswer::Taken);
                }
                (_, _) => {}
            }
        }
    }

    /// True when the client has been told. What waits goes out first, in an answer of its own: stock clients handle a
    /// close packet before the events of the same payload.
    fn close_polling(&mut self) -> bool {
        let Link::Polling(link) = &mut self.link else { return true };
        link.answer_post(PostAnswer::Taken);
        if !link.can_send() {
            return false;
        }
        let items = self.shared.outbox.take_items(usize::MAX, 0);
        let mut told = Told::new(&self.shared.life);
        if items.is_empty() {
            link.push_control(Packet::Close);
            link.answer_get(|_| false);
            return true;
        }
        let version = self.shared.dialect.version;
        link.answer_get(|payload| {
            for item in &items {
                told.item(&item.prepared);
                item.prepared.write_payload(version, payload);
            }
            told.flush();
            items.iter().any(|item| item.prepared.flags.compress)
        });
        // Whoever panics cannot end it sooner.
        let _ = told.drain(false);
        false
    }

    /// True when everything is written, the close frame too.
    fn close_websocket(&mut self, waker: &Waker, now: Instant) -> bool {
        let reason = self.ending.map_or(DisconnectReason::ForcedClose, |ending| ending.reason);
        while self.shared.outbox.has_items() {
            if !self.write(waker, now) {
                return false;
            }
        }
        if !self.write(waker, now) {
            return false;
        }
        let Link::WebSocket(link) = &mut self.link else { return true };
        if link.is_closing() {
            return link.poll_shutdown(&mut Context::from_waker(waker)).is_ready();
        }
        close_link(link, reason);
        self.write(waker, now) && self.close_websocket(waker, now)
    }

    #[cold]
    pub(super) fn poll_lingering(&mut self, waker: &Waker) -> Poll<()> {
        let now = tokio::time::Instant::now().into_std();
        let _ = self.app.poll_closed(&Scope { waker, shared: &self.shared, now });
        let gone = match &mut self.link {
            Link::WebSocket(link) => link.poll_linger(&mut Context::from_waker(waker)).is_ready(),
            Link::Polling(_) => true,
        };
        if gone || self.is_out_of_patience(now) {
            self.phase = Phase::Ended;
            return Poll::Ready(());
        }
        // A timer that fires early is another round.
        self.poll_patience_timer(waker, now)
    }

    /// The connection is gone; handlers that wait run to their end.
    #[cold]
    pub(super) fn poll_ended(&mut self, waker: &Waker) -> Poll<()> {
        self.link = Link::Polling(Default::default());
        let now = tokio::time::Instant::now().into_std();
        self.app.poll_closed(&Scope { waker, shared: &self.shared, now })
    }
}

/// Where it was no ordinary end, the reason is told in words.
fn close_link(link: &mut WebSocketLink, reason: DisconnectReason) {
    let code = match reason {
        DisconnectReason::ServerShuttingDown => CloseCode::AWAY,
        DisconnectReason::OutboxFull | DisconnectReason::RateExceeded | DisconnectReason::ParseError => {
            CloseCode::POLICY
        }
        DisconnectReason::HandlerPanicked => CloseCode::INTERNAL,
        _ => CloseCode::NORMAL,
    };
    link.close(code, if code == CloseCode::NORMAL { "" } else { reason.as_str() });
}
