//! A WebTransport stream that looks like a server's WebSocket: each frame of Engine.IO gets the header that RFC 6455 has for the same
//! packet, and the other way round. Payloads pass as they are. So one link serves both transports; see `docs/decisions/0015`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use patera_protocol::engineio::FrameHeader;
use patera_websocket::{Opcode, server_header};
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use wtransport::{RecvStream, SendStream};

use crate::config::{FIRST_PACKET_BYTES_MAX, WEBTRANSPORT_COPY_BYTES_MAX};

/// Idle it owns no buffer.
pub(crate) struct WebTransportStream {
    recv: RecvStream,
    /// Until it is handed back.
    send: Option<SendStream>,
    inlet: Inlet,
    outlet: Outlet,
    /// Translated, not taken by the stream yet: what one write brought, at the most.
    unsent: Vec<u8>,
    /// Who ends the connection, once all that was written has arrived.
    hand_back: Option<oneshot::Sender<SendStream>>,
}

/// What a client says first: `0`, or `0{"sid":"…"}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstPacket {
    Open,
    Upgrade(String),
}

impl FirstPacket {
    /// Reads no byte beyond it. `None` if the stream ends or brings anything else.
    pub(crate) async fn read(recv: &mut RecvStream) -> Option<Self> {
        let mut head = Vec::with_capacity(FrameHeader::BYTES_MAX);
        let header = loop {
            let mut byte = [0];
            recv.read_exact(&mut byte).await.ok()?;
            head.extend(byte);
            if let Some((header, _)) = FrameHeader::decode(&head, FIRST_PACKET_BYTES_MAX).ok()? {
                break header;
            }
        };
        let mut packet = vec![0; header.length];
        recv.read_exact(&mut packet).await.ok()?;
        if header.binary { None } else { Self::parse(&packet) }
    }

    fn parse(packet: &[u8]) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Upgrade {
            sid: String,
        }
        match packet.strip_prefix(b"0")? {
            b"" => Some(FirstPacket::Open),
            json => serde_json::from_slice(json).ok().map(|Upgrade { sid }| FirstPacket::Upgrade(sid)),
        }
    }
}

