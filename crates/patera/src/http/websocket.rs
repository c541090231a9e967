//! WebSocket handshakes: a session that begins with one, one that takes a polling session over, and plain ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::request::Parts;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use patera_protocol::engineio::{Query, RequestError};
use patera_websocket::{AcceptOptions, Accepted, Extensions, accept};
use tokio::time::timeout;

use super::polling::add_headers;
use super::refusal::Refusal;
use super::respond::{Host, admit, is_upgrade};
use crate::core::{Core, EngineDialect, LinkState, Shared};
use crate::native::SUBPROTOCOL;
use crate::outbox::Command;
use crate::session::Link;
use crate::transport::{Dialect, Stream, WebSocketLink};

/// A session that begins with a WebSocket.
pub(super) async fn open(host: Arc<dyn Host>, parts: Parts, query: &Query<'_>) -> Result<Response<Bytes>, Refusal> {
    let core = host.core().clone();
    let (parts, accepted, upgrade) = agree(parts, &options(&core))?;
    let opening = admit(&core, &parts, Some(query), LinkState::WebSocket).await?;
    let response = switch(&accepted, &opening, true)?;
    tokio::spawn(async move {
        if let Some((stream, unread)) = finish(upgrade, core.config.connect_timeout).await {
            let link = begin(&opening, stream, unread, &accepted.extensions);
            host.start(opening, link);
        }
    });
    Ok(response)
}

/// The link of a session that begins here, its open packet in front.
pub(super) fn begin(shared: &Shared, stream: Stream, unread: Bytes, extensions: &Extensions) -> Link {
    shared.handshake.learn_address(stream.peer_addr());
    let link = WebSocketLink::new(stream, unread, shared.dialect.into(), &shared.core.config);
    let mut link = link.with_extensions(extensions);
    owe_begin(&mut link, shared);
    Link::WebSocket(link)
}

/// The open packet, and what is to come right behind it.
pub(super) fn owe_begin(link: &mut WebSocketLink, shared: &Shared) {
    link.owe_open(&shared.core.open_packet(&shared.sid, link.transport()));
    if let Some(initial) = &shared.core.initial_packet {
        link.owe_message(initial, &shared.core.config);
        shared.core.counters.sent(1, initial.size());
    }
}

/// A WebSocket for a session that polls so far.
pub(super) async fn take_over(
    host: Arc<dyn Host>,
    parts: Parts,
    query: &Query<'_>,
    session: Arc<Shared>,
) -> Result<Response<Bytes>, Refusal> {
    let version = query.version_with_eio3(host.core().config.allow_eio3);
    let may = host.core().engine.allow_upgrades && session.link() == LinkState::Polling;
    if !may || version != Ok(session.dialect.version) {
        return Err(RequestError::BadRequest.into());
    }
    let (_, accepted, upgrade) = agree(parts, &options(host.core()))?;
    let response = switch(&accepted, &session, false)?;
    let dialect = EngineDialect { base64: query.base64, ..session.dialect };
    tokio::spawn(async move {
        if let Some((stream, unread)) = finish(upgrade, session.core.config.upgrade_timeout).await {
            let link = WebSocketLink::new(stream, unread, dialect.into(), &session.core.config);
            session.outbox.command(Command::Probe(Box::new(link.with_extensions(&accepted.extensions))));
        }
    });
    Ok(response)
}

/// A browser's own WebSocket, for a namespace.
pub(super) async fn open_native(host: Arc<dyn Host>, parts: Parts) -> Result<Response<Bytes>, Refusal> {
    if !is_upgrade(&parts) {
        return Err(Refusal::WebSocketOnly);
    }
    let core = host.core().clone();
    let mut options = options(&core);
    options.subprotocols = vec![SUBPROTOCOL.to_owned()];
    let (parts, accepted, upgrade) = agree(parts, &options)?;
    let opening = admit(&core, &parts, None, LinkState::WebSocket).await?;
    let response = switch(&accepted, &opening, true)?;
    let raw = accepted.subprotocol.as_deref() != Some(SUBPROTOCOL);
    tokio::spawn(async move {
        if let Some((stream, unread)) = finish(upgrade, core.config.connect_timeout).await {
            opening.handshake.learn_address(stream.peer_addr());
            let link = WebSocketLink::new(stream, unread, Dialect::Native { raw }, &opening.core.config);
            let link = link.with_extensions(&accepted.extensions);
            host.start_native(opening, Link::WebSocket(link), parts.uri.path());
        }
    });
    Ok(response)
}

/// What every WebSocket here may agree on.
fn options(core: &Core) -> AcceptOptions {
    let mut options = AcceptOptions::default();
    options.deflate = core.config.per_message_deflate;
    options
}

/// Checks the handshake of RFC 6455 and takes hyper's promise of the stream out of the request.
fn agree(parts: Parts, options: &AcceptOptions) -> Result<(Parts, Accepted, OnUpgrade), Refusal> {
    let mut request = Request::from_parts(parts, ());
    let accepted = accept(&request, options).map_err(Refusal::WebSocket)?;
    let upgrade = hyper::upgrade::on(&mut request);
    Ok((request.into_parts().0, accepted, upgrade))
}

/// The stream, once our 101 is written; a client that does not take it in time has no seat any more.
async fn finish(upgrade: OnUpgrade, limit: Duration) -> Option<(Stream, Bytes)> {
    // One that left between its request and our 101 is no error.
    timeout(limit, upgrade).await.ok()?.ok().map(Stream::from_upgraded)
}

/// The 101, with the user's headers; those of the handshake itself stay as they are.
fn switch(accepted: &Accepted, session: &Shared, initial: bool) -> Result<Response<Bytes>, Refusal> {
    let mut response = accepted.response().map(|()| Bytes::new());
    let own: Vec<HeaderName> = response.headers().keys().cloned().collect();
    let core: &Core = &session.core;
    let mut added = http::HeaderMap::new();
    if let Some(hook) = core.config.initial_headers.as_ref().filter(|_| initial) {
        hook(&mut added, &session.handshake);
    }
    add_headers(session, &mut added)?;
    own.iter().for_each(|name| {
        added.remove(name);
    });
    response.headers_mut().extend(added);
    Ok(response)
}
