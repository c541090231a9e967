//! Broadcasts that ask for acknowledgements.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use patera::{AckError, Answers, Config, EmitError, Io, PartialAnswers, Reply, Rest, Socket};

use crate::support::{Client, Polling, eventually, serve};

const NEVER: Duration = Duration::MAX;
const AT_ONCE: Duration = Duration::from_millis(1);

async fn clients<const N: usize>(io: &Io) -> [Client; N] {
    let address = serve(io).await;
    let mut clients = Vec::new();
    for _ in 0..N {
        clients.push(Client::connect(address).await.0);
    }
    clients.try_into().map_err(drop).unwrap()
}

#[tokio::test]
async fn all_answers_come_together() {
    let io = Io::new();
    let [mut a, mut b] = clients(&io).await;
    let answers: Answers<String> = io.timeout(NEVER).emit_with_ack("who?", 1);
    assert_eq!(answers.asked(), 2);
    for (client, name) in [(&mut a, "a"), (&mut b, "b")] {
        client.expect(r#"420["who?",1]"#).await;
        // Only the first answer counts.
        client.send(&format!(r#"430["{name}","ignored"]"#)).await;
        client.send(r#"430["again"]"#).await;
    }
    let answers: HashSet<_> = answers.await.unwrap().into_iter().collect();
    assert_eq!(answers, HashSet::from(["a".to_owned(), "b".to_owned()]));
}

#[tokio::test]
async fn answers_stream_in_the_order_they_come() {
    let io = Io::new();
    let [mut a, mut b] = clients(&io).await;
    let mut answers = io.timeout(NEVER).emit_with_ack::<Rest>("q", ());
    b.expect(r#"420["q"]"#).await;
    b.send(r#"430["b",2]"#).await;
    assert_eq!(answers.next().await.unwrap().unwrap().0.len(), 2);
    a.expect(r#"420["q"]"#).await;
    a.send("430[]").await;
    // As a stream too.
    assert_eq!(StreamExt::next(&mut answers).await.unwrap().unwrap(), Rest(Vec::new()));
    assert!(StreamExt::next(&mut answers).await.is_none() && answers.next().await.is_none());
}

#[tokio::test]
async fn those_that_are_silent_time_out_and_the_others_are_kept() {
    let io = Io::new();
    let [mut a, _b, _c] = clients(&io).await;
    let mut answers = io.timeout(AT_ONCE).emit_with_ack::<u8>("q", ());
    a.expect(r#"420["q"]"#).await;
    a.send("430[7]").await;
    eventually(|| io.stats().packets_in == 4).await;
    let mut all = Vec::new();
    while let Some(answer) = answers.next().await {
        all.push(answer);
    }
    assert!(matches!(all[..], [Ok(7), Err(AckError::Timeout), Err(AckError::Timeout)]), "{all:?}");

    let answers = io.timeout(AT_ONCE).emit_with_ack::<u8>("q", ());
    a.expect(r#"421["q"]"#).await;
    a.send("431[8]").await;
    eventually(|| io.stats().packets_in == 5).await;
    let PartialAnswers { answers, failures } = answers.await.unwrap_err();
    assert_eq!(answers, [8]);
    assert!(matches!(failures[..], [AckError::Timeout, AckError::Timeout]));
    let error = PartialAnswers { answers, failures };
    assert_eq!(error.to_string(), "2 of 3 answers are missing: operation has timed out");
}

#[tokio::test]
async fn the_default_timeout_is_the_servers() {
    let mut config = Config::default();
    config.ack_timeout = AT_ONCE;
    let io = Io::with_config(config);
    let [_a] = clients(&io).await;
    assert!(matches!(io.emit_with_ack::<()>("q", ()).await.unwrap_err().failures[..], [AckError::Timeout]));
    let socket = io.sockets().remove(0);
    assert!(socket.broadcast().emit_with_ack::<()>("nobody", ()).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_that_leaves_is_not_waited_for() {
    let io = Io::new();
    let [mut a, b] = clients(&io).await;
    let answers = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    a.expect(r#"420["q"]"#).await;
    a.send("430[1]").await;
    b.close().await;
    let error = answers.await.unwrap_err();
    assert_eq!(error.answers, [1]);
    assert!(matches!(error.failures[..], [AckError::Disconnected]));
}

#[tokio::test]
async fn only_the_target_is_asked_and_the_sender_is_not() {
    let io = Io::new();
    io.on("vote", async |s: Socket| {
        let mut answers = s.to(["jury", "judges"]).emit_with_ack::<u8>("guilty?", ()).await.unwrap();
        answers.sort_unstable();
        Reply(answers)
    });
    let [mut a, mut b, mut c, mut d] = clients(&io).await;
    for (n, socket) in io.sockets().iter().enumerate() {
        match n {
            0 => socket.join(["jury", "judges"]),
            1 => socket.join("jury"),
            2 => socket.join(["judges", "jury"]),
            _ => {}
        }
    }
    a.send(r#"421["vote"]"#).await;
    for (client, answer) in [(&mut b, 1), (&mut c, 2)] {
        client.expect(r#"420["guilty?"]"#).await;
        client.send(&format!("430[{answer}]")).await;
    }
    a.expect("431[[1,2]]").await;
    io.emit("done", ());
    d.expect(r#"42["done"]"#).await;
    let nobody = io.to("nobody").emit_with_ack::<u8>("q", ()).await;
    assert!(nobody.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_sent_or_read_is_said() {
    let io = Io::new();
    let address = serve(&io).await;
    let reserved = io.emit_with_ack::<u8>("connect", ()).await.unwrap_err();
    assert!(matches!(reserved.failures[..], [AckError::Emit(EmitError::Encode(_))]));
    let polling = Polling::connect(address).await;
    let volatile = io.volatile().timeout(NEVER).emit_with_ack::<u8>("q", ()).await.unwrap_err();
    assert!(matches!(volatile.failures[..], [AckError::Emit(EmitError::Volatile)]), "{volatile:?}");
    let answers = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    assert_eq!(polling.get().await.body, r#"422["q"]"#);
    assert_eq!(polling.post(r#"432["no number"]"#).await.status, 200);
    assert!(matches!(answers.await.unwrap_err().failures[..], [AckError::Answer(_)]));
}

#[tokio::test]
async fn a_client_is_asked_too_much_at_its_limit() {
    let mut config = Config::default();
    config.pending_acks_max = 1;
    let io = Io::with_config(config);
    let [mut a] = clients(&io).await;
    let first = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    let second = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    assert!(matches!(second.await.unwrap_err().failures[..], [AckError::TooMany]));
    a.expect(r#"420["q"]"#).await;
    a.send("430[1]").await;
    assert_eq!(first.await.unwrap(), [1]);
}

/// With a limit of one, the next question is taken only if nothing is kept of the last.
#[tokio::test]
async fn nothing_is_kept_of_a_question_that_is_over() {
    let mut config = Config::default();
    config.pending_acks_max = 1;
    let io = Io::with_config(config);
    let [mut a, mut b] = clients(&io).await;
    let held = std::sync::Arc::new(());
    let socket = io.sockets().remove(0);
    socket.data_set(0);
    socket.extension_set(held.clone());
    for n in 0..3 {
        // Sent and unanswered.
        let over = io.timeout(AT_ONCE).emit_with_ack::<u8>("q", ());
        for client in [&mut a, &mut b] {
            client.expect(&format!(r#"42{n}["q"]"#)).await;
        }
        match n {
            0 => assert_eq!(over.await.unwrap_err().failures.len(), 2),
            _ => drop(over),
        }
    }
    // A late answer finds nobody.
    a.send("430[1]").await;
    drop(socket.timeout(NEVER).emit_with_ack::<u8>("single", ()));
    a.expect(r#"423["single"]"#).await;
    let answers = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    for client in [&mut a, &mut b] {
        client.expect(r#"424["q"]"#).await;
        client.send("434[1]").await;
    }
    assert_eq!(answers.await.unwrap(), [1, 1]);
    drop(socket);
    a.close().await;
    eventually(|| std::sync::Arc::strong_count(&held) == 1).await;
}

#[tokio::test]
async fn a_parent_asks_the_sockets_of_all_its_children() {
    let io = Io::new();
    let parent = io.of_matching(|name| name.starts_with("/n-"));
    io.of("/n-2").emit_with_ack::<()>("uses an id", ()).await.unwrap();
    let mut client = Client::engine(serve(&io).await).await;
    for name in ["/n-1", "/n-2"] {
        client.send(&format!("40{name},")).await;
        client.text().await;
    }
    let answers = parent.timeout(NEVER).emit_with_ack::<u8>("q", ());
    for (name, id) in [("/n-2", 1), ("/n-1", 0)] {
        client.expect(&format!(r#"42{name},{id}["q"]"#)).await;
        client.send(&format!("43{name},{id}[{id}]")).await;
    }
    assert_eq!(answers.await.unwrap(), [1, 0]);
}

#[tokio::test]
async fn broadcasts_questions_and_direct_emits_keep_their_order() {
    let io = Io::new();
    let [mut a, mut b] = clients(&io).await;
    let sockets = io.sockets();
    let mut questions = Vec::new();
    for n in 0..100 {
        io.emit("all", n);
        questions.push(io.timeout(NEVER).emit_with_ack::<()>("q", n));
        for socket in &sockets {
            socket.emit("one", n);
        }
    }
    for client in [&mut a, &mut b] {
        for n in 0..100 {
            client.expect(&format!(r#"42["all",{n}]"#)).await;
            client.expect(&format!(r#"42{n}["q",{n}]"#)).await;
            client.expect(&format!(r#"42["one",{n}]"#)).await;
        }
    }
}
