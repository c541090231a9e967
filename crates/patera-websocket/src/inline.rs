//! A few bytes that have to be kept: an incomplete header, a cut character, the payload of a control frame that came in pieces or
//! whose answer is owed.

use std::ops::Deref;

/// The longest payload of a control frame, in bytes. RFC 6455 §5.5
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

pub(crate) type ControlPayload = Inline<CONTROL_BYTES_MAX>;

/// At most `N` bytes, 255 at the most.
pub(crate) struct Inline<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Inline<N> {
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Inline::default();
        copy.extend(bytes);
        copy
    }

    /// Appends. The caller knows that there is room: what does not fit is left out.
    pub(crate) fn extend(&mut self, more: &[u8]) {
        let free = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        debug_assert!(more.len() <= free.len());
        for (slot, byte) in free.iter_mut().zip(more) {
            *slot = *byte;
        }
        let fits = more.len().min(free.len());
        self.len = self.len.saturating_add(fits as u8);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }
}

impl<const N: usize> Default for Inline<N> {
    fn default() -> Self {
        Inline { len: 0, bytes: [0; N] }
    }
}

impl<const N: usize> Deref for Inline<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}
