//! A polling session that two WebSockets want to take over.

use super::check_sessions;
use super::stage::{self, Task, join, masked, of, push, spawn};
use crate::config::Config;
use crate::core::LinkState;
use crate::outbox::Command;

#[test]
fn one_of_two_websockets_takes_over() {
    check_sessions("session: two WebSockets against a packet", || {
        let io = stage::io(Config::default());
        let mut task = Task::polling(&io);
        task.run();
        let probes = [(), ()].map(|()| {
            let (link, client) = stage::websocket(&io, true, masked(&["2probe", "5"]));
            let shared = task.shared.clone();
            (spawn(move || shared.outbox.command(Command::Probe(Box::new(link)))), client)
        });
        let shared = task.shared.clone();
        let emitter = spawn(move || push(&shared, "a1").expect("there is room"));
        task.run();
        let clients = probes.map(|(thread, client)| {
            join(thread);
            client
        });
        join(emitter);
        task.run();
        assert_eq!(task.shared.link(), LinkState::WebSocket);
        drop(task);
        let read = clients.map(stage::Client::read);
        let (winner, loser) = if read[0].is_empty() { (&read[1], &read[0]) } else { (&read[0], &read[1]) };
        assert_eq!((winner.len(), of(winner, "4a")), (2, vec!["4a1"]), "{winner:?}");
        assert_eq!((winner[0].as_str(), loser.len()), ("3probe", 0), "{loser:?}");
    });
}
