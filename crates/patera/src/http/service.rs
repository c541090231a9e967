//! The server as a tower layer and service: our paths answered, all others passed on untouched.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as ready_poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::respond::{Host, respond};

/// Mounts the server in front of a tower service, an axum `Router` among them. See [`Io::layer`](crate::Io::layer).
#[derive(Clone)]
pub struct Layer(Arc<dyn Host>);

impl Layer {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        Layer(host)
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Service<S>;

    fn layer(&self, inner: S) -> Service<S> {
        Service { host: self.0.clone(), inner }
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}

/// A tower service that answers the server's paths and leaves all others to `S`.
#[derive(Clone)]
pub struct Service<S> {
    host: Arc<dyn Host>,
    inner: S,
}

impl<S> Service<S> {
    pub(crate) fn new(host: Arc<dyn Host>, inner: S) -> Self {
        Service { host, inner }
    }
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl<S, B, R> tower_service::Service<Request<B>> for Service<S>
where
    S: tower_service::Service<Request<B>, Response = Response<R>>,
    B: HttpBody + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.host.serves(request.uri().path()) {
            ResponseFuture::Ours { response: Box::pin(respond(self.host.clone(), request)) }
        } else {
            ResponseFuture::Inner { response: self.inner.call(request) }
        }
    }
}

pin_project! {
    /// The response on its way.
    #[allow(missing_docs, reason = "the macro takes no comments on fields")]
    #[project = ResponseFutureProj]
    pub enum ResponseFuture<F> {
        /// Answered by the server.
        Ours {
            response: Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>,
        },
        /// Answered by the service below.
        Inner {
            #[pin]
            response: F,
        },
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Body<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ResponseFutureProj::Ours { response } => {
                let response = ready_poll!(response.as_mut().poll(cx));
                Poll::Ready(Ok(response.map(|body| Body::Ours { body: Full::new(body) })))
            }
            ResponseFutureProj::Inner { response } => {
                let response = ready_poll!(response.poll(cx))?;
                Poll::Ready(Ok(response.map(|body| Body::Inner { body })))
            }
        }
    }
}

pin_project! {
    /// A response's body: the server's, or that of the service below.
    #[allow(missing_docs, reason = "the macro takes no comments on fields")]
    #[project = BodyProj]
    #[derive(Debug)]
    pub enum Body<R> {
        /// All there is.
        Ours {
            body: Full<Bytes>,
        },
        /// The service below made it.
        Inner {
            #[pin]
            body: R,
        },
    }
}

impl<R> Body<R> {
    pub(super) fn empty() -> Self {
        Body::Ours { body: Full::default() }
    }
}

impl<R: HttpBody<Data = Bytes>> HttpBody for Body<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project() {
            BodyProj::Ours { body } => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            BodyProj::Inner { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Ours { body } => body.is_end_stream(),
            Body::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Ours { body } => body.size_hint(),
            Body::Inner { body } => body.size_hint(),
        }
    }
}

/// The service below where there is none: 404 to everything.
#[derive(Clone, Copy, Debug)]
pub struct NotFound;

impl<B> tower_service::Service<Request<B>> for NotFound {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}
