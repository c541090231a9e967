//! Compressed polling answers.

use std::io::Read as _;
use std::net::SocketAddr;

use flate2::read::{GzDecoder, ZlibDecoder};
use patera::{Config, Cors, CorsOrigin, HttpCompression, Io};

use crate::support::{Polling, http, http_bytes, serve};

const GZIP: &str = "Accept-Encoding: gzip, deflate, br\r\n";

/// A server that compresses answers from so many bytes.
fn compressing_from(threshold_bytes: usize) -> Io {
    let mut config = Config::default();
    let mut compression = HttpCompression::default();
    compression.threshold_bytes = threshold_bytes;
    config.http_compression = Some(compression);
    Io::with_config(config)
}

#[tokio::test]
async fn long_answers_come_as_the_client_likes() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    for (accept, expected) in [
        (GZIP, Some("gzip")),
        ("Accept-Encoding: deflate\r\n", Some("deflate")),
        ("Accept-Encoding: gzip;q=0.5, deflate;q=0.6\r\n", Some("deflate")),
        ("Accept-Encoding: *\r\n", Some("gzip")),
        ("Accept-Encoding: br\r\n", None),
        ("Accept-Encoding: gzip;q=0\r\n", None),
        ("Accept-Encoding: identity, gzip;q=0.5\r\n", None),
        ("", None),
    ] {
        // The last one takes more than one turn.
        for text in ["la ".repeat(1000), "é".repeat(600), "x".repeat(300_000)] {
            io.emit("e", &text);
            let answer = Answer::get(&polling, accept).await;
            assert_eq!(answer.encoding.as_deref(), expected, "{accept}");
            assert_eq!(answer.text, format!(r#"42["e","{text}"]"#), "{accept}");
            assert_eq!(answer.vary.as_deref(), Some("Accept-Encoding"), "{accept}");
            assert_eq!(answer.bytes < 1000, expected.is_some(), "{accept} {} bytes", answer.bytes);
        }
    }
}

#[tokio::test]
async fn threshold_counts_the_body() {
    let mut config = Config::default();
    let mut compression = HttpCompression::default();
    compression.threshold_bytes = 100;
    config.http_compression = Some(compression);
    let io = Io::with_config(config);
    let polling = Polling::connect(serve(&io).await).await;
    for (bytes, encoding) in [(99, None), (100, Some("gzip")), (101, Some("gzip"))] {
        io.emit("e", "x".repeat(bytes - 10));
        let answer = Answer::get(&polling, GZIP).await;
        assert_eq!((answer.text.len(), answer.encoding.as_deref()), (bytes, encoding));
        assert_eq!(answer.vary.is_some(), encoding.is_some(), "{bytes} bytes");
    }
}

#[tokio::test]
async fn one_packet_that_may_be_compressed_is_enough() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let text = "la ".repeat(1000);
    for (flags, encoding) in [(&[false][..], None), (&[false, false], None), (&[false, true], Some("gzip"))] {
        for compress in flags {
            io.compress(*compress).emit("e", &text);
        }
        let answer = Answer::get(&polling, GZIP).await;
        assert_eq!(answer.encoding.as_deref(), encoding, "{flags:?}");
        assert_eq!(answer.text.matches(&text).count(), flags.len());
    }
}

