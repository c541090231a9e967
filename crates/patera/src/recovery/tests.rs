//! What happens between two steps of a client that comes back: `cargo xtask loom` finds such orders, here they stay.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use http::{Extensions, HeaderMap, Uri};
use patera_protocol::engineio::Version;
use patera_protocol::socketio::{Connection, OwnedArgs};

use crate::admission::Reserved;
use crate::config::{Config, ConnectionStateRecovery};
use crate::core::{EngineDialect, LinkState, Shared};
use crate::dispatch;
use crate::error::DisconnectReason;
use crate::handshake::Handshake;
use crate::io::Io;
use crate::prepared::Prepared;
use crate::sid::Id;
use crate::socket::{Socket, SocketInner};
use crate::tasks::Tasks;

#[test]
fn an_old_handle_does_not_end_the_socket_that_has_come_back() {
    let config = Config { connection_state_recovery: Some(ConnectionStateRecovery::default()), ..Config::default() };
    let io = Io::with_config(config);
    let old = socket(&io, None);
    dispatch::connect(&old, packet(), &mut Tasks::default(), Waker::noop()).unwrap();
    dispatch::disconnect(&old, DisconnectReason::TransportClose, &mut Tasks::default(), Waker::noop()).unwrap();
    assert!(old.0.is_away());
    let pid = old.0.recoverable().unwrap().pid();
    let new = socket(&io, Some(&format!(r#"[{{"pid":"{pid}"}}]"#)));
    // The new one has the connection, and not yet the old one's place in the rooms.
    new.0.connected(packet()).unwrap();
    old.disconnect();
    assert!(io.inner.rooms.replace(&new.0), "the place is still there");
    assert!(new.is_connected() && new.recovered());
    new.try_emit("hello", ()).unwrap();
}

fn socket(io: &Io, auth: Option<&str>) -> Socket {
    let handshake = Handshake::new(&Uri::from_static("/"), &HeaderMap::new(), Extensions::new(), Instant::now());
    let dialect = EngineDialect { version: Version::V4, base64: false, recovers: true };
    let place = Reserved::new(&io.io.core, &handshake, Instant::now()).expect("nothing is full").take();
    let session = Shared::new(io.io.core.clone(), place, Id::random(), handshake, dialect, LinkState::Polling);
    let mut protocol = Connection::server_with_revision(Version::V3.into(), io.io.core.protocol.clone());
    let auth = auth.map(|auth| Box::new(OwnedArgs::of_array(auth, &[]).unwrap()));
    Socket(SocketInner::new(io.io.clone(), protocol.enter_root().unwrap(), io.inner.clone(), session, auth))
}

fn packet() -> Arc<Prepared> {
    Prepared::text("connect")
}
