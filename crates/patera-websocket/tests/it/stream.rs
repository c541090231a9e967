//! The stream of the feature `tokio`, over memory.

use bytes::Bytes;
use patera_websocket::stream::{ConnectOptions, Error, Message, Upgrade, WebSocketStream};
use patera_websocket::{AcceptOptions, CloseCode, Config, InvalidResponse, Refusal, Role, Violation};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::tungstenite;

use crate::support::{CLOSE, CONTINUATION, Frame, PING, TEXT, wire};

const URI: &str = "ws://example.com/chat?room=1";

/// A client and a server behind their handshake, with so much memory between them.
async fn pair(bytes: usize) -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (near, far) = duplex(bytes);
    let uri = URI.parse().unwrap();
    let (client, server) = tokio::join!(
        WebSocketStream::connect(near, &uri, &[], Config::default()),
        WebSocketStream::accept(far, Config::default()),
    );
    (client.unwrap(), server.unwrap())
}

/// A server behind its handshake, and the bare stream to it.
fn server() -> (DuplexStream, WebSocketStream<DuplexStream>) {
    let (near, far) = duplex(1 << 20);
    (near, WebSocketStream::from_upgraded(far, Role::Server, Config::default(), Bytes::new()))
}

async fn read_all(io: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn messages_go_both_ways_through_a_narrow_stream() {
    for bytes in [1, 7, 100_000] {
        let (mut client, mut server) = pair(bytes).await;
        let echo = tokio::spawn(async move {
            while let Some(message) = server.next().await {
                server.send(message.unwrap()).await.unwrap();
            }
            server.close_frame().cloned()
        });
        for message in [Message::from("grüß dich"), Message::from(""), Message::from(vec![7; 70_000])] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), message);
        }
        client.close(CloseCode::NORMAL, "bye").await.unwrap();
        assert!(client.next().await.is_none());
        assert!(client.next().await.is_none());
        assert_eq!(client.close_frame().unwrap().code, CloseCode::NORMAL);
        let frame = echo.await.unwrap().unwrap();
        assert_eq!((frame.code, &*frame.reason), (CloseCode::NORMAL, "bye"));
    }
}

#[tokio::test]
async fn server_closes_and_late_messages_still_come() {
    let (mut client, mut server) = pair(1000).await;
    client.send("late").await.unwrap();
    server.close(CloseCode::AWAY, "").await.unwrap();
    assert!(matches!(server.send("too late").await, Err(Error::Closed)));
    let client = tokio::spawn(async move {
        assert!(client.next().await.is_none());
        assert!(matches!(client.send("behind the end").await, Err(Error::Closed)));
        client.close_frame().cloned()
    });
    assert_eq!(server.next().await.unwrap().unwrap(), Message::from("late"));
    assert!(server.next().await.is_none());
    assert_eq!(client.await.unwrap().unwrap().code, CloseCode::AWAY);
}

#[tokio::test]
async fn pings_are_answered_while_waiting() {
    let (mut near, mut server) = server();
    let task = tokio::spawn(async move { server.next().await.unwrap().unwrap() });
    near.write_all(&wire(&[Frame::new(PING, "1"), Frame::new(PING, "2")])).await.unwrap();
    let mut pong = [0; 3];
    near.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x012");
    near.write_all(&Frame::new(TEXT, "done").bytes()).await.unwrap();
    assert_eq!(task.await.unwrap(), Message::from("done"));
}

#[tokio::test]
async fn error_comes_once_and_the_peer_is_told() {
    let (mut near, mut server) = server();
    near.write_all(&wire(&[Frame::new(TEXT, "ok"), Frame::new(CONTINUATION, "x"), Frame::new(TEXT, "lost")]))
        .await
        .unwrap();
    let task = tokio::spawn(async move {
        assert_eq!(server.next().await.unwrap().unwrap(), Message::from("ok"));
        let error = server.next().await.unwrap().unwrap_err();
        assert!(server.next().await.is_none());
        error
    });
    let told = read_all(&mut near).await;
    assert_eq!(told[2..4], 1002u16.to_be_bytes());
    drop(near);
    let Error::Protocol(error) = task.await.unwrap() else { panic!() };
    assert_eq!(error, patera_websocket::Error::Protocol(Violation::UnexpectedContinuation));
}

