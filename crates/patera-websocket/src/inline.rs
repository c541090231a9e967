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

    /// Appends.
    ///
    /// # Panics
    /// There is no room for all of it: the caller knows better.
    pub(crate) fn extend(&mut self, more: &[u8]) {
        let free = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        assert!(more.len() <= free.len(), "{} bytes for {}", more.len(), free.len());
        for (slot, byte) in free.iter_mut().zip(more) {
            *slot = *byte;
        }
        self.len = self.len.saturating_add(more.len() as u8);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_as_many_as_there_is_room_for() {
        let mut inline = Inline::<4>::copy_of(b"abc");
        inline.extend(b"d");
        inline.extend(b"");
        assert_eq!(&*inline, b"abcd");
    }

    #[test]
    #[should_panic(expected = "2 bytes for 1")]
    fn one_more_is_our_own_bug() {
        Inline::<4>::copy_of(b"abc").extend(b"de");
    }
}
