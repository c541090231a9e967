//! What other servers ask of this one, done. Called by the task alone, so in the order in which it came.

use std::sync::Arc;
use std::time::Duration;

use patera_cluster::{Asker, Encoded, Event, Message, Target};
use patera_protocol::socketio::encode;

use super::{description, now};
use crate::answers::Gathering;
use crate::broadcast::Broadcast;
use crate::io::IoInner;
use crate::namespace::NamespaceInner;
use crate::socket::Socket;
use crate::trace::trace;

/// A message from the bus; of a namespace that is not here it is none.
pub(super) fn handle(io: &Arc<IoInner>, message: Message) {
    let Some(namespace) = io.namespaces.find(&message.namespace) else { return };
    let Some(membership) = namespace.membership() else { return };
    let events = membership.handle_message(message);
    apply_all(io, &namespace, events);
}

pub(super) fn apply_all(io: &Arc<IoInner>, namespace: &Arc<NamespaceInner>, events: Vec<Event>) {
    for event in events {
        apply(io, namespace, event);
    }
}

fn apply(io: &Arc<IoInner>, namespace: &Arc<NamespaceInner>, event: Event) {
    let of = |target: Target| Broadcast::of_target(namespace.clone(), target);
    match event {
        Event::Broadcast { event, target, asker: None } => broadcast(namespace, &event, &of(target)),
        Event::Broadcast { event, target, asker: Some(asker) } => {
            let timeout = target.flags.timeout;
            ask(namespace, &event, &of(target), asker, timeout);
        }
        Event::SocketsJoin { target, rooms } => of(target).each(|socket| socket.join(&rooms)),
        Event::SocketsLeave { target, rooms } => of(target).each(|socket| socket.leave(&rooms)),
        Event::DisconnectSockets { target, close: false } => of(target).each(Socket::disconnect),
        Event::DisconnectSockets { target, close: true } => of(target).each(Socket::close),
        Event::FetchSockets { target, asker } => {
            let connected = of(target).matching().into_iter().filter(|socket| socket.is_connected());
            let sockets = connected.map(|socket| description::of(&Socket(socket))).collect();
            if let Some(membership) = namespace.membership() {
                membership.answer_sockets(&asker, sockets);
            }
        }
        Event::ServerSideEmit { event, asker } => super::server_side::start(io, namespace, &event, asker),
        Event::PeerJoined { uid } => {
            trace!(info, "patera::cluster", "server joined", namespace = %namespace.name, server = %uid);
        }
        Event::PeerLeft { uid } => {
            trace!(info, "patera::cluster", "server left", namespace = %namespace.name, server = %uid);
        }
        // What this server has asked is told to who waits for it.
        _ => {}
    }
}

/// The name for those who watch what goes out; nobody does, most often.
fn name(namespace: &NamespaceInner, event: &Encoded) -> String {
    if !namespace.is_outgoing_watched() {
        return String::new();
    }
    event.to_event().map(|(name, _)| name).unwrap_or_default()
}

fn broadcast(namespace: &Arc<NamespaceInner>, event: &Encoded, to: &Broadcast) {
    let attachments = event.attachments();
    let encode = |out: &mut Vec<u8>| {
        encode::event_of_array(out, &namespace.name, None, event.json(), attachments.len());
        Ok(attachments.to_vec())
    };
    let name = name(namespace, event);
    if let Err(error) = to.deliver(namespace, &name, encode) {
        namespace.dropped(&name, &error);
    }
}

/// Sockets of this server are asked, and what they answer is passed on.
fn ask(namespace: &Arc<NamespaceInner>, event: &Encoded, to: &Broadcast, asker: Asker, timeout: Option<Duration>) {
    let gathering = Arc::new(Gathering::default());
    let Some(membership) = namespace.membership() else { return };
    let timeout = timeout.unwrap_or_else(|| namespace.ack_timeout()).min(YEAR);
    if !membership.cluster().asks.insert(&gathering, now() + timeout) {
        trace!(warn, "patera::cluster", "too many broadcasts of other servers await acknowledgements");
        broadcast(namespace, event, to);
        return membership.answer_client_count(&asker, 0);
    }
    membership.cluster().has_asked.notify_one();
    let attachments = event.attachments();
    let encode = |out: &mut Vec<u8>, id| {
        encode::event_of_array(out, &namespace.name, Some(id), event.json(), attachments.len());
        Ok(attachments.to_vec())
    };
    let name = name(namespace, event);
    match to.ask(namespace, &name, encode, &gathering) {
        Ok(_) => gathering.pass_on(namespace, asker),
        Err(error) => {
            namespace.dropped(&name, &error);
            membership.answer_client_count(&asker, 0);
        }
    }
}

/// Longer nobody waits.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
