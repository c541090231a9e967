//! The demo page, embedded: no file is needed beside the binary. The Socket.IO client that it uses is the one that the server
//! serves to everybody.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;

/// Only what the page itself is made of, pictures that people send, and its own server to talk to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
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

/// `path` is that of the Socket.IO endpoint.
pub(crate) fn router(path: &str) -> Router {
    let client = client(path);
    Router::new()
        .route("/", file!(HTML, "index.html"))
        .route("/style.css", file!(STYLE, "style.css"))
        .route("/app.js", file!(SCRIPT, "app.js"))
        .route("/chat.js", file!(SCRIPT, "chat.js"))
        .route("/client.js", get(async move || send(SCRIPT, client)))
        .route("/connection.js", file!(SCRIPT, "connection.js"))
        .route("/dom.js", file!(SCRIPT, "dom.js"))
        .route("/log.js", file!(SCRIPT, "log.js"))
        .route("/pictures.js", file!(SCRIPT, "pictures.js"))
        .route("/logo.svg", file!(IMAGE, "logo.svg"))
        .route("/favicon.ico", file!(IMAGE, "logo.svg"))
}

/// The module that knows where the server has its client and its endpoint. Both relative, for proxies that mount it elsewhere.
fn client(path: &str) -> String {
    let endpoint = Value::from(format!(".{}/", path.trim_end_matches('/')));
    let script = Value::from(format!(".{}/socket.io.esm.min.js", path.trim_end_matches('/')));
    format!("export * from {script};\nexport const path = new URL({endpoint}, import.meta.url).pathname;\n")
}

fn send(content_type: &'static str, body: impl IntoResponse) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, body)
}
