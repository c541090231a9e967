//! Beside HTTP routes: axum, plain tower, in memory. Foreign routes are left alone; what layers add reaches the handshake.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use patera::{Io, Reply, Socket};

use crate::support::{Client, Polling, http, serve};

#[derive(Clone)]
struct Tenant(&'static str);

#[tokio::test]
async fn beside_axum_routes_as_in_express() {
    let io = Io::new();
    io.on("tenant", async |s: Socket| Reply(s.handshake().extension::<Tenant>().map(|tenant| tenant.0)));
    io.on("address", async |s: Socket| Reply(s.handshake().address().is_some()));
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/news", post(async |State(io): State<Io>, body: String| io.emit("news", body)))
        .route("/socket.iox", get(async || "mine"))
        .layer(io.layer())
        .layer(middleware::from_fn(async |mut request: Request, next: Next| {
            request.extensions_mut().insert(Tenant("a"));
            next.run(request).await
        }))
        .with_state(io.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(http(address, "GET", "/", "", "").await.brief(), (200, "hello"));
    assert_eq!(http(address, "GET", "/socket.iox", "", "").await.brief(), (200, "mine"));
    assert_eq!(http(address, "GET", "/nothing", "", "").await.status, 404);
    let (mut client, _) = Client::connect(address).await;
    client.send(r#"420["tenant"]"#).await;
    client.expect(r#"430["a"]"#).await;
    client.send(r#"421["address"]"#).await;
    client.expect("431[true]").await;
    assert_eq!(http(address, "POST", "/news", "", "extra!").await.status, 200);
    client.expect(r#"42["news","extra!"]"#).await;
    let polling = Polling::connect(address).await;
    assert_eq!(polling.post(r#"420["tenant"]"#).await.brief(), (200, "ok"));
    assert_eq!(polling.get().await.body, r#"430["a"]"#);
}

#[tokio::test]
async fn alone_it_answers_404_to_other_paths() {
    let io = Io::new();
    let address = serve(&io).await;
    for path in ["/", "/socket.io", "/socket.iox/", "//socket.io/"] {
        assert_eq!(http(address, "GET", path, "", "").await.status, 404, "{path}");
    }
    let long = format!("/socket.io/?EIO=4&transport=polling&x={}", "x".repeat(9000));
    assert_eq!(http(address, "GET", &long, "", "").await.status, 414);
}

#[tokio::test]
async fn path_is_an_option() {
    let mut config = patera::Config::default();
    config.path = "/realtime/".to_owned();
    config.add_trailing_slash = false;
    let io = Io::with_config(config);
    let address = serve(&io).await;
    for (path, status) in [("/realtime", 200), ("/realtime/", 200), ("/socket.io/", 404)] {
        let target = format!("{path}?EIO=4&transport=polling");
        assert_eq!(http(address, "GET", &target, "", "").await.status, status, "{path}");
    }
}

#[tokio::test]
async fn in_memory_over_any_stream() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::{Message, protocol::Role};

    let io = Io::new();
    io.on("echo", async |text: String| Reply(text));
    let (near, far) = tokio::io::duplex(1024);
    let request = |query: &str| http::Request::get(format!("/socket.io/?{query}")).body(()).unwrap();
    let refused = io.accept(tokio::io::duplex(64).0, request("EIO=3&transport=websocket")).await;
    assert_eq!(refused.unwrap_err().status(), 400);
    io.accept(far, request("EIO=4&transport=websocket")).await.unwrap();
    let mut client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let open = client.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(open.starts_with("0{"), "{open}");
    client.send(Message::text("40")).await.unwrap();
    assert!(client.next().await.unwrap().unwrap().into_text().unwrap().starts_with("40{"));
    client.send(Message::text(r#"420["echo","memory"]"#)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text(r#"430["memory"]"#));
}
