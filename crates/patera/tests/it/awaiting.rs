//! What is counted of acknowledgements: each from `emit_with_ack` on, and none any more when it is over, however it ends.

use std::time::Duration;

use patera::{AckError, Acknowledgement, Answers, Config, ConnectionStateRecovery, Io, MemoryBus, Socket};

use crate::support::{Client, Polling, eventually, serve};

const NEVER: Duration = Duration::MAX;
const AT_ONCE: Duration = Duration::from_millis(1);

/// A question for the only client, which has got it.
async fn single(io: &Io, client: &mut Client, timeout: Duration) -> (Acknowledgement<u8>, String) {
    let answer = io.sockets()[0].timeout(timeout).emit_with_ack("q", ());
    (answer, asked(client).await)
}

/// One for everybody, which is that client.
async fn broadcast(io: &Io, client: &mut Client, timeout: Duration) -> (Answers<u8>, String) {
    let answers = io.timeout(timeout).emit_with_ack("q", ());
    (answers, asked(client).await)
}

/// The answer to the question that comes next.
async fn asked(client: &mut Client) -> String {
    let text = client.text().await;
    let id = text.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["q"]"#)).expect(&text);
    format!("43{id}[7]")
}

fn socket(io: &Io) -> Socket {
    io.sockets().remove(0)
}

async fn none_is_left(io: &Io) {
    eventually(|| io.stats().acks_pending == 0).await;
}

