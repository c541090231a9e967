//! The clients of the tests by handle, and what they are told to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use patera_client::{Ack, Client, ConnectError, Error, EventName, Lifecycle, Rest, Transport, Value};
use serde_json::{Value as Json, json};

use crate::inbox::Inbox;
use crate::options::Options;
use crate::values::{Several, pack, pack_all, unpack};

/// All that is open.
#[derive(Default)]
pub(crate) struct Agent(Mutex<HashMap<String, Arc<Peer>>>);

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Agent {
    /// Carries out one command.
    pub(crate) async fn run(&self, operation: &str, handle: &Json, args: Vec<Json>) -> Result<Json, Failure> {
        match operation {
            "open" => self.open(handle, args),
            "close" => {
                let peers = std::mem::take(&mut *self.0.lock());
                for peer in peers.values() {
                    peer.client.disconnect().await;
                }
                Ok(Json::Null)
            }
            _ => {
                let handle = handle.as_str().unwrap_or_default();
                let peer = self.0.lock().get(handle).cloned().ok_or("no such client")?;
                peer.run(operation, args).await
            }
        }
    }

    /// Opens one connection with a client for each namespace, and waits for none.
    fn open(&self, handles: &Json, args: Vec<Json>) -> Result<Json, Failure> {
        let options: Options = serde_json::from_value(args.into_iter().next().unwrap_or_default())?;
        let handles: Vec<String> = serde_json::from_value(handles.clone())?;
        let manager = options.manager()?;
        for (handle, namespace) in handles.into_iter().zip(&options.namespaces) {
            let client = manager.socket(namespace)?;
            if let Some(auth) = &options.auth {
                client.set_auth(auth)?;
            }
            let peer = Peer::new(client, &options);
            self.0.lock().insert(handle, Arc::new(peer));
        }
        Ok(Json::Null)
    }
}

/// One client.
struct Peer {
    client: Client,
    inbox: Arc<Inbox>,
}

impl Peer {
    fn new(client: Client, options: &Options) -> Self {
        let inbox = Arc::new(Inbox::default());
        let replies = Arc::new(options.replies.clone());
        let events = inbox.clone();
        client.on_any(async move |EventName(name): EventName, Rest(args): Rest, ack: Ack<Several>| {
            events.put(format!("event {name}"), pack_all(&args));
            match replies.get(&name) {
                Some(Json::String(_)) => ack.send(Several(args)),
                Some(Json::Array(reply)) => ack.send(Several(reply.iter().cloned().map(unpack).collect())),
                _ => {}
            }
        });
        let life = inbox.clone();
        client.on_lifecycle(async move |socket: patera_client::Socket, lifecycle: Lifecycle| {
            let entry = match &lifecycle {
                Lifecycle::Connect => json!({"id": socket.id()}),
                Lifecycle::Disconnect(disconnect) => json!({"reason": disconnect.reason}),
                Lifecycle::ConnectError(error) => refusal(error),
                _ => return,
            };
            life.put(format!("life {}", lifecycle.name()), entry);
        });
        client.connect();
        Peer { client, inbox }
    }

    async fn run(&self, operation: &str, args: Vec<Json>) -> Result<Json, Failure> {
        let mut args = args.into_iter().map(unpack);
        let first = match operation {
            "transport" | "upgraded" | "id" | "connect" | "disconnect" => String::new(),
            _ => args.next().as_ref().and_then(Value::as_str).ok_or("a name is missing")?.to_owned(),
        };
        let rest: Vec<Value> = args.collect();
        match operation {
            "life" => return Ok(self.inbox.take(&format!("life {first}")).await),
            "next" => return Ok(self.inbox.take(&format!("event {first}")).await),
            "waiting" => return Ok(self.inbox.count(&format!("event {first}")).into()),
            "collect" => return self.collect(&first, number(&rest, 0)?).await,
            "emit" => self.client.emit(&first, Several(rest)),
            "volatile" => self.client.volatile().emit(&first, Several(rest)),
            "call" => {
                let Rest(answer) = self.client.emit_with_ack(&first, Several(rest)).await?;
                return Ok(pack_all(&answer));
            }
            "flood" => return self.flood(&first, number(&rest, 0)?, number(&rest, 1)?).await,
            "transport" => return Ok(self.transport()),
            "upgraded" => {
                while self.client.transport() != Some(Transport::WebSocket) {
                    pause().await;
                }
            }
            "id" => return Ok(self.client.id().into()),
            "connect" => drop(self.client.connect()),
            "disconnect" => drop(self.client.disconnect()),
            _ => return Err(format!("no operation {operation}").into()),
        }
        Ok(Json::Null)
    }

    fn transport(&self) -> Json {
        self.client.transport().map(Transport::as_str).into()
    }

    /// The first arguments of the next events of this name.
    async fn collect(&self, event: &str, count: u64) -> Result<Json, Failure> {
        let mut firsts = Vec::new();
        for _ in 0..count {
            let args = self.inbox.take(&format!("event {event}")).await;
            firsts.push(args.get(0).cloned().unwrap_or_default());
        }
        Ok(firsts.into())
    }

    /// Emits 0, 1, 2, …; pauses after each batch, so that the flood lasts longer than an upgrade.
    async fn flood(&self, event: &str, count: u64, batch: u64) -> Result<Json, Failure> {
        let from = self.transport();
        for number in 0..count {
            self.client.try_emit(event, number).map_err(Error::from).map_err(|error| error.to_string())?;
            if number % batch == batch - 1 {
                pause().await;
            }
        }
        Ok(json!({"from": from, "to": self.transport()}))
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn number(args: &[Value], index: usize) -> Result<u64, Failure> {
    Ok(args.get(index).and_then(Value::as_u64).ok_or("a number is missing")?)
}

fn refusal(error: &ConnectError) -> Json {
    json!({"message": error.to_string(), "data": error.data().map(pack)})
}
