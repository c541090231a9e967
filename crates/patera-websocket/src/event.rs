//! What comes out of a connection.

use crate::close::CloseFrame;

/// How far one call of [`Connection::handle_read`](crate::Connection::handle_read) came.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// How many bytes of the input are done with; all of them if there is no event.
    pub consumed: usize,
    /// What they amount to.
    pub event: Option<Event<'a>>,
}

/// Something the peer said. It borrows the input, or the connection where it came in pieces.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping of at most 125 bytes; its pong is owed, see [`Connection::poll_output`](crate::Connection::poll_output).
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes, asked for or not.
    Pong(&'a [u8]),
    /// The peer's close frame, if it says why. Nothing comes behind it; our own close frame is owed unless it was sent.
    Close(Option<CloseFrame>),
}
