//! Plain WebSockets: a browser's own `new WebSocket()` as a client of a namespace, beside Socket.IO clients.
//!
//! Below it is the same [`Connection`]: what comes is rewritten as Socket.IO packets, so that every rule and limit holds
//! here too; what goes out is rewritten once per packet, whoever many plain WebSockets get it.
//!
//! ```text
//! patera.json   in and out   {"event":"chat","args":["hello",1],"ack":7}     an event; `ack` if an answer is wanted
//!                            {"ack":7,"args":["ok"]}                         an acknowledgement
//!                            {"base64":"AQID"}                               bytes, anywhere in `args`
//!               out          {"event":"connect","args":[{"sid":"…"}]}        the first message
//!                            {"event":"connect_error","args":[{"message":"…"}]}   refused; the connection closes
//! otherwise     in           any text or bytes: event `message` with it
//!               out          `message` with one string or bytes: just that; everything else as above
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use patera_protocol::engineio::Message;
use patera_protocol::socketio::Slot;
use patera_websocket::{Opcode, server_frame};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::connection::Connection;
use crate::error::DisconnectReason;
use crate::io::IoInner;
use crate::namespace::NamespaceInner;
use crate::outbox::{Command, PendingAck};
use crate::prepared::Prepared;
use crate::session::{Application, Scope};

/// The subprotocol that speaks JSON with event names and acknowledgements.
pub(crate) const SUBPROTOCOL: &str = "patera.json";

pub(crate) struct NativeConnection {
    connection: Connection,
    namespace: Arc<NamespaceInner>,
    raw: bool,
}

impl NativeConnection {
    pub(crate) fn new(io: Arc<IoInner>, namespace: Arc<NamespaceInner>, raw: bool) -> Self {
        NativeConnection { connection: Connection::new(io), namespace, raw }
    }

    /// `/chat,` as it stands in a packet; nothing for `/`.
    fn prefix(&self) -> String {
        match &*self.namespace.name {
            "/" => String::new(),
            name => format!("{name},"),
        }
    }

    fn feed(&mut self, packet: &Packet, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        self.connection.handle_message(Message::Text(&packet.text), scope)?;
        packet.attachments.iter().try_for_each(|data| self.connection.handle_message(Message::Binary(data), scope))
    }

    /// A client without a namespace is no client: refused or disconnected, it is closed.
    fn close_if_left(&self, scope: &Scope<'_>) {
        if self.connection.is_empty() {
            let reason = DisconnectReason::ForcedServerClose;
            scope.shared.outbox.command(Command::Close { reason, flush: true });
        }
    }
}

/// A Socket.IO packet with its attachments.
struct Packet {
    text: String,
    attachments: Vec<Bytes>,
}

/// What a client of `patera.json` sends.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(default)]
    ack: Option<u64>,
}

impl Packet {
    /// # Errors
    /// It is no such JSON.
    fn from_json(text: &str, prefix: &str) -> serde_json::Result<Self> {
        let incoming: Incoming<'_> = serde_json::from_str(text)?;
        let args = incoming.args.map_or("[]", RawValue::get);
        let (args, attachments) =
            if args.contains("base64") { take_bytes(args)? } else { (Cow::Borrowed(args), Vec::new()) };
        let ack = incoming.ack.map(|id| id.to_string()).unwrap_or_default();
        let array = match &incoming.event {
            Some(name) => with_first(&serde_json::to_string(name)?, &args),
            None => args.into_owned(),
        };
        let kind = match (&incoming.event, attachments.len()) {
            (Some(_), 0) => "2".to_owned(),
            (Some(_), count) => format!("5{count}-"),
            (None, 0) => "3".to_owned(),
            (None, count) => format!("6{count}-"),
        };
        Ok(Packet { text: format!("{kind}{prefix}{ack}{array}"), attachments })
    }

