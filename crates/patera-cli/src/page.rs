//! The demo page, embedded: no file is needed beside the binary.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::get;

/// Only what the page itself is made of; and its own server to talk to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! file {
    ($content_type:expr, $name:literal) => {
        get(async || send($content_type, include_str!(concat!("../page/", $name))))
    };
}

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", file!(HTML, "index.html"))
        .route("/style.css", file!(STYLE, "style.css"))
        .route("/app.js", file!(SCRIPT, "app.js"))
        .route("/chat.js", file!(SCRIPT, "chat.js"))
        .route("/dom.js", file!(SCRIPT, "dom.js"))
        .route("/log.js", file!(SCRIPT, "log.js"))
        .route("/socket.js", file!(SCRIPT, "socket.js"))
        .route("/logo.svg", file!(IMAGE, "logo.svg"))
        .route("/favicon.ico", file!(IMAGE, "logo.svg"))
}

fn send(content_type: &'static str, body: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, body)
}
