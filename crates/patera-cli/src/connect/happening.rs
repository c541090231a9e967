//! What happens on a connection, for whoever prints it or waits for it.

use std::path::PathBuf;
use std::time::Duration;

use patera_client::Value;
use serde::Serialize;

/// What happens, and to which namespace; a plain WebSocket has none.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) namespace: Option<String>,
    pub(super) what: What,
}

/// What happens. Its names are those of socket.io-client.
#[derive(Clone, Debug)]
pub(super) enum What {
    Connecting,
    Connect {
        id: Option<String>,
        transport: Option<&'static str>,
        recovered: bool,
        subprotocol: Option<String>,
    },
    /// `advice` is what may help.
    ConnectError {
        message: String,
        advice: Option<String>,
        data: Option<Value>,
    },
    Disconnect {
        reason: String,
        details: Option<String>,
        code: Option<u16>,
    },
    Reconnecting {
        attempt: u32,
        delay: Duration,
    },
    Reconnect {
        attempt: u32,
    },
    ReconnectError {
        message: String,
    },
    ReconnectFailed,
    Error {
        message: String,
    },
    Upgrade {
        transport: &'static str,
    },
    /// `ack` is the number to acknowledge it by, if the server asks for that.
    Event {
        name: String,
        args: Vec<Value>,
        ack: Option<u64>,
        saved: Vec<PathBuf>,
    },
    /// A message of a plain WebSocket.
    Message {
        data: Value,
        saved: Vec<PathBuf>,
    },
    Answer {
        call: u64,
        event: String,
        args: Vec<Value>,
        time: Duration,
        saved: Vec<PathBuf>,
    },
    NoAnswer {
        call: u64,
        event: String,
        message: String,
        time: Duration,
    },
    /// So many events were left out, since they came faster than they were printed.
    Lagged {
        count: u64,
    },
    /// A line of a script is carried out.
    Step {
        line: usize,
        text: String,
    },
    /// A line that is no command, or a command that cannot be done.
    Complaint {
        message: String,
    },
    /// What `status` and `help` tell.
    Notice {
        text: String,
    },
}

/// What happens to the connection, by the names that scripts may wait for.
pub(super) const LIFECYCLE: [&str; 10] = [
    "connecting",
    "connect",
    "connect_error",
    "disconnect",
    "reconnecting",
    "reconnect",
    "reconnect_error",
    "reconnect_failed",
    "error",
    "upgrade",
];

impl What {
    /// The field `type` of its JSON.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            What::Connecting => "connecting",
            What::Connect { .. } => "connect",
            What::ConnectError { .. } => "connect_error",
            What::Disconnect { .. } => "disconnect",
            What::Reconnecting { .. } => "reconnecting",
            What::Reconnect { .. } => "reconnect",
            What::ReconnectError { .. } => "reconnect_error",
            What::ReconnectFailed => "reconnect_failed",
            What::Error { .. } => "error",
            What::Upgrade { .. } => "upgrade",
            What::Event { .. } => "event",
            What::Message { .. } => "message",
            What::Answer { .. } => "answer",
            What::NoAnswer { .. } => "no_answer",
            What::Lagged { .. } => "lagged",
            What::Step { .. } => "step",
            What::Complaint { .. } => "complaint",
            What::Notice { .. } => "notice",
        }
    }

    /// What a script compares with the patterns behind its name.
    pub(super) fn args(&self) -> Vec<Value> {
        match self {
            What::ConnectError { message, data, .. } => {
                [Some(message.as_str().into()), data.clone()].into_iter().flatten().collect()
            }
            What::Disconnect { reason, code, .. } => {
                let code = code.map(|code| u32::from(code).into());
                [code, Some(reason.as_str().into())].into_iter().flatten().collect()
            }
            What::Reconnecting { attempt, .. } | What::Reconnect { attempt } => vec![(*attempt).into()],
            What::ReconnectError { message } | What::Error { message } => vec![message.as_str().into()],
            What::Upgrade { transport } => vec![(*transport).into()],
            What::Event { args, .. } | What::Answer { args, .. } => args.clone(),
            What::Message { data, .. } => vec![data.clone()],
            What::Connecting
            | What::Connect { .. }
            | What::ReconnectFailed
            | What::NoAnswer { .. }
            | What::Lagged { .. }
            | What::Step { .. }
            | What::Complaint { .. }
            | What::Notice { .. } => Vec::new(),
        }
    }
}

