//! The opening handshake over a stream: a server's in two steps, so that the request can be looked at in between.

use bytes::BytesMut;
#[cfg(feature = "deflate")]
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::error::Error;
use super::head;
use super::websocket::WebSocketStream;
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::config::DeflateConfig;
use crate::frame::Role;
use crate::handshake::{self, AcceptOptions, Agreed, InvalidResponse};

/// A request that has been read and not answered. [`WebSocketStream::accept`] is this in one step.
///
/// ```no_run
/// # use patera_websocket::{AcceptOptions, Config, stream::{Error, Upgrade, WebSocketStream}};
/// # async fn accept(socket: tokio::net::TcpStream) -> Result<WebSocketStream<tokio::net::TcpStream>, Error> {
/// let upgrade = Upgrade::read(socket).await?;
/// if upgrade.request().uri().path() != "/chat" {
///     upgrade.refuse(http::StatusCode::NOT_FOUND, "no such chat").await?;
///     return Err(Error::Disconnected);
/// }
/// upgrade.accept(&AcceptOptions::default(), Config::default()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Upgrade<S> {
    io: S,
    request: Request<()>,
    /// Read behind the head: the first frames of a client that does not wait.
    input: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Upgrade<S> {
    /// Reads the head of a request: at most 16 KiB and 100 headers.
    ///
    /// # Errors
    /// `MalformedHead` or `LongHead` when it is no request (the client has been told), `Disconnected`, `Io`.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was read is lost with the stream.
    pub async fn read(mut io: S) -> Result<Self, Error> {
        let mut input = BytesMut::new();
        let request = match head::read(&mut io, &mut input).await {
            Ok(head) => head::parse_request(&head),
            Err(error) => Err(error),
        };
        match request {
            Ok(request) => Ok(Upgrade { io, request, input }),
            Err(error) => {
                let status = match error {
                    Error::LongHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    Error::MalformedHead => StatusCode::BAD_REQUEST,
                    _ => return Err(error),
                };
                refuse(&mut io, plain(status, &error.to_string())).await?;
                Err(error)
            }
        }
    }

    /// What the client asks for.
    pub fn request(&self) -> &Request<()> {
        &self.request
    }

    /// Agrees, if the request is a WebSocket handshake.
    ///
    /// # Errors
    /// `Refused` if it is none (the client has been told), `Io`.
    ///
    /// # Cancel safety
    /// Not cancel safe: the response may be written in part.
    pub async fn accept(mut self, options: &AcceptOptions, config: Config) -> Result<WebSocketStream<S>, Error> {
        match handshake::accept(&self.request, options) {
            Ok(accepted) => {
                head::write_response(&mut self.io, &accepted.response().map(|()| "")).await?;
                let stream = WebSocketStream::new(self.io, Role::Server, config, self.input, accepted.subprotocol);
                #[cfg(feature = "deflate")]
                let stream = stream.with_deflate(&accepted.extensions, options.deflate.unwrap_or_default());
                Ok(stream)
            }
            Err(refusal) => {
                refuse(&mut self.io, refusal.response()).await?;
                Err(Error::Refused(refusal))
            }
        }
    }

    /// Answers with a status and a plain text, and hangs up.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// Not cancel safe: the response may be written in part.
    pub async fn refuse(mut self, status: StatusCode, text: &str) -> Result<(), Error> {
        refuse(&mut self.io, plain(status, text)).await
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}

async fn refuse(io: &mut (impl AsyncWrite + Unpin), mut response: Response<String>) -> Result<(), Error> {
    let length = response.body().len();
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    head::write_response(io, &response).await?;
    io.shutdown().await?;
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketStream<S> {
    /// Reads a request and agrees to it, whatever its path, without a subprotocol; [`Upgrade`] lets one look first.
    ///
    /// # Errors
    /// As [`Upgrade::read`] and [`Upgrade::accept`].
    ///
    /// # Cancel safety
    /// Not cancel safe: what was read is lost with the stream.
    pub async fn accept(io: S, config: Config) -> Result<Self, Error> {
        Upgrade::read(io).await?.accept(&AcceptOptions::default(), config).await
    }

    /// Asks for a WebSocket at `uri` over `io`, which is connected to its host already (over TLS for `wss`). Of
    /// `subprotocols` the server may choose one, see [`subprotocol`](Self::subprotocol).
    ///
    /// # Errors
    /// `InvalidRequest` before anything is sent, `InvalidResponse`, `MalformedHead`, `LongHead`, `Disconnected`, `Io`.
    ///
    /// # Cancel safety
    /// Not cancel safe: the request may be written in part.
    pub async fn connect(io: S, uri: &Uri, subprotocols: &[&str], config: Config) -> Result<Self, Error> {
        let options = ConnectOptions { subprotocols, config, ..ConnectOptions::default() };
        WebSocketStream::connect_with(io, uri, options).await
    }

    /// [`connect`](Self::connect) with headers of the caller's own, and with an offer of permessage-deflate if there is one.
    ///
    /// # Errors
    /// As `connect`.
    ///
    /// # Cancel safety
    /// Not cancel safe: the request may be written in part.
    pub async fn connect_with(mut io: S, uri: &Uri, mut options: ConnectOptions<'_>) -> Result<Self, Error> {
        let key: [u8; 16] = rand::random();
        let mut request = handshake::client_request(uri, key, options.subprotocols).map_err(Error::InvalidRequest)?;
        add_headers(request.headers_mut(), std::mem::take(&mut options.headers));
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &options.deflate {
            request.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, deflate.offer());
        }
        let (response, input) = exchange(&mut io, &request).await?;
        let agreed = options.verify(&response, key).map_err(Error::InvalidResponse)?;
        let stream = WebSocketStream::new(io, Role::Client, options.config, input, agreed.subprotocol);
        #[cfg(feature = "deflate")]
        let stream = stream.with_deflate(&agreed.extensions, options.deflate.unwrap_or_default());
        Ok(stream)
    }

    /// [`connect`](Self::connect) with an offer of permessage-deflate, which the server may take or not.
    ///
    /// # Errors
    /// As `connect`.
    ///
    /// # Cancel safety
    /// Not cancel safe: the request may be written in part.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub async fn connect_with_deflate(
        io: S,
        uri: &Uri,
        subprotocols: &[&str],
        config: Config,
        deflate: DeflateConfig,
    ) -> Result<Self, Error> {
        let options = ConnectOptions { subprotocols, config, deflate: Some(deflate), ..ConnectOptions::default() };
        WebSocketStream::connect_with(io, uri, options).await
    }
}

