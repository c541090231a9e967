//! `Io::listen` and its kin: an HTTP/1 server around the service, for who needs no framework.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_service::Service as TowerService;

use super::head::{Prefixed, read_head};
use super::listener::Listener;
use super::service::{Body, Service};
use crate::config::{ACCEPT_PAUSE, LINGER};
use crate::core::Core;
use crate::handshake::{RemoteAddress, Secure};
use crate::trace::trace;

/// Accepts until the server is closed, then lets answers that are being written finish.
pub(crate) async fn serve<S, R>(listener: Listener, service: Service<S>, core: &Arc<Core>)
where
    S: TowerService<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        let closed = core.closed.notified();
        // Until all are told, polling clients must be able to come for their goodbye.
        if core.is_closing() && core.counters.snapshot().sessions == 0 {
            break;
        }
        tokio::select! {
            accepted = listener.tcp.accept() => match accepted {
                Ok((stream, address)) => {
                    // A poll's answer is one write; waiting for more would only delay it.
                    let _ = stream.set_nodelay(true);
                    let address = RemoteAddress(address);
                    #[cfg(feature = "tls")]
                    if let Some(tls) = &listener.tls {
                        connections.spawn(serve_tls(tls.acceptor(), stream, address, service.clone(), core.clone()));
                        continue;
                    }
                    connections.spawn(serve_plain(stream, address, service.clone(), core.clone()));
                }
                Err(error) => {
                    trace!(warn, "patera::engine", "cannot accept", error = %error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closed => break,
        }
    }
    drop(listener);
    // Whoever has not taken its answer by then is cut off.
    let _ = tokio::time::timeout(LINGER, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve_plain<S, R>(stream: TcpStream, address: RemoteAddress, service: Service<S>, core: Arc<Core>)
where
    S: TowerService<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    serve_stream(stream, Peer { address, secure: false }, service, core).await;
}

/// Until its first head is there a connection costs a task and nothing of HTTP, for which ten times as much is allocated.
async fn serve_stream<IO, S, R>(mut stream: IO, peer: Peer, service: Service<S>, core: Arc<Core>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: TowerService<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let head = read_head(&mut stream, core.config.header_bytes_max);
    let head = tokio::select! {
        head = tokio::time::timeout(core.config.header_timeout, head) => head,
        () = core.closed.notified() => return,
    };
    match head {
        Ok(Ok(head)) if !head.is_empty() => {
            Box::pin(serve_connection(Prefixed::new(head, stream), peer, service, core)).await;
        }
        Ok(_) => {}
        Err(_) => trace!(debug, "patera::engine", "a request's head took too long"),
    }
}

#[cfg(feature = "tls")]
async fn serve_tls<S, R>(
    acceptor: tokio_rustls::TlsAcceptor,
    stream: TcpStream,
    address: RemoteAddress,
    service: Service<S>,
    core: Arc<Core>,
) where
    S: TowerService<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(core.config.tls_timeout, acceptor.accept(stream)) => accepted,
        () = core.closed.notified() => return,
    };
    match accepted {
        Ok(Ok(stream)) => serve_stream(stream, Peer { address, secure: true }, service, core).await,
        Ok(Err(error)) => trace!(debug, "patera::engine", "TLS handshake failed", error = %error),
        Err(_) => trace!(debug, "patera::engine", "TLS handshake took too long"),
    }
}

/// Who is at the other end.
#[derive(Clone, Copy)]
struct Peer {
    address: RemoteAddress,
    secure: bool,
}

async fn serve_connection<IO, S, R>(stream: IO, peer: Peer, service: Service<S>, core: Arc<Core>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: TowerService<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let target_max = core.config.target_bytes_max;
    let serve = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.address);
        if peer.secure {
            request.extensions_mut().insert(Secure);
        }
        let too_long = request.uri().path_and_query().is_some_and(|target| target.as_str().len() > target_max);
        let mut service = service.clone();
        async move {
            if too_long {
                let mut response = Response::new(Body::ours(Bytes::new()));
                *response.status_mut() = StatusCode::URI_TOO_LONG;
                return Ok(response);
            }
            std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(core.config.header_timeout);
    server.max_header_size(core.config.header_bytes_max).max_headers(core.config.header_count_max);
    // What hyper allocates; it takes no less.
    server.max_buf_size(core.config.header_bytes_max.max(8 << 10));
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), serve).with_upgrades());
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = core.closed.notified() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        trace!(debug, "patera::engine", "connection ended", error = %error);
    }
}
