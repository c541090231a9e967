//! `Io::listen`: an HTTP/1 server around the service, for who needs no framework.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service as _;

use super::service::{Body, NotFound, Service};
use crate::core::Core;
use crate::handshake::RemoteAddress;
use crate::trace::trace;

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn serve(listener: TcpListener, service: Service<NotFound>, core: &Arc<Core>) {
    loop {
        let closed = core.closed.notified();
        // Until all are told, polling clients must be able to come for their goodbye.
        if core.is_closing() && core.counters.snapshot().sessions == 0 {
            return;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    tokio::spawn(serve_connection(stream, RemoteAddress(address), service.clone(), core.clone()));
                }
                Err(error) => {
                    trace!(warn, "patera::engine", "cannot accept", error = %error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = closed => return,
        }
    }
}

async fn serve_connection(stream: TcpStream, address: RemoteAddress, service: Service<NotFound>, core: Arc<Core>) {
    // A poll's answer is one write; waiting for more would only delay it.
    let _ = stream.set_nodelay(true);
    let target_max = core.config.target_bytes_max;
    let serve = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(address);
        let too_long = request.uri().path_and_query().is_some_and(|target| target.as_str().len() > target_max);
        let mut service = service.clone();
        async move {
            if too_long {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::URI_TOO_LONG;
                return Ok(response);
            }
            service.call(request).await as Result<_, Infallible>
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(core.config.header_timeout);
    server.max_buf_size(core.config.header_bytes_max.max(8 << 10)).max_headers(core.config.header_count_max);
    let connection = server.serve_connection(TokioIo::new(stream), serve).with_upgrades();
    if let Err(error) = connection.await {
        trace!(debug, "patera::engine", "connection ended", error = %error);
    }
}