#[tokio::test]
async fn close_frame_is_echoed_and_the_stream_ended() {
    let (mut near, mut server) = server();
    let frames = [Frame::close(3000, "bye"), Frame::new(PING, "behind"), Frame::new(CLOSE, "")];
    near.write_all(&wire(&frames)).await.unwrap();
    let task = tokio::spawn(async move { (server.next().await.is_none(), server.close_frame().cloned()) });
    assert_eq!(read_all(&mut near).await, b"\x88\x02\x0b\xb8");
    drop(near);
    let (ended, frame) = task.await.unwrap();
    assert!(ended);
    assert_eq!(frame.unwrap().reason, "bye");
}

#[tokio::test]
async fn end_without_a_close_frame_is_told_apart() {
    let (near, mut server) = server();
    drop(near);
    assert!(matches!(server.next().await, Some(Err(Error::Disconnected))));
    assert!(server.next().await.is_none());

    let (near, mut server) = self::server();
    server.close(CloseCode::NORMAL, "").await.unwrap();
    drop(near);
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn next_loses_nothing_when_it_is_dropped() {
    let (mut near, mut server) = server();
    let bytes = wire(&[Frame::first(TEXT, "cut in"), Frame::new(CONTINUATION, " pieces"), Frame::new(TEXT, "more")]);
    let mut seen = Vec::new();
    for byte in bytes {
        near.write_all(&[byte]).await.unwrap();
        tokio::select! {
            biased;
            message = server.next() => seen.push(message.unwrap().unwrap()),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(seen, [Message::from("cut in pieces"), Message::from("more")]);
}

#[tokio::test]
async fn send_that_is_dropped_goes_out_whole() {
    let (near, mut client) = pair(64).await;
    let (mut near, payload) = (near, "x".repeat(1000));
    tokio::select! {
        biased;
        _ = client.send(payload.clone()) => panic!("64 bytes are too few for it"),
        () = std::future::ready(()) => {}
    }
    let reader = tokio::spawn(async move { [near.next().await, near.next().await].map(|got| got.unwrap().unwrap()) });
    client.send("behind").await.unwrap();
    assert_eq!(reader.await.unwrap(), [Message::from(payload), Message::from("behind")]);
}

#[tokio::test]
async fn early_frames_are_not_lost() {
    let (mut near, far) = duplex(10_000);
    let head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    near.write_all(&[head.as_bytes(), &Frame::new(TEXT, "early").bytes()].concat()).await.unwrap();
    let mut server = WebSocketStream::accept(far, Config::default()).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::from("early"));

    let leftover = Frame::new(TEXT, "leftover").bytes().into();
    let (_near, far) = duplex(10);
    let mut server = WebSocketStream::from_upgraded(far, Role::Server, Config::default(), leftover);
    assert_eq!(server.next().await.unwrap().unwrap(), Message::from("leftover"));
}

#[tokio::test]
async fn request_can_be_looked_at_and_subprotocols_agreed() {
    let (near, far) = duplex(10_000);
    let uri = URI.parse().unwrap();
    let server = async {
        let upgrade = Upgrade::read(far).await.unwrap();
        assert_eq!(upgrade.request().uri(), "/chat?room=1");
        assert_eq!(upgrade.request().headers()["host"], "example.com");
        let mut options = AcceptOptions::default();
        options.subprotocols = vec!["b".to_owned()];
        upgrade.accept(&options, Config::default()).await
    };
    let (client, server) = tokio::join!(WebSocketStream::connect(near, &uri, &["a", "b"], Config::default()), server);
    assert_eq!(client.unwrap().subprotocol(), Some("b"));
    assert_eq!(server.unwrap().subprotocol(), Some("b"));
}

/// What a client sends, the status it gets, and the error of the server.
async fn check_refusal(request: &[u8], status: &str, expected: impl Fn(&Error) -> bool) {
    let (mut near, far) = duplex(100_000);
    near.write_all(request).await.unwrap();
    let error = WebSocketStream::accept(far, Config::default()).await.unwrap_err();
    assert!(expected(&error), "{error:?}");
    let response = String::from_utf8(read_all(&mut near).await).unwrap();
    assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{response}");
    assert!(response.contains("connection: close\r\n"), "{response}");
}

#[tokio::test]
async fn bad_requests_get_a_response() {
    let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    check_refusal(get, "426 Upgrade Required", |error| matches!(error, Error::Refused(Refusal::Upgrade))).await;
    check_refusal(b"nonsense\r\n\r\n", "400 Bad Request", |error| matches!(error, Error::MalformedHead)).await;
    let head = |len: usize| {
        let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nx: ".to_vec();
        head.resize(len - 4, b'a');
        [&head[..], b"\r\n\r\n"].concat()
    };
    let is_long = |error: &Error| matches!(error, Error::LongHead);
    check_refusal(&head(16383), "426 Upgrade Required", |error| !is_long(error)).await;
    check_refusal(&head(16384), "426 Upgrade Required", |error| !is_long(error)).await;
    check_refusal(&head(16385), "431 Request Header Fields Too Large", is_long).await;
    check_refusal(&[b'a'; 50_000], "431 Request Header Fields Too Large", is_long).await;
}

#[tokio::test]
async fn bad_responses_are_refused() {
    for (response, expected) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", InvalidResponse::Status(http::StatusCode::NOT_FOUND)),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", InvalidResponse::Upgrade),
        ("HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", InvalidResponse::Upgrade),
    ] {
        let (near, mut far) = duplex(10_000);
        far.write_all(response.as_bytes()).await.unwrap();
        let error = WebSocketStream::connect(near, &URI.parse().unwrap(), &[], Config::default()).await.unwrap_err();
        assert!(matches!(error, Error::InvalidResponse(got) if got == expected), "{error:?}");
    }
    let (near, far) = duplex(10_000);
    drop(far);
    let error = WebSocketStream::connect(near, &URI.parse().unwrap(), &[], Config::default()).await.unwrap_err();
    assert!(matches!(error, Error::Io(_) | Error::Disconnected), "{error:?}");
}

