//! The payload of a control frame, for when it has to be kept: it came in pieces, or its answer is owed.

use std::ops::Deref;

/// At most 125 bytes, inline. RFC 6455 §5.5.
pub(crate) struct ControlPayload {
    len: u8,
    bytes: [u8; Self::BYTES_MAX],
}

impl ControlPayload {
    pub(crate) const BYTES_MAX: usize = 125;

    pub(crate) fn copy_of(payload: &[u8]) -> Self {
        let mut copy = ControlPayload::default();
        copy.extend(payload);
        copy
    }

    /// Appends. The caller has checked the frame's length: more than fits is a bug.
    pub(crate) fn extend(&mut self, more: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }
}

impl Default for ControlPayload {
    fn default() -> Self {
        ControlPayload { len: 0, bytes: [0; Self::BYTES_MAX] }
    }
}

impl Deref for ControlPayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
