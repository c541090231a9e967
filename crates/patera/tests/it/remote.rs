//! Sockets described, moved and disconnected from afar.

use bytes::Bytes;
use patera::{DisconnectReason, Io, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::support::{Client, eventually, serve};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    avatar: Bytes,
}

fn ada() -> User {
    User { name: "ada".to_owned(), avatar: Bytes::from_static(b"png") }
}

#[tokio::test]
async fn sockets_are_fetched_with_what_is_known_of_them() {
    let io = Io::new();
    let address = serve(&io).await;
    let mut client = Client::open(address, "/socket.io/?EIO=4&transport=websocket&q=1", None).await;
    client.text().await;
    client.send(r#"40{"token":"x"}"#).await;
    client.text().await;
    let (_other, _) = Client::connect(address).await;
    let socket = io.sockets().remove(0);
    socket.join(["r", "s"]);
    socket.data_set(ada());
    assert_eq!(io.fetch_sockets().await.unwrap().len(), 2);
    assert!(io.to("nobody").fetch_sockets().await.unwrap().is_empty());
    let fetched = io.to(["r", "s"]).fetch_sockets().await.unwrap();
    let [remote] = &fetched[..] else { panic!("{fetched:?}") };
    assert_eq!((remote.id(), remote.namespace()), (socket.id(), "/"));
    assert_eq!(remote.handshake().query_value("q").as_deref(), Some("1"));
    assert_eq!(remote.auth()["token"], Value::from("x"));
    let mut rooms = remote.rooms().to_vec();
    rooms.sort();
    assert_eq!(rooms, ["r".into(), "s".into()]);
    assert_eq!(remote.data::<User>(), Some(ada()));
    assert_eq!(remote.data::<u8>(), None);
    // What it was then.
    socket.leave("r");
    assert_eq!(remote.rooms().len(), 2);
    let excepted = io.except("s").fetch_sockets().await.unwrap();
    assert_eq!(excepted.len(), 1);
    assert_eq!(excepted[0].data::<User>(), None);
}

#[tokio::test]
async fn a_remote_socket_is_emitted_to_asked_and_moved() {
    let io = Io::new();
    let (mut client, id) = Client::connect(serve(&io).await).await;
    let remote = io.fetch_sockets().await.unwrap().remove(0);
    remote.emit("e", 1);
    client.expect(r#"42["e",1]"#).await;
    let asked = tokio::spawn({
        let remote = remote.clone();
        async move { remote.emit_with_ack::<u8>("q", ()).await }
    });
    client.expect(r#"420["q"]"#).await;
    client.send("430[7]").await;
    assert_eq!(asked.await.unwrap().unwrap(), 7);
    remote.join(["a", "b"]).await.unwrap();
    remote.leave("a").await.unwrap();
    assert_eq!(io.socket(&id).unwrap().rooms(), ["b".into()]);
    remote.disconnect().await.unwrap();
    client.expect("41").await;
    assert!(remote.emit_with_ack::<u8>("q", ()).await.is_err());
}

#[tokio::test]
async fn many_join_and_leave_at_once() {
    let io = Io::new();
    let address = serve(&io).await;
    let (_a, a) = Client::connect(address).await;
    let (_b, b) = Client::connect(address).await;
    let (_c, c) = Client::connect(address).await;
    let rooms = |id: &str| {
        let mut rooms = io.socket(id).unwrap().rooms();
        rooms.sort();
        rooms.iter().map(|room| room.to_string()).collect::<Vec<_>>()
    };
    io.sockets_join("all").await.unwrap();
    io.to([&a, &b]).sockets_join(["x".to_owned(), "y".to_owned()]).await.unwrap();
    io.to("x").except(&b).sockets_leave("y").await.unwrap();
    assert_eq!(
        (rooms(&a), rooms(&b), rooms(&c)),
        (vec!["all".into(), "x".into()], vec!["all".into(), "x".into(), "y".into()], vec!["all".into()])
    );
    io.socket(&a).unwrap().to("all").sockets_leave("all").await.unwrap();
    assert_eq!((rooms(&a).len(), rooms(&b).len(), rooms(&c).len()), (2, 2, 0));
    io.sockets_leave(["x", "y", "all"]).await.unwrap();
    assert_eq!(io.stats().rooms, 0);
}

#[tokio::test]
async fn many_are_disconnected_or_closed() {
    let io = Io::new();
    let (gone, mut leaves) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| gone.send(reason).unwrap());
    io.of("/other");
    let address = serve(&io).await;
    let (mut a, id) = Client::connect(address).await;
    let (mut b, _) = Client::connect(address).await;
    a.send("40/other,").await;
    a.text().await;
    io.to(&id).disconnect_sockets().await.unwrap();
    a.expect("41").await;
    assert_eq!(leaves.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
    assert_eq!(io.of("/other").sockets().len(), 1);
    io.disconnect_sockets().await.unwrap();
    b.expect("41").await;
    io.of("/other").close_sockets().await.unwrap();
    a.expect("41/other,").await;
    a.closed().await;
    eventually(|| io.stats().sessions == 1).await;
}

#[tokio::test]
async fn a_parents_children_are_one_target() {
    let io = Io::new();
    let parent = io.of_matching(|name| name.starts_with("/n-"));
    let mut client = Client::engine(serve(&io).await).await;
    for name in ["/n-1", "/n-2"] {
        client.send(&format!("40{name},")).await;
        client.text().await;
    }
    parent.sockets_join("r").await.unwrap();
    let fetched = parent.to("r").fetch_sockets().await.unwrap();
    let mut names: Vec<_> = fetched.iter().map(|socket| socket.namespace()).collect();
    names.sort_unstable();
    assert_eq!(names, ["/n-1", "/n-2"]);
    parent.disconnect_sockets().await.unwrap();
    let mut left = [client.text().await, client.text().await];
    left.sort();
    assert_eq!(left, ["41/n-1,", "41/n-2,"]);
}
