//! The first head of a connection, waited for in no more memory than has come of it: hyper allocates 16 KiB for a connection before it
//! has read a byte.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use httparse::{EMPTY_HEADER, Request, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at a time. Browsers write less.
const CHUNK_BYTES: usize = 2 << 10;
/// More header lines than this are for hyper to count.
const HEADERS_MAX: usize = 128;

/// Reads until hyper has something to do: the head is all there, it is none, it has `bytes_max`, or no more comes. Empty: nothing came.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let count = poll_fn(|cx| poll_read(stream, cx, &mut head)).await?;
        if count == 0 || head.len() >= bytes_max || is_decided(&head) {
            return Ok(head);
        }
    }
}

/// What waits owns no buffer.
fn poll_read(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    head: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    let mut chunk = [0; CHUNK_BYTES];
    let mut read = ReadBuf::new(&mut chunk);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    head.extend_from_slice(read.filled());
    Poll::Ready(Ok(read.filled().len()))
}

fn is_decided(head: &[u8]) -> bool {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    !matches!(Request::new(&mut headers).parse(head), Ok(Status::Partial))
}

/// A stream of which the beginning has been read.
pub(crate) struct Prefixed<IO> {
    prefix: Bytes,
    stream: IO,
}

impl<IO> Prefixed<IO> {
    pub(super) fn new(prefix: Vec<u8>, stream: IO) -> Self {
        Prefixed { prefix: prefix.into(), stream }
    }

    /// The stream, and what has not been read again.
    pub(crate) fn into_parts(self) -> (Bytes, IO) {
        (self.prefix, self.stream)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Prefixed<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, out);
        }
        let count = this.prefix.len().min(out.remaining());
        out.put_slice(&this.prefix[..count]);
        this.prefix.advance(count);
        if this.prefix.is_empty() {
            // An empty slice would keep it alive.
            this.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Prefixed<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn read(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut peer, mut stream) = duplex(1 << 16);
        let writing = async {
            for piece in pieces {
                peer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            peer
        };
        let (head, _peer) = tokio::join!(read_head(&mut stream, 100), writing);
        head.unwrap()
    }

    #[tokio::test]
    async fn a_head_is_read_to_its_end_whatever_pieces_it_comes_in() {
        assert_eq!(read(&[HEAD]).await, HEAD);
        assert_eq!(read(&HEAD.chunks(1).collect::<Vec<_>>()).await, HEAD);
        assert!(read(&[HEAD, b"more"]).await.starts_with(HEAD));
    }

    #[tokio::test]
    async fn what_is_no_head_or_too_long_is_not_waited_for() {
        assert_eq!(read(&[b"\x16\x03\x01"]).await, b"\x16\x03\x01");
        assert_eq!(read(&[b"GET / HTTP/1.1\r\nHo st: x\r\n"]).await, b"GET / HTTP/1.1\r\nHo st: x\r\n");
        let long = [b"GET /".as_slice(), &[b'a'; 200]].concat();
        assert_eq!(read(&[&long]).await, long);
    }

    #[tokio::test]
    async fn who_ends_is_not_waited_for() {
        let (peer, mut stream) = duplex(64);
        drop(peer);
        assert_eq!(read_head(&mut stream, 100).await.unwrap(), b"");
        let (mut peer, mut stream) = duplex(64);
        peer.write_all(b"GET /").await.unwrap();
        drop(peer);
        assert_eq!(read_head(&mut stream, 100).await.unwrap(), b"GET /");
    }

    #[tokio::test]
    async fn a_prefix_is_read_first_and_then_the_stream() {
        let (mut peer, stream) = duplex(64);
        let mut stream = Prefixed::new(b"abc".to_vec(), stream);
        peer.write_all(b"def").await.unwrap();
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ab");
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"cdef");
        let (rest, _) = stream.into_parts();
        assert!(rest.is_empty());
    }
}