#[tokio::test]
async fn answers_of_revision_3_are_compressed_too() {
    let mut config = Config::default();
    config.allow_eio3 = true;
    let io = Io::with_config(config);
    let address = serve(&io).await;
    for (more, begins) in [("", "3010:42"), ("&j=5", "___eio[5](\"3010:42")] {
        let target = format!("/socket.io/?EIO=3&transport=polling{more}");
        let open = http(address, "GET", &target, "", "").await.body.replace('\\', "");
        let sid = open.split_once(r#""sid":""#).and_then(|(_, rest)| rest.split_once('"')).expect("an open packet").0;
        let target = format!("{target}&sid={sid}");
        http(address, "GET", &target, "", "").await;
        io.emit("e", "la ".repeat(1000));
        let answer = Answer::of(address, &target, GZIP).await;
        assert_eq!(answer.encoding.as_deref(), Some("gzip"));
        assert!(answer.text.starts_with(begins), "{}", &answer.text[..40]);
        assert!(answer.bytes < 200, "{} bytes", answer.bytes);
    }
}

#[tokio::test]
async fn off_means_as_it_is() {
    let mut config = Config::default();
    config.http_compression = None;
    let io = Io::with_config(config);
    let polling = Polling::connect(serve(&io).await).await;
    io.emit("e", "la ".repeat(1000));
    let answer = Answer::get(&polling, GZIP).await;
    assert_eq!((answer.encoding, answer.vary), (None, None));
}

#[tokio::test]
async fn what_would_not_become_shorter_stays_as_it_is() {
    let io = compressing_from(0);
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    io.emit("e", "short");
    let answer = Answer::get(&polling, GZIP).await;
    assert_eq!((answer.encoding.as_deref(), answer.vary.as_deref()), (None, Some("Accept-Encoding")));
    assert_eq!(answer.text, r#"42["e","short"]"#);
}

#[tokio::test]
async fn answers_to_posts_and_errors_are_never_compressed() {
    let io = compressing_from(0);
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let unknown = "/socket.io/?EIO=4&transport=polling&sid=unknown";
    for (method, target, body) in
        [("POST", &*polling.target(), "3"), ("GET", unknown, ""), ("PUT", &polling.target(), "")]
    {
        let response = http(address, method, target, GZIP, body).await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None), "{method} {target}");
    }
}

#[tokio::test]
async fn both_reasons_to_vary_are_told() {
    let mut config = Config::default();
    config.cors = Some(Cors { origin: CorsOrigin::Reflect, ..Cors::default() });
    let io = Io::with_config(config);
    let polling = Polling::connect(serve(&io).await).await;
    io.emit("e", "la ".repeat(1000));
    let answer = Answer::get(&polling, &format!("Origin: https://a.example\r\n{GZIP}")).await;
    assert_eq!((answer.encoding.as_deref(), answer.vary.as_deref()), (Some("gzip"), Some("Accept-Encoding, Origin")));
}

#[cfg(feature = "brotli")]
#[tokio::test]
async fn brotli_comes_where_it_is_asked_for() {
    let mut config = Config::default();
    let mut compression = HttpCompression::default();
    compression.brotli = true;
    config.http_compression = Some(compression);
    let io = Io::with_config(config);
    let polling = Polling::connect(serve(&io).await).await;
    for (accept, expected) in [
        (GZIP, "br"),
        ("Accept-Encoding: br\r\n", "br"),
        ("Accept-Encoding: gzip, br;q=0.9\r\n", "gzip"),
        ("Accept-Encoding: gzip\r\n", "gzip"),
    ] {
        for text in ["la ".repeat(1000), "x".repeat(300_000)] {
            io.emit("e", &text);
            let answer = Answer::get(&polling, accept).await;
            assert_eq!(answer.encoding.as_deref(), Some(expected), "{accept}");
            assert_eq!(answer.text, format!(r#"42["e","{text}"]"#), "{accept}");
            assert!(answer.bytes < 1000, "{} bytes", answer.bytes);
        }
    }
}

/// A polling answer, decompressed.
struct Answer {
    encoding: Option<String>,
    vary: Option<String>,
    /// As it came.
    bytes: usize,
    text: String,
}

impl Answer {
    async fn get(polling: &Polling, headers: &str) -> Self {
        Self::of(polling.address, &polling.target(), headers).await
    }

    async fn of(address: SocketAddr, target: &str, headers: &str) -> Self {
        let (head, body) = http_bytes(address, "GET", target, headers, "").await;
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then(|| value.to_owned()))
        };
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(header("content-length"), Some(body.len().to_string()), "{head}");
        let encoding = header("content-encoding");
        let mut text = String::new();
        match encoding.as_deref() {
            None => text = String::from_utf8(body.clone()).unwrap(),
            Some("gzip") => drop(GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap()),
            Some("deflate") => drop(ZlibDecoder::new(&body[..]).read_to_string(&mut text).unwrap()),
            #[cfg(feature = "brotli")]
            Some("br") => drop(brotli::Decompressor::new(&body[..], 4096).read_to_string(&mut text).unwrap()),
            Some(other) => panic!("{other}"),
        }
        Answer { encoding, vary: header("vary"), bytes: body.len(), text }
    }
}
