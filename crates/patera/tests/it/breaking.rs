//! A link between a client and the server that breaks at some byte, and whose ends notice some time later, or never.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How a link breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    /// Bytes that still reach the client.
    pub(crate) down: u64,
    /// Bytes that still reach the server.
    pub(crate) up: u64,
    /// How long the way up lasts longer than the way down.
    pub(crate) one_way: Duration,
    /// How long after the break each end sees its connection closed; `None` for never.
    pub(crate) client_notices: Option<Duration>,
    pub(crate) server_notices: Option<Duration>,
}

/// The server's end. What is written to it after the break is taken, as a kernel would, and never arrives.
pub(crate) struct BreakingLink {
    /// `None` after the break.
    stream: Option<DuplexStream>,
    plan: Option<Break>,
    /// Until when only the way down is broken.
    one_way: Option<Pin<Box<Sleep>>>,
    noticed: Option<Pin<Box<Sleep>>>,
}

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(1 << 20);

impl BreakingLink {
    /// Without a plan it holds.
    pub(crate) fn new(stream: DuplexStream, plan: Option<Break>) -> Self {
        BreakingLink { stream: Some(stream), plan, one_way: None, noticed: None }
    }

    fn break_down(&mut self) {
        let (Some(stream), Some(plan)) = (self.stream.take(), self.plan) else { return };
        self.noticed = Some(Box::pin(sleep(plan.server_notices.unwrap_or(NEVER))));
        // Both ends notice by the drop of it: the client's now, ours by `noticed`.
        tokio::spawn(async move {
            sleep(plan.client_notices.unwrap_or(NEVER)).await;
            drop(stream);
        });
    }

    /// Breaks the way up too, when that is due.
    fn poll_one_way(&mut self, cx: &mut Context<'_>) {
        if let Some(one_way) = &mut self.one_way
            && one_way.as_mut().poll(cx).is_ready()
        {
            self.one_way = None;
            self.break_down();
        }
    }

    /// Ready when the server sees that the link is broken.
    fn poll_noticed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.noticed {
            Some(noticed) => noticed.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl AsyncRead for BreakingLink {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let link = &mut *self;
        link.poll_one_way(cx);
        if let Some(stream) = &mut link.stream {
            let Some(plan) = &mut link.plan else { return Pin::new(stream).poll_read(cx, buffer) };
            let room = buffer.remaining().min(usize::try_from(plan.up).unwrap_or(usize::MAX));
            if room > 0 {
                let mut part = vec![0; room.min(4096)];
                let mut part = ReadBuf::new(&mut part);
                std::task::ready!(Pin::new(stream).poll_read(cx, &mut part))?;
                plan.up -= part.filled().len() as u64;
                buffer.put_slice(part.filled());
                return Poll::Ready(Ok(()));
            }
            link.break_down();
        }
        link.poll_noticed(cx).map(Ok)
    }
}

impl AsyncWrite for BreakingLink {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let link = &mut *self;
        if let Some(stream) = &mut link.stream {
            let Some(plan) = &mut link.plan else { return Pin::new(stream).poll_write(cx, data) };
            let count = data.len().min(usize::try_from(plan.down).unwrap_or(usize::MAX));
            if count > 0 {
                let written = std::task::ready!(Pin::new(stream).poll_write(cx, &data[..count]))?;
                plan.down -= written as u64;
                return Poll::Ready(Ok(written));
            }
            if !data.is_empty() && link.one_way.is_none() {
                link.one_way = Some(Box::pin(sleep(plan.one_way)));
            }
            link.poll_one_way(cx);
            if link.stream.is_some() {
                return Poll::Ready(Ok(data.len()));
            }
        }
        match link.poll_noticed(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Pending => Poll::Ready(Ok(data.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
