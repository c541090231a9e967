//! Clients that come back for a socket, against each other, against its time, and against whoever else ends it.

use super::check;
use super::stage::{self, connect, disconnect, join, newcomer, spawn};
use crate::config::{Config, ConnectionStateRecovery};
use crate::io::Io;
use crate::socket::Socket;

fn io(packets_max: usize) -> Io {
    let recovery = ConnectionStateRecovery { packets_max, ..ConnectionStateRecovery::default() };
    stage::io(Config { connection_state_recovery: Some(recovery), ..Config::default() })
}

/// One that was in a room when its connection was lost.
fn away(io: &Io) -> Socket {
    let socket = stage::socket(io);
    socket.join("lobby");
    disconnect(&socket);
    assert!(socket.0.is_away());
    socket
}

/// What a client says that comes back for a socket and has got nothing yet.
fn resume(socket: &Socket) -> String {
    let recoverable = socket.0.recoverable().expect("the server recovers, and so does its client");
    format!(r#"[{{"pid":"{}"}}]"#, recoverable.pid())
}

/// Comes back, and is let in unless handlers of another socket must be told before; as the session does, it ends where it is
/// refused.
fn come_back(io: &Io, resume: &str) -> (Socket, bool) {
    let socket = newcomer(io, Some(resume));
    let waits = socket.0.recoverable().is_some_and(|recoverable| recoverable.has_others());
    if !waits && connect(&socket).is_err() {
        disconnect(&socket);
    }
    (socket, waits)
}

fn is_told_to_end(socket: &Socket) -> bool {
    !socket.0.session.outbox.begin_turn().commands.is_empty()
}

fn events(socket: &Socket) -> Vec<String> {
    let items = socket.0.session.outbox.take_items(usize::MAX, 0);
    let texts = items.iter().map(|item| String::from_utf8_lossy(item.prepared.packet_text()).into_owned());
    texts.filter(|text| text.contains("news")).collect()
}

/// Only this one is in the namespace, and what is emitted gets to it.
fn assert_alone(io: &Io, socket: &Socket) {
    let sockets = io.inner.rooms.sockets();
    assert_eq!(sockets.iter().map(|socket| socket.number).collect::<Vec<_>>(), [socket.0.number]);
    assert!(socket.is_connected());
    socket.try_emit("last", ()).expect("it is connected");
    assert_eq!(io.inner.rooms.room_count(), usize::from(socket.recovered()), "its room came with it, or is gone");
}

#[test]
fn one_of_two_clients_gets_the_socket_and_all_it_missed() {
    check("recovery: two clients and a broadcast", || {
        let io = io(100);
        let old = away(&io);
        let clients = [(), ()].map(|()| {
            let (io, resume) = (io.clone(), resume(&old));
            spawn(move || come_back(&io, &resume))
        });
        io.emit("news", ());
        let clients = clients.map(join);
        // The first is told to end, its handlers are told, and the second goes on.
        for (socket, _) in clients.iter().filter(|(socket, waits)| !waits && is_told_to_end(socket)) {
            disconnect(socket);
        }
        for (socket, _) in clients.iter().filter(|(_, waits)| *waits) {
            connect(socket).expect("nobody else comes");
        }
        let winners: Vec<&Socket> =
            clients.iter().map(|(socket, _)| socket).filter(|socket| socket.is_connected()).collect();
        let [winner] = winners[..] else { panic!("{} sockets have it", winners.len()) };
        assert!(winner.recovered());
        assert_eq!(events(winner).len(), 1);
        assert_alone(&io, winner);
    });
}

#[test]
fn who_comes_at_the_last_moment_is_recovered_or_new() {
    check("recovery: a client against the end of its time", || {
        let io = io(100);
        let old = away(&io);
        let client = {
            let (io, resume) = (io.clone(), resume(&old));
            spawn(move || come_back(&io, &resume))
        };
        io.io.core.recovery.as_ref().expect("it is configured").close();
        let (socket, waits) = join(client);
        assert!(!waits);
        assert_alone(&io, &socket);
    });
}

#[test]
fn who_is_disconnected_while_coming_back_is_out_or_in() {
    check("recovery: a client against a disconnection by an old handle", || {
        let io = io(100);
        let old = away(&io);
        let client = {
            let (io, resume) = (io.clone(), resume(&old));
            spawn(move || come_back(&io, &resume))
        };
        old.disconnect();
        let (socket, waits) = join(client);
        assert!(!waits);
        if socket.is_connected() {
            assert_alone(&io, &socket);
        } else {
            assert_eq!((io.inner.rooms.sockets().len(), io.inner.rooms.room_count()), (0, 0));
        }
    });
}

#[test]
fn who_missed_more_than_is_kept_is_not_recovered() {
    check("recovery: a client against a second event where one is kept", || {
        let io = io(1);
        let old = away(&io);
        let client = {
            let (io, resume) = (io.clone(), resume(&old));
            spawn(move || come_back(&io, &resume))
        };
        io.emit("news", 1);
        io.emit("news", 2);
        let (socket, waits) = join(client);
        assert!(!waits);
        // What the sweeper does soon.
        io.io.core.recovery.as_ref().expect("it is configured").close();
        if socket.is_connected() {
            if socket.recovered() {
                assert_eq!(events(&socket).len(), 2, "it was there before the second came");
            }
            assert_alone(&io, &socket);
        } else {
            assert_eq!((io.inner.rooms.sockets().len(), io.inner.rooms.room_count()), (0, 0));
        }
    });
}
