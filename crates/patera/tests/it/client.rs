//! The browser client that is served beside the endpoint.

use std::io::Read as _;
use std::net::SocketAddr;

use flate2::read::{GzDecoder, ZlibDecoder};
use patera::{Config, Cors, Io, engine::Engine};

use crate::engine;
use crate::support::{Polling, http, http_bytes, serve};

const FILES: [&str; 4] = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"];

#[tokio::test]
async fn every_file_is_served_with_its_map() {
    let address = serve(&Io::new()).await;
    for name in FILES {
        let script = http(address, "GET", &format!("/socket.io/{name}"), "", "").await;
        assert_eq!(script.status, 200, "{name}");
        assert_eq!(script.header("content-type"), Some("application/javascript; charset=utf-8"));
        assert_eq!(script.header("cache-control"), Some("public, max-age=0"));
        assert_eq!(script.header("vary"), Some("Accept-Encoding"));
        assert!(script.body.ends_with(&format!("//# sourceMappingURL={name}.map\n")), "{name}");
        let map = http(address, "GET", &format!("/socket.io/{name}.map?x=1"), "", "").await;
        assert_eq!(map.header("content-type"), Some("application/json; charset=utf-8"));
        let map: serde_json::Value = serde_json::from_str(&map.body).unwrap();
        assert_eq!((map["file"].as_str(), map["version"].as_u64()), (Some(name), Some(3)));
    }
}

#[tokio::test]
async fn who_has_it_is_told_so() {
    let address = serve(&Io::new()).await;
    let first = http(address, "GET", "/socket.io/socket.io.js", "", "").await;
    let etag = first.header("etag").unwrap();
    let other = http(address, "GET", "/socket.io/socket.io.min.js", "", "").await;
    assert_ne!(other.header("etag"), Some(etag));
    for (given, status) in [
        (etag.to_owned(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"other\", {etag}"), 304),
        (etag.trim_matches('"').to_owned(), 200),
        ("\"other\"".to_owned(), 200),
        (String::new(), 200),
    ] {
        let header = format!("If-None-Match: {given}\r\n");
        let answer = http(address, "GET", "/socket.io/socket.io.js", &header, "").await;
        assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{given}");
        assert_eq!(answer.header("etag"), Some(etag), "{given}");
    }
}

#[tokio::test]
async fn it_comes_as_the_browser_likes() {
    let address = serve(&Io::new()).await;
    let plain = http(address, "GET", "/socket.io/socket.io.js", "", "").await.body;
    // The second time it is there already.
    for (accept, expected) in
        [("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate", "gzip"), ("deflate", "deflate")]
    {
        let (encoding, body) = encoded(address, accept).await;
        assert_eq!(encoding.as_deref(), Some(expected), "{accept}");
        assert!(body.len() < plain.len() / 3, "{accept}: {} bytes", body.len());
        let mut text = String::new();
        match expected {
            "gzip" => GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap(),
            _ => ZlibDecoder::new(&body[..]).read_to_string(&mut text).unwrap(),
        };
        assert!(text == plain, "{accept}");
    }
    for accept in ["", "identity", "gzip;q=0", "zstd"] {
        let (encoding, body) = encoded(address, accept).await;
        assert_eq!((encoding, body.len()), (None, plain.len()), "{accept}");
    }
}

#[cfg(feature = "brotli")]
#[tokio::test]
async fn brotli_is_liked_best() {
    let address = serve(&Io::new()).await;
    let (encoding, body) = encoded(address, "gzip, deflate, br").await;
    assert_eq!(encoding.as_deref(), Some("br"));
    let mut text = String::new();
    brotli::Decompressor::new(&body[..], 4096).read_to_string(&mut text).unwrap();
    assert!(text.ends_with("//# sourceMappingURL=socket.io.js.map\n"));
}

#[tokio::test]
async fn pages_of_other_origins_may_load_it() {
    let mut config = Config::default();
    config.cors = Some(Cors::any());
    let address = serve(&Io::with_config(config)).await;
    for headers in ["", "If-None-Match: \"x\"\r\n"] {
        let answer = http(address, "GET", "/socket.io/socket.io.esm.min.js", headers, "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
    }
}

#[tokio::test]
async fn head_tells_the_length_alone() {
    let address = serve(&Io::new()).await;
    let whole = http(address, "GET", "/socket.io/socket.io.js", "", "").await;
    let head = http(address, "HEAD", "/socket.io/socket.io.js", "", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), whole.header("content-length"));
}

#[tokio::test]
async fn everything_else_below_the_path_is_the_endpoint() {
    let address = serve(&Io::new()).await;
    let unknown_transport = (400, r#"{"code":0,"message":"Transport unknown"}"#);
    for (method, name) in [
        ("GET", "socket.io.esm.js"),
        ("GET", "socket.io.js/"),
        ("GET", "Socket.io.js"),
        ("GET", "../socket.io/socket.io.js"),
        ("POST", "socket.io.js"),
        ("DELETE", "socket.io.js"),
    ] {
        let answer = http(address, method, &format!("/socket.io/{name}"), "", "").await;
        assert_eq!(answer.brief(), unknown_transport, "{method} {name}");
    }
    assert_eq!(http(address, "GET", "/socket.io.js", "", "").await.status, 404);
    // Nor is a session disturbed that is opened below the path.
    Polling::connect(address).await;
}

#[tokio::test]
async fn it_follows_the_path_and_can_be_left_out() {
    let mut config = Config::default();
    "/chat".clone_into(&mut config.path);
    let moved = serve(&Io::with_config(config.clone())).await;
    assert_eq!(http(moved, "GET", "/chat/socket.io.js", "", "").await.status, 200);
    config.serve_client = false;
    let off = serve(&Io::with_config(config.clone())).await;
    assert_eq!(http(off, "GET", "/chat/socket.io.js", "", "").await.status, 400);

    config.serve_client = true;
    let address = engine::serve(&Engine::with_config(config)).await;
    assert_eq!(http(address, "GET", "/chat/socket.io.js", "", "").await.status, 400);
}

async fn encoded(address: SocketAddr, accept: &str) -> (Option<String>, Vec<u8>) {
    let header = format!("Accept-Encoding: {accept}\r\n");
    let (head, body) = http_bytes(address, "GET", "/socket.io/socket.io.js", &header, "").await;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let encoding =
        lines.find_map(|(name, value)| name.eq_ignore_ascii_case("content-encoding").then(|| value.to_owned()));
    (encoding, body)
}
