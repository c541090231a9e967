//! Contracts: what one side emits by them, the other handles, over the wire and with the types of both.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use patera::Io;
use patera_client::{AckError, Client, Socket};
use tokio::sync::mpsc;

use crate::support::{MODES, Server, WEBSOCKET, within};
use shared::{ClientToServer, EmitClientToServer as _, EmitServerToClient as _, Point, ServerToClient};

/// As a crate would hold it that depends on neither side.
mod shared {
    use std::collections::HashMap;

    use bytes::Bytes;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Point {
        pub(crate) x: f64,
        pub(crate) y: f64,
    }

    /// What clients send.
    #[patera_macros::events]
    pub(crate) trait ClientToServer {
        /// To one other.
        #[event("private message")]
        fn private_message(to: String, text: String) -> u64;
        fn typing(room: String);
        fn nothing();
        fn saved() -> ();
        fn divided(a: u32, b: u32) -> (u32, u32);
        fn everything(
            bytes: Bytes,
            points: Vec<Point>,
            note: Option<String>,
            pair: (String, u8),
            counts: HashMap<String, u32>,
        ) -> Vec<Bytes>;
        /// Names that what is written around them uses too.
        fn names(socket: String, this: String, on: String, event: String, r#type: String) -> String;
    }

    #[patera_macros::events]
    pub(crate) trait ServerToClient {
        fn user_joined(name: String, online: u32);
        #[event("are you there?")]
        fn are_you_there(question: String) -> String;
    }
}

/// The server's handlers; what comes without an acknowledgement is told here.
struct Chat(mpsc::UnboundedSender<String>);

impl ClientToServer<patera::Server> for Chat {
    async fn private_message(&self, socket: patera::Socket, to: String, text: String) -> patera::Result<u64> {
        if to == "nobody" {
            Err("no such user")?;
        }
        socket.user_joined(&to, 1);
        Ok(text.len() as u64)
    }

    async fn typing(&self, socket: patera::Socket, room: String) {
        socket.join(&room);
        socket.io().to(room).user_joined(socket.id(), 2);
    }

    async fn nothing(&self, _: patera::Socket) {
        self.0.send("nothing".to_owned()).unwrap();
    }

    async fn saved(&self, _: patera::Socket) -> patera::Result<()> {
        Ok(())
    }

    async fn divided(&self, _: patera::Socket, a: u32, b: u32) -> patera::Result<(u32, u32)> {
        let quotient = a.checked_div(b).ok_or("by zero")?;
        Ok((quotient, a - quotient * b))
    }

    async fn everything(
        &self,
        _: patera::Socket,
        bytes: Bytes,
        points: Vec<Point>,
        note: Option<String>,
        pair: (String, u8),
        counts: HashMap<String, u32>,
    ) -> patera::Result<Vec<Bytes>> {
        let text = format!("{points:?} {note:?} {pair:?} {counts:?}");
        Ok(vec![bytes, text.into()])
    }