impl Happening {
    /// One object on one line: `type`, `ms` since the program began, `namespace` where there is one, and what each type has. Bytes are
    /// `{"base64":"…"}`.
    pub(super) fn to_json(&self, at: Duration) -> String {
        let mut object = Object(String::new());
        object.field("type", self.what.kind());
        object.field("ms", millis(at));
        object.field("namespace", &self.namespace);
        self.what.write(&mut object);
        format!("{{{}}}", object.0)
    }
}

impl What {
    /// Writes what a type has of its own.
    fn write(&self, object: &mut Object) {
        match self {
            What::Connecting | What::ReconnectFailed => {}
            What::Connect { id, transport, recovered, subprotocol } => {
                object.field("id", id);
                object.field("transport", transport);
                object.field("recovered", id.is_some().then_some(recovered));
                object.field("subprotocol", subprotocol);
            }
            What::ConnectError { message, advice, data } => {
                object.field("message", message);
                object.field("advice", advice);
                if let Some(data) = data {
                    object.raw("data", &data.to_string());
                }
            }
            What::Disconnect { reason, details, code } => {
                object.field("reason", reason);
                object.field("details", details);
                object.field("code", code);
            }
            What::Reconnecting { attempt, delay } => {
                object.field("attempt", attempt);
                object.field("delay_ms", millis(*delay));
            }
            What::Reconnect { attempt } => object.field("attempt", attempt),
            What::ReconnectError { message } | What::Error { message } | What::Complaint { message } => {
                object.field("message", message);
            }
            What::Upgrade { transport } => object.field("transport", transport),
            What::Event { name, args, ack, saved } => {
                object.field("event", name);
                object.raw("args", &list(args));
                object.field("ack", ack);
                object.paths(saved);
            }
            What::Message { data, saved } => {
                object.raw("data", &data.to_string());
                object.paths(saved);
            }
            What::Answer { call, event, args, time, saved } => {
                object.field("call", call);
                object.field("event", event);
                object.raw("args", &list(args));
                object.field("elapsed_ms", millis(*time));
                object.paths(saved);
            }
            What::NoAnswer { call, event, message, time } => {
                object.field("call", call);
                object.field("event", event);
                object.field("message", message);
                object.field("elapsed_ms", millis(*time));
            }
            What::Lagged { count } => object.field("count", count),
            What::Step { line, text } => {
                object.field("line", line);
                object.field("text", text);
            }
            What::Notice { text } => object.field("text", text),
        }
    }
}

/// The inside of a JSON object, in the order in which it is written.
struct Object(String);

impl Object {
    /// Adds a field; what is null is left out.
    fn field(&mut self, name: &str, value: impl Serialize) {
        match serde_json::to_string(&value).as_deref() {
            Ok("null") | Err(_) => {}
            Ok(json) => self.raw(name, json),
        }
    }

    fn raw(&mut self, name: &str, json: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0 += &format!("{comma}\"{name}\":{json}");
    }

    fn paths(&mut self, saved: &[PathBuf]) {
        let paths: Vec<_> = saved.iter().map(|path| path.to_string_lossy()).collect();
        self.field("saved", (!paths.is_empty()).then_some(paths));
    }
}

fn list(args: &[Value]) -> String {
    let args: Vec<String> = args.iter().map(Value::to_string).collect();
    format!("[{}]", args.join(","))
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: What, expected: &str) {
        let happening = Happening { namespace: Some("/".to_owned()), what };
        assert_eq!(happening.to_json(Duration::from_nanos(1_500_400)), expected);
    }

    #[test]
    fn json_has_what_is_known() {
        check(What::Connecting, r#"{"type":"connecting","ms":1.5,"namespace":"/"}"#);
        let args = vec![Value::Null, Value::from(vec![1_u8])];
        check(
            What::Event { name: "a\n".to_owned(), args, ack: Some(1), saved: vec!["b/1".into()] },
            concat!(
                r#"{"type":"event","ms":1.5,"namespace":"/","event":"a\n","args":[null,{"base64":"AQ=="}],"ack":1,"#,
                r#""saved":["b/1"]}"#
            ),
        );
        check(
            What::Disconnect { reason: "transport close".to_owned(), details: None, code: None },
            r#"{"type":"disconnect","ms":1.5,"namespace":"/","reason":"transport close"}"#,
        );
        // What is null is a message too.
        check(
            What::Message { data: Value::Null, saved: Vec::new() },
            r#"{"type":"message","ms":1.5,"namespace":"/","data":null}"#,
        );
    }
}
