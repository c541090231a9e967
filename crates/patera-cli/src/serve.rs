//! `patera serve`: the demo page and its events, on HTTP.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Args;
use clap::builder::BoolishValueParser;
use patera::{Config, ConnectionStateRecovery, Cors, DeflateConfig, Io, Listener, Rate};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::duration::parse_duration;
use crate::signal::signal;
use crate::{certificates, demo, page};

#[derive(Args)]
pub(crate) struct Options {
    /// Address to listen on; 0.0.0.0 lets other machines in
    #[arg(long, default_value = "127.0.0.1", env = "PATERA_HOST", value_parser = parse_host)]
    host: IpAddr,
    /// Port to listen on; 0 takes any free one and prints it
    #[arg(short, long, default_value_t = 3000, env = "PATERA_PORT", value_parser = parse_port)]
    port: u16,
    /// Speak TLS, by the certificate in this PEM file and those that vouch for it; read again every minute, and on SIGHUP
    #[arg(long, value_name = "FILE", env = "PATERA_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", env = "PATERA_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Path of the Socket.IO endpoint
    #[arg(long, default_value = "/socket.io", value_name = "PATH", env = "PATERA_PATH", value_parser = parse_path)]
    path: String,
    /// Origin whose pages may read from this server (CORS); may be given several times, "*" is any. Without it pages of other
    /// origins may not
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    cors_origin: Vec<String>,
    /// Origin whose pages are served at all, as in https://example.com; may be given several times, the demo page's own among them.
    /// Without it pages of every origin are. Programs, which have none, are served in any case
    #[arg(long, value_name = "ORIGIN", value_parser = parse_own_origin)]
    origin: Vec<String>,
    /// Compress WebSocket messages from 1,024 bytes, with clients that offer it (permessage-deflate)
    #[arg(long, env = "PATERA_PER_MESSAGE_DEFLATE", value_parser = BoolishValueParser::new())]
    per_message_deflate: bool,
    /// Send the answers of HTTP long-polling as they are, however long
    #[arg(long, env = "PATERA_NO_HTTP_COMPRESSION", value_parser = BoolishValueParser::new())]
    no_http_compression: bool,
    /// Bytes of one message or polling body at the most, from 1000 to 100000000, a picture on the demo page included
    #[arg(long, default_value_t = 1_000_000, value_name = "BYTES", env = "PATERA_MAX_HTTP_BUFFER_SIZE", value_parser = parse_size)]
    max_http_buffer_size: usize,
    /// From a client's pong to the next ping: 25s, 500ms, 2m, a bare number is seconds; from 100ms to a day. Shorter where a proxy
    /// cuts connections that are quiet
    #[arg(long, default_value = "25s", value_name = "TIME", env = "PATERA_PING_INTERVAL", value_parser = parse_heartbeat)]
    ping_interval: Duration,
    /// How long a pong may take, as above; then the client is gone
    #[arg(long, default_value = "20s", value_name = "TIME", env = "PATERA_PING_TIMEOUT", value_parser = parse_heartbeat)]
    ping_timeout: Duration,
    /// How long a request's head may take, and a kept connection may be without a request: 10s, 500ms, 2m, a bare number is
    /// seconds; from 100ms to a day. Longer than a proxy in front keeps its connections
    #[arg(long, default_value = "10s", value_name = "TIME", env = "PATERA_HEADER_TIMEOUT", value_parser = parse_heartbeat)]
    header_timeout: Duration,
    /// Clients at a time; more are refused with 503. Without it there is no limit, nor without those below
    #[arg(long, value_name = "COUNT", env = "PATERA_MAX_CONNECTIONS", value_parser = parse_count)]
    max_connections: Option<usize>,
    /// Clients of one address at a time; more are refused with 429. Addresses of IPv6 count by their first 64 bits
    #[arg(long, value_name = "COUNT", env = "PATERA_MAX_CONNECTIONS_PER_ADDRESS", value_parser = parse_count)]
    max_connections_per_address: Option<usize>,
    /// Clients of one address a second, and behind a colon so many at once, as in 2:20; 2 is 2:2. Faster ones are refused with 429
    #[arg(long, value_name = "RATE[:BURST]", env = "PATERA_MAX_CONNECT_RATE", value_parser = parse_rate)]
    max_connect_rate: Option<Rate>,
    /// Events and acknowledgements of one client a second, and behind a colon so many at once, which is as many as a second without
    /// it; a faster one is read from later
    #[arg(long, value_name = "RATE[:BURST]", env = "PATERA_MAX_EVENT_RATE", value_parser = parse_rate)]
    max_event_rate: Option<Rate>,
    /// Bytes of one client a second, and behind a colon so many at once, which is as many as a second without it; a faster one is
    /// read from later
    #[arg(long, value_name = "RATE[:BURST]", env = "PATERA_MAX_BYTE_RATE", value_parser = parse_rate)]
    max_byte_rate: Option<Rate>,
    /// Address of a proxy in front, whose X-Forwarded-For tells a client's address; may be given several times, or with commas.
    /// Without it no such header is believed
    #[arg(long, value_name = "ADDRESS", env = "PATERA_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxy: Vec<IpAddr>,
    /// Give clients that lost their connection a new socket: no id, room or event is kept for them
    ///
    /// Otherwise each event to clients of Socket.IO 3 and later ends with one more argument, an offset, which clients since 4.6 use.
    #[arg(long, env = "PATERA_NO_RECOVERY", value_parser = BoolishValueParser::new())]
    no_recovery: bool,
    /// Refuse clients of Socket.IO 1 and 2
    #[arg(long, env = "PATERA_NO_EIO3", value_parser = BoolishValueParser::new())]
    no_eio3: bool,
}

