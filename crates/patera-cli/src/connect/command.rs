//! What a line asks for.

use bytes::Bytes;
use patera_client::Value;
use serde_json::Value as Json;

use super::words::{self, Word};
use crate::argument;
use crate::remote::parse_auth;

/// What both sides of a connection speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    SocketIo,
    /// A WebSocket without Socket.IO.
    Plain,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Emit { event: String, args: Vec<Value> },
    Call { event: String, args: Vec<Value> },
    Acknowledge { id: u64, args: Vec<Value> },
    SendText(String),
    SendBytes(Bytes),
    Namespace,
    Auth(Json),
    Connect,
    Disconnect(Option<Closing>),
    Status,
    Help,
    Quit,
}

/// How a plain WebSocket is closed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closing {
    pub(super) code: u16,
    pub(super) reason: String,
}

/// A command and the namespace that it is for, if it says so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) namespace: Option<String>,
    pub(super) command: Command,
}

impl Dialect {
    /// What can be typed.
    pub(super) fn help(self) -> &'static str {
        match self {
            Dialect::SocketIo => {
                "\
emit EVENT [ARG…]   emit an event: emit chat {\"text\":\"hi\"} 7 @photo.jpg
call EVENT [ARG…]   emit, and print the acknowledgement with its time
send [ARG…]         emit the event message
ack ID [ARG…]       acknowledge an event of the server that asked for it
/chat               go to a namespace, and connect to it if need be
/chat emit …        do one thing in another namespace
auth JSON           what the server is told when the namespace connects next
disconnect          leave the namespace
connect             connect to it (again)
status              what is connected, and how
quit                leave; Ctrl-D and Ctrl-C do too"
            }
            Dialect::Plain => {
                "\
send TEXT           send the rest of the line as it stands
send @FILE          send the content of a file as bytes
{… or [… or \"…      a line of JSON is sent as it stands
disconnect [CODE [REASON]]
connect             open the WebSocket (again)
status              what is connected, and how
quit                leave; Ctrl-D and Ctrl-C do too"
            }
        }
    }

    /// Reads a line; `None` if there is nothing on it.
    ///
    /// # Errors
    /// It is no command: why, for people.
    pub(super) fn parse(self, line: &str) -> Result<Option<Request>, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (namespace, line) = self.namespace(line);
        let command = match self {
            Dialect::SocketIo if namespace.is_some() && line.is_empty() => Command::Namespace,
            Dialect::SocketIo => socket_io(line)?,
            Dialect::Plain => plain(line)?,
        };
        Ok(Some(Request { namespace, command }))
    }

    /// Takes the namespace off a line that begins with one.
    pub(super) fn namespace(self, line: &str) -> (Option<String>, &str) {
        if self == Dialect::Plain || !line.starts_with('/') {
            return (None, line);
        }
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        (Some(line[..end].to_owned()), line[end..].trim_start())
    }
}

fn socket_io(line: &str) -> Result<Command, String> {
    let mut words = words::split(line)?.into_iter();
    let verb = words.next();
    let mut rest = words;
    let command = match verb.as_ref().and_then(keyword).unwrap_or_default() {
        "emit" => Command::Emit { event: event(rest.next())?, args: arguments(rest)? },
        "call" => Command::Call { event: event(rest.next())?, args: arguments(rest)? },
        "send" => Command::Emit { event: "message".to_owned(), args: arguments(rest)? },
        "ack" => {
            let id = rest.next().and_then(|word| word.name().and_then(|id| id.parse().ok()));
            Command::Acknowledge {
                id: id.ok_or("ack needs the number of an event that asked for it")?,
                args: arguments(rest)?,
            }
        }
        "auth" => Command::Auth(parse_auth(line.strip_prefix("auth").unwrap_or_default().trim())?),
        "connect" => alone(Command::Connect, rest.next())?,
        "disconnect" => alone(Command::Disconnect(None), rest.next())?,
        verb => alone(common(verb, line)?, rest.next())?,
    };
    Ok(command)
}

fn plain(line: &str) -> Result<Command, String> {
    if line.starts_with(['{', '[', '"']) {
        return Ok(Command::SendText(line.to_owned()));
    }
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match verb {
        "send" if rest.trim_start().starts_with('@') => match words::split(rest)?.as_slice() {
            [Word::File(name)] => match argument::file(name.as_ref())? {
                Value::Binary(content) => Ok(Command::SendBytes(content)),
                _ => Err(format!("{name} has no bytes")),
            },
            [Word::Text(text)] => Ok(Command::SendText(text.clone())),
            _ => Err("one file at a time".to_owned()),
        },
        "send" => Ok(Command::SendText(rest.to_owned())),
        "connect" if rest.is_empty() => Ok(Command::Connect),
        "disconnect" if rest.is_empty() => Ok(Command::Disconnect(None)),
        "disconnect" => {
            let (code, reason) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
            let code = code.parse().ok().filter(|code| (1000..5000).contains(code));
            let code = code.ok_or("the code of a disconnect is from 1000 to 4999")?;
            Ok(Command::Disconnect(Some(Closing { code, reason: reason.to_owned() })))
        }
        "status" | "help" | "?" | "quit" | "exit" if rest.is_empty() => common(verb, line),
        _ => Err(format!(
            "{}: no such command on a plain WebSocket; `send …` sends text, help tells the others",
            start(line)
        )),
    }
}

