//! What the server sends: packets of the namespaces.

use std::task::Context;

use patera_protocol::engineio::Message;
use patera_protocol::parser::MessagePack;
use patera_protocol::socketio::{Args, Incoming, Slot, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Task;
use super::link::{Link, Up};
use crate::config::Parser;
use crate::error::{ConnectError, TransportError};
use crate::handler::AckTarget;
use crate::lifecycle::{Disconnect, DisconnectReason, Lifecycle};
use crate::namespace::Phase;
use crate::trace::trace;

/// What follows from a packet once it is not looked at any more.
enum Outcome {
    Nothing,
    Connected { slot: Slot, answer: Option<Box<RawValue>> },
    Refused { slot: Slot, answer: Option<Box<RawValue>> },
    Disconnected { slot: Slot },
    Failed(TransportError),
}

/// What the server says when it lets us in.
#[derive(Deserialize)]
struct Welcome {
    sid: String,
    #[serde(default)]
    pid: Option<String>,
}

/// What it says when it does not.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    data: Option<Value>,
}

impl Task {
    pub(super) fn handle_incoming(&mut self, message: Message<'_>, cx: &mut Context<'_>, now: Instant) {
        match self.config.parser {
            Parser::Json => self.handle_message(message, cx, now),
            Parser::MessagePack => {
                let packet = MessagePack::decode(message, &self.config.protocol);
                match packet.and_then(|packet| Ok((packet.to_text()?, packet))) {
                    Ok((text, packet)) => {
                        self.handle_message(Message::Text(&text), cx, now);
                        for attachment in packet.attachments() {
                            self.handle_message(Message::Binary(attachment), cx, now);
                        }
                    }
                    Err(error) => self.fail(TransportError::Protocol(error)),
                }
            }
        }
    }

    fn handle_message(&mut self, message: Message<'_>, cx: &mut Context<'_>, now: Instant) {
        let outcome = self.read(message, cx, now);
        match outcome {
            Outcome::Nothing => {}
            Outcome::Connected { slot, answer } => self.handle_connected(slot, answer.as_deref(), cx),
            Outcome::Refused { slot, answer } => self.handle_refused(slot, answer.as_deref(), cx),
            Outcome::Disconnected { slot } => self.handle_disconnected(slot, cx),
            Outcome::Failed(error) => self.fail(error),
        }
    }

    /// The server is not understood: the session ends with `parse error`.
    fn fail(&mut self, error: TransportError) {
        trace!(warn, "server not understood", error = %error);
        if let Some(engine) = self.link.engine() {
            engine.fail(error);
        }
    }

    /// Reads a packet; events and answers are dealt with here, while they borrow from it.
    fn read(&mut self, message: Message<'_>, cx: &mut Context<'_>, now: Instant) -> Outcome {
        let Link::Up(up) = &mut self.link else { return Outcome::Nothing };
        let Up { engine, connection, slots, .. } = &mut **up;
        let incoming = match connection.handle_message(message, now.into_std()) {
            Ok(Some(incoming)) => incoming,
            Ok(None) => return Outcome::Nothing,
            Err(error) => return Outcome::Failed(TransportError::Protocol(error)),
        };
        let namespace = |slot: Slot| slots.get(&slot);
        match incoming {
            Incoming::Event { slot, name, args, ack } => {
                let Some(namespace) = namespace(slot).and_then(|number| self.namespaces.get_mut(number)) else {
                    return Outcome::Nothing;
                };
                match namespace.phase {
                    Phase::Connected { .. } => {
                        let generation = namespace.socket.0.state.lock().generation;
                        let target = ack.map(|id| AckTarget { id, generation });
                        self.calls.dispatch(&namespace.socket, &name, &args, target, cx);
                        if ack.is_none() {
                            namespace.remember_offset(&args);
                        }
                    }
                    Phase::Connecting { leaving: true, .. } => {}
                    _ => {
                        if !namespace.keep(&name, &args, ack, self.config.receive_buffer_bytes_max) {
                            return Outcome::Failed(TransportError::ReceiveBufferFull);
                        }
                    }
                }
                Outcome::Nothing
            }
            Incoming::Ack { slot, id, args } => {
                if let Some(namespace) = namespace(slot).and_then(|number| self.namespaces.get_mut(number)) {
                    namespace.handle_ack(id, &args, engine);
                }
                Outcome::Nothing
            }
            Incoming::Connected { slot, payload, .. } => {
                Outcome::Connected { slot, answer: payload.map(RawValue::to_owned) }
            }
            Incoming::ConnectError { slot, payload, .. } => {
                Outcome::Refused { slot, answer: payload.map(RawValue::to_owned) }
            }
            Incoming::Disconnect { slot } => Outcome::Disconnected { slot },
            // Only servers are asked.
            Incoming::Connect { .. } => Outcome::Nothing,
        }
    }

