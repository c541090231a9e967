//! An event on its way to sockets of which some are recoverable: with an offset for those, as it is for others.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use patera_protocol::parser::Parser;
use patera_protocol::socketio::EncodeError;

use super::{Number, Recovery, Suffix};
use crate::outbox::Item;
use crate::prepared::{Flags, Prepared};

pub(crate) struct Event {
    prepared: Arc<Prepared>,
    suffix: Suffix,
    /// For sockets that cannot come back, made when the first of them is there.
    bare: OnceCell<Arc<Prepared>>,
}

impl Event {
    /// `encode` as for [`Prepared::packet`].
    pub(crate) fn encode(
        recovery: &Recovery,
        flags: Flags,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError>,
    ) -> Result<Self, EncodeError> {
        let mut suffix = Suffix::default();
        let parser = recovery.parser();
        let prepared = Prepared::packet(parser, flags, |out| {
            let attachments = encode(out)?;
            suffix = recovery.append_offset(out, flags);
            Ok(attachments)
        })?;
        let event = Event { prepared, suffix, bare: OnceCell::new() };
        if parser.is_some() {
            // A parser is not called under locks, where the first of them is found.
            event.bare.get_or_init(|| event.without_suffix(parser));
        }
        Ok(event)
    }

    /// For a socket whose client may come back.
    pub(crate) fn recoverable(&self) -> (Item, Option<Number>) {
        (Item { prepared: self.prepared.clone(), ack: None }, self.suffix.number)
    }

    /// For any other.
    pub(crate) fn bare(&self) -> Item {
        let prepared = self.bare.get_or_init(|| self.without_suffix(None)).clone();
        Item { prepared, ack: None }
    }

    fn without_suffix(&self, parser: Option<&dyn Parser>) -> Arc<Prepared> {
        if self.suffix.bytes == 0 {
            return self.prepared.clone();
        }
        let text = self.prepared.packet_text();
        let without = Prepared::packet(parser, self.prepared.flags, |out| {
            out.extend_from_slice(&text[..text.len() - 1 - self.suffix.bytes]);
            out.push(b']');
            Ok(self.prepared.attachments().to_vec())
        });
        // Copying fails nowhere; with an argument too many it would still be the event.
        without.unwrap_or_else(|_| self.prepared.clone())
    }
}
