//! The WebSocket's handshake, on both sides.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use patera_websocket::{
    AcceptOptions, DeflateConfig, Role, accept, accept_key, client_request, verify_response,
    verify_response_with_deflate,
};

use crate::input::{Input, text_of};

const KEY: [u8; 16] = *b"the sample nonce";
const SUBPROTOCOLS: [&str; 2] = ["chat", "patera.native.v1"];

/// The input is two bytes, which are window sizes, and the head of a request or of a response.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (ours, theirs) = (deflate_config(input.byte()), deflate_config(input.byte()));
    both_sides(&ours, &theirs);
    let head = input.rest();
    if let Some(request) = request(head) {
        server(&request, &ours);
    }
    if let Some(response) = response(head) {
        client(&response, &ours);
    }
    client_side_of(text_of(head));
}

fn deflate_config(byte: u8) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    config.server_max_window_bits = byte & 0x0f;
    config.client_max_window_bits = byte >> 4;
    config
}

fn options(deflate: &DeflateConfig) -> AcceptOptions {
    let mut options = AcceptOptions::default();
    options.subprotocols = SUBPROTOCOLS.map(str::to_owned).to_vec();
    options.deflate = Some(*deflate);
    options
}

/// Whatever windows both sides want, they understand each other.
fn both_sides(ours: &DeflateConfig, theirs: &DeflateConfig) {
    let uri = Uri::from_static("ws://x/");
    let mut request = client_request(&uri, KEY, &SUBPROTOCOLS).expect("nothing is wrong with it");
    request.headers_mut().insert("sec-websocket-extensions", theirs.offer());
    let accepted = accept(&request, &options(ours)).expect("it is ours");
    let agreed = verify_response_with_deflate(&accepted.response(), KEY, &SUBPROTOCOLS, theirs);
    let agreed = agreed.expect("the answer is ours");
    assert_eq!(agreed.subprotocol, accepted.subprotocol);
    match (agreed.extensions.deflate, accepted.extensions.deflate) {
        (None, None) => {}
        (Some(client), Some(server)) => {
            // Each may keep itself to less than the other would take.
            assert!(client.window_bits(Role::Client) <= server.window_bits(Role::Client));
            assert!(server.window_bits(Role::Server) <= client.window_bits(Role::Server));
        }
        other => panic!("{other:?}"),
    }
}

fn server(request: &Request<()>, deflate: &DeflateConfig) {
    let Ok(accepted) = accept(request, &options(deflate)) else { return };
    let response = accepted.response();
    let key = request.headers()["sec-websocket-key"].as_bytes().trim_ascii();
    assert_eq!(response.headers()["sec-websocket-accept"], accept_key(key));
    if let Some(name) = &accepted.subprotocol {
        assert!(SUBPROTOCOLS.contains(&name.as_str()));
        let mut offered = request.headers().get_all("sec-websocket-protocol").iter();
        assert!(offered.any(|list| list.to_str().is_ok_and(|list| list.split(',').any(|each| each.trim() == name))));
    }
    if let Some(agreed) = accepted.extensions.deflate {
        assert!((9..=15).contains(&agreed.window_bits(Role::Server)));
        assert!((8..=15).contains(&agreed.window_bits(Role::Client)));
        assert!(
            request.headers().contains_key("sec-websocket-extensions"),
            "nothing is agreed on that was not offered"
        );
    }
}

fn client(response: &Response<()>, deflate: &DeflateConfig) {
    let plain = verify_response(response, KEY, &SUBPROTOCOLS);
    let with_deflate = verify_response_with_deflate(response, KEY, &SUBPROTOCOLS, deflate);
    if let Ok(plain) = plain {
        assert_eq!(with_deflate, Ok(plain), "without extensions both are the same");
    }
    let Ok(agreed) = with_deflate else { return };
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(agreed.subprotocol.is_none_or(|name| SUBPROTOCOLS.contains(&name.as_str())));
    if let Some(agreed) = agreed.extensions.deflate {
        assert!((9..=15).contains(&agreed.window_bits(Role::Client)));
        assert!((8..=15).contains(&agreed.window_bits(Role::Server)));
    }
}

/// Anything as an address and as a subprotocol.
fn client_side_of(text: &str) {
    if let Ok(uri) = Uri::try_from(text)
        && let Ok(request) = client_request(&uri, KEY, &[])
    {
        assert!(request.uri().path().starts_with('/') && request.uri().authority().is_none());
        let accepted = accept(&request, &AcceptOptions::default()).expect("it is a request of ours");
        assert!(verify_response(&accepted.response(), KEY, &[]).is_ok());
    }
    if let Ok(request) = client_request(&Uri::from_static("ws://x/"), KEY, &[text]) {
        let listed = request.headers()["sec-websocket-protocol"].to_str().expect("tokens are ASCII");
        assert_eq!(listed, text);
    }
}

fn request(head: &[u8]) -> Option<Request<()>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).ok()?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = parsed.path?.parse().ok()?;
    *request.version_mut() = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    add(request.headers_mut(), parsed.headers);
    Some(request)
}

fn response(head: &[u8]) -> Option<Response<()>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(head).ok()?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code?).ok()?;
    add(response.headers_mut(), parsed.headers);
    Some(response)
}

fn add(headers: &mut HeaderMap, parsed: &[httparse::Header<'_>]) {
    for header in parsed.iter().take_while(|header| !header.name.is_empty()) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(header.name), HeaderValue::from_bytes(header.value)) {
            headers.append(name, value);
        }
    }
}
