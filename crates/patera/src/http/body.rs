//! Reading a polling body: bounded in bytes, in time, and from below in speed.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;
use crate::config::{BODY_GRACE, Config};

/// # Errors
/// Over `max_http_buffer_size`, slower than `body_rate_min`, longer than `body_timeout`, or broken off.
pub(super) async fn read<B>(body: B, headers: &HeaderMap, config: &Config) -> Result<Bytes, Refusal>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let max = config.max_http_buffer_size;
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > max as u64) {
        return Err(Refusal::TooLarge);
    }
    let started = Instant::now();
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    loop {
        let earned = Duration::from_secs_f64(read.len() as f64 / f64::from(config.body_rate_min.max(1)));
        let deadline = started + config.body_timeout.min(BODY_GRACE + earned);
        let frame = timeout_at(deadline, body.as_mut().frame()).await.map_err(|_| Refusal::TooSlow)?;
        match frame {
            None => return Ok(read.freeze()),
            Some(Err(_)) => return Err(Refusal::Overlap),
            Some(Ok(frame)) => {
                if let Ok(mut data) = frame.into_data() {
                    if read.len() + data.remaining() > max {
                        return Err(Refusal::TooLarge);
                    }
                    read.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                }
            }
        }
    }
}
