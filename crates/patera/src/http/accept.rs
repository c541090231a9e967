//! `Io::accept`: a client over any byte stream, upgraded by somebody else.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use patera_protocol::engineio::{Query, RequestError, Transport};
use patera_websocket::Extensions;

use super::refusal::Refusal;
use super::respond::{Host, admit, check_origin, refuse};
use super::websocket::begin;
use crate::core::LinkState;
use crate::transport::{Duplex, Stream};

pub(crate) async fn accept(
    host: Arc<dyn Host>,
    stream: Box<dyn Duplex>,
    request: Request<()>,
) -> Result<(), Response<Bytes>> {
    let (parts, ()) = request.into_parts();
    let watched = host.core().connection_errors.watch(&parts, true);
    let opening = async {
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let offered = host.core().config.transports.contains(&Transport::WebSocket);
        if !offered || query.transport()? != Transport::WebSocket {
            return Err(Refusal::from(RequestError::UnknownTransport));
        }
        check_origin(host.core(), &parts)?;
        admit(host.core(), &parts, Some(&query), LinkState::WebSocket).await
    };
    let opening = opening.await.map_err(|refusal| {
        refuse(host.core(), &refusal, watched);
        refusal.response(true)
    })?;
    let link = begin(&opening, Stream::Other(stream), Bytes::new(), &Extensions::default());
    host.start(opening, link);
    Ok(())
}
