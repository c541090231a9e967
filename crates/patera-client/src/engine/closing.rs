//! The end of a session from our side: what waits is sent, the server is told, the connection is closed.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use patera_protocol::engineio::Transport;
use patera_websocket::CloseCode;

use super::frame::{Frame, Payload};
use super::polling::Polling;
use super::session::Engine;
use super::websocket::WebSocket;

impl Engine {
    /// Ends the session. Nothing that comes meanwhile is handed up.
    ///
    /// # Cancel safety
    /// Dropped, it cuts the connection: the server will see that, or miss a pong.
    pub(crate) async fn close(mut self) {
        let Some(sid) = self.sid.take() else { return };
        match (self.session.transport(), self.polling.take(), self.websocket.take()) {
            (Transport::Polling, Some(polling), _) => {
                self.queue.push_back(Frame::control(Payload::Text("1".to_owned())));
                close_polling(polling, &sid, self.queue, self.max_payload).await;
            }
            (Transport::WebSocket, _, Some(websocket)) => close_websocket(websocket, self.queue).await,
            (Transport::Polling | Transport::WebSocket | Transport::WebTransport, _, _) => {}
        }
    }
}

async fn close_polling(mut polling: Polling, sid: &str, mut queue: VecDeque<Frame>, max_payload: usize) {
    poll_fn(|cx| poll_emptied(&mut polling, sid, &mut queue, max_payload, cx)).await;
}

/// Ready when the last POST was answered, or one has failed.
fn poll_emptied(
    polling: &mut Polling,
    sid: &str,
    queue: &mut VecDeque<Frame>,
    max_payload: usize,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        if polling.can_send() {
            if queue.is_empty() {
                return Poll::Ready(());
            }
            polling.send(sid, queue, max_payload);
        }
        if ready!(polling.poll_sent(cx)).is_err() {
            return Poll::Ready(());
        }
    }
}

async fn close_websocket(mut websocket: WebSocket, mut queue: VecDeque<Frame>) {
    if poll_fn(|cx| websocket.poll_send(&mut queue, cx)).await.is_err() {
        return;
    }
    let WebSocket::Open { mut stream, .. } = websocket else { return };
    if stream.close(CloseCode::NORMAL, "").await.is_ok() {
        while stream.next().await.is_some() {}
    }
}