/// What a client asks for besides the URI: see [`WebSocketStream::connect_with`].
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions<'a> {
    /// What the server may choose from. None.
    pub subprotocols: &'a [&'a str],
    /// More headers, such as cookies. Those that the handshake is made of (`Upgrade`, `Connection`, `Sec-WebSocket-…`) and
    /// those that frame a body are left out; `Host` replaces the one of the URI.
    pub headers: HeaderMap,
    /// Limits.
    pub config: Config,
    /// Compression to offer. None.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub deflate: Option<DeflateConfig>,
}

impl ConnectOptions<'_> {
    fn verify(&self, response: &Response<()>, key: [u8; 16]) -> Result<Agreed, InvalidResponse> {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate {
            return handshake::verify_response_with_deflate(response, key, self.subprotocols, deflate);
        }
        handshake::verify_response(response, key, self.subprotocols)
    }
}

fn add_headers(request: &mut HeaderMap, headers: HeaderMap) {
    let mut last = None;
    for (name, value) in headers {
        // A name comes once, with the first of its values.
        let is_first = name.is_some();
        let Some(name) = name.or_else(|| last.clone()) else { continue };
        last = Some(name.clone());
        let is_ours = [UPGRADE, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name)
            || name.as_str().starts_with("sec-websocket-");
        match is_first {
            _ if is_ours => {}
            true => drop(request.insert(name, value)),
            false => drop(request.append(name, value)),
        }
    }
}

/// Writes a request and reads the head of its response, and perhaps more.
async fn exchange(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request<()>,
) -> Result<(Response<()>, BytesMut), Error> {
    head::write_request(io, request).await?;
    let mut input = BytesMut::new();
    let head = head::read(io, &mut input).await?;
    let response = head::parse_response(&head)?;
    if response.version() != http::Version::HTTP_11 {
        return Err(Error::InvalidResponse(InvalidResponse::Upgrade));
    }
    Ok((response, input))
}
