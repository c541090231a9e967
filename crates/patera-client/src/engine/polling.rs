//! Long-polling: at most one GET that waits and one POST that sends. EIO 4 "HTTP long-polling".

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use patera_protocol::engineio::payload::Encoder;

use super::Boxed;
use super::endpoint::Endpoint;
use super::frame::Frame;
use crate::error::TransportError;
use crate::net::{Answer, Lane};

/// The transport.
pub(super) struct Polling {
    endpoint: Arc<Endpoint>,
    get: Exchange,
    post: Exchange,
}

/// A connection with a request on its way, or without.
enum Exchange {
    Idle(Lane),
    Busy(Boxed<(Lane, Result<Answer, TransportError>)>),
}

impl Polling {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Polling { endpoint, get: Exchange::Idle(Lane::default()), post: Exchange::Idle(Lane::default()) }
    }

    /// Whether neither a GET nor a POST is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.get.is_idle() && self.post.is_idle()
    }

    /// Whether a POST may begin.
    pub(super) fn can_send(&self) -> bool {
        self.post.is_idle()
    }

    /// Begins a GET, if none is on its way.
    pub(super) fn receive(&mut self, sid: Option<&str>) {
        if self.get.is_idle() {
            let request = self.endpoint.polling_request(sid, None);
            self.get.start(&self.endpoint, request);
        }
    }

    /// Begins a POST with as many frames as fit, if none is on its way.
    pub(super) fn send(&mut self, sid: &str, queue: &mut VecDeque<Frame>, bytes_max: usize) {
        if self.post.is_idle() && !queue.is_empty() {
            let body = take_payload(queue, bytes_max);
            let request = self.endpoint.polling_request(Some(sid), Some(body));
            self.post.start(&self.endpoint, request);
        }
    }

    /// The GET's answer. Pending if there is none.
    pub(super) fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, TransportError>> {
        self.get.poll(&self.endpoint, cx)
    }

    /// The POST's answer. Pending if there is none.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.post.poll(&self.endpoint, cx).map_ok(|_| ())
    }
}

impl Exchange {
    fn is_idle(&self) -> bool {
        matches!(self, Exchange::Idle(_))
    }

    fn start(&mut self, endpoint: &Arc<Endpoint>, request: Request<Full<Bytes>>) {
        let Exchange::Idle(lane) = self else { return };
        let (mut lane, endpoint) = (std::mem::take(lane), endpoint.clone());
        *self = Exchange::Busy(Box::pin(async move {
            let answer = lane.exchange(&endpoint.connector, request, endpoint.config.message_bytes_max).await;
            (lane, answer)
        }));
    }

    fn poll(&mut self, endpoint: &Endpoint, cx: &mut Context<'_>) -> Poll<Result<Bytes, TransportError>> {
        let Exchange::Busy(exchange) = self else { return Poll::Pending };
        let (lane, answer) = std::task::ready!(exchange.as_mut().poll(cx));
        *self = Exchange::Idle(lane);
        Poll::Ready(answer.map(|answer| {
            endpoint.keep_cookies(&answer);
            answer.body
        }))
    }
}

/// Takes frames for one body: as many as fit, at least one.
fn take_payload(queue: &mut VecDeque<Frame>, bytes_max: usize) -> Vec<u8> {
    let mut body = Encoder::new();
    while let Some(frame) = queue.front() {
        let separator = 1;
        if !body.is_empty() && body.len() + separator + frame.payload.polled_len() > bytes_max {
            break;
        }
        frame.payload.append_to(&mut body);
        queue.pop_front();
    }
    body.finish()
}

#[cfg(test)]
mod tests {
    use super::super::frame::Payload;
    use super::*;

    fn check(bytes_max: usize, texts: &[&str], expected: &[&str]) {
        let frame = |text: &&str| Frame::control(Payload::Text((*text).to_owned()));
        let mut queue: VecDeque<Frame> = texts.iter().map(frame).collect();
        let mut bodies = Vec::new();
        while !queue.is_empty() {
            bodies.push(String::from_utf8(take_payload(&mut queue, bytes_max)).unwrap());
        }
        assert_eq!(bodies, expected, "at most {bytes_max}");
    }

    #[test]
    fn bodies_are_filled_up_to_the_limit() {
        check(6, &["4a", "4b", "4c"], &["4a\x1e4b", "4c"]);
        check(5, &["4a", "4b", "4c"], &["4a\x1e4b", "4c"]);
        check(8, &["4a", "4b", "4c"], &["4a\x1e4b\x1e4c"]);
        check(7, &["4a", "4b", "4c"], &["4a\x1e4b", "4c"]);
        check(4, &["4a", "4b"], &["4a", "4b"]);
        // The server will refuse it, and say so.
        check(1, &["4aaa", "4b"], &["4aaa", "4b"]);
    }

    #[test]
    fn bytes_count_as_base64() {
        let mut queue: VecDeque<Frame> = VecDeque::new();
        for _ in 0..2 {
            queue.push_back(Frame::control(Payload::Binary(Bytes::from_static(&[0; 4]))));
        }
        assert_eq!(take_payload(&mut queue, 18), b"bAAAAAA==");
        assert_eq!(queue.len(), 1);
        queue.push_back(Frame::control(Payload::Binary(Bytes::from_static(&[0; 4]))));
        assert_eq!(take_payload(&mut queue, 19), b"bAAAAAA==\x1ebAAAAAA==");
    }
}