#[tokio::test]
async fn an_acknowledgement_counts_until_its_answer() {
    let io = Io::new();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    assert_eq!(io.stats().acks_pending, 0);
    let (first, answer_first) = single(&io, &mut client, NEVER).await;
    let (second, answer_second) = single(&io, &mut client, NEVER).await;
    assert_eq!(io.stats().acks_pending, 2);
    client.send(&answer_second).await;
    assert_eq!(second.await.unwrap(), 7);
    assert_eq!(io.stats().acks_pending, 1, "who has the answer sees that it counts no more");
    client.send(&answer_first).await;
    assert_eq!(first.await.unwrap(), 7);
    assert_eq!(io.stats().acks_pending, 0);
    // Nobody waits for what nobody asked.
    client.send(&answer_first).await;
    io.emit("e", ());
    client.expect(r#"42["e"]"#).await;
    assert_eq!(io.stats().acks_pending, 0);
}

#[tokio::test]
async fn a_broadcast_awaits_one_of_each_socket() {
    let io = Io::new();
    let address = serve(&io).await;
    let (mut a, _) = Client::connect(address).await;
    let (mut b, _) = Client::connect(address).await;
    let answers = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    assert_eq!(io.stats().acks_pending, 2);
    let (answer_a, answer_b) = (asked(&mut a).await, asked(&mut b).await);
    a.send(&answer_a).await;
    eventually(|| io.stats().acks_pending == 1).await;
    b.send(&answer_b).await;
    assert_eq!(answers.await.unwrap(), [7, 7]);
    assert_eq!(io.stats().acks_pending, 0);
}

#[tokio::test]
async fn one_that_is_over_before_its_answer_counts_no_more() {
    let io = Io::new();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let (timed_out, _) = single(&io, &mut client, AT_ONCE).await;
    assert!(matches!(timed_out.await, Err(AckError::Timeout)));
    none_is_left(&io).await;
    let (timed_out, _) = broadcast(&io, &mut client, AT_ONCE).await;
    assert_eq!(timed_out.await.unwrap_err().failures.len(), 1);
    none_is_left(&io).await;
    let (cancelled, _) = single(&io, &mut client, NEVER).await;
    assert_eq!(io.stats().acks_pending, 1);
    drop(cancelled);
    none_is_left(&io).await;
    let (cancelled, late) = broadcast(&io, &mut client, NEVER).await;
    assert_eq!(io.stats().acks_pending, 1);
    drop(cancelled);
    none_is_left(&io).await;
    client.send(&late).await;
    client.close().await;
    eventually(|| io.stats().sessions == 0).await;
    assert_eq!(io.stats().acks_pending, 0);
}

#[tokio::test]
async fn none_is_awaited_of_a_socket_that_is_gone() {
    let io = Io::new();
    let address = serve(&io).await;
    for end in ["left", "disconnected", "closed", "lost"] {
        let (mut client, _) = Client::connect(address).await;
        let socket = socket(&io);
        let (one, _) = single(&io, &mut client, NEVER).await;
        let (many, _) = broadcast(&io, &mut client, NEVER).await;
        assert_eq!(io.stats().acks_pending, 2, "{end}");
        match end {
            "left" => client.send("41").await,
            "disconnected" => socket.disconnect(),
            "closed" => socket.close(),
            _ => drop(client),
        }
        assert!(matches!(one.await, Err(AckError::Disconnected)), "{end}");
        assert!(matches!(many.await.unwrap_err().failures[..], [AckError::Disconnected]), "{end}");
        assert_eq!(io.stats().acks_pending, 0, "{end}");
        let refused = socket.emit_with_ack::<u8>("q", ());
        assert_eq!(io.stats().acks_pending, 0, "{end}");
        assert!(refused.await.is_err(), "{end}");
    }
}

#[tokio::test]
async fn a_server_that_closes_awaits_none() {
    let io = Io::new();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let (answer, _) = single(&io, &mut client, NEVER).await;
    io.close().await;
    assert!(matches!(answer.await, Err(AckError::Disconnected)));
    assert_eq!(io.stats().acks_pending, 0);
}

/// It is on its way to a client that does not ask for it.
#[tokio::test]
async fn one_that_is_not_sent_yet_counts_too() {
    let io = Io::new();
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let awaited = socket(&io).timeout(NEVER).emit_with_ack::<u8>("q", ());
    let cancelled = socket(&io).timeout(NEVER).emit_with_ack::<u8>("q", ());
    assert_eq!(io.stats().acks_pending, 2);
    drop(cancelled);
    assert_eq!(polling.get().await.body, "420[\"q\"]\u{1e}421[\"q\"]");
    eventually(|| io.stats().acks_pending == 1).await;
    assert_eq!(polling.post("430[1]").await.status, 200);
    assert_eq!(awaited.await.unwrap(), 1);
    assert_eq!(io.stats().acks_pending, 0);
    let never_sent = socket(&io).timeout(NEVER).emit_with_ack::<u8>("q", ());
    assert_eq!(io.stats().acks_pending, 1);
    assert_eq!(polling.post("1").await.status, 200);
    assert!(matches!(never_sent.await, Err(AckError::Disconnected)));
    assert_eq!(io.stats().acks_pending, 0);
}

#[tokio::test]
async fn what_is_not_sent_at_all_is_not_awaited() {
    let mut config = Config::default();
    config.pending_acks_max = 1;
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let invalid = socket(&io).emit_with_ack::<u8>("connect", ());
    let volatile = socket(&io).volatile().emit_with_ack::<u8>("q", ());
    let volatile_to_all = io.volatile().emit_with_ack::<u8>("q", ());
    assert_eq!(io.stats().acks_pending, 0);
    assert!(invalid.await.is_err() && volatile.await.is_err() && volatile_to_all.await.is_err());
    let first = socket(&io).timeout(NEVER).emit_with_ack::<u8>("q", ());
    let too_many = socket(&io).timeout(NEVER).emit_with_ack::<u8>("q", ());
    polling.get().await;
    assert!(matches!(too_many.await, Err(AckError::TooMany)));
    assert_eq!(io.stats().acks_pending, 1);
    drop(first);
    none_is_left(&io).await;
}

#[tokio::test]
async fn a_client_that_is_away_is_not_awaited() {
    let mut config = Config::default();
    config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    let io = Io::with_config(config);
    let mut client = Client::engine(serve(&io).await).await;
    client.send("40").await;
    assert!(client.text().await.contains("pid"));
    let (answer, _) = single(&io, &mut client, NEVER).await;
    assert_eq!(io.stats().acks_pending, 1);
    drop(client);
    assert!(matches!(answer.await, Err(AckError::Disconnected)));
    eventually(|| io.stats().recoverable == 1).await;
    let answers = io.timeout(NEVER).emit_with_ack::<u8>("q", ());
    assert_eq!(io.stats().acks_pending, 0);
    drop(answers);
}

/// Each counts what its own clients are asked.
#[tokio::test]
async fn another_servers_question_counts_where_it_is_answered() {
    let bus = MemoryBus::new();
    let server = || {
        let mut config = Config::default();
        config.bus(bus.clone());
        Io::with_config(config)
    };
    let (asking, answering) = (server(), server());
    eventually(|| asking.server_count() == 2 && answering.server_count() == 2).await;
    let (mut client, _) = Client::connect(serve(&answering).await).await;
    for is_answered in [true, false] {
        let timeout = if is_answered { NEVER } else { AT_ONCE };
        let answers = asking.timeout(timeout).emit_with_ack::<u8>("q", ());
        let answer = asked(&mut client).await;
        assert_eq!(asking.stats().acks_pending, 0);
        if is_answered {
            assert_eq!(answering.stats().acks_pending, 1);
            client.send(&answer).await;
        }
        assert_eq!(answers.await.is_ok(), is_answered);
        none_is_left(&answering).await;
    }
}
