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
use patera_protocol::engineio::{Message, Version};
use patera_protocol::socketio::Slot;
use patera_websocket::{Opcode, server_frame};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

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
        NativeConnection { connection: Connection::new(io, Version::V4), namespace, raw }
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
        if !text.trim_start().starts_with('{') {
            // serde would take an array for the fields in order.
            return Err(serde::de::Error::custom("not an object"));
        }
        let incoming: Incoming<'_> = serde_json::from_str(text)?;
        let args = incoming.args.map_or("[]", RawValue::get);
        if !args.starts_with('[') {
            return Err(serde::de::Error::custom("args is no array"));
        }
        let (args, attachments) = take_bytes(args);
        let ack = incoming.ack.map(|id| id.to_string()).unwrap_or_default();
        let array = match &incoming.event {
            Some(name) => with_first(&serde_json::to_string(name)?, &args),
            None => args,
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

/// `{"base64":"AQID"}` and no more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64<'a> {
    #[serde(borrow)]
    base64: Cow<'a, str>,
}

/// `{"_placeholder":true,"num":0}` and no more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placeholder {
    #[serde(rename = "_placeholder")]
    is_placeholder: bool,
    num: usize,
}

impl Placeholder {
    fn resolve<'a>(&self, attachments: &'a [Bytes]) -> Option<&'a Bytes> {
        attachments.get(self.num).filter(|_| self.is_placeholder)
    }
}

