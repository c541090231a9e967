//! The outbox between those who push, those who write in its session's place, and the session itself, over a real TCP stream.

use super::check_sessions;
use super::stage::{self, Client, Task, broadcast, close, join, of, push, spawn};
use crate::config::{Config, OutboxPolicy};
use crate::prepared::Prepared;

/// Two emitters of two packets each; the session sleeps, wakes, and drains.
#[test]
fn what_is_pushed_arrives_once_and_in_order() {
    check_sessions("outbox: two emitters", || {
        let io = stage::io(Config::default());
        let (mut task, client) = Task::websocket(&io, true);
        task.run();
        let emitters = ["a", "b"].map(|name| {
            let shared = task.shared.clone();
            spawn(move || {
                for number in 1..3 {
                    push(&shared, &format!("{name}{number}")).expect("there is room");
                }
            })
        });
        task.run();
        for thread in emitters {
            join(thread);
        }
        task.run();
        assert_all_arrived(task, client, 4);
    });
}

/// Whoever broadcasts writes for a session that sleeps, while others wake it.
#[test]
fn what_is_flushed_by_others_arrives_once_and_in_order() {
    check_sessions("outbox: two broadcasters and an emitter", || {
        let io = stage::io(Config::default());
        let (mut task, client) = Task::websocket(&io, true);
        task.run();
        let broadcaster = broadcaster(&task, ["a1", "a2"]);
        let shared = task.shared.clone();
        let emitter = spawn(move || {
            broadcast(&shared, "b1").expect("there is room");
            push(&shared, "b2").expect("there is room");
        });
        task.run();
        join(broadcaster);
        join(emitter);
        task.run();
        assert_all_arrived(task, client, 4);
    });
}

/// The stream takes nothing: what a broadcaster could not write goes back to the session, in front of all else.
#[test]
fn what_others_could_not_write_arrives_first() {
    check_sessions("outbox: two broadcasters, and a stream that takes nothing", || {
        let io = stage::io(Config::default());
        let (mut task, client) = Task::websocket(&io, false);
        task.run();
        let broadcasters = [["a1", "a2"], ["b1", "b2"]].map(|texts| broadcaster(&task, texts));
        task.run();
        for thread in broadcasters {
            join(thread);
        }
        task.run();
        stage::let_streams_take();
        task.run();
        assert_all_arrived(task, client, 4);
    });
}

/// The stream takes something again while the session holds what it could not write: nobody overtakes it.
#[test]
fn what_the_session_could_not_write_is_not_overtaken() {
    check_sessions("outbox: two broadcasters, and a stream that pauses", || {
        let io = stage::io(Config::default());
        let (mut task, client) = Task::websocket(&io, false);
        task.run();
        let broadcasters = [["a1", "a2"], ["b1", "b2"]].map(|texts| broadcaster(&task, texts));
        push(&task.shared, "c1").expect("there is room");
        task.run();
        stage::let_streams_take();
        for thread in broadcasters {
            join(thread);
        }
        task.run();
        assert_all_arrived(task, client, 5);
    });
}

fn broadcaster(task: &Task, texts: [&'static str; 2]) -> loom::thread::JoinHandle<()> {
    let shared = task.shared.clone();
    spawn(move || texts.iter().for_each(|text| broadcast(&shared, text).expect("there is room")))
}

fn assert_all_arrived(task: Task, client: Client, count: usize) {
    drop(task);
    let read = client.read();
    assert_eq!((of(&read, "4a"), of(&read, "4b")), (vec!["4a1", "4a2"], vec!["4b1", "4b2"]));
    assert_eq!(read.len(), count, "{read:?}");
}

/// A command in the middle of it neither loses its wake nor takes that of a packet.
#[test]
fn a_command_and_a_packet_are_both_seen() {
    check_sessions("outbox: a command against a packet", || {
        let io = stage::io(Config::default());
        let mut task = Task::polling(&io);
        task.run();
        let shared = task.shared.clone();
        let getter = spawn(move || stage::poll(&shared));
        let shared = task.shared.clone();
        let emitter = spawn(move || push(&shared, "a1").expect("there is room"));
        task.run();
        let mut get = join(getter);
        join(emitter);
        task.run();
        assert_eq!(stage::answer(&mut get).as_deref(), Some("4a1"));
    });
}

/// A session that is told to end and to flush sends all that was taken before it refuses, its close frame last.
#[test]
fn an_end_that_flushes_loses_nothing_it_took() {
    check_sessions("outbox: broadcasters against an end that flushes", || check_end(true));
}

/// One that is told to end at once sends nothing behind its close frame.
#[test]
fn nothing_follows_the_close_frame() {
    check_sessions("outbox: broadcasters against an end at once", || check_end(false));
}

fn check_end(flush: bool) {
    let io = stage::io(Config::default());
    let (mut task, client) = Task::websocket(&io, true);
    task.run();
    let broadcasters = ["a", "b"].map(|name| {
        let shared = task.shared.clone();
        spawn(move || ["1", "2"].map(|number| broadcast(&shared, &format!("{name}{number}")).is_ok()))
    });
    close(&task.shared, flush);
    task.run();
    let taken = broadcasters.map(join);
    task.run();
    assert!(task.refuses_packets());
    drop(task);
    let read = client.read();
    assert_eq!(read.last().map(String::as_str), Some("close"), "{read:?}");
    let mut expected = 1;
    for (name, taken) in ["a", "b"].iter().zip(taken) {
        let sent = of(&read, &format!("4{name}"));
        let all: Vec<String> =
            ["1", "2"].iter().zip(taken).filter(|(_, taken)| *taken).map(|(n, _)| format!("4{name}{n}")).collect();
        if flush {
            assert_eq!(sent, all);
        } else {
            assert_eq!(sent, all[..sent.len()], "a prefix");
        }
        expected += sent.len();
    }
    assert_eq!(read.len(), expected, "{read:?}");
}

/// Two emitters race for the last place of an outbox that nobody drains.
#[test]
fn the_bound_holds_and_overflow_ends_the_session() {
    for policy in [OutboxPolicy::DropNewest, OutboxPolicy::Close] {
        check_sessions("outbox: the last place", move || {
            let size = Prepared::text("a1").size();
            let config = Config { outbox_bytes_max: 3 * size, outbox_policy: policy, ..Config::default() };
            let io = stage::io(config);
            let mut task = Task::polling(&io);
            task.run();
            let emitters = ["a", "b"].map(|name| {
                let shared = task.shared.clone();
                spawn(move || ["1", "2"].map(|number| push(&shared, &format!("{name}{number}")).is_ok()))
            });
            task.run();
            let taken = emitters.map(join);
            let taken = taken.as_flattened().iter().filter(|taken| **taken).count();
            assert_eq!(taken, 3, "what was pushed beyond the bound was refused");
            task.run();
            assert_eq!(task.refuses_packets(), policy == OutboxPolicy::Close);
        });
    }
}
