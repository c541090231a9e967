//! Telling those who listen to everything that is sent. Nobody does, most often: one flag of a namespace says so.

use std::sync::Arc;

use patera_protocol::socketio::{OwnedArgs, Value};

use crate::handler::Failure;
use crate::listeners::Outgoing;
use crate::namespace::NamespaceInner;
use crate::prepared::Prepared;
use crate::socket::{Socket, SocketInner};
use crate::tasks::catch;

/// An event is on its way to these sockets. Called without a lock: what hears of it is the user's.
#[cold]
pub(crate) fn tell<'a>(
    namespace: &NamespaceInner,
    sockets: impl IntoIterator<Item = &'a Arc<SocketInner>>,
    event: &str,
    prepared: &Prepared,
) {
    let (mut values, mut failed) = (None, Vec::new());
    for socket in sockets {
        let hooks = namespace.hooks();
        let own = socket.outgoing_hooks();
        let mut all = hooks.listeners.outgoing.iter().chain(&own).peekable();
        if all.peek().is_none() {
            continue;
        }
        let socket = Socket(socket.clone());
        let values = values.get_or_insert_with(|| decode(prepared));
        let panics =
            all.map(|Outgoing { hook, .. }| catch(|| hook(&socket, event, values))).filter(Option::is_none).count();
        if panics > 0 {
            socket.end_after_panic();
            failed.push(socket);
        }
    }
    // Whoever hears of it may emit, which these do not hear any more.
    for socket in failed {
        socket.report(event, &Failure::Panic);
    }
}

/// The arguments as a client would see them.
fn decode(prepared: &Prepared) -> Vec<Value> {
    let text = std::str::from_utf8(prepared.packet_text()).unwrap_or_default();
    let args = OwnedArgs::of_event(text, prepared.attachments()).unwrap_or_default();
    let args = args.as_args();
    (0..args.len()).map(|index| args.value(index).unwrap_or_default()).collect()
}
