//! The browser client, served beside the endpoint: `<path>/socket.io.js` and its kin, each with its source map.
//!
//! The files are built from `packages/client-web`; `cargo xtask test --only client` proves that they are.

use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Crc;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::compression::HttpCompression;
use super::cors::vary_on;
use super::encodings::{Encoding, choose};
use super::paths::Paths;
use super::respond::is_upgrade;

/// The file that a request is for, if it is for one. What is not GET or HEAD is for the endpoint.
pub(super) fn find(paths: &Paths, parts: &Parts) -> Option<&'static File> {
    let name = paths.below(parts.uri.path()).filter(|name| !name.is_empty())?;
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    let file = FILES.iter().find(|file| file.name == name)?;
    (is_read && !is_upgrade(parts)).then_some(file)
}

/// A file of the client, and what has been made of it so far.
pub(super) struct File {
    name: &'static str,
    content: &'static [u8],
    etag: OnceLock<HeaderValue>,
    /// By the place of the encoding in [`OFFERED`].
    encoded: [OnceLock<Bytes>; OFFERED.len()],
}

/// What browsers like best first.
const OFFERED: &[Encoding] = &[
    #[cfg(feature = "brotli")]
    Encoding::Brotli,
    Encoding::Gzip,
    Encoding::Deflate,
];

impl File {
    const fn new(name: &'static str, content: &'static [u8]) -> Self {
        File { name, content, etag: OnceLock::new(), encoded: [const { OnceLock::new() }; OFFERED.len()] }
    }

    /// The file, or 304 to who has it. The body of an answer to HEAD is left out by the HTTP server.
    ///
    /// # Cancel safety
    /// Dropped, nothing has happened.
    pub(super) async fn respond(&'static self, request: &HeaderMap) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
        headers.insert(ETAG, self.etag().clone());
        vary_on(headers, "Accept-Encoding");
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let is_map = self.name.ends_with(".map");
        let kind = if is_map { "application/json; charset=utf-8" } else { "application/javascript; charset=utf-8" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let encoding = choose(request, OFFERED);
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        }
        *response.body_mut() = self.body(encoding).await;
        response
    }

    /// `"0.1.0-1c291ca3"`: the version, and the checksum of the content, which changes more often in development.
    fn etag(&self) -> &HeaderValue {
        self.etag.get_or_init(|| {
            let mut checksum = Crc::new();
            checksum.update(self.content);
            let etag = format!("\"{}-{:08x}\"", env!("CARGO_PKG_VERSION"), checksum.sum());
            HeaderValue::try_from(etag).expect("a version and digits are visible ASCII")
        })
    }

    /// Whether the client says that it has this content, compressed or not.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
        let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
        tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag().as_bytes())
    }

    /// The content as it is or in this encoding, in which it is kept from then on.
    async fn body(&self, encoding: Option<Encoding>) -> Bytes {
        let plain = Bytes::from_static(self.content);
        let place = encoding.and_then(|wanted| OFFERED.iter().position(|&each| each == wanted));
        let (Some(encoding), Some(place)) = (encoding, place) else { return plain };
        if let Some(encoded) = self.encoded[place].get() {
            return encoded.clone();
        }
        let compression = HttpCompression { level: 9, ..HttpCompression::default() };
        let encoded = compression.compress(encoding, self.content).await.expect("writing to memory does not fail");
        // Two requests may have compressed it at once: the first one's is kept.
        self.encoded[place].get_or_init(|| encoded.into()).clone()
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(
            File::new($name, include_bytes!(concat!("../../client-dist/", $name))),
            File::new(concat!($name, ".map"), include_bytes!(concat!("../../client-dist/", $name, ".map"))),
        )*]
    };
}

static FILES: [File; 8] =
    files!["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"];