/// As much of a line as is told of it.
fn start(line: &str) -> String {
    line.chars().take(40).collect()
}

fn common(verb: &str, line: &str) -> Result<Command, String> {
    match verb {
        "status" => Ok(Command::Status),
        "help" | "?" => Ok(Command::Help),
        "quit" | "exit" => Ok(Command::Quit),
        _ => Err(format!("{}: no such command; help tells them", start(line))),
    }
}

fn keyword(word: &Word) -> Option<&str> {
    if let Word::Bare(word) = word { Some(word) } else { None }
}

/// The name of an event.
pub(super) fn event(word: Option<Word>) -> Result<String, String> {
    let word = word.ok_or("the event's name is missing")?;
    Ok(word.name().ok_or("an event's name is a string")?.to_owned())
}

/// The arguments of an event.
pub(super) fn arguments(words: impl Iterator<Item = Word>) -> Result<Vec<Value>, String> {
    words.map(|word| word.argument()).collect()
}

fn alone(command: Command, next: Option<Word>) -> Result<Command, String> {
    if next.is_none() { Ok(command) } else { Err("this command stands alone".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(namespace: Option<&str>, command: Command) -> Request {
        Request { namespace: namespace.map(str::to_owned), command }
    }

    fn emit(event: &str, args: &[Value]) -> Command {
        Command::Emit { event: event.to_owned(), args: args.to_vec() }
    }

    #[test]
    fn lines_of_socket_io() {
        let check = |line: &str, namespace: Option<&str>, command: Command| {
            assert_eq!(Dialect::SocketIo.parse(line), Ok(Some(request(namespace, command))), "{line}");
        };
        check("emit chat", None, emit("chat", &[]));
        check("emit 'two words' 1 a", None, emit("two words", &[1.into(), "a".into()]));
        check("send hello", None, emit("message", &["hello".into()]));
        check("call add 1 2", None, Command::Call { event: "add".to_owned(), args: vec![1.into(), 2.into()] });
        check("ack 3 yes", None, Command::Acknowledge { id: 3, args: vec!["yes".into()] });
        check("/chat", Some("/chat"), Command::Namespace);
        check("/chat emit x", Some("/chat"), emit("x", &[]));
        check("auth {\"a\": 1}", None, Command::Auth(serde_json::json!({"a": 1})));
        check("  quit ", None, Command::Quit);
        check("disconnect", None, Command::Disconnect(None));
        assert_eq!(Dialect::SocketIo.parse(" # quit"), Ok(None));
        assert_eq!(Dialect::SocketIo.parse(""), Ok(None));
    }

    #[test]
    fn lines_of_plain_websockets() {
        let check = |line: &str, command: Command| {
            assert_eq!(Dialect::Plain.parse(line), Ok(Some(request(None, command))), "{line}");
        };
        check("send hello  'you' {", Command::SendText("hello  'you' {".to_owned()));
        check("send @@ada", Command::SendText("@ada".to_owned()));
        check("send", Command::SendText(String::new()));
        check("{\"a\":1} x", Command::SendText("{\"a\":1} x".to_owned()));
        check("disconnect", Command::Disconnect(None));
        let closing = Closing { code: 4000, reason: "that's it".to_owned() };
        check("disconnect 4000 that's it", Command::Disconnect(Some(closing)));
        check("connect", Command::Connect);
        check("?", Command::Help);
    }

    #[test]
    fn lines_that_are_none_say_why() {
        let check = |dialect: Dialect, line: &str, complaint: &str| {
            let error = dialect.parse(line).err().unwrap_or_default();
            assert!(error.contains(complaint), "{line}: {error}");
        };
        check(Dialect::SocketIo, "dance", "dance: no such command");
        check(Dialect::SocketIo, "'emit' x", "no such command");
        check(Dialect::SocketIo, "emit", "name is missing");
        check(Dialect::SocketIo, "emit [1]", "a string");
        check(Dialect::SocketIo, "ack", "number");
        check(Dialect::SocketIo, "auth 1", "JSON object");
        check(Dialect::SocketIo, "quit now", "alone");
        check(Dialect::SocketIo, "emit x @/nowhere", "/nowhere");
        check(Dialect::Plain, "hello", "hello: no such command");
        check(Dialect::Plain, "quit now", "no such command");
        check(Dialect::Plain, "disconnect 7", "1000 to 4999");
    }
}
