//! A connection that is a plain WebSocket. RFC 6455.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FutureExt as _;
use patera_client::{ConnectError, Message, Value, WebSocketStream};
use patera_websocket::stream::Error;
use patera_websocket::{CloseCode, CloseFrame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::command::{Closing, Command, Dialect};
use super::config::{CLOSING_MAX, UNSENT_BYTES_MAX};
use super::happening::{Happening, What};
use super::link::Outcome;
use super::saving::Saving;
use crate::remote::Remote;
use crate::trouble::Trouble;

/// A WebSocket, open or not.
///
/// ```text
/// Begun ─▶ Opening ─▶ Open ─▶ Ended ── connect ──▶ Begun
///             └── failed ────────▲
/// ```
pub(super) struct Plain {
    remote: Remote,
    subprotocols: Vec<String>,
    state: State,
    saving: Option<Saving>,
}

enum State {
    /// That it opens is to be told first.
    Begun,
    Opening(Boxed<dyn Future<Output = Result<Box<dyn Socket>, ConnectError>> + Send>),
    Open {
        socket: Box<dyn Socket>,
        /// We have asked for the end, and wait so long for it.
        closing: Option<Instant>,
    },
    Ended {
        by_us: bool,
    },
}

type Boxed<T> = Pin<Box<T>>;

impl Plain {
    /// Opens the URL.
    pub(super) fn new(remote: &Remote, subprotocols: Vec<String>, saving: Option<Saving>) -> Self {
        Plain { remote: remote.clone(), subprotocols, state: State::Begun, saving }
    }

    /// See [`Link::perform`](super::link::Link::perform).
    pub(super) fn perform(&mut self, command: Command) -> Result<Outcome, String> {
        match command {
            Command::SendText(text) => self.send(Message::Text(text))?,
            Command::SendBytes(bytes) => self.send(Message::Binary(bytes))?,
            Command::Connect => match self.state {
                State::Ended { .. } => self.state = State::Begun,
                State::Begun | State::Opening(_) | State::Open { .. } => return Err("it is connected".to_owned()),
            },
            Command::Disconnect(closing) => self.disconnect(closing)?,
            Command::Status => return Ok(Outcome::Told(self.status())),
            Command::Help => return Ok(Outcome::Told(Dialect::Plain.help().to_owned())),
            Command::Quit => return Ok(Outcome::Quit),
            Command::Emit { .. }
            | Command::Call { .. }
            | Command::Acknowledge { .. }
            | Command::Namespace
            | Command::Auth(_) => return Err("a plain WebSocket has no events, only messages".to_owned()),
        }
        Ok(Outcome::Done)
    }

    fn send(&mut self, message: Message) -> Result<(), String> {
        let State::Open { socket, closing: None } = &mut self.state else {
            return Err("the WebSocket is not open".to_owned());
        };
        if socket.unsent_bytes() >= UNSENT_BYTES_MAX {
            return Err("too much waits to be sent".to_owned());
        }
        // What does not go out at once goes out while the next message is awaited.
        socket.start_send(message).map_err(|error| error.to_string())
    }

    fn disconnect(&mut self, closing: Option<Closing>) -> Result<(), String> {
        match &mut self.state {
            State::Open { socket, closing: deadline } => {
                let Closing { code, reason } = closing.unwrap_or(Closing { code: 1000, reason: String::new() });
                let code = CloseCode::new(code).ok_or_else(|| format!("{code} is no code that may be sent"))?;
                socket.start_close(code, &reason);
                *deadline = Some(Instant::now() + CLOSING_MAX);
            }
            State::Begun | State::Opening(_) => self.state = State::Ended { by_us: true },
            State::Ended { .. } => {}
        }
        Ok(())
    }

    fn status(&self) -> String {
        let state = match &self.state {
            State::Begun | State::Opening(_) => "connecting",
            State::Open { closing: None, .. } => "connected",
            State::Open { closing: Some(_), .. } => "closing",
            State::Ended { .. } => "not connected",
        };
        format!("{} as plain WebSocket\n  {state}", self.remote.url())
    }

    /// See [`Link::next`](super::link::Link::next).
    pub(super) async fn next(&mut self) -> Happening {
        let what = loop {
            match &mut self.state {
                State::Begun => {
                    self.state = State::Opening(Box::pin(open(self.remote.clone(), self.subprotocols.clone())));
                    break What::Connecting;
                }
                State::Opening(opening) => {
                    let opened = opening.as_mut().await;
                    break self.opened(opened);
                }
                State::Open { socket, closing } => {
                    let message = poll_fn(|cx| socket.poll_next(cx));
                    let message = match *closing {
                        Some(deadline) => tokio::time::timeout_at(deadline, message).await.unwrap_or(None),
                        None => message.await,
                    };
                    // What comes while it is closing is still shown.
                    break match message {
                        Some(Ok(message)) => self.received(message),
                        Some(Err(error)) => self.ended(Some(&error)),
                        None => self.ended(None),
                    };
                }
                State::Ended { .. } => std::future::pending().await,
            }
        };
        Happening { namespace: None, what }
    }

    fn opened(&mut self, opened: Result<Box<dyn Socket>, ConnectError>) -> What {
        match opened {
            Ok(socket) => {
                let subprotocol = socket.subprotocol().map(str::to_owned);
                self.state = State::Open { socket, closing: None };
                What::Connect { id: None, transport: Some("websocket"), recovered: false, subprotocol }
            }
            Err(error) => {
                self.state = State::Ended { by_us: false };
                let Trouble { message, advice } = Trouble::new(&self.remote, &error);
                What::ConnectError { message, advice, data: None }
            }
        }
    }

    fn received(&mut self, message: Message) -> What {
        let data = match message {
            Message::Text(text) => Value::String(text),
            Message::Binary(bytes) => Value::Binary(bytes),
            _ => return What::Error { message: "a message of a kind that is not known".to_owned() },
        };
        let saved =
            self.saving.as_mut().map_or(Ok(Vec::new()), |saving| saving.save("message", std::slice::from_ref(&data)));
        match saved {
            Ok(saved) => What::Message { data, saved },
            Err(error) => What::Error { message: format!("the message cannot be saved: {error}") },
        }
    }

    fn ended(&mut self, error: Option<&Error>) -> What {
        let before = std::mem::replace(&mut self.state, State::Ended { by_us: false });
        let (frame, by_us) = match &before {
            State::Open { socket, closing } => (socket.close_frame().cloned(), closing.is_some()),
            State::Begun | State::Opening(_) | State::Ended { .. } => (None, false),
        };
        self.state = State::Ended { by_us };
        let details = error.map(|error| match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        match frame {
            Some(CloseFrame { code, reason }) => What::Disconnect { reason, details, code: Some(code.get()) },
            None if by_us => What::Disconnect { reason: "closed".to_owned(), details, code: None },
            None => What::Disconnect { reason: "transport close".to_owned(), details, code: None },
        }
    }

    pub(super) fn must_wait(&self) -> bool {
        match &self.state {
            State::Begun | State::Opening(_) => true,
            State::Open { socket, .. } => socket.unsent_bytes() >= UNSENT_BYTES_MAX / 2,
            State::Ended { .. } => false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended { by_us: false })
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Sends what waits, says goodbye, and waits for the server's.
    pub(super) async fn close(mut self, timeout: Duration) {
        let sent = async {
            if let State::Open { socket, closing: None } = &mut self.state {
                // What fails here is what has ended already.
                let _ = poll_fn(|cx| socket.poll_flush(cx)).await;
            }
        };
        let _ = tokio::time::timeout(timeout, sent).await;
        // The code is one that may be sent.
        let _ = self.disconnect(None);
        while let State::Open { .. } = self.state {
            self.next().await;
        }
    }
}

async fn open(remote: Remote, subprotocols: Vec<String>) -> Result<Box<dyn Socket>, ConnectError> {
    let builder = remote.builder().configure(|config| config.protocols = subprotocols);
    Ok(Box::new(builder.open_websocket().await?))
}

/// A WebSocket over whatever is below it.
trait Socket: Send {
    fn subprotocol(&self) -> Option<&str>;
    fn start_send(&mut self, message: Message) -> Result<(), Error>;
    fn start_close(&mut self, code: CloseCode, reason: &str);
    fn unsent_bytes(&self) -> usize;
    fn close_frame(&self) -> Option<&CloseFrame>;
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>>;
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for WebSocketStream<S> {
    fn subprotocol(&self) -> Option<&str> {
        WebSocketStream::subprotocol(self)
    }

    fn start_send(&mut self, message: Message) -> Result<(), Error> {
        WebSocketStream::start_send(self, message)
    }

    fn start_close(&mut self, code: CloseCode, reason: &str) {
        // The first poll puts the frame in its place; it goes out then, or while the next message is awaited.
        let _ = self.close(code, reason).now_or_never();
    }

    fn unsent_bytes(&self) -> usize {
        WebSocketStream::unsent_bytes(self)
    }

    fn close_frame(&self) -> Option<&CloseFrame> {
        WebSocketStream::close_frame(self)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        WebSocketStream::poll_flush(self, cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        WebSocketStream::poll_next(self, cx)
    }
}
