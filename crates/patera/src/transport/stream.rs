//! The byte stream under a WebSocket: plain TCP where it can be had, anything else behind a box.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::http::Prefixed;

/// Any bidirectional byte stream.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) enum Stream {
    /// Nothing of HTTP is left: one system call reads, one writes. Of the halves the second may be lent, to let others write
    /// while the session sleeps; the session itself writes through the first.
    Tcp(OwnedReadHalf, Option<OwnedWriteHalf>),
    /// TLS, HTTP/2, memory, and whatever else.
    Other(Box<dyn Duplex>),
}

impl Stream {
    /// Takes the stream out of hyper's hands, with the bytes that hyper had read beyond the request.
    pub(crate) fn from_upgraded(upgraded: Upgraded) -> (Self, Bytes) {
        // axum::serve and other users of hyper-util's `auto` wrap the stream once more.
        match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (Self::tcp(parts.io.into_inner()), owned(&parts.read_buf)),
            Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                Ok(parts) => (Self::tcp(parts.io.into_inner()), owned(&parts.read_buf)),
                Err(upgraded) => Self::from_listen(upgraded),
            },
        }
    }

    /// That of `Io::listen`, which had read the head before hyper did.
    fn from_listen(upgraded: Upgraded) -> (Self, Bytes) {
        match upgraded.downcast::<TokioIo<Prefixed<TcpStream>>>() {
            Ok(parts) => {
                let (prefix, stream) = parts.io.into_inner().into_parts();
                (Self::tcp(stream), joined(&parts.read_buf, &prefix))
            }
            Err(upgraded) => Self::other(upgraded),
        }
    }

    /// Without what HTTP kept beside the stream, where its type is known.
    #[cfg(feature = "tls")]
    fn other(upgraded: Upgraded) -> (Self, Bytes) {
        match upgraded.downcast::<TokioIo<Prefixed<tokio_rustls::server::TlsStream<TcpStream>>>>() {
            Ok(parts) => {
                let (prefix, stream) = parts.io.into_inner().into_parts();
                (Stream::Other(Box::new(stream)), joined(&parts.read_buf, &prefix))
            }
            Err(upgraded) => (Stream::Other(Box::new(TokioIo::new(upgraded))), Bytes::new()),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn other(upgraded: Upgraded) -> (Self, Bytes) {
        (Stream::Other(Box::new(TokioIo::new(upgraded))), Bytes::new())
    }

    pub(crate) fn tcp(stream: TcpStream) -> Self {
        // A packet is a whole write: waiting for more would only delay it. A dead socket says so at its first read.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Stream::Tcp(read, Some(write))
    }

    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream, _) => stream.peer_addr().ok(),
            Stream::Other(_) => None,
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let poll = match self {
            Stream::Tcp(stream, _) => Pin::new(stream).poll_read(cx, &mut buffer),
            Stream::Other(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        poll.map_ok(|()| buffer.filled().len())
    }

    #[inline]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream, _) => poll_io(stream.as_ref(), cx, |stream| stream.try_write(data)),
            Stream::Other(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream, _) => poll_io(stream.as_ref(), cx, |stream| stream.try_write_vectored(data)),
            Stream::Other(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    /// Pushes written bytes out of buffers between us and the kernel; TCP has none.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(..) => Poll::Ready(Ok(())),
            Stream::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // Dropping this half shuts it down.
            Stream::Tcp(_, write) => {
                *write = None;
                Poll::Ready(Ok(()))
            }
            Stream::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

fn poll_io(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match write(stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// A copy of its own: even an empty slice would keep all of hyper's read buffer alive.
fn owned(leftover: &Bytes) -> Bytes {
    if leftover.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(leftover) }
}

/// What hyper had read beyond the request, and what it had not yet.
fn joined(leftover: &Bytes, behind: &Bytes) -> Bytes {
    if behind.is_empty() { owned(leftover) } else { [&leftover[..], behind].concat().into() }
}
