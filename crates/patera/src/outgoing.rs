//! Telling those who listen to everything that is sent. Nobody does, most often: one flag of a namespace says so.

use std::sync::Arc;

use patera_protocol::socketio::{OwnedArgs, Value};

use crate::listeners::Outgoing;
use crate::namespace::NamespaceInner;
use crate::prepared::Prepared;
use crate::socket::{Socket, SocketInner};
use crate::tasks::catch;
use crate::trace::trace;

/// An event is on its way to these sockets. Called without a lock: what hears of it is the user's.
#[cold]
pub(crate) fn tell<'a>(
    namespace: &NamespaceInner,
    sockets: impl IntoIterator<Item = &'a Arc<SocketInner>>,
    event: &str,
    prepared: &Prepared,
) {
    let mut values = None;
    for socket in sockets {
        let hooks = namespace.hooks();
        let own = socket.outgoing_hooks();
        let mut all = hooks.listeners.outgoing.iter().chain(&own).peekable();
        if all.peek().is_none() {
            continue;
        }
        let socket = Socket(socket.clone());
        let values = values.get_or_insert_with(|| decode(prepared));
        for Outgoing { hook, .. } in all {
            if catch(|| hook(&socket, event, values)).is_none() {
                trace!(error, "patera::socket", "a hook of outgoing events panicked", namespace = %namespace.name, event = ?event);
            }
        }
    }
}

/// The arguments as a client would see them.
fn decode(prepared: &Prepared) -> Vec<Value> {
    let text = std::str::from_utf8(prepared.packet_text()).unwrap_or_default();
    let args = OwnedArgs::of_event(text, prepared.attachments()).unwrap_or_default();
    let args = args.as_args();
    (0..args.len()).map(|index| args.value(index).unwrap_or_default()).collect()
}
