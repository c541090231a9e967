//! The way out of a session that sleeps: who broadcasts to it writes in its place.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use patera_protocol::engineio::Version;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::{Batch, Dialect};
use crate::config::Config;
use crate::prepared::Prepared;

/// In which form a WebSocket gets its packets.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) dialect: Dialect,
    /// Where permessage-deflate was agreed on.
    pub(crate) window_bits: Option<u8>,
}

impl Form {
    /// Adds a packet of the application.
    #[inline]
    pub(crate) fn write(self, prepared: &Prepared, config: &Config, batch: &mut Batch) {
        match (prepared.parsed(), self.dialect) {
            (Some(messages), Dialect::Engine { .. } | Dialect::EngineV3 { .. }) => {
                self.write_parsed(messages, config, batch);
            }
            (None, _) | (Some(_), Dialect::Native { .. }) => self.write_as_it_is(prepared, config, batch),
        }
    }

    #[cold]
    fn write_parsed(self, messages: &[Arc<Prepared>], config: &Config, batch: &mut Batch) {
        messages.iter().for_each(|message| self.write_as_it_is(message, config, batch));
    }

    #[inline]
    fn write_as_it_is(self, prepared: &Prepared, config: &Config, batch: &mut Batch) {
        if let (Some(window_bits), Some(config)) = (self.window_bits, &config.per_message_deflate)
            && prepared.may_deflate(self.dialect, config)
        {
            return prepared.write_deflated(self.dialect, window_bits, config, batch);
        }
        match self.dialect {
            Dialect::Engine { base64 } => prepared.write_frames(Version::V4, base64, batch),
            Dialect::EngineV3 { base64 } => prepared.write_frames(Version::V3, base64, batch),
            Dialect::Native { raw } => prepared.write_native(raw, batch),
        }
    }
}

/// A WebSocket over plain TCP, to write to as long as it takes everything at once.
pub(crate) struct Outlet {
    pub(super) stream: OwnedWriteHalf,
    pub(super) form: Form,
}

/// What an outlet did not take, in order.
pub(crate) struct Leftover {
    pub(crate) queue: VecDeque<Bytes>,
    /// What it counts in the outbox.
    pub(crate) bytes: usize,
}

impl Outlet {
    pub(crate) fn add(&self, prepared: &Prepared, config: &Config, batch: &mut Batch) {
        self.form.write(prepared, config, batch);
    }

    /// Writes at once or gives back what is left, also of a broken stream: its session will see why.
    pub(crate) fn write(&self, batch: Batch) -> Option<VecDeque<Bytes>> {
        let stream: &TcpStream = self.stream.as_ref();
        let done = batch.as_small().map_or(0, |small| stream.try_write(small).unwrap_or(0));
        if batch.as_small().is_some_and(|small| small.len() == done) {
            return None;
        }
        Some(batch.into_queue(done))
    }
}
