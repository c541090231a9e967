//! A session's HTTP long-polling: the GET that waits and the POST that is worked on. PROTOCOL: Engine.IO 4 "HTTP long-polling",
//! Engine.IO 3 "Payload".

use std::task;
use std::task::Context;

use bytes::Bytes;
use patera_protocol::engineio::{Packet, payload, payload_v3};
use tokio::sync::oneshot;

use crate::outbox::{Poll, PollAnswer, Stamp};

/// One POST on its way through the session.
pub(crate) struct Post {
    pub(crate) body: Bytes,
    /// Reads a body of Engine.IO 3; rare, so boxed.
    pub(crate) reader_v3: Option<Box<payload_v3::Reader>>,
    pub(crate) answer: oneshot::Sender<PostAnswer>,
}

/// The answer to a polling POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostAnswer {
    /// 200 `ok`.
    Taken,
    /// 400: the body broke the protocol, and the session is closed.
    Invalid,
}

/// At most one GET and one POST at a time.
#[derive(Default)]
pub(crate) struct PollingLink {
    get: Option<Poll>,
    post: Option<Working>,
    /// Packets of the Engine.IO session itself that wait for a GET: a ping, a noop, a close.
    control: Vec<Packet<'static>>,
    /// The GET that waits is to be answered, with a noop if there is nothing else.
    release: bool,
    /// Of the last GET.
    stamp: Option<Stamp>,
}

struct Working {
    post: Post,
    at: usize,
    control_packets: usize,
}

impl PollingLink {
    /// A GET came. One that waited already is told to close, as the protocol has it.
    ///
    /// # Errors
    /// Another GET is waiting, or this one was here before: the session must end. A browser sends a request again by itself
    /// where its connection broke, and so has lost the answer to the first.
    pub(crate) fn handle_get(&mut self, get: Poll) -> Result<(), ()> {
        let is_repeated = get.stamp.is_some() && get.stamp == self.stamp;
        self.stamp = get.stamp;
        if self.get.is_some() || is_repeated {
            // The receiver may be gone, which is the same to us.
            let _ = get.answer.send(PollAnswer::Overlap);
            return Err(());
        }
        self.get = Some(get);
        Ok(())
    }

    /// A POST came.
    ///
    /// # Errors
    /// Another one is worked on: its client gave it up and came again. The session must end, or packets would be lost.
    pub(crate) fn handle_post(&mut self, post: Post) -> Result<(), ()> {
        if self.post.is_some() {
            // The receiver may be gone, which is the same to us.
            let _ = post.answer.send(PostAnswer::Invalid);
            return Err(());
        }
        self.post = Some(Working { post, at: 0, control_packets: 0 });
        Ok(())
    }

    pub(crate) fn can_send(&self) -> bool {
        self.get.is_some()
    }

    /// A noop is for the GET that waits, and for no other.
    pub(crate) fn push_control(&mut self, packet: Packet<'static>) {
        match packet {
            Packet::Noop => self.release = self.get.is_some(),
            // One ping says as much as two.
            packet if self.control.contains(&packet) => {}
            packet => self.control.push(packet),
        }
    }

    /// Whether the GET that waits must be answered now.
    pub(crate) fn has_control(&self) -> bool {
        self.release || !self.control.is_empty()
    }

    /// How many packets wait for a GET.
    pub(crate) fn control_count(&self) -> usize {
        self.control.len()
    }

    /// What waited for a GET and must travel over the WebSocket now.
    pub(crate) fn take_control(&mut self) -> Vec<Packet<'static>> {
        std::mem::take(&mut self.control)
    }

    /// Whether the client has given up the GET that waits.
    pub(crate) fn poll_aborted(&mut self, cx: &mut Context<'_>) -> task::Poll<()> {
        match &mut self.get {
            Some(get) => get.answer.poll_closed(cx),
            None => task::Poll::Pending,
        }
    }

    /// Answers the GET that waits with what waits here and what `fill` adds. `fill` tells whether
    /// the answer may be compressed. False if the client had left meanwhile.
    pub(crate) fn answer_get(&mut self, fill: impl FnOnce(&mut payload::Encoder) -> bool) -> bool {
        let Some(get) = self.get.take() else { return true };
        self.release = false;
        let mut payload = payload::Encoder::with_format(get.format);
        // The close packet is the last of a payload.
        let (close, control): (Vec<_>, Vec<_>) =
            self.take_control().into_iter().partition(|packet| matches!(packet, Packet::Close));
        control.iter().for_each(|packet| payload.push(packet));
        let compress = fill(&mut payload);
        close.iter().take(1).for_each(|packet| payload.push(packet));
        if payload.is_empty() {
            payload.push(&Packet::Noop);
        }
        let content_type = payload.content_type();
        get.answer.send(PollAnswer::Payload { content_type, body: payload.finish(), compress }).is_ok()
    }

    /// The POST's body and how far it has been read, if it is one of Engine.IO 3.
    pub(crate) fn post_v3(&mut self) -> Option<(&Bytes, &mut payload_v3::Reader)> {
        let Post { body, reader_v3, .. } = &mut self.post.as_mut()?.post;
        Some((body, reader_v3.as_deref_mut()?))
    }

    /// The next packet of the POST's body, not decoded yet.
    pub(crate) fn next_packet(&mut self) -> Option<Bytes> {
        let working = self.post.as_mut()?;
        let rest = working.post.body.slice(working.at..);
        let end = rest.iter().position(|byte| *byte == payload::SEPARATOR).unwrap_or(rest.len());
        working.at += end + 1;
        Some(rest.slice(..end))
    }

    /// Whether all packets have been taken.
    pub(crate) fn is_post_done(&self) -> bool {
        self.post.as_ref().is_none_or(|Working { post, at, .. }| match &post.reader_v3 {
            None => *at > post.body.len(),
            Some(reader) => reader.is_done(&post.body),
        })
    }

    /// Counts a packet of the Engine.IO session itself; false past `max` in this body.
    pub(crate) fn count_control(&mut self, max: usize) -> bool {
        let Some(working) = &mut self.post else { return true };
        working.control_packets += 1;
        working.control_packets <= max
    }

    /// Ends the POST.
    pub(crate) fn answer_post(&mut self, answer: PostAnswer) {
        if let Some(working) = self.post.take() {
            // The client may have gone; its packets were handled all the same.
            let _ = working.post.answer.send(answer);
        }
    }
}