impl WebTransportStream {
    /// `hand_back` gets the sending half when the session is done with it.
    pub(crate) fn new(
        (send, recv): (SendStream, RecvStream),
        payload_bytes_max: usize,
        hand_back: oneshot::Sender<SendStream>,
    ) -> Self {
        WebTransportStream {
            recv,
            send: Some(send),
            inlet: Inlet::new(payload_bytes_max),
            outlet: Outlet::default(),
            unsent: Vec::new(),
            hand_back: Some(hand_back),
        }
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(send) = &mut self.send else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        while !self.unsent.is_empty() {
            let count = ready!(Pin::new(&mut *send).poll_write(cx, &self.unsent))?;
            self.unsent.drain(..count);
        }
        self.unsent = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn hand_back(&mut self) {
        if let (Some(send), Some(hand_back)) = (self.send.take(), self.hand_back.take()) {
            // Nobody there: the connection is over.
            let _ = hand_back.send(send);
        }
    }
}

impl AsyncRead for WebTransportStream {
    /// After our own end there is nothing to wait for.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let before = out.filled().len();
        while out.filled().len() == before && !stream.inlet.violated && stream.send.is_some() {
            // A frame of one byte of header may have none of payload, and becomes six.
            let room = out.remaining().saturating_sub(Inlet::HEADER_BYTES_MAX) / Inlet::GROWTH;
            let mut chunk = [0; WEBTRANSPORT_COPY_BYTES_MAX];
            let room = room.clamp(1, chunk.len());
            let mut read = ReadBuf::new(&mut chunk[..room]);
            ready!(Pin::new(&mut stream.recv).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                break;
            }
            stream.inlet.translate(read.filled(), out);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebTransportStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        ready!(stream.poll_unsent(cx))?;
        let taken = &data[..data.len().min(WEBTRANSPORT_COPY_BYTES_MAX)];
        stream.outlet.translate(taken, &mut stream.unsent);
        match stream.poll_unsent(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_unsent(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.send.is_some() {
            ready!(stream.poll_unsent(cx))?;
            stream.hand_back();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for WebTransportStream {
    fn drop(&mut self) {
        self.hand_back();
    }
}

/// Frames of Engine.IO to those of a WebSocket client, which are masked: with a key of zeros, which changes nothing.
struct Inlet {
    payload_bytes_max: usize,
    head: SmallVec<[u8; FrameHeader::BYTES_MAX]>,
    /// Of the payload that is being passed on.
    remaining: usize,
    /// Nothing behind it can be understood.
    violated: bool,
}

impl Inlet {
    /// A header of RFC 6455 with its masking key, in bytes.
    const HEADER_BYTES_MAX: usize = 14;
    /// A byte of ours is at most so many of RFC 6455.
    const GROWTH: usize = 6;

    fn new(payload_bytes_max: usize) -> Self {
        Inlet { payload_bytes_max, head: SmallVec::new(), remaining: 0, violated: false }
    }

    /// `out` has room for `GROWTH` times the data and one header.
    fn translate(&mut self, mut data: &[u8], out: &mut ReadBuf<'_>) {
        while !data.is_empty() && !self.violated {
            let (payload, rest) = data.split_at(self.remaining.min(data.len()));
            out.put_slice(payload);
            self.remaining -= payload.len();
            let Some((&byte, rest)) = rest.split_first() else { return };
            data = rest;
            self.head.push(byte);
            match FrameHeader::decode(&self.head, self.payload_bytes_max) {
                Ok(None) => {}
                Ok(Some((header, _))) => {
                    self.head.clear();
                    self.remaining = header.length;
                    put_header(header, out);
                }
                Err(_) => {
                    self.violated = true;
                    // A text without a type is a parse error to the session.
                    put_header(FrameHeader { binary: false, length: 0 }, out);
                }
            }
        }
    }
}

/// As the server's own, and a mask behind it.
fn put_header(header: FrameHeader, out: &mut ReadBuf<'_>) {
    let opcode = if header.binary { Opcode::Binary } else { Opcode::Text };
    let unmasked = server_header(opcode, header.length);
    out.put_slice(&[unmasked[0], 0x80 | unmasked[1]]);
    out.put_slice(&unmasked[2..]);
    out.put_slice(&[0; 4]);
}

/// Frames of our own WebSocket to those of Engine.IO. Close frames say nothing here: the connection ends.
#[derive(Default)]
struct Outlet {
    head: SmallVec<[u8; 10]>,
    remaining: u64,
    dropping: bool,
}

impl Outlet {
    fn translate(&mut self, mut data: &[u8], out: &mut Vec<u8>) {
        while !data.is_empty() {
            let count = usize::try_from(self.remaining).map_or(data.len(), |remaining| remaining.min(data.len()));
            let (payload, rest) = data.split_at(count);
            if !self.dropping {
                out.extend_from_slice(payload);
            }
            self.remaining -= payload.len() as u64;
            let Some((&byte, rest)) = rest.split_first() else { return };
            data = rest;
            self.head.push(byte);
            if let Some((opcode, length)) = own_header(&self.head) {
                self.head.clear();
                self.remaining = length;
                self.dropping = opcode > 2;
                match (opcode, usize::try_from(length)) {
                    // The reference's decoder takes no frame of length 0; its packets know bytes as text too.
                    (2, Ok(0)) => out.extend_from_slice(b"\x01b"),
                    (1 | 2, Ok(length)) => FrameHeader { binary: opcode == 2, length }.encode(out),
                    (_, _) => {}
                }
            }
        }
    }
}

/// Opcode and length, where the header is all there. Our own frames are whole and have no mask.
fn own_header(head: &[u8]) -> Option<(u8, u64)> {
    let (&first, rest) = head.split_first()?;
    let (&second, rest) = rest.split_first()?;
    let length = match second {
        126 => u64::from(u16::from_be_bytes(*rest.first_chunk()?)),
        127 => u64::from_be_bytes(*rest.first_chunk()?),
        length => u64::from(length),
    };
    Some((first & 0x0f, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use patera_websocket::{Config, Connection, Event, Role, server_frame};

    #[test]
    fn frames_come_out_as_a_websocket_reads_them_however_they_are_cut() {
        let mut data = Vec::new();
        let payloads: Vec<(bool, Vec<u8>)> =
            [1, 125, 126, 300, 70_000].into_iter().flat_map(|n| [(false, vec![b'4'; n]), (true, vec![7; n])]).collect();
        for (binary, payload) in &payloads {
            FrameHeader { binary: *binary, length: payload.len() }.encode(&mut data);
            data.extend_from_slice(payload);
        }
        for cut in [1, 2, 3, 7, 8192] {
            assert_eq!(read(&data, cut), payloads, "in pieces of {cut}");
        }
    }

    #[test]
    fn a_violation_is_a_text_without_a_type_and_the_end() {
        for bad in [
            &b"\x00"[..],
            b"\x7e\x00\x00",
            b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\x00\x00\x00\x00\x00\x0f\x42\x41",
        ] {
            let data = [b"\x024a", bad, b"\x024b"].concat();
            assert_eq!(read(&data, 64), [(false, b"4a".to_vec()), (false, Vec::new())], "{bad:?}");
        }
    }

    /// Room is made for six bytes and a header a byte; more would panic.
    #[test]
    fn whatever_bytes_come_are_the_same_in_any_pieces_and_have_room() {
        let mut state = 1_u32;
        let mut random = move |below: u32| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % below
        };
        // What headers are made of is common.
        let common = [0, 1, 2, 125, 126, 127, 128, 129, 254, 255];
        for _ in 0..20_000 {
            let data: Vec<u8> = (0..random(60)).map(|_| common[random(10) as usize]).collect();
            let whole = translated(&data, data.len().max(1));
            assert_eq!(translated(&data, 1), whole, "{data:?}");
            let cut = random(9) as usize + 1;
            assert_eq!(translated(&data, cut), whole, "{data:?} in pieces of {cut}");
        }
    }

    fn translated(data: &[u8], cut: usize) -> (Vec<u8>, bool) {
        let mut inlet = Inlet::new(300);
        let mut all = Vec::new();
        data.chunks(cut).for_each(|piece| translate(&mut inlet, piece, &mut all));
        (all, inlet.violated)
    }

    /// With as much room as `poll_read` makes.
    fn translate(inlet: &mut Inlet, piece: &[u8], all: &mut Vec<u8>) {
        let mut buffer = vec![0; Inlet::HEADER_BYTES_MAX + Inlet::GROWTH * piece.len()];
        let mut out = ReadBuf::new(&mut buffer);
        inlet.translate(piece, &mut out);
        all.extend_from_slice(out.filled());
    }

    #[test]
    fn what_we_write_reads_back_however_it_is_cut() {
        let frames = [
            server_frame(Opcode::Text, b"4a"),
            server_frame(Opcode::Binary, &[1; 200]),
            server_frame(Opcode::Binary, b""),
            server_frame(Opcode::Text, &[b'4'; 70_000]),
            server_frame(Opcode::Close, &[3, 0xe8]),
        ];
        let mut expected = b"\x024a\xfe\x00\xc8".to_vec();
        expected.extend([1; 200]);
        expected.extend(b"\x01b\x7f\x00\x00\x00\x00\x00\x01\x11\x70");
        expected.extend([b'4'; 70_000]);
        for cut in [1, 2, 5, 1000, 100_000] {
            let (mut outlet, mut out) = (Outlet::default(), Vec::new());
            for piece in frames.concat().chunks(cut) {
                outlet.translate(piece, &mut out);
            }
            assert!(out == expected, "in pieces of {cut}");
        }
    }

    #[test]
    fn the_first_packet_is_open_or_upgrade() {
        let upgrade = FirstPacket::Upgrade("abc".to_owned());
        for (packet, expected) in [("0", Some(FirstPacket::Open)), (r#"0{"sid":"abc"}"#, Some(upgrade))] {
            assert_eq!(FirstPacket::parse(packet.as_bytes()), expected);
        }
        for packet in ["", "1", "40", "0{}", r#"0{"sid":1}"#, "0x", "2probe"] {
            assert_eq!(FirstPacket::parse(packet.as_bytes()), None, "{packet}");
        }
    }

    /// What a server's WebSocket makes of it.
    fn read(data: &[u8], cut: usize) -> Vec<(bool, Vec<u8>)> {
        let mut inlet = Inlet::new(1_000_000);
        let mut connection = Connection::new(Role::Server, Config::default());
        let mut read = Vec::new();
        for piece in data.chunks(cut) {
            let mut translated = Vec::new();
            translate(&mut inlet, piece, &mut translated);
            let mut at = 0;
            while at < translated.len() {
                let progress = connection.handle_read(&mut translated[at..]).expect("frames of RFC 6455");
                at += progress.consumed;
                match progress.event {
                    Some(Event::Text(text)) => read.push((false, text.as_bytes().to_vec())),
                    Some(Event::Binary(data)) => read.push((true, data.to_vec())),
                    _ => {}
                }
            }
        }
        read
    }
}