    async fn names(
        &self,
        _: patera::Socket,
        socket: String,
        this: String,
        on: String,
        event: String,
        r#type: String,
    ) -> patera::Result<String> {
        Ok([socket, this, on, event, r#type].concat())
    }
}

/// The client's handlers.
struct Ui {
    name: &'static str,
    joined: mpsc::UnboundedSender<(String, u32)>,
}

impl ServerToClient<Client> for Ui {
    async fn user_joined(&self, _: Socket, name: String, online: u32) {
        self.joined.send((name, online)).unwrap();
    }

    async fn are_you_there(&self, socket: Socket, question: String) -> patera_client::Result<String> {
        if question == "really?" {
            Err("do not ask")?;
        }
        assert!(socket.connected());
        Ok(format!("{} {question}", self.name))
    }
}

struct Both {
    server: Server,
    told: mpsc::UnboundedReceiver<String>,
}

impl Both {
    async fn start() -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let server = Server::start(|io| Chat(sender).serve(io)).await;
        Both { server, told }
    }

    async fn client(
        &self,
        name: &'static str,
        transports: &[patera_client::Transport],
    ) -> (Client, mpsc::UnboundedReceiver<(String, u32)>) {
        let (joined, receiver) = mpsc::unbounded_channel();
        let client = self.server.client(transports).build().unwrap();
        Ui { name, joined }.serve(&client);
        within(client.connect()).await.unwrap();
        (client, receiver)
    }

    fn io(&self) -> &Io {
        &self.server.io
    }
}

#[tokio::test]
async fn each_side_handles_what_the_other_emits() {
    let mut both = Both::start().await;
    for mode in MODES {
        let (client, mut joined) = both.client("ada", mode).await;
        assert_eq!(within(client.private_message("bob", "hello")).await.unwrap(), 5);
        assert_eq!(within(joined.recv()).await, Some(("bob".to_owned(), 1)));
        client.typing("lobby");
        assert_eq!(within(joined.recv()).await, Some((client.id().unwrap(), 2)));
        client.nothing();
        assert_eq!(within(both.told.recv()).await.unwrap(), "nothing");
        within(client.saved()).await.unwrap();
        assert_eq!(within(client.divided(17, 5)).await.unwrap(), (3, 2));
        within(client.disconnect()).await;
    }
}

#[tokio::test]
async fn handler_that_fails_is_an_answer_of_another_type() {
    let both = Both::start().await;
    let (client, _joined) = both.client("ada", WEBSOCKET).await;
    let refused = within(client.private_message("nobody", "hello")).await;
    assert!(matches!(refused, Err(AckError::Answer(_))), "{refused:?}");
    let refused: serde_json::Value = within(client.emit_with_ack("divided", (1, 0))).await.unwrap();
    assert_eq!(refused, serde_json::json!({ "error": "by zero" }));
}

#[tokio::test]
async fn values_of_every_type_arrive() {
    let both = Both::start().await;
    let (client, _joined) = both.client("ada", WEBSOCKET).await;
    let points = [Point { x: 1.5, y: -2.0 }];
    let counts = HashMap::from([("a".to_owned(), 1)]);
    let bytes = Bytes::from_static(&[0, 255]);
    let answer = within(client.everything(&bytes, &points, Some("note"), ("b", 2), &counts)).await.unwrap();
    let text = r#"[Point { x: 1.5, y: -2.0 }] Some("note") ("b", 2) {"a": 1}"#;
    assert_eq!(answer, [bytes, Bytes::from_static(text.as_bytes())]);
    assert_eq!(within(client.names("a", "b", "c", "d", "e")).await.unwrap(), "abcde");
}

#[tokio::test]
async fn everything_that_emits_has_the_methods() {
    let both = Both::start().await;
    let (ada, mut ada_joined) = both.client("ada", WEBSOCKET).await;
    let (_bob, mut bob_joined) = both.client("bob", WEBSOCKET).await;
    let id = ada.id().unwrap();
    let limit = crate::support::PATIENCE;

    // The client's.
    within(ada.timeout(limit).saved()).await.unwrap();
    within(ada.socket().saved()).await.unwrap();

    // The server's, to many.
    let io = both.io();
    io.user_joined("all", 1);
    io.of("/").user_joined("namespace", 2);
    io.except(&id).user_joined("others", 3);
    let names = async |joined: &mut mpsc::UnboundedReceiver<(String, u32)>, count: usize| {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(within(joined.recv()).await.unwrap().0);
        }
        names
    };
    assert_eq!(names(&mut bob_joined, 3).await, ["all", "namespace", "others"]);
    let mut answers = within(io.are_you_there("now").into_future()).await.unwrap();
    answers.sort();
    assert_eq!(answers, ["ada now", "bob now"]);
    assert_eq!(within(io.to(&id).timeout(limit).are_you_there("too").into_future()).await.unwrap(), ["ada too"]);

    // The server's, to one.
    let remote = io.to(&id).fetch_sockets().await.unwrap().remove(0);
    remote.user_joined("remote", 4);
    assert_eq!(within(remote.are_you_there("from afar")).await.unwrap(), "ada from afar");
    let socket = io.sockets().into_iter().find(|socket| socket.id() == id).unwrap();
    socket.user_joined("socket", 5);
    socket.compress(false).user_joined("emitter", 6);
    assert_eq!(within(socket.timeout(limit).are_you_there("still")).await.unwrap(), "ada still");
    assert_eq!(names(&mut ada_joined, 5).await, ["all", "namespace", "remote", "socket", "emitter"]);
    let refused = within(socket.are_you_there("really?")).await;
    assert!(matches!(refused, Err(patera::AckError::Answer(_))), "{refused:?}");
}

#[tokio::test]
async fn handlers_of_one_socket_are_that_sockets_alone() {
    let (sender, mut told) = mpsc::unbounded_channel();
    let server = Server::start(|io| {
        let chats = Arc::new(std::sync::Mutex::new(vec![sender]));
        io.on_connection(async move |socket: patera::Socket| {
            // The first one only.
            if let Some(sender) = chats.lock().unwrap().pop() {
                Chat(sender).serve(&socket);
            }
        });
    })
    .await;
    let first = within(server.client(WEBSOCKET).connect()).await.unwrap();
    within(first.saved()).await.unwrap();
    let second = within(server.client(WEBSOCKET).connect()).await.unwrap();
    second.nothing();
    within(first.saved()).await.unwrap();
    first.nothing();
    assert_eq!(within(told.recv()).await.unwrap(), "nothing");
    within(first.disconnect()).await;
    within(second.disconnect()).await;
    drop(server);
    assert_eq!(within(told.recv()).await, None);
}
