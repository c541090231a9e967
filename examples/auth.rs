//! Authentication at connect: a middleware reads `auth`, lets the client in or refuses it with a reason and details.
//!
//! Run `cargo run -p examples --bin auth`, then `io("http://127.0.0.1:3000", { auth: { token: "ada" } })` connects, and
//! without a token the client's `connect_error` has `message` "missing token" and `data` `{ code: 401 }`.

use patera::{Error, Io, Reply, Result, Socket, Value};
use serde::Deserialize;
use tokio::net::TcpListener;

/// What clients send as `auth`. Anything missing is `None`, not an error.
#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
}

/// Who the client is, kept with its socket.
#[derive(Clone)]
struct User(String);

async fn authenticate(socket: Socket, auth: Auth) -> Result {
    let unauthorized = || Error::new("missing token").with_data(serde_json::json!({ "code": 401 }));
    let token = auth.token.ok_or_else(unauthorized)?;
    socket.extension_set(User(token));
    Ok(())
}

#[tokio::main]
async fn main() -> Result {
    let io = Io::new();
    io.middleware(authenticate);
    io.on_connection(async |socket: Socket| {
        if let Some(User(name)) = socket.extension() {
            // A room a user: a message to `user:ada` reaches all her tabs.
            socket.join(format!("user:{name}"));
        }
    });
    io.on("whoami", async |socket: Socket| {
        socket.extension().map(|User(name)| name).map_or(Reply(Value::Null), |name| Reply(name.into()))
    });
    io.on("tell", async |socket: Socket, user: String, text: String| {
        socket.to(format!("user:{user}")).emit("told", text);
    });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/socket.io/", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}