    fn handle_connected(&mut self, slot: Slot, answer: Option<&RawValue>, cx: &mut Context<'_>) {
        let Link::Up(up) = &mut self.link else { return };
        let Some(number) = up.slots.get(&slot).copied() else { return };
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        let is_leaving = matches!(namespace.phase, Phase::Connecting { leaving: true, .. });
        let welcome = answer.and_then(|answer| serde_json::from_str::<Welcome>(answer.get()).ok());
        if is_leaving || welcome.is_none() {
            // Now the server knows of us, and can be told that we leave.
            up.connection.leave(slot);
            up.slots.remove(&slot);
            up.engine.send(namespace.socket.codec().disconnect(&namespace.socket.0.namespace), None);
        }
        if is_leaving {
            namespace.disconnect();
            if namespace.removed {
                self.forget(number);
            }
            return;
        }
        let Some(Welcome { sid, pid }) = welcome else {
            return self.give_up(number, ConnectError::Incompatible, cx);
        };
        let recovers = pid.is_some();
        let recovered = namespace.set_pid(pid);
        namespace.phase = Phase::Connected { slot };
        namespace.backoff.reset();
        let generation = {
            let mut state = namespace.socket.0.state.lock();
            state.id = Some(sid.into());
            state.recovered = recovered;
            state.recovers = recovers;
            state.generation += 1;
            state.generation
        };
        for (name, args, ack) in namespace.take_received() {
            let target = ack.map(|id| AckTarget { id, generation });
            self.calls.dispatch(&namespace.socket, &name, &args.as_args(), target, cx);
            if ack.is_none() {
                namespace.remember_offset(&args.as_args());
            }
        }
        namespace.flush(&mut up.engine);
        namespace.resolve(&Ok(()));
        self.tell(number, &Lifecycle::Connect, cx);
    }

    fn handle_refused(&mut self, slot: Slot, answer: Option<&RawValue>, cx: &mut Context<'_>) {
        let Link::Up(up) = &mut self.link else { return };
        let Some(number) = up.slots.remove(&slot) else { return };
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        if matches!(namespace.phase, Phase::Connecting { leaving: true, .. }) {
            namespace.disconnect();
            if namespace.removed {
                self.forget(number);
            }
            return;
        }
        let (message, data) = read_refusal(answer);
        self.give_up(number, ConnectError::Refused { message, data: data.map(Box::new) }, cx);
    }

    fn handle_disconnected(&mut self, slot: Slot, cx: &mut Context<'_>) {
        let Link::Up(up) = &mut self.link else { return };
        let Some(number) = up.slots.remove(&slot) else { return };
        let Some(namespace) = self.namespaces.get_mut(&number) else { return };
        let was_connected = namespace.is_connected();
        namespace.disconnect();
        if namespace.removed {
            return self.forget(number);
        }
        namespace.set_active(false);
        if was_connected {
            let reason = DisconnectReason::IoServerDisconnect;
            self.tell(number, &Lifecycle::Disconnect(Disconnect { reason, details: None }), cx);
        } else {
            self.refuse(number, ConnectError::Closed, cx);
        }
        self.close_if_unused(Vec::new(), cx);
    }
}

/// `{"message":"…","data":…}`, or a text.
fn read_refusal(answer: Option<&RawValue>) -> (String, Option<Value>) {
    let args = Args::from_raw(answer);
    if let Ok(message) = args.decode::<String>(0) {
        return (message, None);
    }
    match args.decode::<Refusal>(0) {
        Ok(Refusal { message, data }) => (message.unwrap_or_default(), data),
        Err(_) => (String::new(), args.value(0).ok()),
    }
}
