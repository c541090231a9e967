//! Lengths that are declared and do not come: nothing near them is allocated. What is counted is all that server and client
//! allocate on their one thread, at its highest.

use std::sync::Arc;

use allocation_counter::measure;
use patera::{Config, Io};
use patera_websocket::{Opcode, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::process::alone;
use crate::support::{PATIENCE, http, serve};

/// The read buffer of a thread and what a connection needs; the smallest declared length is several times as much.
const BYTES_MAX: u64 = 256 << 10;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn frame(opcode: Opcode, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    patera_websocket::encode(Role::Client, opcode, true, data, [1, 2, 3, 4], &mut frame);
    frame
}

/// A WebSocket with its open packet read.
async fn open(io: &Io) -> DuplexStream {
    let (mut near, far) = tokio::io::duplex(4096);
    let request = http::Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
    io.accept(far, request).await.unwrap();
    assert!(near.read(&mut [0; 512]).await.unwrap() > 0);
    near
}

/// Sends bytes on a WebSocket, and reads until the server ends it.
async fn send(io: &Io, data: &[u8]) {
    let mut near = open(io).await;
    near.write_all(data).await.unwrap();
    let mut read = [0; 512];
    while timeout(PATIENCE, near.read(&mut read)).await.expect("it is closed").unwrap_or(0) > 0 {}
}

fn check(io: &Io, what: &str, data: &[u8]) {
    let runtime = runtime();
    // What a thread allocates for good is there.
    runtime.block_on(open(io));
    let measured = measure(|| runtime.block_on(send(io, data)));
    assert!(measured.bytes_max < BYTES_MAX, "{what}: {measured:?}");
}

#[tokio::test]
async fn a_frame_allocates_what_has_come() {
    let _alone = alone().await;
    std::thread::spawn(|| {
        let io = Io::new();
        for length in [1u64 << 62, u64::MAX >> 1, 1 << 32, 1_000_001] {
            for opcode in [0x81, 0x82] {
                let head = [&[opcode, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4], b"4"].concat();
                check(&io, &format!("{length} bytes"), &head);
            }
        }
        // One that is allowed, and of which nothing more comes.
        let runtime = runtime();
        runtime.block_on(open(&io));
        let head = [&[0x81, 0xff][..], &1_000_000u64.to_be_bytes(), &[1, 2, 3, 4], b"4"].concat();
        let measured = measure(|| {
            runtime.block_on(async {
                let mut near = open(&io).await;
                near.write_all(&head).await.unwrap();
                // The server has read it before it answers this, which is not before it is gone.
                near.shutdown().await.unwrap();
                while near.read(&mut [0; 512]).await.unwrap_or(0) > 0 {}
            });
        });
        assert!(measured.bytes_max < BYTES_MAX, "{measured:?}");
    })
    .join()
    .unwrap();
}

#[tokio::test]
async fn attachments_allocate_what_has_come() {
    let _alone = alone().await;
    std::thread::spawn(|| {
        let io = Io::new();
        for packet in [r#"459999999-["e"]"#, r#"4599999999999999999999-["e"]"#, r#"469999999-1["e"]"#] {
            let data = [frame(Opcode::Text, b"40"), frame(Opcode::Text, packet.as_bytes())].concat();
            check(&io, packet, &data);
        }
    })
    .join()
    .unwrap();
}

#[tokio::test]
async fn message_pack_allocates_what_has_come() {
    let _alone = alone().await;
    std::thread::spawn(|| {
        let mut config = Config::default();
        config.parser = Some(Arc::new(patera::parser::MessagePack));
        let io = Io::with_config(config);
        // array32, map32, bin32, str32, ext32, each of 2^32 − 1, by itself and as the data of an event.
        for kind in [0xdd, 0xdf, 0xc6, 0xdb, 0xc9] {
            let value = [&[kind][..], &[0xff; 4]].concat();
            // {"type": 2, "nsp": "/", "data": …}
            let event = [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data", &value[..]].concat();
            for message in [value, event] {
                let data = frame(Opcode::Binary, &message);
                check(&io, &format!("{message:02x?}"), &data);
            }
        }
    })
    .join()
    .unwrap();
}

#[tokio::test]
async fn a_body_allocates_what_has_come() {
    let _alone = alone().await;
    std::thread::spawn(|| {
        let runtime = runtime();
        let mut config = Config::default();
        config.allow_eio3 = true;
        let io = Io::with_config(config);
        let address = runtime.block_on(serve(&io));
        let handshake = |version: u8| {
            let target = format!("/socket.io/?EIO={version}&transport=polling");
            let opened = runtime.block_on(http(address, "GET", &target, "", ""));
            let sid = opened.body.split('"').nth(3).expect("an open packet").to_owned();
            format!("{target}&sid={sid}")
        };
        let post = |target: &str, head: &str, body: &[u8], status: &str| {
            let request = format!("POST {target} HTTP/1.1\r\nHost: test\r\n{head}\r\n");
            let mut answer = vec![0; 4096];
            let measured = measure(|| {
                runtime.block_on(async {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.write_all(request.as_bytes()).await.unwrap();
                    stream.write_all(body).await.unwrap();
                    stream.shutdown().await.unwrap();
                    let _ = timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer in time");
                });
            });
            assert!(answer.starts_with(status.as_bytes()), "{head}: {}", String::from_utf8_lossy(&answer));
            assert!(measured.bytes_max < BYTES_MAX, "{head}: {measured:?}");
        };
        post(&handshake(4), "Content-Length: 1000000000000000\r\n", b"4", "HTTP/1.1 413");
        post(&handshake(4), "Transfer-Encoding: chunked\r\n", b"3b9aca00\r\n4", "");
        let text = b"999999999999:4x";
        post(&handshake(3), "Content-Type: text/plain\r\nContent-Length: 15\r\n", text, "HTTP/1.1 400");
        let bytes = b"\x00\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff4x";
        post(&handshake(3), "Content-Type: application/octet-stream\r\nContent-Length: 13\r\n", bytes, "HTTP/1.1 400");
    })
    .join()
    .unwrap();
}
