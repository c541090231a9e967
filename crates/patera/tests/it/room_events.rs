//! What is told of rooms, and in which order.

use std::sync::Arc;

use parking_lot::Mutex;
use patera::{Io, RoomEvent, Socket};

use crate::support::{Client, eventually, serve};

/// As text, with `a` and `b` for the sockets in the order of their ids.
fn record(io: &Io) -> Arc<Mutex<Vec<String>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    io.on_room_event(move |event| {
        hears.lock().push(match event {
            RoomEvent::Create { room } => format!("create {room}"),
            RoomEvent::Join { room, socket } => format!("join {room} {}", socket.id()),
            RoomEvent::Leave { room, socket } => format!("leave {room} {}", socket.id()),
            RoomEvent::Delete { room } => format!("delete {room}"),
            other => format!("{other:?}"),
        });
    });
    heard
}

#[tokio::test]
async fn rooms_are_created_joined_left_and_deleted() {
    let io = Io::new();
    let heard = record(&io);
    let address = serve(&io).await;
    let (first, a) = Client::connect(address).await;
    let (_second, b) = Client::connect(address).await;
    let socket = |id: &str| io.socket(id).unwrap();
    socket(&a).join("r");
    socket(&a).join("r");
    socket(&b).join(["r", &a]);
    socket(&a).leave("r");
    socket(&a).leave("r");
    socket(&b).leave("r");
    let expected = [
        "create r".to_owned(),
        format!("join r {a}"),
        format!("join r {b}"),
        format!("create {a}"),
        format!("join {a} {b}"),
        format!("leave r {a}"),
        format!("leave r {b}"),
        "delete r".to_owned(),
    ];
    assert_eq!(std::mem::take(&mut *heard.lock()), expected);
    socket(&a).join("s");
    first.close().await;
    eventually(|| heard.lock().len() == 4).await;
    let left = [format!("leave s {a}"), "delete s".to_owned()];
    assert_eq!(heard.lock()[2..], left);
}

#[tokio::test]
async fn a_hook_may_join_and_leave_itself() {
    let io = Io::new();
    io.on_room_event(|event| {
        if let RoomEvent::Join { room, socket } = event
            && &**room == "lobby"
        {
            socket.join("hall");
        }
    });
    let heard = record(&io);
    let (_client, id) = Client::connect(serve(&io).await).await;
    io.socket(&id).unwrap().join("lobby");
    let expected = ["create lobby", &format!("join lobby {id}"), "create hall", &format!("join hall {id}")];
    assert_eq!(*heard.lock(), expected);
}

#[tokio::test]
async fn a_hook_that_panics_or_is_removed_stops_nothing() {
    let io = Io::new();
    let panics = io.on_room_event(|_| panic!("a hook's own fault"));
    let heard = record(&io);
    let (_client, id) = Client::connect(serve(&io).await).await;
    let socket = io.socket(&id).unwrap();
    socket.join("a");
    assert!(io.off(panics));
    socket.join("b");
    assert_eq!(heard.lock().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_many_threads_make_sense_in_their_order() {
    let io = Io::new();
    let heard = record(&io);
    let address = serve(&io).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::connect(address).await);
    }
    let thread = |socket: Socket| {
        std::thread::spawn(move || {
            for _ in 0..500 {
                socket.join("r");
                socket.leave("r");
            }
        })
    };
    let threads: Vec<_> = io.sockets().into_iter().map(thread).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    eventually(|| heard.lock().last().is_some_and(|last| last == "delete r")).await;
    let (mut exists, mut members) = (false, 0);
    let heard = heard.lock();
    for event in heard.iter() {
        match event.split(' ').next().unwrap() {
            "create" => assert!(!std::mem::replace(&mut exists, true) && members == 0),
            "delete" => assert!(std::mem::replace(&mut exists, false) && members == 0),
            "join" => members += i32::from(exists),
            _ => members -= i32::from(exists),
        }
    }
    assert_eq!((exists, members), (false, 0));
    assert_eq!(heard.iter().filter(|event| event.starts_with("join")).count(), 2000);
}
