//! The way out: all that waits, in one write or one polling answer.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use patera_protocol::engineio::{Packet, Transport};

use super::ending::Farewell;
use super::{Application, Link, Session};
use crate::config::WRITE_BYTES_MAX;
use crate::conn::Told;
use crate::details::DisconnectDetails;
use crate::error::DisconnectReason;
use crate::transport::{Batch, WebSocketLink};

impl<A: Application> Session<A> {
    /// Sends what can be sent. True if the transport would take more; false if it must be waited for.
    pub(super) fn write(&mut self, waker: &Waker, now: Instant) -> bool {
        self.write_probe(waker, now);
        match self.link {
            Link::Polling(_) => self.write_polling(waker),
            Link::WebSocket(_) => self.write_websocket(waker, now),
        }
    }

    fn write_websocket(&mut self, waker: &Waker, now: Instant) -> bool {
        let Session { shared, engine, link, app, .. } = self;
        let Link::WebSocket(link) = link else { return false };
        let was_writable = link.is_writable();
        let mut packets = 0;
        let mut told = Told::new(&shared.life);
        let fill = |link: &mut WebSocketLink, batch: &mut Batch, written| {
            while let Some(transmit) = engine.poll_transmit() {
                if matches!(transmit.packet, Packet::Ping(_)) {
                    app.handle_ping_sent(shared);
                }
                told.control(transmit.packet);
                link.write_control(&transmit.packet, batch);
            }
            let mut bytes = 0;
            for item in shared.outbox.take_items(WRITE_BYTES_MAX, written) {
                bytes += item.prepared.size();
                packets += 1;
                told.item(&item.prepared);
                link.write(&item.prepared, &shared.core.config, batch);
                if let Some(ack) = item.ack {
                    app.handle_sent(*ack);
                }
            }
            told.flush();
            bytes
        };
        let written = link.poll_write(&mut Context::from_waker(waker), now, fill);
        if packets > 0 {
            shared.core.counters.sent(packets, link.in_flight());
        }
        match written {
            Poll::Ready(Ok(())) => {
                if !was_writable {
                    shared.outbox.set_writable(true);
                }
                let told = told.drain(!was_writable);
                self.end_if(told);
                true
            }
            Poll::Ready(Err(_)) => {
                // Before the end is known a write may fail first; both are the same to the application.
                self.end(DisconnectReason::TransportClose, Farewell::None);
                true
            }
            Poll::Pending => {
                shared.outbox.set_writable(false);
                let told = told.finish();
                self.end_if(told);
                false
            }
        }
    }

    fn write_polling(&mut self, waker: &Waker) -> bool {
        let Session { shared, engine, link, app, .. } = self;
        let Link::Polling(link) = link else { return false };
        let mut told = Told::new(&shared.life);
        while let Some(transmit) = engine.poll_transmit() {
            if matches!(transmit.packet, Packet::Ping(_)) {
                app.handle_ping_sent(shared);
            }
            told.control(transmit.packet);
            link.push_control(transmit.packet);
        }
        if link.poll_aborted(&mut Context::from_waker(waker)).is_ready() {
            shared.life.set_details(DisconnectDetails::described("poll connection closed prematurely"));
            self.end(DisconnectReason::TransportError, Farewell::None);
            return true;
        }
        if !link.can_send() {
            let told = told.finish();
            self.end_if(told);
            return false;
        }
        let items = shared.outbox.take_items(usize::MAX, 0);
        if items.is_empty() && !link.has_control() {
            return true;
        }
        told.waited(link.control_count());
        let (mut bytes, packets) = (0, items.len());
        let sent = link.answer_get(|payload| {
            let mut compress = false;
            for item in items {
                bytes += item.prepared.size();
                told.item(&item.prepared);
                compress |= item.prepared.flags.compress;
                item.prepared.write_payload(shared.dialect.version, payload);
                if let Some(ack) = item.ack {
                    app.handle_sent(*ack);
                }
            }
            told.flush();
            compress
        });
        shared.outbox.written(bytes);
        shared.outbox.set_writable(false);
        shared.core.counters.sent(packets, bytes);
        let told = told.drain(false);
        if !sent {
            self.end(DisconnectReason::TransportError, Farewell::None);
        }
        self.end_if(told);
        false
    }

    /// While a WebSocket takes over, only the session's own packets travel on it.
    fn write_probe(&mut self, waker: &Waker, now: Instant) {
        let Session { shared, engine, link, app, probe: Some(probe), .. } = self else { return };
        let mut told = Told::new(&shared.life);
        let mut waiting = Vec::new();
        while let Some(transmit) = engine.poll_transmit() {
            if matches!(transmit.packet, Packet::Ping("")) {
                app.handle_ping_sent(shared);
            }
            told.control(transmit.packet);
            match (transmit.transport, &mut *link) {
                (Transport::Polling, Link::Polling(polling)) => polling.push_control(transmit.packet),
                (Transport::Polling | Transport::WebSocket | Transport::WebTransport, _) => {
                    waiting.push(transmit.packet)
                }
            }
        }
        probe.owe_control(waiting);
        let written = probe.poll_write(&mut Context::from_waker(waker), now, |_, _, _| 0);
        let told = told.finish();
        if let Poll::Ready(Err(_)) = written {
            self.lose_probe(true);
        }
        self.end_if(told);
    }
}
