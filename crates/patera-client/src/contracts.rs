//! The client's side of typed contracts: what emits their events, and where their handlers are registered.

use patera_protocol::contract::{Emit, Listen, Party};
use patera_protocol::handler::{FromAnswer, Handler, IntoReply};
use serde::Serialize;

use crate::client::Client;
use crate::emitter::{Acknowledgement, Emitter};
use crate::socket::Socket;

impl Party for Client {
    type Socket = Socket;
}

/// By the methods of the same names.
macro_rules! emit {
    ($($sender:ty)*) => {$(
        impl Emit for $sender {
            type Answer<T: FromAnswer> = Acknowledgement<T>;

            fn emit(&self, event: &str, args: impl Serialize) {
                <$sender>::emit(self, event, args);
            }

            fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Acknowledgement<T> {
                <$sender>::emit_with_ack(self, event, args)
            }
        }
    )*};
}

emit!(Socket Emitter);

/// By the socket's method of the same name.
macro_rules! listen {
    ($($place:ty)*) => {$(
        impl Listen<Client> for $place {
            fn on<P: 'static, H>(&self, event: &str, handler: H)
            where
                H: Handler<Client, P>,
                H::Output: IntoReply,
            {
                Socket::on(self, event, handler);
            }
        }
    )*};
}

listen!(Socket Client);
