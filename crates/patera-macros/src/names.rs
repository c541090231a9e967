//! Names that are taken: methods of what emits, which would be called instead of the contract's, and events of socket.io itself.

/// What neither a function nor an event may be called.
pub(crate) struct Reserved {
    /// Methods of the types that emit, and of the traits that are written.
    pub(crate) functions: &'static [&'static str],
    /// As `RESERVED_EVENTS` of `patera-protocol` has them.
    pub(crate) events: [&'static str; 6],
}

pub(crate) const RESERVED: Reserved = Reserved {
    functions: &[
        "accept",
        "active",
        "auth",
        "broadcast",
        "close",
        "close_sockets",
        "compress",
        "config",
        "conn",
        "connect",
        "connected",
        "data",
        "data_set",
        "disconnect",
        "disconnect_sockets",
        "emit",
        "emit_with_ack",
        "engine",
        "event_middleware",
        "events",
        "except",
        "extension",
        "extension_remove",
        "extension_set",
        "fetch_sockets",
        "find",
        "handshake",
        "id",
        "io",
        "is_connected",
        "join",
        "layer",
        "leave",
        "listen",
        "listen_tls",
        "listen_webtransport",
        "local",
        "manager",
        "middleware",
        "name",
        "namespace",
        "namespaces",
        "native",
        "of",
        "of_fn",
        "of_matching",
        "of_regex",
        "off",
        "off_all",
        "off_any",
        "off_any_outgoing",
        "off_event",
        "on",
        "on_any",
        "on_any_outgoing",
        "on_bus_error",
        "on_connect",
        "on_connect_error",
        "on_connection",
        "on_disconnect",
        "on_disconnecting",
        "on_error",
        "on_lifecycle",
        "on_new_namespace",
        "on_room_event",
        "on_server_side",
        "once",
        "prepend_any",
        "prepend_any_outgoing",
        "protocol",
        "recovered",
        "rooms",
        "send",
        "sequential",
        "serve",
        "serve_webtransport",
        "serve_with",
        "server_count",
        "server_side_emit",
        "server_side_emit_with_ack",
        "server_uid",
        "service",
        "session_id",
        "set_auth",
        "set_auth_with",
        "socket",
        "sockets",
        "sockets_join",
        "sockets_leave",
        "stats",
        "timeout",
        "to",
        "transport",
        "try_emit",
        "try_join",
        "volatile",
        "with_state",
    ],
    events: ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use syn::{FnArg, ImplItem, Item, Type, Visibility};

    use super::*;
    use crate::borrowing::last;

    /// The types that have the methods of a contract, and those that dereference to one.
    const SENDERS: [&str; 7] = ["Broadcast", "Client", "Emitter", "Io", "Namespace", "RemoteSocket", "Socket"];

    #[test]
    fn events_are_those_that_nobody_may_emit() {
        let here = BTreeSet::from(RESERVED.events);
        assert_eq!(here, BTreeSet::from(patera_protocol::socketio::RESERVED_EVENTS));
    }

    #[test]
    fn functions_are_the_methods_of_what_emits() {
        let mut there = BTreeSet::from(["serve".to_owned()]);
        for source in ["../patera/src", "../patera-client/src"] {
            collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &mut there);
        }
        let here: BTreeSet<_> = RESERVED.functions.iter().map(|name| name.to_string()).collect();
        let missing: Vec<_> = there.difference(&here).collect();
        let gone: Vec<_> = here.difference(&there).collect();
        assert!(missing.is_empty() && gone.is_empty(), "to be added: {missing:?}; to be removed: {gone:?}");
    }

    fn collect(path: &Path, methods: &mut BTreeSet<String>) {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("the sources are there");
            return entries.for_each(|entry| collect(&entry.expect("the sources are there").path(), methods));
        }
        let text = fs::read_to_string(path).expect("the sources are there");
        let file = syn::parse_file(&text).expect("the sources are Rust");
        for item in file.items {
            if let Item::Impl(item) = item
                && item.trait_.is_none()
                && let Type::Path(of) = &*item.self_ty
                && SENDERS.contains(&last(&of.path).as_str())
            {
                methods.extend(item.items.iter().filter_map(method));
            }
        }
    }

    /// The name of what is public and is called with a dot.
    fn method(item: &ImplItem) -> Option<String> {
        let ImplItem::Fn(function) = item else { return None };
        let is_method = matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_)));
        (is_method && matches!(function.vis, Visibility::Public(_))).then(|| function.sig.ident.to_string())
    }
}
