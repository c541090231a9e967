//! Rooms, broadcast, private messages.

use std::collections::BTreeSet;

use patera::{Io, JoinError, Reply, Socket};

use crate::memory;
use crate::support::{Client, eventually, serve};

/// A server whose clients join and leave by event.
fn server() -> Io {
    let io = Io::new();
    io.on("join", async |s: Socket, room: String| {
        s.join(room);
        Reply(())
    });
    io.on("leave", async |s: Socket, room: String| {
        s.leave(room);
        Reply(())
    });
    io
}

async fn join(client: &mut Client, room: &str) {
    client.send(&format!(r#"420["join","{room}"]"#)).await;
    client.expect("430[]").await;
}

/// What each got up to the marker that all get.
async fn received(io: &Io, clients: &mut [&mut Client]) -> Vec<Vec<String>> {
    io.emit("end", ());
    let mut all = Vec::new();
    for client in clients {
        let mut events = Vec::new();
        loop {
            match client.text().await {
                end if end == r#"42["end"]"# => break,
                event => events.push(event),
            }
        }
        all.push(events);
    }
    all
}

#[tokio::test]
async fn a_room_is_its_members_and_a_union_is_each_once() {
    let io = server();
    let address = serve(&io).await;
    let (mut a, id_a) = Client::connect(address).await;
    let (mut b, _) = Client::connect(address).await;
    let (mut c, _) = Client::connect(address).await;
    join(&mut a, "one").await;
    join(&mut a, "two").await;
    join(&mut b, "two").await;
    assert_eq!(io.stats().rooms, 2);
    io.to("one").emit("to", "one");
    io.to(["one", "two"]).emit("to", "both");
    io.to("two").except("one").emit("to", "two but one");
    io.except(id_a.as_str()).emit("to", "all but a");
    io.to("nobody").emit("to", "nobody");
    io.to(id_a.as_str()).emit("to", "a alone");
    assert_eq!(io.to(["one", "two"]).try_emit("counted", ()).unwrap(), 2);
    let got = received(&io, &mut [&mut a, &mut b, &mut c]).await;
    let event = |text: &str| format!(r#"42["to","{text}"]"#);
    let counted = r#"42["counted"]"#.to_owned();
    assert_eq!(got[0], [event("one"), event("both"), event("a alone"), counted.clone()]);
    assert_eq!(got[1], [event("both"), event("two but one"), event("all but a"), counted]);
    assert_eq!(got[2], [event("all but a")]);
}

#[tokio::test]
async fn broadcast_leaves_the_sender_out_and_private_messages_find_their_socket() {
    let io = server();
    io.on("say", async |s: Socket, text: String| s.broadcast().emit("said", text));
    io.on("tell", async |s: Socket, to: String, text: String| s.to(to).emit("told", (s.id(), text)));
    let address = serve(&io).await;
    let (mut a, id_a) = Client::connect(address).await;
    let (mut b, id_b) = Client::connect(address).await;
    a.send(r#"42["say","hi"]"#).await;
    b.expect(r#"42["said","hi"]"#).await;
    a.send(&format!(r#"42["tell","{id_b}","psst"]"#)).await;
    b.expect(&format!(r#"42["told","{id_a}","psst"]"#)).await;
    assert!(received(&io, &mut [&mut a]).await[0].is_empty());
}

#[tokio::test]
async fn leaving_and_disconnecting_empty_a_room() {
    let io = server();
    let address = serve(&io).await;
    let (mut a, _) = Client::connect(address).await;
    let (mut b, _) = Client::connect(address).await;
    join(&mut a, "room").await;
    join(&mut b, "room").await;
    a.send(r#"421["leave","room"]"#).await;
    a.expect("431[]").await;
    assert_eq!(io.to("room").try_emit("x", ()).unwrap(), 1);
    b.close().await;
    eventually(|| io.stats().rooms == 0).await;
    assert_eq!(io.stats().sockets, 1);
}

#[tokio::test]
async fn rooms_are_bounded_in_number_and_name() {
    let mut config = patera::Config::default();
    config.rooms_per_socket_max = 2;
    config.room_name_bytes_max = 4;
    let io = Io::with_config(config);
    let (results, mut seen) = tokio::sync::mpsc::unbounded_channel();
    io.on_connection(move |s: Socket| {
        let results = results.clone();
        async move {
            for room in ["four", "fives", "two", "two", "3"] {
                results.send(s.try_join(room)).unwrap();
            }
        }
    });
    let _client = Client::connect(serve(&io).await).await;
    let expected = [Ok(()), Err(JoinError::NameTooLong), Ok(()), Ok(()), Err(JoinError::TooMany)];
    for expected in expected {
        assert_eq!(seen.recv().await, Some(expected));
    }
}

/// Counts how often it is written as JSON.
struct Counted<'a>(&'a std::sync::atomic::AtomicUsize);

impl serde::Serialize for Counted<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        serializer.serialize_str("counted")
    }
}

#[tokio::test]
async fn a_broadcast_is_encoded_once_whoever_gets_it() {
    let io = server();
    io.native("/ws");
    let address = serve(&io).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Client::connect(address).await.0);
    }
    let polling = crate::support::Polling::connect(address).await;
    let mut native = Client::open(address, "/ws", Some("patera.json")).await;
    native.text().await;
    let encoded = std::sync::atomic::AtomicUsize::new(0);
    assert_eq!(io.broadcast().try_emit("x", (Counted(&encoded),)).unwrap(), 7);
    for client in &mut clients {
        client.expect(r#"42["x","counted"]"#).await;
    }
    assert_eq!(polling.get().await.body, r#"42["x","counted"]"#);
    native.expect(r#"{"event":"x","args":["counted"]}"#).await;
    assert_eq!(encoded.into_inner(), 1);
}

/// Sockets change places in their rooms when others leave; whatever the order, a room is who joined and has not left.
#[tokio::test]
async fn rooms_are_who_joined_whatever_the_order_of_leaving() {
    let io = Io::new();
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(memory::Client::connect(&io).await);
    }
    let mut sockets = io.sockets();
    let mut model = vec![BTreeSet::new(); 5];
    let mut seed = 1_u32;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    for round in 0..600 {
        let (socket, room) = (draw(sockets.len()), draw(model.len()));
        let id = sockets[socket].id().to_owned();
        match draw(20) {
            0 if sockets.len() > 3 => {
                let socket = sockets.swap_remove(socket);
                socket.disconnect();
                eventually(|| !socket.is_connected() && io.socket(&id).is_none()).await;
                for room in &mut model {
                    room.remove(&id);
                }
            }
            1..10 => {
                sockets[socket].join(format!("room {room}"));
                model[room].insert(id);
            }
            _ => {
                sockets[socket].leave(format!("room {room}"));
                model[room].remove(&id);
            }
        }
        for (room, members) in model.iter().enumerate() {
            let to = io.to(format!("room {room}"));
            assert_eq!(to.try_emit("x", ()).unwrap(), members.len(), "round {round}");
            let without = members.iter().fold(to, |to, member| to.except(member.as_str()));
            assert_eq!(without.try_emit("x", ()).unwrap(), 0, "round {round}");
        }
        assert_eq!(io.broadcast().try_emit("x", ()).unwrap(), sockets.len());
    }
}
