//! The events of the contract: those of every namespace, those of `/`, and who is let into `/admin`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use patera::{Ack, DisconnectReason, Error, Io, Namespace, PartialAnswers, Reply, Rest, Result, Socket, Value};
use serde::Serialize;
use serde_json::json;

use crate::values::Several;

/// What a request to make something may ask for at the most.
const COUNT_MAX: u64 = 1_000_000;

/// Registers everything.
pub(crate) fn serve(io: &Io) {
    common(io);
    main(io);
    io.native("/ws");
    for name in ["/chat", "/custom-ü"] {
        common(&io.of(name));
    }
    common(&io.of_matching(|name| {
        let number = name.strip_prefix("/dynamic-").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }));
    common(&io.of_fn(async |name: String, auth: Value| {
        name.starts_with("/asked-") && auth["token"].as_str() == Some("let me in")
    }));
    let guarded = io.of("/guarded");
    common(&guarded);
    guarded.event_middleware(async |Rest(args): Rest| -> Result {
        match args.first().and_then(Value::as_str) {
            Some("forbidden") => Err("forbidden".into()),
            _ => Ok(()),
        }
    });
    let admin = io.of("/admin");
    common(&admin);
    admin.native("/admin/ws");
    admin.middleware(let_in);
    admin.on("asked", async || Reply(ASKED.load(Relaxed)));
    admin.on_connection(async |socket: Socket| socket.emit("hello", "admin"));
}

/// How often the middleware of `/admin` was asked.
static ASKED: AtomicU64 = AtomicU64::new(0);

async fn let_in(auth: Value) -> Result {
    ASKED.fetch_add(1, Relaxed);
    if auth["token"].as_str() == Some("let me in") {
        return Ok(());
    }
    Err(Error::new("not authorised").with_data(json!({"code": 4001, "hint": "é✓"})))
}

/// The events that every namespace has.
fn common(namespace: &Namespace) {
    namespace.on("echo", async |socket: Socket, Rest(args): Rest, ack: Ack<Several>| {
        if ack.is_expected() {
            ack.send(Several(args));
        } else {
            socket.emit("echo", Several(args));
        }
    });
    namespace.on("bc", async |socket: Socket, Rest(args): Rest| socket.broadcast().emit("bc", Several(args)));
    namespace.on("all", async |socket: Socket, Rest(args): Rest| socket.namespace().emit("all", Several(args)));
    namespace.on("whoami", async |socket: Socket| Reply(socket.id().to_owned()));
    namespace.on(
        "disconnect me",
        async |socket: Socket, close: bool| {
            if close { socket.close() } else { socket.disconnect() }
        },
    );
    namespace.on("watch", async |socket: Socket, id: String| {
        socket.join(format!("watching {id}"));
        Reply(())
    });
    namespace.on_disconnect(async |socket: Socket, reason: DisconnectReason| {
        let watchers = format!("watching {}", socket.id());
        socket.namespace().to(watchers).emit("left", (socket.id().to_owned(), reason));
    });
    rooms(namespace);
    many(namespace);
}

/// What is asked of many sockets at once.
fn many(namespace: &Namespace) {
    namespace.on(
        "ask room",
        async |socket: Socket, room: String, limit: u64, event: String, Rest(args): Rest, ack: Ack<Gathered>| {
            let room = socket.namespace().to(room).timeout(Duration::from_millis(limit));
            let gathered = room.emit_with_ack::<Value>(&event, Several(args)).await;
            ack.send(match gathered {
                Ok(answers) => Gathered { answers, failed: false },
                Err(PartialAnswers { answers, .. }) => Gathered { answers, failed: true },
            });
        },
    );
    namespace.on("members", async |socket: Socket, room: String| -> Result<Reply<Vec<String>>> {
        let members = socket.namespace().to(room).fetch_sockets().await?;
        Ok(Reply(members.iter().map(|member| member.id().to_owned()).collect()))
    });
    namespace.on("move", async |socket: Socket, from: String, to: String| -> Result<Reply<()>> {
        socket.namespace().to(&from).sockets_join(&to).await?;
        socket.namespace().to(&to).sockets_leave(&from).await?;
        Ok(Reply(()))
    });
    namespace.on("kick", async |socket: Socket, room: String| -> Result {
        Ok(socket.namespace().to(room).disconnect_sockets().await?)
    });
}

#[derive(Serialize)]
struct Gathered {
    answers: Vec<Value>,
    failed: bool,
}

