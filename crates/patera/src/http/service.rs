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
            let response: Ours = Box::pin(respond(self.host.clone(), request));
            ResponseFuture { kind: Either::Ours { ours: response } }
        } else {
            ResponseFuture { kind: Either::Below { below: self.inner.call(request) } }
        }
    }
}

pin_project! {
    /// The response on its way.
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Either<Ours, F>,
    }
}

type Ours = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

pin_project! {
    #[project = EitherProj]
    #[derive(Debug)]
    enum Either<A, B> {
        Ours { #[pin] ours: A },
        Below { #[pin] below: B },
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Body<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            EitherProj::Ours { ours } => Poll::Ready(Ok(ready_poll!(ours.poll(cx)).map(Body::ours))),
            EitherProj::Below { below } => {
                let response = ready_poll!(below.poll(cx))?;
                Poll::Ready(Ok(response.map(|below| Body { kind: Either::Below { below } })))
            }
        }
    }
}

pin_project! {
    /// A response's body: the server's own, or that of the service below.
    #[derive(Debug)]
    pub struct Body<R> {
        #[pin]
        kind: Either<Full<Bytes>, R>,
    }
}

impl<R> Body<R> {
    pub(super) fn ours(body: Bytes) -> Self {
        Body { kind: Either::Ours { ours: Full::new(body) } }
    }
}

impl<R: HttpBody<Data = Bytes>> HttpBody for Body<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            EitherProj::Ours { ours } => ours.poll_frame(cx).map_err(|never| match never {}),
            EitherProj::Below { below } => below.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Either::Ours { ours } => ours.is_end_stream(),
            Either::Below { below } => below.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Either::Ours { ours } => ours.size_hint(),
            Either::Below { below } => below.size_hint(),
        }
    }
}

/// The body of a response that has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBody;

impl HttpBody for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// The service below where there is none: 404 to everything.
#[derive(Clone, Copy, Debug)]
pub struct NotFound;

impl<B> tower_service::Service<Request<B>> for NotFound {
    type Response = Response<NoBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(NoBody);
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}
