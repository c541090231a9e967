//! The heads of an HTTP request and a response: read up to their empty line, parsed, written. RFC 9112.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::Error;

/// The longest head, its empty line included.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most headers in it.
const HEADERS_MAX: usize = 100;

const END: &[u8] = b"\r\n\r\n";
/// As much of it as may have been searched in vain.
const END_BEGUN_MAX: usize = END.len() - 1;

/// Reads a head; what comes behind it stays in `input`.
pub(super) async fn read(io: &mut (impl AsyncRead + Unpin), input: &mut BytesMut) -> Result<Bytes, Error> {
    let mut searched = 0;
    loop {
        if let Some(at) = input.get(searched..).unwrap_or_default().windows(END.len()).position(|window| window == END)
        {
            let len = searched.saturating_add(at).saturating_add(END.len());
            return if len <= HEAD_BYTES_MAX { Ok(input.split_to(len).freeze()) } else { Err(Error::LongHead) };
        }
        if input.len() >= HEAD_BYTES_MAX {
            return Err(Error::LongHead);
        }
        searched = input.len().saturating_sub(END_BEGUN_MAX);
        input.reserve(2048);
        if io.read_buf(input).await? == 0 {
            return Err(Error::Disconnected);
        }
    }
}

/// Parses the head of a request that has no body.
pub(super) fn parse_request(head: &[u8]) -> Result<Request<()>, Error> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    parsed.parse(head).map_err(head_error)?;
    let mut request = Request::new(());
    *request.method_mut() = parsed.method.and_then(|method| method.parse().ok()).ok_or(Error::MalformedHead)?;
    *request.uri_mut() = parsed.path.and_then(|path| path.parse().ok()).ok_or(Error::MalformedHead)?;
    *request.version_mut() = version(parsed.version);
    *request.headers_mut() = headers(parsed.headers)?;
    let headers = request.headers();
    // RFC 9112 §3.2: exactly one Host. And a body would be read as frames.
    let hosts = headers.get_all(HOST).iter().count();
    let has_body =
        headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
    if hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11 || has_body {
        return Err(Error::MalformedHead);
    }
    Ok(request)
}

/// Parses the head of a response.
pub(super) fn parse_response(head: &[u8]) -> Result<Response<()>, Error> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    parsed.parse(head).map_err(head_error)?;
    let mut response = Response::new(());
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    *response.status_mut() = status.ok_or(Error::MalformedHead)?;
    *response.version_mut() = version(parsed.version);
    *response.headers_mut() = headers(parsed.headers)?;
    Ok(response)
}

fn head_error(error: httparse::Error) -> Error {
    match error {
        httparse::Error::TooManyHeaders => Error::LongHead,
        _ => Error::MalformedHead,
    }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 }
}

fn headers(parsed: &[httparse::Header<'_>]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Error::MalformedHead)?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| Error::MalformedHead)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Writes a request without a body.
pub(super) async fn write_request(io: &mut (impl AsyncWrite + Unpin), request: &Request<()>) -> Result<(), Error> {
    let line = format!("{} {} HTTP/1.1", request.method(), request.uri());
    write(io, &line, request.headers(), &[]).await
}

/// Writes a response; its body's length is the caller's to announce.
pub(super) async fn write_response(
    io: &mut (impl AsyncWrite + Unpin),
    response: &Response<impl AsRef<[u8]>>,
) -> Result<(), Error> {
    let status = response.status();
    let line = format!("HTTP/1.1 {} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    write(io, &line, response.headers(), response.body().as_ref()).await
}

async fn write(io: &mut (impl AsyncWrite + Unpin), line: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Error> {
    let mut head = line.as_bytes().to_vec();
    head.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    io.write_all_buf(&mut Buf::chain(&head[..], body)).await?;
    io.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_request(head: &str, expected: Result<(&str, &str, Version), &str>) {
        let got = parse_request(head.as_bytes());
        let got = got.as_ref().map(|request| {
            (
                request.method().as_str(),
                request.uri().path_and_query().map_or("", |target| target.as_str()),
                request.version(),
            )
        });
        assert_eq!(got.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{head:?}");
    }

    #[test]
    fn request_without_a_body_is_parsed() {
        check_request("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", Ok(("GET", "/a?b", Version::HTTP_11)));
        check_request("GET / HTTP/1.0\r\n\r\n", Ok(("GET", "/", Version::HTTP_10)));
        check_request("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", Ok(("GET", "/", Version::HTTP_11)));
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            "GET\r\n\r\n",
            "\u{1}\r\n\r\n",
        ] {
            check_request(bad, Err("malformed HTTP"));
        }
    }

    #[test]
    fn headers_are_counted() {
        let head = |count: usize| format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
        check_request(&head(99), Ok(("GET", "/", Version::HTTP_11)));
        check_request(&head(100), Ok(("GET", "/", Version::HTTP_11)));
        check_request(&head(101), Err("HTTP head too long"));
    }
}