/// Where plain WebSockets are served.
const WS: &str = "/ws";
/// Where whoever watches the server asks.
const HEALTH: &str = "/healthz";
const TAKEN: [&str; 2] = [WS, HEALTH];

/// More often nobody is asked whether he is there: 100 ms, about what a packet takes around the world. Shorter times are refused.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// Messages of the largest size that may wait for one client, and that are kept for one that may come back: so many pictures may
/// be shown at once without losing whoever is on a slow network.
const LARGEST_MESSAGES_MAX: usize = 8;

/// Why the server did not start, or ended.
#[derive(Debug)]
pub(crate) enum Error {
    /// The address cannot be listened on.
    Listen { host: IpAddr, port: u16, source: io::Error },
    /// The certificate or its key is of no use: why, for people.
    Tls(String),
    /// Serving failed.
    Serve(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen { host, port, source } => match source.kind() {
                io::ErrorKind::AddrInUse => {
                    write!(f, "port {port} on {host} is taken by another program; choose another one with --port")
                }
                io::ErrorKind::PermissionDenied => {
                    write!(
                        f,
                        "port {port} may not be listened on without special rights; choose one from 1024 on with --port"
                    )
                }
                io::ErrorKind::AddrNotAvailable => {
                    write!(f, "{host} is no address of this machine; choose another one with --host")
                }
                _ => write!(f, "cannot listen on {host}, port {port}: {source}"),
            },
            Error::Tls(error) => f.write_str(error),
            Error::Serve(source) => write!(f, "cannot serve: {source}"),
        }
    }
}

