//! Sends every message back: text as text, binary as binary.
//!
//! ```text
//! cargo run --release -p patera-websocket --features tokio,deflate --example echo -- 9001 --deflate
//! ```

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Parser;
use patera_websocket::stream::{Error, Upgrade};
use patera_websocket::{AcceptOptions, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A WebSocket echo server on 127.0.0.1.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(env = "PORT", default_value_t = 9001)]
    port: u16,
    /// The largest message, and the largest frame.
    #[arg(long, default_value_t = 16 * 1024 * 1024)]
    message_bytes_max: usize,
    /// How many frames a message may be cut into.
    #[arg(long, default_value_t = 65_536)]
    fragments_max: usize,
    /// Agree to permessage-deflate.
    #[cfg(feature = "deflate")]
    #[arg(long)]
    deflate: bool,
    /// Messages of fewer bytes are sent as they are.
    #[cfg(feature = "deflate")]
    #[arg(long, default_value_t = 0)]
    deflate_threshold_bytes: usize,
}

impl Options {
    fn config(&self) -> Config {
        let mut config = Config::default();
        config.frame_bytes_max = self.message_bytes_max;
        config.message_bytes_max = self.message_bytes_max;
        config.fragments_max = self.fragments_max;
        config
    }

    #[cfg(feature = "deflate")]
    fn accept_options(&self) -> AcceptOptions {
        let mut deflate = patera_websocket::DeflateConfig::default();
        deflate.threshold_bytes = self.deflate_threshold_bytes;
        let mut options = AcceptOptions::default();
        options.deflate = self.deflate.then_some(deflate);
        options
    }

    #[cfg(not(feature = "deflate"))]
    fn accept_options(&self) -> AcceptOptions {
        AcceptOptions::default()
    }
}

/// How long a client may take for its handshake, be silent, or not read.
const HANDSHAKE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    println!("echo on ws://{}", listener.local_addr()?);
    loop {
        // One failed accept (no descriptors left, a client already gone) must not end the server.
        let Ok((socket, address)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (accept, config) = (options.accept_options(), options.config());
        tokio::spawn(async move {
            if let Err(error) = echo(socket, &accept, config).await {
                eprintln!("{address}: {error:?}");
            }
        });
    }
}

/// Until the client closes, breaks the protocol or falls silent.
async fn echo(socket: TcpStream, options: &AcceptOptions, config: Config) -> Result<(), Error> {
    socket.set_nodelay(true)?;
    let handshake = async { Upgrade::read(socket).await?.accept(options, config).await };
    let mut stream = timeout(HANDSHAKE, handshake).await.map_err(|_| Error::Disconnected)??;
    while let Ok(Some(message)) = timeout(SILENCE, stream.next()).await {
        timeout(SILENCE, stream.send(message?)).await.map_err(|_| Error::Disconnected)??;
    }
    Ok(())
}
