//! The `http_compression` option: polling answers in a content coding that the client takes. RFC 9110 §8.4.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, Response};

use super::cors::vary_on;
use super::encodings::{Encoding, choose};

/// How answers to polling requests are compressed: gzip or deflate, whichever the client likes better in its
/// `Accept-Encoding`, gzip if it likes both. With the cargo feature `brotli` also that, where `brotli` says so.
///
/// ```text
/// Content-Encoding: gzip
/// Vary: Accept-Encoding
/// ```
///
/// An answer goes out as it is if it is short, if `compress(false)` is said of all that is in it, or if it would not become
/// shorter. The length of an answer that holds both a secret and what a stranger has chosen tells of the secret, once
/// compressed: send such events with `compress(false)`, alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCompression {
    /// Answers of fewer bytes are sent as they are. Default 1,024.
    pub threshold_bytes: usize,
    /// How hard to look for repetitions: 0 (not at all) to 9. Default 6; more than 9 counts as 9. Brotli's own levels go up to
    /// 11, of which the highest two take a hundred times as long; here it is 9 at most too.
    pub level: u8,
    /// Whether clients that like it as well as gzip get brotli: smaller answers for more work. Default false.
    #[cfg(feature = "brotli")]
    #[cfg_attr(docsrs, doc(cfg(feature = "brotli")))]
    pub brotli: bool,
}

impl Default for HttpCompression {
    fn default() -> Self {
        HttpCompression {
            threshold_bytes: 1024,
            level: 6,
            #[cfg(feature = "brotli")]
            brotli: false,
        }
    }
}

impl HttpCompression {
    /// Compresses the response if that is worth it and wanted. A long body lets other tasks run in between.
    ///
    /// # Cancel safety
    /// Dropped, the response is lost, as if the client had left.
    pub(super) async fn apply(&self, encoding: Option<Encoding>, mut response: Response<Bytes>) -> Response<Bytes> {
        if response.body().len() < self.threshold_bytes {
            return response;
        }
        // Also where nothing comes of it: another client would get another body.
        vary_on(response.headers_mut(), "Accept-Encoding");
        let Some(encoding) = encoding else { return response };
        let Ok(compressed) = self.compress(encoding, response.body()).await else { return response };
        if compressed.len() < response.body().len() {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
            *response.body_mut() = compressed.into();
        }
        response
    }

    /// What a request would have its answer in.
    pub(super) fn choose(&self, request: &HeaderMap) -> Option<Encoding> {
        choose(request, self.offered())
    }

    fn offered(&self) -> &'static [Encoding] {
        #[cfg(feature = "brotli")]
        if self.brotli {
            return &[Encoding::Brotli, Encoding::Gzip, Encoding::Deflate];
        }
        &[Encoding::Gzip, Encoding::Deflate]
    }

    pub(super) async fn compress(&self, encoding: Encoding, body: &[u8]) -> io::Result<Vec<u8>> {
        let level = self.level.min(9);
        let room = Vec::with_capacity(body.len() / 4);
        match encoding {
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(room, Compression::new(level.into()));
                write_in_turns(&mut encoder, body).await?;
                encoder.finish()
            }
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(room, Compression::new(level.into()));
                write_in_turns(&mut encoder, body).await?;
                encoder.finish()
            }
            #[cfg(feature = "brotli")]
            Encoding::Brotli => {
                let window_bits = 22;
                let mut encoder = brotli::CompressorWriter::new(room, BUFFER_BYTES, level.into(), window_bits);
                write_in_turns(&mut encoder, body).await?;
                Ok(encoder.into_inner())
            }
        }
    }
}

/// What brotli's writer gives on at once.
#[cfg(feature = "brotli")]
const BUFFER_BYTES: usize = 4096;
/// What is compressed at once: about a millisecond's work.
const TURN_BYTES: usize = 64 << 10;

async fn write_in_turns(encoder: &mut impl Write, body: &[u8]) -> io::Result<()> {
    let mut turns = body.chunks(TURN_BYTES).peekable();
    while let Some(turn) = turns.next() {
        encoder.write_all(turn)?;
        if turns.peek().is_some() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