/// Serves until Ctrl-C or SIGTERM, then lets clients and handlers finish.
pub(crate) async fn run(options: &Options) -> Result<(), Error> {
    let tls = certificates::of(options.tls_cert.as_deref(), options.tls_key.as_deref()).map_err(Error::Tls)?;
    let io = Io::with_config(config(options));
    io.native(WS);
    demo::register(&io);
    demo::register_bench(&io);
    let Options { host, port, .. } = *options;
    let listener = TcpListener::bind((host, port)).await.map_err(|source| Error::Listen { host, port, source })?;
    let address = listener.local_addr().map_err(Error::Serve)?;
    // Before the address is told: who reads it may ask for the end at once.
    let end = signal();
    let app = Router::new().merge(page::router(&options.path)).route(HEALTH, get(async || "ok"));
    let (http, ws) = if tls.is_some() { ("https", "wss") } else { ("http", "ws") };
    println!("patera {} serves {http}://{address}/", env!("CARGO_PKG_VERSION"));
    println!("  the page        {http}://{address}/          open it in two tabs");
    println!("  Socket.IO       {http}://{address}{}/", options.path.trim_end_matches('/'));
    println!("  plain WebSocket {ws}://{address}/ws          subprotocol patera.json, or none");
    let renewal = tls.clone().map(|tls| tokio::spawn(certificates::renew(tls)));
    let listener = match tls {
        Some(tls) => Listener::tls(listener, tls),
        None => listener.into(),
    };
    let push = tokio::spawn(demo::push(io.clone()));
    let (served, ()) = tokio::join!(io.serve_with(listener, app), drain(&io, end));
    push.abort();
    if let Some(renewal) = renewal {
        renewal.abort();
    }
    served.map_err(Error::Serve)
}

fn config(options: &Options) -> Config {
    let mut config = Config::default();
    config.path.clone_from(&options.path);
    config.allow_eio3 = !options.no_eio3;
    config.cors = match &options.cors_origin[..] {
        [] => None,
        origins if origins.iter().any(|origin| origin == "*") => Some(Cors::any()),
        origins => Some(Cors { credentials: true, ..Cors::origins(origins) }),
    };
    config.origins = (!options.origin.is_empty()).then(|| options.origin.clone());
    config.header_timeout = options.header_timeout;
    config.per_message_deflate = options.per_message_deflate.then(DeflateConfig::default);
    if options.no_http_compression {
        config.http_compression = None;
    }
    config.max_http_buffer_size = options.max_http_buffer_size;
    config.outbox_bytes_max = config.outbox_bytes_max.max(LARGEST_MESSAGES_MAX * options.max_http_buffer_size);
    (config.ping_interval, config.ping_timeout) = (options.ping_interval, options.ping_timeout);
    config.connections_max = options.max_connections;
    config.connections_per_address_max = options.max_connections_per_address;
    config.connect_rate_max = options.max_connect_rate;
    config.event_rate_max = options.max_event_rate;
    config.byte_rate_max = options.max_byte_rate;
    if !options.trusted_proxy.is_empty() {
        config.trusted_proxies(options.trusted_proxy.iter().copied());
    }
    if !options.no_recovery {
        let mut recovery = ConnectionStateRecovery::default();
        recovery.bytes_max = config.outbox_bytes_max;
        config.connection_state_recovery = Some(recovery);
    }
    config
}

/// An address of this machine; the one name that needs no look-up is taken too.
fn parse_host(text: &str) -> Result<IpAddr, &'static str> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| "it must be an IP address, as in 127.0.0.1, or localhost")
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "it must be a number from 0 to 65535")
}

fn parse_size(text: &str) -> Result<usize, &'static str> {
    let size = text.parse().ok().filter(|size| (1_000..=100_000_000).contains(size));
    size.ok_or("it must be a number of bytes from 1000 to 100000000, as in 1000000")
}

fn parse_count(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("it must be a whole number from 1 on")
}

/// A path that a request can ask for, below the page's own.
fn parse_path(text: &str) -> Result<String, &'static str> {
    let is_foreign = |c: char| !c.is_ascii_graphic() || "?#".contains(c);
    if !text.starts_with('/') || text.trim_end_matches('/').is_empty() {
        return Err("it must begin with a slash and be more than that, as in /socket.io");
    }
    if text.contains(is_foreign) {
        return Err("it must be ASCII, without spaces, ? and #: é is written %C3%A9");
    }
    if TAKEN.contains(&text.trim_end_matches('/')) {
        return Err(
            "this server has something else there: /ws is for plain WebSockets, /healthz for whoever watches it",
        );
    }
    Ok(text.to_owned())
}

