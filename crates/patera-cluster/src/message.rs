//! What nodes say to each other.

use std::sync::Arc;

use patera_protocol::socketio::Value;

use crate::encoded::Encoded;
use crate::ids::{RequestId, Uid};
use crate::target::Target;

/// One message of one node, about one namespace: `{"type":3,"data":{…},"uid":"3d911c243b3008ec","nsp":"/"}`. Cheap to clone, but for
/// descriptions of sockets.
///
/// Read from the wire, one without `nsp` is of the namespace that its packet names, as emitters write it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it.
    pub uid: Uid,
    /// What it is about.
    pub namespace: Arc<str>,
    /// What is said.
    pub body: Body,
}

/// What is said: the numbers and names of socket.io's cluster adapters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// 1: a node is new; those that are there answer with `Heartbeat`.
    InitialHeartbeat,
    /// 2: a node is still there.
    Heartbeat,
    /// 3: an event for sockets; with a request, whoever gets it counts its clients and passes on what they acknowledge.
    Broadcast {
        /// Its name and arguments.
        event: Encoded,
        /// For whom.
        target: Target,
        /// The request to answer, if acknowledgements are wanted.
        request: Option<RequestId>,
    },
    /// 4: sockets are to join rooms.
    SocketsJoin {
        /// Which sockets.
        target: Target,
        /// Which rooms.
        rooms: Vec<Arc<str>>,
    },
    /// 5: sockets are to leave rooms.
    SocketsLeave {
        /// Which sockets.
        target: Target,
        /// Which rooms.
        rooms: Vec<Arc<str>>,
    },
    /// 6: sockets are to be disconnected.
    DisconnectSockets {
        /// Which sockets.
        target: Target,
        /// Whether their connections are closed too.
        close: bool,
    },
    /// 7: which sockets are there?
    FetchSockets {
        /// Which are meant.
        target: Target,
        /// The request to answer.
        request: RequestId,
    },
    /// 8: these.
    FetchSocketsResponse {
        /// The request this answers.
        request: RequestId,
        /// What a node has of them.
        sockets: Vec<Description>,
    },
    /// 9: an event for the servers themselves.
    ServerSideEmit {
        /// Its name and arguments.
        event: Encoded,
        /// The request to answer, if acknowledgements are wanted.
        request: Option<RequestId>,
    },
    /// 10: what a server says to it.
    ServerSideEmitResponse {
        /// The request this answers.
        request: RequestId,
        /// An array, of which the first element travels.
        answer: Encoded,
    },
    /// 11: how many clients of a node got a broadcast that wants acknowledgements.
    BroadcastClientCount {
        /// The request this answers.
        request: RequestId,
        /// So many acknowledgements may come from this node.
        count: u64,
    },
    /// 12: what one client acknowledges.
    BroadcastAck {
        /// The request this answers.
        request: RequestId,
        /// An array, of which the first element travels.
        answer: Encoded,
    },
    /// 13: a node leaves.
    AdapterClose,
}

impl Message {
    /// How much memory it takes, about: for bounds on what waits.
    pub fn size(&self) -> usize {
        const SELF: usize = 256;
        const DESCRIPTION: usize = 2048;
        let names = |names: &[Arc<str>]| names.iter().map(|name| name.len().saturating_add(16)).sum::<usize>();
        let target = |target: &Target| names(&target.rooms).saturating_add(names(&target.except));
        let body = match &self.body {
            Body::Broadcast { event, target: to, .. } => event.size().saturating_add(target(to)),
            Body::ServerSideEmit { event: encoded, .. }
            | Body::ServerSideEmitResponse { answer: encoded, .. }
            | Body::BroadcastAck { answer: encoded, .. } => encoded.size(),
            Body::SocketsJoin { target: to, rooms } | Body::SocketsLeave { target: to, rooms } => {
                target(to).saturating_add(names(rooms))
            }
            Body::DisconnectSockets { target: to, .. } | Body::FetchSockets { target: to, .. } => target(to),
            Body::FetchSocketsResponse { sockets, .. } => sockets.len().saturating_mul(DESCRIPTION),
            Body::InitialHeartbeat | Body::Heartbeat | Body::BroadcastClientCount { .. } | Body::AdapterClose => 0,
        };
        body.saturating_add(SELF)
    }
}

impl Body {
    /// The request that this answers.
    pub fn answers(&self) -> Option<&RequestId> {
        match self {
            Body::FetchSocketsResponse { request, .. }
            | Body::ServerSideEmitResponse { request, .. }
            | Body::BroadcastClientCount { request, .. }
            | Body::BroadcastAck { request, .. } => Some(request),
            Body::InitialHeartbeat
            | Body::Heartbeat
            | Body::Broadcast { .. }
            | Body::SocketsJoin { .. }
            | Body::SocketsLeave { .. }
            | Body::DisconnectSockets { .. }
            | Body::FetchSockets { .. }
            | Body::ServerSideEmit { .. }
            | Body::AdapterClose => None,
        }
    }
}

/// A socket as other nodes know it: `{"id":"…","handshake":{…},"rooms":["…"],"data":{}}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its id.
    pub id: Arc<str>,
    /// `{"headers":{…},"time":"…","address":"…","xdomain":false,"secure":false,"issued":…,"url":"…","query":{…},"auth":{…}}`
    pub handshake: Value,
    /// Its rooms; socket.io's nodes name its own among them.
    pub rooms: Vec<Arc<str>>,
    /// The application's own value.
    pub data: Value,
}
