//! One HTTP/1.1 connection, kept from request to request: polling has two, one that waits and one that sends.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::{Connector, Route, Stream};
use crate::error::TransportError;

/// What an error's text may take, in bytes: enough for every Engine.IO server's.
const ERROR_BYTES_MAX: usize = 1024;

/// A connection, or none yet. It moves only while a request is on its way.
#[derive(Default)]
pub(crate) struct Lane(Option<Box<Http>>);

struct Http {
    sender: SendRequest<Full<Bytes>>,
    driver: Connection<TokioIo<Stream>, Full<Bytes>>,
}

/// What came back with status 200.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Lane {
    /// Sends a request and reads its answer, of at most so many bytes. A connection that has ended since the last request is
    /// replaced; whatever a server may have seen is not sent again.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the connection is cut.
    pub(crate) async fn exchange(
        &mut self,
        connector: &Arc<Connector>,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<Answer, TransportError> {
        let mut request = request;
        if let Some(http) = self.0.take() {
            match attempt(http, request, bytes_max).await {
                Ok((http, answer)) => {
                    self.0 = http;
                    return answer;
                }
                Err(unsent) => request = *unsent,
            }
        }
        let stream = connector.connect(Route::Requests).await?;
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        match attempt(Box::new(Http { sender, driver }), request, bytes_max).await {
            Ok((http, answer)) => {
                self.0 = http;
                answer
            }
            Err(_) => Err(TransportError::Io(std::io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

type Attempt = (Option<Box<Http>>, Result<Answer, TransportError>);

/// One request on one connection; the request comes back if nothing of it was sent.
async fn attempt(
    http: Box<Http>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Attempt, Box<Request<Full<Bytes>>>> {
    let Http { mut sender, driver } = *http;
    let mut driver = Some(driver);
    let outcome = {
        let work = async {
            if sender.ready().await.is_err() {
                return Err(Box::new(request));
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    Ok(read(head.status, head.headers, body, bytes_max).await)
                }
                Err(mut error) => match error.take_message() {
                    Some(request) => Err(Box::new(request)),
                    None => Ok(Err(TransportError::from(error.into_error()))),
                },
            }
        };
        tokio::pin!(work);
        let ended = async {
            if let Some(driver) = &mut driver {
                let _ = driver.await;
            }
        };
        tokio::select! {
            biased;
            outcome = &mut work => outcome,
            () = ended => {
                // A request that it has not taken up comes back with it. What it has read is still handed over.
                driver = None;
                work.await
            }
        }
    };
    let answer = outcome?;
    let http = driver.filter(|_| answer.is_ok()).map(|driver| Box::new(Http { sender, driver }));
    Ok((http, answer))
}

async fn read(
    status: StatusCode,
    headers: HeaderMap,
    mut body: Incoming,
    bytes_max: usize,
) -> Result<Answer, TransportError> {
    let is_ok = status == StatusCode::OK;
    let max = if is_ok { bytes_max } else { ERROR_BYTES_MAX };
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if is_ok && bytes.len() + data.len() > max {
            return Err(TransportError::TooLarge { max });
        }
        bytes.extend_from_slice(&data[..data.len().min(max - bytes.len())]);
        if !is_ok && bytes.len() == max {
            break;
        }
    }
    match is_ok {
        true => Ok(Answer { headers, body: bytes.freeze() }),
        false => Err(TransportError::Status(status.as_u16(), String::from_utf8_lossy(&bytes).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::address::Address;
    use crate::config::Config;

    /// The end of a connection and the next request may meet anywhere: at each point one of them comes first.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connection_that_ends_between_two_requests_is_replaced_or_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                });
            }
        });
        let address = Address::parse(&url).expect("a URL");
        let connector = Arc::new(Connector::new(address, &Config::default()).expect("no proxy"));
        let rounds = async {
            let mut lane = Lane::default();
            for _ in 0..5000 {
                let request = Request::get("/").header("host", "localhost").body(Full::default()).expect("a request");
                if let Ok(answer) = lane.exchange(&connector, request, 100).await {
                    assert_eq!(answer.body, "ok");
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), rounds).await.expect("no request hangs");
    }
}
