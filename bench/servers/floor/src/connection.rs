//! What is kept for one connection; its index is its descriptor.

use crate::server::To;

/// Of an idle one, this is all there is.
#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) phase: Phase,
    /// Its place among those that receive broadcasts.
    pub(crate) place: Option<u32>,
    /// The start of a frame whose rest has not come yet.
    pub(crate) unread: Vec<u8>,
    /// What the socket did not take yet.
    pub(crate) unsent: Vec<u8>,
    pub(crate) rare: Option<Box<Rare>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Phase {
    #[default]
    Closed,
    /// The request's head is awaited.
    Head,
    Open,
}

/// What only some connections have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) rooms: Vec<u32>,
    /// A binary event whose attachments have not all come yet.
    pub(crate) partial: Option<Partial>,
}

pub(crate) struct Partial {
    pub(crate) to: To,
    pub(crate) missing: usize,
    /// The frames to send once it is whole.
    pub(crate) frames: Vec<u8>,
}
