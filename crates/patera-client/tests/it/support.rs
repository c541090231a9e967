//! A server on a port of its own that can be killed, and a way to wait for what must happen.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use patera::{Config, Io};
use patera_client::{Client, ClientBuilder, Event, Events, Lifecycle, Transport};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Nothing here takes longer, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const POLLING: &[Transport] = &[Transport::Polling];
pub(crate) const WEBSOCKET: &[Transport] = &[Transport::WebSocket];
pub(crate) const UPGRADE: &[Transport] = &[Transport::Polling, Transport::WebSocket];
pub(crate) const MODES: [&[Transport]; 3] = [POLLING, WEBSOCKET, UPGRADE];

/// A server with threads of its own: killed, it is gone at once, with all its connections.
pub(crate) struct Server {
    pub(crate) io: Io,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    pub(crate) async fn start(setup: impl FnOnce(&Io)) -> Self {
        Self::start_with(Config::default(), "127.0.0.1:0".parse().unwrap(), setup).await
    }

    pub(crate) async fn start_with(config: Config, address: SocketAddr, setup: impl FnOnce(&Io)) -> Self {
        let io = Io::with_config(config);
        setup(&io);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = io.clone();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            server.serve(listener).await
        });
        let address = within(receiver).await.unwrap();
        Server { io, address, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of the namespace `/` in this mode, which does not reconnect.
    pub(crate) fn client(&self, transports: &[Transport]) -> ClientBuilder {
        self.client_of("", transports)
    }

    pub(crate) fn client_of(&self, path: &str, transports: &[Transport]) -> ClientBuilder {
        Client::builder(self.url() + path).transports(transports.iter().copied()).reconnection(false)
    }

    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("waited in vain at {caller}"),
        }
    }
}

/// The next thing that happens to a socket and that this takes.
#[track_caller]
pub(crate) fn life<'a, T>(
    events: &'a mut Events,
    mut take: impl FnMut(Lifecycle) -> Option<T> + 'a,
) -> impl Future<Output = T> + 'a {
    within(async move {
        loop {
            match events.next().await.expect("the client has not ended") {
                Event::Lifecycle(lifecycle) => {
                    if let Some(taken) = take(lifecycle) {
                        return taken;
                    }
                }
                Event::Lagged(count) => panic!("{count} events were left out"),
                _ => {}
            }
        }
    })
}

/// Waits for the next lifecycle event of this name.
#[track_caller]
pub(crate) fn named<'a>(events: &'a mut Events, name: &'a str) -> impl Future<Output = Lifecycle> + 'a {
    life(events, move |lifecycle| (lifecycle.name() == name).then_some(lifecycle))
}

/// Waits until something holds. There is no event for it, so it is looked at again and again.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
}