#[tokio::test]
async fn tungstenite_talks_to_our_server_and_our_client() {
    let (near, far) = duplex(1000);
    let (theirs, ours) =
        tokio::join!(tokio_tungstenite::client_async(URI, near), WebSocketStream::accept(far, Config::default()),);
    check_with_tungstenite(theirs.unwrap().0, ours.unwrap()).await;

    let (near, far) = duplex(1000);
    let uri = URI.parse().unwrap();
    let (theirs, ours) = tokio::join!(
        tokio_tungstenite::accept_async(far),
        WebSocketStream::connect(near, &uri, &[], Config::default()),
    );
    check_with_tungstenite(theirs.unwrap(), ours.unwrap()).await;
}

/// We echo what they send, until they close.
async fn check_with_tungstenite(
    mut theirs: tokio_tungstenite::WebSocketStream<DuplexStream>,
    mut ours: WebSocketStream<DuplexStream>,
) {
    use futures_util::{SinkExt, StreamExt};

    let echo = tokio::spawn(async move {
        while let Some(message) = ours.next().await {
            ours.send(message.unwrap()).await.unwrap();
        }
    });
    let long = tungstenite::Message::binary(vec![9; 70_000]);
    for message in [tungstenite::Message::text("grüß dich"), tungstenite::Message::text(""), long] {
        theirs.send(message.clone()).await.unwrap();
        assert_eq!(theirs.next().await.unwrap().unwrap(), message);
    }
    theirs.send(tungstenite::Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
    assert_eq!(theirs.next().await.unwrap().unwrap(), tungstenite::Message::Pong(Bytes::from_static(b"?")));
    theirs.close(None).await.unwrap();
    assert_eq!(theirs.next().await.unwrap().unwrap(), tungstenite::Message::Close(None));
    assert!(theirs.next().await.is_none());
    // A client waits for the server's end of the stream.
    drop(theirs);
    echo.await.unwrap();
}

#[cfg(feature = "deflate")]
mod deflate {
    use patera_websocket::{DeflateConfig, Error as ProtocolError};

    use super::*;

    fn always() -> DeflateConfig {
        let mut config = DeflateConfig::default();
        config.threshold_bytes = 0;
        config
    }

    /// A client that offers what it has, and a server that has what it has.
    async fn pair(
        client: Option<DeflateConfig>,
        server: Option<DeflateConfig>,
    ) -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = duplex(1000);
        let uri = URI.parse().unwrap();
        let accept = async {
            let mut options = AcceptOptions::default();
            options.deflate = server;
            Upgrade::read(far).await?.accept(&options, Config::default()).await
        };
        let connect = async {
            match client {
                Some(config) => WebSocketStream::connect_with_deflate(near, &uri, &[], Config::default(), config).await,
                None => WebSocketStream::connect(near, &uri, &[], Config::default()).await,
            }
        };
        let (client, server) = tokio::join!(connect, accept);
        (client.unwrap(), server.unwrap())
    }

    #[tokio::test]
    async fn messages_go_both_ways_whoever_wants_compression() {
        for client in [None, Some(DeflateConfig::default()), Some(always())] {
            for server in [None, Some(DeflateConfig::default()), Some(always())] {
                let (mut client, mut server) = pair(client, server).await;
                let echo = tokio::spawn(async move {
                    while let Some(message) = server.next().await {
                        server.send(message.unwrap()).await.unwrap();
                    }
                });
                let long = "grüß dich, ".repeat(10_000);
                for message in ["", "short", &long] {
                    client.send(message).await.unwrap();
                    assert_eq!(client.next().await.unwrap().unwrap(), Message::from(message));
                    client.send(message.as_bytes().to_vec()).await.unwrap();
                    assert_eq!(client.next().await.unwrap().unwrap(), Message::from(message.as_bytes().to_vec()));
                }
                client.close(CloseCode::NORMAL, "").await.unwrap();
                assert!(client.next().await.is_none());
                echo.await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn long_messages_are_compressed_on_the_wire_and_short_ones_are_not() {
        let (mut near, far) = duplex(1 << 20);
        let head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n";
        near.write_all(head.as_bytes()).await.unwrap();
        let mut options = AcceptOptions::default();
        options.deflate = Some(DeflateConfig::default());
        let upgrade = Upgrade::read(far).await.unwrap();
        let mut server = upgrade.accept(&options, Config::default()).await.unwrap();
        server.send("a".repeat(1023)).await.unwrap();
        server.send("a".repeat(1024)).await.unwrap();
        drop(server);
        let bytes = read_all(&mut near).await;
        let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = str::from_utf8(&bytes[..head_len]).unwrap();
        let answer = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; \
                      client_no_context_takeover; server_max_window_bits=10\r\n";
        assert!(head.contains(answer), "{head}");
        let frames = &bytes[head_len..];
        assert_eq!(frames[..4], [0x81, 126, 0x03, 0xff]);
        let second = &frames[4 + 1023..];
        assert_eq!(second[0], 0xc1);
        assert!(second.len() < 30, "{}", second.len());
    }

    #[tokio::test]
    async fn answer_that_was_not_asked_for_fails_the_handshake() {
        let check = |extensions: &'static str, deflate: Option<DeflateConfig>, expected: InvalidResponse| async move {
            let (near, mut far) = duplex(10_000);
            let connect = async {
                let uri = URI.parse().unwrap();
                match deflate {
                    Some(deflate) => {
                        WebSocketStream::connect_with_deflate(near, &uri, &[], Config::default(), deflate).await
                    }
                    None => WebSocketStream::connect(near, &uri, &[], Config::default()).await,
                }
            };
            let answer = async {
                let mut request = vec![0; 4096];
                let count = far.read(&mut request).await.unwrap();
                let request = str::from_utf8(&request[..count]).unwrap();
                let key = request.split("sec-websocket-key: ").nth(1).unwrap().split("\r\n").next().unwrap();
                assert_eq!(request.contains("sec-websocket-extensions: permessage-deflate"), deflate.is_some());
                let response = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n",
                    patera_websocket::accept_key(key.as_bytes()),
                );
                far.write_all(response.as_bytes()).await.unwrap();
            };
            let (result, ()) = tokio::join!(connect, answer);
            let error = result.unwrap_err();
            assert!(matches!(error, Error::InvalidResponse(got) if got == expected), "{extensions}: {error:?}");
        };
        let good = "permessage-deflate; server_no_context_takeover";
        check(good, None, InvalidResponse::Extension).await;
        check("permessage-deflate", Some(always()), InvalidResponse::Deflate).await;
        check("permessage-bzip2", Some(always()), InvalidResponse::Extension).await;
    }

    #[tokio::test]
    async fn bomb_closes_the_stream() {
        let (mut client, mut server) = pair(Some(always()), Some(always())).await;
        let send = tokio::spawn(async move {
            // Ten times what the server takes.
            client.send(vec![0; 10_000_000]).await.unwrap();
            assert!(client.next().await.is_none());
            client.close_frame().unwrap().code
        });
        let error = server.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::Limit { .. })), "{error:?}");
        assert!(server.next().await.is_none());
        assert_eq!(send.await.unwrap(), CloseCode::TOO_BIG);
    }
}