    /// Event `message` with a text or bytes.
    fn from_raw(message: Message<'_>, prefix: &str) -> serde_json::Result<Self> {
        Ok(match message {
            Message::Text(text) => {
                let text = serde_json::to_string(text)?;
                Packet { text: format!(r#"2{prefix}["message",{text}]"#), attachments: Vec::new() }
            }
            Message::Binary(data) => Packet {
                text: format!(r#"51-{prefix}["message",{{"_placeholder":true,"num":0}}]"#),
                attachments: vec![Bytes::copy_from_slice(data)],
            },
        })
    }
}

/// `["a"` in front of `[1,2]`.
fn with_first(first: &str, array: &str) -> String {
    let rest = array.trim_start().strip_prefix('[').unwrap_or(array).trim_start();
    let comma = if rest.starts_with(']') { "" } else { "," };
    format!("[{first}{comma}{rest}")
}

/// Makes attachments of all `{"base64": …}`.
fn take_bytes(args: &str) -> serde_json::Result<(Cow<'_, str>, Vec<Bytes>)> {
    let mut args: Value = serde_json::from_str(args)?;
    let mut attachments = Vec::new();
    replace_objects(&mut args, &mut |object| {
        let data = STANDARD.decode(object.get("base64")?.as_str()?).ok().filter(|_| object.len() == 1)?;
        attachments.push(Bytes::from(data));
        Some(json!({"_placeholder": true, "num": attachments.len() - 1}))
    });
    Ok((args.to_string().into(), attachments))
}

/// Puts `{"base64": …}` where placeholders stand.
fn put_bytes(value: &mut Value, attachments: &[Bytes]) {
    replace_objects(value, &mut |object| {
        let placeholder = object.get("_placeholder")? == &Value::Bool(true) && object.len() == 2;
        let num = usize::try_from(object.get("num")?.as_u64()?).ok().filter(|_| placeholder)?;
        Some(json!({"base64": STANDARD.encode(attachments.get(num)?)}))
    });
}

/// Visits every object, outermost first; serde_json's own limit bounds the depth.
fn replace_objects(value: &mut Value, replace: &mut impl FnMut(&Map<String, Value>) -> Option<Value>) {
    match value {
        Value::Object(object) => match replace(object) {
            Some(replacement) => *value = replacement,
            None => object.values_mut().for_each(|value| replace_objects(value, replace)),
        },
        Value::Array(values) => values.iter_mut().for_each(|value| replace_objects(value, replace)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The frames a packet is to plain WebSockets.
pub(crate) struct Forms {
    json: Bytes,
    /// If it differs.
    raw: Option<Bytes>,
}

impl Forms {
    pub(crate) fn of(prepared: &Prepared) -> Self {
        let text = std::str::from_utf8(prepared.packet_text()).unwrap_or_default();
        let Some(packet) = Outgoing::parse(text, prepared.attachments()) else {
            return Forms { json: Bytes::new(), raw: None };
        };
        Forms { json: server_frame(Opcode::Text, packet.to_json().as_bytes()), raw: packet.to_raw() }
    }

    pub(crate) fn frame(&self, raw: bool) -> &Bytes {
        self.raw.as_ref().filter(|_| raw).unwrap_or(&self.json)
    }
}

/// A packet of ours, taken apart.
struct Outgoing<'a> {
    event: Option<Cow<'a, str>>,
    args: Vec<Cow<'a, RawValue>>,
    ack: Option<&'a str>,
    attachments: &'a [Bytes],
}

impl<'a> Outgoing<'a> {
    /// `None` for what a plain WebSocket is not told: a DISCONNECT, which it sees as the close.
    fn parse(text: &'a str, attachments: &'a [Bytes]) -> Option<Self> {
        let (kind, rest) = text.split_at_checked(1)?;
        let rest = if attachments.is_empty() { rest } else { rest.split_once('-')?.1 };
        let rest = if rest.starts_with('/') { rest.split_once(',')?.1 } else { rest };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, json) = rest.split_at(digits);
        let ack = (!id.is_empty()).then_some(id);
        let packet = |event, args| Some(Outgoing { event, args, ack, attachments });
        match kind {
            "0" => packet(Some("connect".into()), vec![Cow::Borrowed(serde_json::from_str(json).ok()?)]),
            "4" => packet(Some("connect_error".into()), vec![Cow::Borrowed(serde_json::from_str(json).ok()?)]),
            "2" | "5" => {
                let mut array: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                let name: Cow<'_, str> = serde_json::from_str::<String>(array.remove(0).get()).ok()?.into();
                packet(Some(name), array.into_iter().map(Cow::Borrowed).collect())
            }
            "3" | "6" => {
                let array: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                packet(None, array.into_iter().map(Cow::Borrowed).collect())
            }
            _ => None,
        }
    }

    fn to_json(&self) -> String {
        let mut text = String::from("{");
        if let Some(event) = &self.event {
            text.push_str(&format!(r#""event":{},"#, Value::from(event.as_ref())));
        }
        let args: Vec<Cow<'_, str>> = self.args.iter().map(|arg| self.argument(arg)).collect();
        text.push_str(&format!(r#""args":[{}]"#, args.join(",")));
        if let Some(ack) = self.ack {
            text.push_str(&format!(r#","ack":{ack}"#));
        }
        text.push('}');
        text
    }

    fn argument<'b>(&self, raw: &'b RawValue) -> Cow<'b, str> {
        if self.attachments.is_empty() {
            return raw.get().into();
        }
        let Ok(mut value) = serde_json::from_str::<Value>(raw.get()) else { return raw.get().into() };
        put_bytes(&mut value, self.attachments);
        to_raw_value(&value).map_or_else(|_| raw.get().into(), |value| value.get().to_owned().into())
    }

    /// `message` with one string or bytes, and nobody waits for an answer: just that.
    fn to_raw(&self) -> Option<Bytes> {
        if self.event.as_deref() == Some("connect") {
            // Only who speaks JSON knows what to do with an id. No event of the application has this name.
            return Some(Bytes::new());
        }
        let ([argument], None, Some("message")) = (&self.args[..], self.ack, self.event.as_deref()) else {
            return None;
        };
        match self.attachments {
            [] => {
                let text: String = serde_json::from_str(argument.get()).ok()?;
                Some(server_frame(Opcode::Text, text.as_bytes()))
            }
            [data] if argument.get().contains("_placeholder") => {
                let object: Map<String, Value> = serde_json::from_str(argument.get()).ok()?;
                (object.len() == 2).then(|| server_frame(Opcode::Binary, data))
            }
            _ => None,
        }
    }
}

impl Application for NativeConnection {
    fn open(&mut self, scope: &Scope<'_>) {
        self.connection.open(scope);
        let query: Map<String, Value> =
            scope.shared.handshake.query().into_iter().map(|(name, value)| (name, value.into())).collect();
        let connect = Packet { text: format!("0{}{}", self.prefix(), Value::from(query)), attachments: Vec::new() };
        if let Err(reason) = self.feed(&connect, scope) {
            scope.shared.outbox.command(Command::Close { reason, flush: true });
        }
        self.close_if_left(scope);
    }

    fn handle_message(&mut self, message: Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        let prefix = self.prefix();
        let packet = match message {
            Message::Text(text) if !self.raw => Packet::from_json(text, &prefix),
            // Whoever speaks JSON may still send bytes as they are.
            message => Packet::from_raw(message, &prefix),
        };
        let packet = packet.map_err(|_| DisconnectReason::ParseError)?;
        self.feed(&packet, scope)?;
        self.close_if_left(scope);
        Ok(())
    }

    fn handle_leave(&mut self, slot: Slot, number: u64, scope: &Scope<'_>) {
        self.connection.handle_leave(slot, number, scope);
        self.close_if_left(scope);
    }

    fn handle_leave_all(&mut self, scope: &Scope<'_>) {
        self.connection.handle_leave_all(scope);
    }

    fn handle_sent(&mut self, ack: PendingAck) {
        self.connection.handle_sent(ack);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn handle_timeout(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        self.connection.handle_timeout(scope)
    }

    /// Nothing is read while the middlewares decide: a client that sends at once loses nothing.
    fn is_full(&self) -> bool {
        self.connection.is_full() || !self.connection.is_open()
    }

    fn poll(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        self.connection.poll(scope)?;
        self.close_if_left(scope);
        Ok(())
    }

    fn close(&mut self, reason: DisconnectReason, scope: &Scope<'_>) {
        self.connection.close(reason, scope);
    }

    fn poll_closed(&mut self, scope: &Scope<'_>) -> Poll<()> {
        self.connection.poll_closed(scope)
    }
}