fn rooms(namespace: &Namespace) {
    namespace.on("join", async |socket: Socket, room: String| {
        socket.join(room);
        Reply(())
    });
    namespace.on("leave", async |socket: Socket, room: String| {
        socket.leave(room);
        Reply(())
    });
    namespace.on("room", async |socket: Socket, room: String, Rest(args): Rest| {
        socket.namespace().to(&room).emit("room", Several::starting_with(&room, args));
    });
    namespace.on("others", async |socket: Socket, room: String, Rest(args): Rest| {
        socket.to(&room).emit("room", Several::starting_with(&room, args));
    });
    namespace.on("except", async |socket: Socket, room: String, id: String, Rest(args): Rest| {
        socket.namespace().to(&room).except(id).emit("room", Several::starting_with(&room, args));
    });
    namespace.on("to", async |socket: Socket, id: String, Rest(args): Rest| {
        socket.to(id).emit("private", Several::starting_with(socket.id(), args));
    });
}

/// The events that only the namespace `/` has.
fn main(io: &Io) {
    io.on_connection(on_connection);
    io.on("message", async |socket: Socket, value: Value| socket.emit("message", value));
    io.on("ask me", ask);
    io.on("ask in vain", async |socket: Socket| {
        let answer = socket.timeout(Duration::from_millis(200)).emit_with_ack::<()>("nobody answers", ()).await;
        Reply(answer.is_err())
    });
    io.on("binary", async |socket: Socket, count: u64| socket.emit("binary", pattern(count)));
    io.on("nested", async |socket: Socket| {
        let nested = Nested { deep: (First { first: pattern(3) }, pattern(5)), text: "é" };
        socket.emit("nested", (nested, pattern(0)));
    });
    io.on("handshake", async |socket: Socket| Reply(Handshake::of(&socket)));
    io.on("fire", async |socket: Socket, count: u64| {
        for n in 0..count.min(COUNT_MAX) {
            socket.volatile().emit("fired", n);
        }
        socket.emit("fired all", count);
    });
    io.on("volatile me", async |socket: Socket, Rest(args): Rest| socket.volatile().emit("volatile", Several(args)));
    io.on("recovered", async |socket: Socket| Reply(socket.recovered()));
    io.on("remember", async |socket: Socket, value: Value| {
        socket.data_set(value);
        Reply(())
    });
    io.on("remembered", async |socket: Socket| Reply(socket.data::<Value>().map(|value| Value::clone(&value))));
    io.on("flood me", async |socket: Socket, count: u64, batch: u64| {
        for n in 0..count.min(COUNT_MAX) {
            socket.emit("flood", n);
            if n % batch.max(1) == batch.max(1) - 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    io.on("panic me", async || -> () { panic!("as asked by a client") });
}

async fn on_connection(socket: Socket) {
    socket.emit("welcome", (json!({"id": socket.id()}), "two", 3));

    let numbers = Arc::new(Numbers::default());
    let heard = numbers.clone();
    socket.on("numbered", async move |n: u64| heard.hear(n));
    socket.on("numbered total", async move || Reply(numbers.total()));
}

/// Asks the client and tells it what it has answered.
async fn ask(socket: Socket, event: String, Rest(args): Rest) -> Reply<Value> {
    let answer = socket.timeout(Duration::from_secs(5)).emit_with_ack::<Rest>(&event, Several(args)).await;
    Reply(match answer {
        Ok(Rest(answer)) => answer.into(),
        Err(error) => json!({"error": error.to_string()}).into(),
    })
}

/// Numbers that should come as 0, 1, 2, …: how many came, and the first that was another.
#[derive(Default)]
struct Numbers {
    count: AtomicU64,
    /// One more than the first wrong number; 0 while there is none.
    wrong: AtomicU64,
}

impl Numbers {
    fn hear(&self, n: u64) {
        if self.count.fetch_add(1, Relaxed) != n {
            // Only the first counts, so a failure here is as it should be.
            let _ = self.wrong.compare_exchange(0, n.saturating_add(1), Relaxed, Relaxed);
        }
    }

    fn total(&self) -> Value {
        let wrong = self.wrong.load(Relaxed).checked_sub(1);
        json!({"count": self.count.load(Relaxed), "wrong": wrong}).into()
    }
}

#[derive(Serialize)]
struct Nested {
    deep: (First, Bytes),
    text: &'static str,
}

#[derive(Serialize)]
struct First {
    first: Bytes,
}

#[derive(Serialize)]
struct Handshake {
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    url: String,
    auth: Value,
    secure: bool,
    xdomain: bool,
    address: Option<String>,
}

impl Handshake {
    fn of(socket: &Socket) -> Self {
        let handshake = socket.handshake();
        let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Handshake {
            headers: handshake.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            query: handshake.query().into_iter().collect(),
            url: handshake.url().to_owned(),
            auth: socket.auth(),
            secure: handshake.secure(),
            xdomain: handshake.xdomain(),
            address: handshake.address().map(|address| address.ip().to_string()),
        }
    }
}

/// The bytes 0, 1, 2, … 255, 0, 1, …
fn pattern(count: u64) -> Bytes {
    (0..count.min(COUNT_MAX)).map(|n| (n % 256) as u8).collect()
}