#[tokio::test]
async fn headers_of_the_caller_go_along_and_cannot_change_the_handshake() {
    let (near, far) = duplex(1 << 16);
    let uri = URI.parse().unwrap();
    let mut options = ConnectOptions::default();
    for (name, value) in
        [("cookie", "a=1"), ("cookie", "b=2"), ("host", "other"), ("upgrade", "h2c"), ("sec-websocket-key", "x")]
    {
        options.headers.append(name, value.parse().unwrap());
    }
    let (client, upgrade) = tokio::join!(WebSocketStream::connect_with(near, &uri, options), async {
        let upgrade = Upgrade::read(far).await.unwrap();
        let headers = upgrade.request().headers().clone();
        (headers, upgrade.accept(&AcceptOptions::default(), Config::default()).await)
    });
    client.unwrap();
    let (headers, server) = upgrade;
    server.unwrap();
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(headers["host"], "other");
    assert_eq!(headers["upgrade"], "websocket");
}

#[tokio::test]
async fn what_is_only_encoded_goes_out_when_polled() {
    let (mut client, mut server) = pair(1 << 16).await;
    client.start_send("one").unwrap();
    client.start_send("two").unwrap();
    assert!(client.unsent_bytes() > 6);
    std::future::poll_fn(|cx| client.poll_flush(cx)).await.unwrap();
    assert_eq!(client.unsent_bytes(), 0);
    assert_eq!(server.next().await.unwrap().unwrap(), Message::from("one"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::from("two"));
    client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(matches!(client.start_send("three"), Err(Error::Closed)));
}

#[tokio::test]
async fn peer_that_breaks_the_protocol_and_stays_is_known() {
    let (mut io, mut server) = server();
    assert!(!server.is_closing());
    // Not masked, as a client's frames must be.
    io.write_all(b"\x81\x01x").await.unwrap();
    let next = std::future::poll_fn(|cx| {
        assert!(server.poll_next(cx).is_pending(), "the peer has not hung up");
        std::task::Poll::Ready(())
    });
    next.await;
    assert!(server.is_closing());
    assert!(server.failure().is_some());
    drop(io);
    assert!(matches!(server.next().await, Some(Err(Error::Protocol(_)))));
}
