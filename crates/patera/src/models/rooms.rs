//! Rooms that sockets join and leave while packets go to them.

use std::sync::Arc;

use super::check;
use super::stage::{self, disconnect, join, socket, spawn};
use crate::config::Config;
use crate::io::Io;
use crate::room_events::RoomEvent;
use crate::rooms::Target;
use crate::socket::Socket;

/// How many packets wait for a socket, beside CONNECT.
fn received(socket: &Socket) -> usize {
    socket.0.session.outbox.item_count() - 1
}

/// One stays in two rooms, one moves from one room into the other, one disconnects.
#[test]
fn a_broadcast_reaches_who_stays_and_nobody_twice() {
    check("rooms: a broadcast against a move and a disconnection", || {
        let io = stage::io(Config::default());
        let [stays, moves, leaves] = [(), (), ()].map(|()| socket(&io));
        for room in ["one", "two"] {
            stays.join(room);
        }
        moves.join("one");
        leaves.join("two");
        let mover = {
            let socket = moves.clone();
            spawn(move || {
                socket.join("two");
                socket.leave("one");
            })
        };
        let leaver = {
            let socket = leaves.clone();
            spawn(move || disconnect(&socket))
        };
        io.to(["one", "two"]).emit("news", ());
        join(mover);
        join(leaver);
        assert_eq!((received(&stays), received(&moves)), (1, 1), "who is always in one of them is reached once");
        assert!(received(&leaves) <= 1);
        assert_eq!(io.inner.rooms.room_count(), 2);
        assert_eq!(members(&io, "one"), [stays.0.number]);
        assert_eq!(members(&io, "two"), [stays.0.number, moves.0.number]);
        disconnect(&stays);
        disconnect(&moves);
        assert_eq!((io.inner.rooms.room_count(), io.inner.rooms.sockets().len()), (0, 0));
    });
}

/// Sorted: the order is that of coming as long as nobody leaves.
fn members(io: &Io, room: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    let target = Target { rooms: vec![room.into()], except: Vec::new() };
    io.inner.rooms.for_each(&target, |socket| numbers.push(socket.number));
    numbers.sort_unstable();
    numbers
}

/// A handle joins while the session's task takes the socket out.
#[test]
fn who_has_left_is_in_no_room() {
    check("rooms: two joins against a disconnection", || {
        let io = stage::io(Config::default());
        let socket = socket(&io);
        let joiners = ["one", "two"].map(|room| {
            let socket = socket.clone();
            spawn(move || socket.try_join(room).is_ok())
        });
        disconnect(&socket);
        for thread in joiners {
            join(thread);
        }
        assert_eq!((io.inner.rooms.room_count(), socket.rooms().len()), (0, 0));
        assert!(io.inner.rooms.find(socket.id()).is_none());
    });
}

/// A room goes with its last member and comes with the next, and hooks hear of it in this order.
#[test]
fn room_events_are_told_once_and_in_order() {
    check("rooms: events of two sockets in one room", || {
        let io = stage::io(Config::default());
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let telling = told.clone();
        io.on_room_event(move |event: &RoomEvent| {
            let event = match event {
                RoomEvent::Create { .. } => 'c',
                RoomEvent::Join { .. } => 'j',
                RoomEvent::Leave { .. } => 'l',
                RoomEvent::Delete { .. } => 'd',
            };
            telling.lock().expect("no hook panics").push(event);
        });
        let movers = [(), ()].map(|()| {
            let socket = socket(&io);
            spawn(move || {
                socket.join("room");
                socket.leave("room");
            })
        });
        for thread in movers {
            join(thread);
        }
        assert_eq!(io.inner.rooms.room_count(), 0);
        let told: String = told.lock().expect("no hook panics").iter().collect();
        let possible = ["cjldcjld", "cjjlld"];
        assert!(possible.contains(&told.as_str()), "{told}");
    });
}

/// A room's bound holds for joins at the same time.
#[test]
fn no_socket_is_in_more_rooms_than_it_may() {
    check("rooms: two joins for the last place", || {
        let config = Config { rooms_per_socket_max: 1, ..Config::default() };
        let io = stage::io(config);
        let socket = socket(&io);
        let joiners = ["one", "two"].map(|room| {
            let socket = socket.clone();
            spawn(move || socket.try_join(room).is_ok())
        });
        let joined = joiners.map(join);
        assert_eq!(joined.iter().filter(|joined| **joined).count(), 1);
        assert_eq!((io.inner.rooms.room_count(), socket.rooms().len()), (1, 1));
    });
}
