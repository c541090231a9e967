//! A stream in memory between a server's session and us: as little as it takes, for it is counted along.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use patera_websocket::{Opcode, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both directions of one connection.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    to_server: Vec<u8>,
    from_server: usize,
    reader: Option<Waker>,
}

impl Wire {
    /// Puts bytes on the way to the server.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut state = self.lock();
        state.to_server.extend_from_slice(bytes);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// How many bytes the server has written since the last time.
    pub(crate) fn take(&self) -> usize {
        std::mem::take(&mut self.lock().from_server)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.to_server.is_empty() {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.to_server.len().min(buffer.remaining());
        buffer.put_slice(&state.to_server[..count]);
        state.to_server.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().from_server += data.len();
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A message as a client frames it.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    patera_websocket::encode(Role::Client, opcode, true, payload, [7, 11, 13, 17], &mut frame);
    frame
}
