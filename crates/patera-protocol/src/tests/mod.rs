//! Tests of more than one file, and what the tests share.

mod pair;
mod peer;
pub(crate) mod properties;
mod vectors;
mod wire;
mod world;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer, ser::SerializeTuple};

use crate::{
    engineio::Message,
    socketio::{Connection, ConnectionConfig, Incoming, Revision, Value},
};

/// Virtual time: so many milliseconds after the start of the tests.
#[allow(clippy::disallowed_methods, reason = "some origin is needed, and `Instant` has no other")]
pub(crate) fn at(milliseconds: u64) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now) + Duration::from_millis(milliseconds)
}

/// A server whose client is in these namespaces, in this order.
pub(crate) fn connected_server(config: ConnectionConfig, namespaces: &[&str]) -> Connection {
    connected_server_with_revision(Revision::V5, config, namespaces)
}

/// The same in either revision. In revision 4 the root is entered unasked, if it is one of them.
pub(crate) fn connected_server_with_revision(
    revision: Revision,
    config: ConnectionConfig,
    namespaces: &[&str],
) -> Connection {
    let mut server = Connection::server_with_revision(revision, Arc::new(config));
    for name in namespaces {
        let slot = match (revision, *name) {
            (Revision::V4, "/") => server.enter_root().expect("it is not entered yet"),
            _ => match server.handle_message(Message::Text(&format!("0{name},")), at(0)) {
                Ok(Some(Incoming::Connect { slot, .. })) => slot,
                other => panic!("{name}: {other:?}"),
            },
        };
        server.accept(slot);
    }
    server
}

/// A tuple whose length is only known now.
pub(crate) struct Several<'a>(pub(crate) &'a [Value]);

impl Serialize for Several<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}
