//! The server's side of typed contracts: what emits their events, and where their handlers are registered.

use patera_protocol::contract::{Emit, Listen, Party};
use patera_protocol::handler::{FromAnswer, Handler, IntoReply};
use serde::Serialize;

use crate::answers::Answers;
use crate::broadcast::Broadcast;
use crate::emitter::{Acknowledgement, Emitter};
use crate::handler::Server;
use crate::io::Io;
use crate::namespace::Namespace;
use crate::remote::{OneAnswer, RemoteSocket};
use crate::socket::Socket;

impl Party for Server {
    type Socket = Socket;
}

/// By the methods of the same names.
macro_rules! emit {
    ($($sender:ty => $answer:ident)*) => {$(
        impl Emit for $sender {
            type Answer<T: FromAnswer> = $answer<T>;

            fn emit(&self, event: &str, args: impl Serialize) {
                <$sender>::emit(self, event, args);
            }

            fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> $answer<T> {
                <$sender>::emit_with_ack(self, event, args)
            }
        }
    )*};
}

emit! {
    Socket => Acknowledgement
    Emitter => Acknowledgement
    Namespace => Answers
    Broadcast => Answers
    RemoteSocket => OneAnswer
}

/// By the methods of the same names.
macro_rules! listen {
    ($($place:ty => $by:ty)*) => {$(
        impl Listen<Server> for $place {
            fn on<P: 'static, H>(&self, event: &str, handler: H)
            where
                H: Handler<Server, P>,
                H::Output: IntoReply,
            {
                <$by>::on(self, event, handler);
            }
        }
    )*};
}

listen! {
    Socket => Socket
    Namespace => Namespace
    Io => Namespace
}