/// Makes attachments of all `{"base64": …}`; what is no base64 stays.
fn take_bytes(args: &str) -> (String, Vec<Bytes>) {
    let mut attachments = Vec::new();
    let args = replace_objects(args, |object: Base64<'_>| {
        attachments.push(Bytes::from(STANDARD.decode(object.base64.as_bytes()).ok()?));
        Some(format!(r#"{{"_placeholder":true,"num":{}}}"#, attachments.len() - 1))
    });
    (args, attachments)
}

/// Puts `{"base64": …}` where placeholders stand.
fn put_bytes(argument: &str, attachments: &[Bytes]) -> String {
    replace_objects(argument, |object: Placeholder| {
        Some(format!(r#"{{"base64":"{}"}}"#, STANDARD.encode(object.resolve(attachments)?)))
    })
}

/// Replaces every object that is a `T` and that `replace` takes, outermost first. All else stays byte for byte: values
/// would lose the order of keys and the digits of large numbers. `json` is valid, however deep.
fn replace_objects<'a, T: Deserialize<'a>>(json: &'a str, mut replace: impl FnMut(T) -> Option<String>) -> String {
    let mut replaced = String::with_capacity(json.len());
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = json[at..].find(['"', '{']) {
        at += found;
        if json.as_bytes()[at] == b'"' {
            at = string_end(json, at);
            continue;
        }
        let mut objects = serde_json::Deserializer::from_str(&json[at..]).into_iter::<T>();
        match objects.next().and_then(Result::ok).and_then(&mut replace) {
            Some(replacement) => {
                replaced.push_str(&json[copied..at]);
                replaced.push_str(&replacement);
                at += objects.byte_offset();
                copied = at;
            }
            None => at += 1,
        }
    }
    replaced.push_str(&json[copied..]);
    replaced
}

/// Behind the string that begins at `start`.
fn string_end(json: &str, start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = json[at..].find(['"', '\\']) {
        at += found + 1;
        if json.as_bytes()[at - 1] == b'"' {
            return at;
        }
        // What is escaped is one ASCII character, at least as far as it matters here.
        at += 1;
    }
    json.len()
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
    args: Vec<&'a RawValue>,
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
            "0" => packet(Some("connect".into()), vec![serde_json::from_str(json).ok()?]),
            "4" => packet(Some("connect_error".into()), vec![serde_json::from_str(json).ok()?]),
            "2" | "5" => {
                let mut array: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                let name: Cow<'_, str> = serde_json::from_str::<String>(array.remove(0).get()).ok()?.into();
                packet(Some(name), array)
            }
            "3" | "6" => packet(None, serde_json::from_str(json).ok()?),
            _ => None,
        }
    }

    fn to_json(&self) -> String {
        let mut text = String::from("{");
        if let Some(event) = &self.event {
            text.push_str(&format!(r#""event":{},"#, Value::from(event.as_ref())));
        }
        let args: Vec<String> = self.args.iter().map(|arg| put_bytes(arg.get(), self.attachments)).collect();
        text.push_str(&format!(r#""args":[{}]"#, args.join(",")));
        if let Some(ack) = self.ack {
            text.push_str(&format!(r#","ack":{ack}"#));
        }
        text.push('}');
        text
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
            attachments => {
                let object: Placeholder = serde_json::from_str(argument.get()).ok()?;
                Some(server_frame(Opcode::Binary, object.resolve(attachments)?))
            }
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
        // What breaks the rules of Socket.IO, a name that nobody may use or an answer to nothing, is no message of ours either.
        self.feed(&packet, scope).map_err(|reason| match reason {
            DisconnectReason::ForcedClose => DisconnectReason::ParseError,
            reason => reason,
        })?;
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

    fn handle_forget(&mut self, slot: Slot, id: u64) {
        self.connection.handle_forget(slot, id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepared::Flags;

    fn check_in(json: &str, packet: &str, attachments: &[&[u8]]) {
        let got = Packet::from_json(json, "/n,").unwrap();
        assert_eq!((&*got.text, &got.attachments[..]), (packet, &owned(attachments)[..]), "{json}");
    }

    #[test]
    fn json_that_comes_is_a_packet() {
        for (json, packet) in [
            (r#"{"event":"chat","args":["hello",1]}"#, r#"2/n,["chat","hello",1]"#),
            (r#"{"event":"chat"}"#, r#"2/n,["chat"]"#),
            (r#"{"event":"chat","args":null}"#, r#"2/n,["chat"]"#),
            (r#"{"args":[ ],"event":"chat"}"#, r#"2/n,["chat"]"#),
            (r#"{"event":"chat","args":[1],"ack":7,"more":{}}"#, r#"2/n,7["chat",1]"#),
            (r#"{"event":"a\"\u0062\n","args":[1]}"#, r#"2/n,["a\"b\n",1]"#),
            (r#"{"ack":0,"args":["ok"]}"#, r#"3/n,0["ok"]"#),
            (r#"{"ack":9007199254740991}"#, r#"3/n,9007199254740991[]"#),
        ] {
            check_in(json, packet, &[]);
        }
        for bad in ["", r#"["e",[1],2]"#, "{}x", r#"{"event":1}"#, r#"{"ack":-1}"#, r#"{"ack":1.5}"#, r#"{"ack":"1"}"#]
        {
            assert!(Packet::from_json(bad, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn base64_that_comes_is_an_attachment() {
        check_in(
            r#"{"event":"e","args":[{"base64":"AQID"},[{"a":{ "base64" : "" }}]],"ack":1}"#,
            r#"52-/n,1["e",{"_placeholder":true,"num":0},[{"a":{"_placeholder":true,"num":1}}]]"#,
            &[&[1, 2, 3], &[]],
        );
        check_in(
            r#"{"ack":2,"args":[{"\u0062ase64":"\/w=="}]}"#,
            r#"61-/n,2[{"_placeholder":true,"num":0}]"#,
            &[&[255]],
        );
    }

    #[test]
    fn what_is_no_base64_stays_as_it_is() {
        for args in [
            r#"[{"base64":"no base64"}]"#,
            r#"[{"base64":"AQID="}]"#,
            r#"[{"base64":7},{"base64":{"base64":null}}]"#,
            r#"[{"base64":"AQID","more":1}]"#,
            r#"[{"base64":"AQID","base64":"AQID"}]"#,
            r#"["{\"base64\":\"AQID\"}","\\",{"{\"base64\":\"AQID\"}":1}]"#,
            r#"["base64",{"a":"base64"}]"#,
        ] {
            check_in(&format!(r#"{{"event":"e","args":{args}}}"#), &format!(r#"2/n,["e",{}"#, &args[1..]), &[]);
        }
    }

    #[test]
    fn beside_bytes_nothing_changes() {
        let beside = r#"{"z":12345678901234567890123,"a":1.10,"b":1e400,"é":"\u00e9","a":-0.0}"#;
        check_in(
            &format!(r#"{{"event":"e","args":[{beside},{{"base64":"AQ=="}}, {beside} ]}}"#),
            &format!(r#"51-/n,["e",{beside},{{"_placeholder":true,"num":0}}, {beside} ]"#),
            &[&[1]],
        );
        let packet = format!(r#"51-["e",{beside},{{"_placeholder":true,"num":0}}]"#);
        check_out(&packet, &[&[1]], &format!(r#"{{"event":"e","args":[{beside},{{"base64":"AQ=="}}]}}"#), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", r#"{"base64":["#.repeat(100_000), "]}".repeat(100_000));
        assert_eq!(take_bytes(&deep), (deep, Vec::new()));
    }

    #[test]
    fn raw_messages_that_come_are_the_event_message() {
        let check = |message, text: &str, attachments: &[&[u8]]| {
            let packet = Packet::from_raw(message, "/n,").unwrap();
            assert_eq!((&*packet.text, packet.attachments), (text, owned(attachments)));
        };
        check(Message::Text("a\"\n"), r#"2/n,["message","a\"\n"]"#, &[]);
        check(Message::Binary(&[7]), r#"51-/n,["message",{"_placeholder":true,"num":0}]"#, &[&[7]]);
    }

    /// What a packet is to clients of `patera.json`, and to others if that is not the same.
    fn check_out(packet: &str, attachments: &[&[u8]], json: &str, raw: Option<Bytes>) {
        let append = |out: &mut Vec<u8>| {
            out.extend_from_slice(packet.as_bytes());
            Ok(owned(attachments))
        };
        let forms = Forms::of(&Prepared::packet(None, Flags::default(), append).unwrap());
        let json = if json.is_empty() { Bytes::new() } else { server_frame(Opcode::Text, json.as_bytes()) };
        assert_eq!(forms.frame(false), &json, "{packet}");
        assert_eq!(forms.frame(true), &raw.unwrap_or(json), "{packet}");
    }

    #[test]
    fn packets_that_go_out_are_json() {
        for (packet, json) in [
            (r#"2["news"]"#, r#"{"event":"news","args":[]}"#),
            (r#"2/n,["news","é",[1]]"#, r#"{"event":"news","args":["é",[1]]}"#),
            (r#"2/n,12["a\"\n/,b",{"c":1}]"#, r#"{"event":"a\"\n/,b","args":[{"c":1}],"ack":12}"#),
            (r#"3/n,7["ok",2]"#, r#"{"args":["ok",2],"ack":7}"#),
            (r#"37[]"#, r#"{"args":[],"ack":7}"#),
            (r#"4/n,{"message":"no"}"#, r#"{"event":"connect_error","args":[{"message":"no"}]}"#),
            (r#"2["message",1]"#, r#"{"event":"message","args":[1]}"#),
            (r#"2["message","a","b"]"#, r#"{"event":"message","args":["a","b"]}"#),
            (r#"21["message","a"]"#, r#"{"event":"message","args":["a"],"ack":1}"#),
            ("1/n,", ""),
        ] {
            check_out(packet, &[], json, None);
        }
        check_out(r#"0{"sid":"x"}"#, &[], r#"{"event":"connect","args":[{"sid":"x"}]}"#, Some(Bytes::new()));
    }

    #[test]
    fn attachments_that_go_out_are_base64() {
        check_out(
            r#"62-/n,3[{"_placeholder":true,"num":1},{"a":{"num":0,"_placeholder":true}}]"#,
            &[&[], &[1, 2, 3]],
            r#"{"args":[{"base64":"AQID"},{"a":{"base64":""}}],"ack":3}"#,
            None,
        );
        // Placeholders of nothing, and what only looks like one.
        let args = r#"{"_placeholder":true,"num":5},{"_placeholder":false,"num":0},{"_placeholder":true,"num":0,"x":1},"{\"_placeholder\":true,\"num\":0}""#;
        check_out(
            &format!(r#"51-["e",{{"_placeholder":true,"num":0}},{args}]"#),
            &[&[1]],
            &format!(r#"{{"event":"e","args":[{{"base64":"AQ=="}},{args}]}}"#),
            None,
        );
    }

    #[test]
    fn a_message_of_one_text_or_bytes_is_sent_as_it_is() {
        let text = server_frame(Opcode::Text, "a\"b".as_bytes());
        check_out(r#"2["message","a\"b"]"#, &[], r#"{"event":"message","args":["a\"b"]}"#, Some(text));
        let bytes = server_frame(Opcode::Binary, &[1, 2, 3]);
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let json = |args: &str| format!(r#"{{"event":"message","args":[{args}]}}"#);
        let base64 = r#"{"base64":"AQID"}"#;
        check_out(&format!(r#"51-["message",{placeholder}]"#), &[&[1, 2, 3]], &json(base64), Some(bytes));
        // An object of two keys is not bytes because there are bytes in it.
        check_out(
            &format!(r#"51-["message",{{"a":{placeholder},"b":1}}]"#),
            &[&[1, 2, 3]],
            &json(&format!(r#"{{"a":{base64},"b":1}}"#)),
            None,
        );
        check_out(&format!(r#"51-["message",[{placeholder}]]"#), &[&[1, 2, 3]], &json(&format!("[{base64}]")), None);
    }

    fn owned(attachments: &[&[u8]]) -> Vec<Bytes> {
        attachments.iter().map(|data| Bytes::copy_from_slice(data)).collect()
    }
}