/// A time between heartbeats, or for one.
fn parse_heartbeat(text: &str) -> Result<Duration, &'static str> {
    let time = parse_duration(text)?;
    if time < HEARTBEAT_MIN { Err("it must be at least 100ms") } else { Ok(time) }
}

/// So many a second, and so many at once: `10`, `10:50`.
fn parse_rate(text: &str) -> Result<Rate, &'static str> {
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let (count, burst) = match text.split_once(':') {
        Some((count, burst)) => (number(count), number(burst)),
        None => (number(text), number(text)),
    };
    let rate = count.zip(burst).map(|(count, burst)| Rate::per_second(count).burst(burst));
    rate.ok_or(
        "it is a whole number from 1 on, how many a second, or two with a colon between: 10, or 10:50 for 50 at once",
    )
}

/// An origin as browsers send it: another spelling would never match.
fn parse_origin(text: &str) -> Result<String, &'static str> {
    let is_foreign = |c: char| !c.is_ascii_graphic() || c.is_ascii_uppercase() || "/?#".contains(c);
    let is_exact = match text.split_once("://") {
        Some((scheme, host)) => !scheme.is_empty() && !host.is_empty() && !host.contains(is_foreign),
        None => text == "*" || text == "null",
    };
    if is_exact { Ok(text.to_owned()) } else { Err("it must be as in https://example.com:8443, without a path, or *") }
}

/// An origin that is served: there is no "any", which is what it is without.
fn parse_own_origin(text: &str) -> Result<String, &'static str> {
    if text == "*" { Err("without --origin every origin is served") } else { parse_origin(text) }
}

