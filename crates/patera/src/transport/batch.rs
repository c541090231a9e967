//! What one write sends: small pieces copied into one buffer, large ones as shared slices. And the buffers for it, one a thread.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use crate::config::{COPY_BYTES_MAX, READ_BYTES_MAX, WRITE_BYTES_MAX};

thread_local! {
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Bytes gathered for a write. Its buffer is the thread's, taken for the turn.
pub(crate) struct Batch {
    small: Vec<u8>,
    large: VecDeque<Bytes>,
}

impl Batch {
    pub(crate) fn take() -> Self {
        Batch { small: WRITE.take(), large: VecDeque::new() }
    }

    /// Adds bytes, copied or shared, whichever is cheaper.
    pub(crate) fn push(&mut self, data: &Bytes) {
        if data.len() <= COPY_BYTES_MAX {
            self.small.extend_from_slice(data);
        } else {
            self.share_small();
            self.large.push_back(data.clone());
        }
    }

    pub(crate) fn copy(&mut self, data: &[u8]) {
        self.small.extend_from_slice(data);
    }

    /// For writers that append to a `Vec`.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.small
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// All of it, where nothing large is in it.
    pub(crate) fn as_small(&self) -> Option<&[u8]> {
        self.large.is_empty().then_some(&self.small[..])
    }

    /// What is left behind the first `written` bytes of [`as_small`](Self::as_small), or all that is large, in order.
    pub(crate) fn into_queue(mut self, written: usize) -> VecDeque<Bytes> {
        self.small.drain(..written);
        self.share_small();
        mem::take(&mut self.large)
    }

    fn share_small(&mut self) {
        if !self.small.is_empty() {
            self.large.push_back(Bytes::copy_from_slice(&self.small));
            self.small.clear();
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut buffer = mem::take(&mut self.small);
        // One burst must not stay as memory for ever.
        if buffer.capacity() <= 2 * WRITE_BYTES_MAX {
            buffer.clear();
            WRITE.set(buffer);
        }
    }
}

/// The thread's read buffer, taken and not borrowed: handlers run while it is in use.
pub(crate) struct ReadBuffer(Box<[u8]>);

impl ReadBuffer {
    pub(crate) fn take() -> Self {
        ReadBuffer(READ.take().unwrap_or_else(|| vec![0; READ_BYTES_MAX].into()))
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        READ.set(Some(mem::take(&mut self.0)));
    }
}
