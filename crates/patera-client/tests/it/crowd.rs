//! A thousand clients through a restart of their server: all come back, and none stays when it is dropped.

use std::time::{Duration, Instant};

use patera::Config;
use patera_client::Reply;
use tokio::runtime::Handle;

use crate::support::{Server, UPGRADE, WEBSOCKET, until, within};

const CLIENTS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_clients_come_back_and_leave_nothing() {
    let serve = |io: &patera::Io| {
        io.of("/").on("echo", async |number: usize| Reply(number));
    };
    let server = Server::start(serve).await;
    let address = server.address;
    let before = Handle::current().metrics().num_alive_tasks();
    let delay = Duration::from_millis(100);
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        // One in ten goes all the way from polling.
        let transports = if number % 10 == 0 { UPGRADE } else { WEBSOCKET };
        let client = server.client(transports).reconnection(true).reconnection_delay(delay);
        clients.push(client.reconnection_delay_max(3 * delay).build().unwrap());
    }
    for client in &clients {
        within(client.connect()).await.unwrap();
    }
    assert_eq!(server.io.stats().sockets, CLIENTS as u64);
    server.kill();
    until(|| clients.iter().all(|client| !client.connected())).await;
    let answers: Vec<_> =
        clients.iter().enumerate().map(|(number, client)| client.emit_with_ack::<usize>("echo", number)).collect();
    let started = Instant::now();
    let server = Server::start_with(Config::default(), address, serve).await;
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(within(answer).await.unwrap(), number);
    }
    assert!(clients.iter().all(|client| client.connected()));
    println!("{CLIENTS} clients were back after {:?}", started.elapsed());
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before + CLIENTS, "one task each");
    drop(clients);
    until(|| Handle::current().metrics().num_alive_tasks() == before).await;
    until(|| server.io.stats().sessions == 0).await;
}