/// Waits for the end to be asked for, then says goodbye to every client; a second signal ends the process at once.
async fn drain(io: &Io, end: impl Future<Output = ()>) {
    end.await;
    let again = signal();
    let sessions = io.stats().sessions;
    info!(sessions, "closing; once more ends at once");
    tokio::spawn(async {
        again.await;
        warn!("ended at once");
        std::process::exit(130);
    });
    io.close().await;
    info!("closed");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn compression_is_as_it_was_asked_for() {
        let check = |arguments: &[&str], expected: (bool, bool)| {
            let config = config(&parse(arguments).expect("known options"));
            let on = (config.per_message_deflate.is_some(), config.http_compression.is_some());
            assert_eq!(on, expected);
        };
        check(&[], (false, true));
        check(&["--per-message-deflate"], (true, true));
        check(&["--no-http-compression"], (false, false));
        check(&["--per-message-deflate", "--no-http-compression"], (true, false));
    }

    #[test]
    fn several_of_the_largest_messages_may_wait() {
        let check = |arguments: &[&str], message: usize, waiting: usize, kept: Option<usize>| {
            let config = config(&parse(arguments).expect("known options"));
            let recovery = config.connection_state_recovery.map(|recovery| recovery.bytes_max);
            assert_eq!((config.max_http_buffer_size, config.outbox_bytes_max, recovery), (message, waiting, kept));
        };
        check(&[], 1_000_000, 8_000_000, Some(8_000_000));
        check(&["--max-http-buffer-size", "1000"], 1_000, 1 << 20, Some(1 << 20));
        check(&["--max-http-buffer-size", "100000000"], 100_000_000, 800_000_000, Some(800_000_000));
        check(&["--no-recovery"], 1_000_000, 8_000_000, None);
    }

    #[test]
    fn what_clients_may_do_is_as_it_was_asked_for() {
        let options = config(&parse(&[]).expect("no options"));
        let counts = (options.connections_max, options.connections_per_address_max);
        let rates = (options.connect_rate_max, options.event_rate_max, options.byte_rate_max);
        assert_eq!((counts, rates), ((None, None), (None, None, None)));
        let arguments = ["--max-connections", "9", "--max-connections-per-address", "3", "--max-connect-rate", "2:20"];
        let more = ["--max-event-rate", "100", "--max-byte-rate", "1000:50000", "--trusted-proxy", "10.0.0.1,::1"];
        let options = config(&parse(&[&arguments[..], &more].concat()).expect("known options"));
        let counts = (options.connections_max, options.connections_per_address_max);
        let rates = (options.connect_rate_max, options.event_rate_max, options.byte_rate_max);
        let [connects, events, bytes] =
            [(2, 20), (100, 100), (1000, 50_000)].map(|(count, burst)| Some(Rate::per_second(count).burst(burst)));
        assert_eq!((counts, rates), ((Some(9), Some(3)), (connects, events, bytes)));
    }

    #[test]
    fn heartbeats_are_as_they_were_asked_for() {
        let check = |arguments: &[&str], expected: Option<(u64, u64)>| {
            let times = parse(arguments).ok().map(|options| config(&options));
            let times = times.map(|config| [config.ping_interval, config.ping_timeout]);
            let expected = expected.map(|(interval, timeout)| [interval, timeout].map(Duration::from_millis));
            assert_eq!(times, expected, "{arguments:?}");
        };
        check(&[], Some((25_000, 20_000)));
        check(&["--ping-interval", "10s", "--ping-timeout", "100ms"], Some((10_000, 100)));
        check(&["--ping-interval", "99ms"], None);
        check(&["--ping-timeout", "0"], None);
    }

    #[test]
    fn origins_and_the_time_of_a_head_are_as_they_were_asked_for() {
        let default = config(&parse(&[]).expect("no options"));
        assert_eq!((default.origins, default.header_timeout), (None, Duration::from_secs(10)));
        let arguments = ["--origin", "https://a.example", "--origin", "https://b.example", "--header-timeout", "75s"];
        let asked = config(&parse(&arguments).expect("known options"));
        let origins = ["https://a.example", "https://b.example"].map(str::to_owned).to_vec();
        assert_eq!((asked.origins, asked.header_timeout), (Some(origins), Duration::from_secs(75)));
        for origin in ["*", "https://a.example/", "a.example"] {
            assert!(parse(&["--origin", origin]).is_err(), "{origin}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let check = |arguments: &[&str], expected: &str| {
            let error = parse(arguments).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        };
        assert!(parse(&["--host", "localhost"]).is_ok_and(|options| options.host.is_loopback()));
        check(&["--host", "example.com"], "an IP address, as in 127.0.0.1");
        check(&["-p", "abc"], "from 0 to 65535");
        check(&["-p", "65536"], "from 0 to 65535");
        check(&["--max-http-buffer-size", "1MB"], "bytes from 1000 to 100000000");
        check(&["--max-connections", "0"], "from 1 on");
        check(&["--max-connections-per-address", "0"], "from 1 on");
        check(&["--path", "/ws"], "plain WebSockets");
        check(&["--path", "/healthz/"], "/healthz");
        assert!(parse(&["--path", "/ws/socket.io", "--max-connections", "1"]).is_ok());
    }

    #[test]
    fn a_rate_that_is_none_is_refused() {
        for rate in ["", "0", "-1", "1.5", "10:0", "10:", ":10", "10:20:30", "4294967296", "10/s"] {
            assert!(parse(&["--max-event-rate", rate]).is_err(), "{rate}");
        }
        assert!(parse(&["--trusted-proxy", "proxy.example"]).is_err());
    }

    #[test]
    fn a_message_size_out_of_range_is_refused() {
        for size in ["999", "100000001", "0", "-1", "1 MB"] {
            assert!(parse(&["--max-http-buffer-size", size]).is_err(), "{size}");
        }
    }

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Arguments::try_parse_from([&["patera"], arguments].concat()).map(|arguments| arguments.options)
    }
}
