//! The command line of `patera connect`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::command::Dialect;
use crate::duration::parse_duration;
use crate::remote::Remote;

/// What the help says besides the options.
pub(crate) const HELP: &str = "\
http: and https: URLs are those of Socket.IO, ws: and wss: URLs those of plain WebSockets; --socketio and --raw say otherwise.

Commands, one a line:
  emit EVENT [ARG…]    emit an event                 call EVENT [ARG…]   emit, and print the acknowledgement with its time
  ack ID [ARG…]        acknowledge an event          send [ARG…]         emit the event message
  /chat                go to a namespace             /chat emit …        one command in another namespace
  auth JSON, connect, disconnect, status, help, quit
On a plain WebSocket: send TEXT, send @FILE, a line of JSON as it stands, connect, disconnect [CODE [REASON]], status, help, quit.

Arguments: JSON is itself, also with spaces in it: {\"a\": 1} [1, 2] \"text\" 7 true null. Any other word is a string: hello.
'in quotes' is a string whatever is in it: '1'. @photo.jpg is a file's content as bytes, @\"my photo.jpg\" too; @@name is \"@name\".

On a terminal lines can be edited and are kept in $XDG_STATE_HOME/patera/history (auth lines and those behind a space are not).
Elsewhere lines are read from standard input, each once it is connected; at their end it waits for answers to calls, --linger so
long for events, and leaves.

--json prints one object a line: \"type\", \"ms\" since the start, \"namespace\", and
  connect {id, transport, recovered}  connect_error {message, advice, data}  disconnect {reason, details, code}
  upgrade {transport}  reconnecting {attempt, delay_ms}  reconnect {attempt}
  event {event, args, ack, saved}  answer {call, event, args, elapsed_ms}
  no_answer {call, event, message, elapsed_ms}  message {data, saved}  complaint {message}  and others; bytes are {\"base64\":\"…\"}.

--script adds to the commands, each line waiting for what it says; a line that fails ends the script with exit code 1:
  expect connect                  also connect_error \"text\", disconnect, reconnect, upgrade websocket …
  expect news {\"id\": 1} *         an event whose arguments fit: objects may have more, * is anything, … any more arguments
  expect question => 42           and acknowledge it
  expect no news 500ms            none within that time; * is any event
  call add 1 2 => 3               what the acknowledgement has to be
  within 2s                       how long the lines below wait; before a line only that line; 5 s without it
  wait 300ms

The exit code is 0 if the user left or the script held, 1 if the connection could not be made or was lost for good, or the script
did not hold, and 2 if the command is wrong. Ctrl-C is how a user leaves at a terminal, and with --listen: 0; where lines or a
script are being read it is 130.

Examples:
  patera connect localhost:3000
  patera connect https://example.com/chat --auth '{\"token\":\"…\"}' --transports websocket
  patera connect ws://localhost:3000/ws --subprotocol patera.json
  echo 'call add 1 2' | patera connect localhost:3000 --json
  patera connect localhost:3000 --script smoke.txt";

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) remote: Remote,
    /// A namespace to connect to, besides the one of the URL if it names one; may be given several times
    #[arg(long = "namespace", value_name = "NAME", value_parser = parse_namespace)]
    pub(super) namespaces: Vec<String>,
    /// Speak no Socket.IO: a plain WebSocket at the URL itself
    #[arg(long, conflicts_with = "socketio")]
    pub(super) raw: bool,
    /// Speak Socket.IO, also with a ws: or wss: URL
    #[arg(long)]
    pub(super) socketio: bool,
    /// A WebSocket subprotocol to offer, for plain WebSockets; may be given several times
    #[arg(long = "subprotocol", value_name = "NAME")]
    pub(super) subprotocols: Vec<String>,
    /// Do not try again when the connection is lost or does not come about; who has no terminal ends then
    #[arg(long)]
    pub(super) no_reconnect: bool,
    /// Print one JSON object a line, and read commands as lines even on a terminal
    #[arg(long)]
    pub(super) json: bool,
    /// Carry out the commands and expectations of a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    pub(super) script: Option<PathBuf>,
    /// After the last command wait so long for what comes, then leave: 5s, 500ms, 2m, a bare number is seconds
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = parse_duration)]
    pub(super) linger: Duration,
    /// Read no commands: print what comes until Ctrl-C
    #[arg(long)]
    pub(super) listen: bool,
    /// Write bytes that come to files in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(super) save: Option<PathBuf>,
    /// Neither read nor write the history
    #[arg(long)]
    pub(super) no_history: bool,
}

impl Options {
    /// What to speak.
    pub(super) fn dialect(&self) -> Dialect {
        let is_plain = self.raw || self.remote.is_websocket_url() && !self.socketio;
        if is_plain { Dialect::Plain } else { Dialect::SocketIo }
    }
}

fn parse_namespace(text: &str) -> Result<String, &'static str> {
    let is_one = text.starts_with('/') && !text.contains([',', '?']) && !text.contains(char::is_whitespace);
    if is_one {
        Ok(text.to_owned())
    } else {
        Err("it must begin with a slash and have no comma, question mark or space")
    }
}
