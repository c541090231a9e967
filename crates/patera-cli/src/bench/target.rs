//! Where the server is, and what the requests to it look like.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::rc::Rc;

use http::Uri;
use tokio::net::{TcpSocket, TcpStream};

use super::error::Failure;
use super::frames::namespace_part;
use super::options::Options;

pub(crate) struct Target {
    address: SocketAddr,
    /// Scheme, host and the endpoint's path: what a query is put behind.
    base: String,
    namespace: String,
    auth: String,
    /// How many addresses of the loopback network connections come from; 0: the system chooses.
    source_addresses: u32,
    next_source: Cell<u32>,
    recovers: Rc<Cell<bool>>,
}

impl Target {
    /// Understands the URL and looks up its host.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn new(options: &Options) -> Result<Target, String> {
        let url = &options.url;
        // As other commands have it; there is no TLS here.
        let with_scheme = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        let uri: Uri = with_scheme.parse().map_err(|error| format!("{url} is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => return Err(format!("{url}: TLS is not supported; measure without it")),
            _ => return Err(format!("{url}: a URL as in http://127.0.0.1:3000 is needed")),
        }
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = (bare, port)
            .to_socket_addrs()
            .map_err(|error| format!("cannot look up {host}: {error}"))?
            // Servers listen on IPv4 more often.
            .min_by_key(SocketAddr::is_ipv6)
            .ok_or_else(|| format!("{host} has no address"))?;
        let path = options.path.trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        let base = format!("http://{host}:{port}/{path}{slash}");
        base.parse::<Uri>().map_err(|error| format!("{} is no path: {error}", options.path))?;
        let is_loopback = matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback());
        Ok(Target {
            address,
            base,
            namespace: options.namespace.clone(),
            auth: options.auth.clone().unwrap_or_default(),
            source_addresses: if is_loopback { options.source_addresses.unwrap_or(0) } else { 0 },
            next_source: Cell::default(),
            recovers: Rc::default(),
        })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether the server recovers connections: known when the first one is connected, for it says so in its answer to CONNECT.
    pub(crate) fn recovers(&self) -> Rc<Cell<bool>> {
        self.recovers.clone()
    }

    /// The packet that connects to the namespace: `40/chat,{"token":"x"}`.
    pub(crate) fn connect_packet(&self) -> String {
        format!("40{}{}", namespace_part(&self.namespace), self.auth)
    }

    /// The packet that disconnects from it: `41/chat,`.
    pub(crate) fn disconnect_packet(&self) -> String {
        format!("41{}", namespace_part(&self.namespace))
    }

    /// The endpoint with this query, `EIO=4&transport=` in front of it.
    pub(crate) fn uri(&self, query: &str) -> Uri {
        let uri = format!("{}?EIO=4&transport={query}", self.base);
        uri.parse().expect("the base is a URI without a query, and our queries are plain ASCII")
    }

    /// Opens a TCP connection.
    pub(crate) async fn connect(&self) -> Result<TcpStream, Failure> {
        let stream = match self.source() {
            Some(source) => {
                let socket = TcpSocket::new_v4().map_err(failure)?;
                // A port whose last connection is not forgotten yet (TIME_WAIT) will do.
                socket.set_reuseaddr(true).map_err(failure)?;
                socket.bind(SocketAddr::from((source, 0))).map_err(failure)?;
                socket.connect(self.address).await
            }
            None => TcpStream::connect(self.address).await,
        };
        let stream = stream.map_err(failure)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// 127.0.0.2 and on, one after the other.
    fn source(&self) -> Option<Ipv4Addr> {
        if self.source_addresses == 0 {
            return None;
        }
        let at = self.next_source.get();
        self.next_source.set((at + 1) % self.source_addresses);
        Some(Ipv4Addr::new(127, 0, 0, 2 + at as u8))
    }
}

fn failure(error: std::io::Error) -> Failure {
    Failure::Connect(error.kind())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn target(arguments: &[&str]) -> Result<Target, String> {
        let arguments = ["bench", "connect"].iter().chain(arguments);
        Target::new(&Command::try_parse_from(arguments).unwrap().options.complete())
    }

    #[test]
    fn url_and_path_are_joined() {
        let check = |arguments: &[&str], expected: &str| {
            assert_eq!(target(arguments).unwrap().uri("websocket").to_string(), expected, "{arguments:?}");
        };
        check(&[], "http://127.0.0.1:3000/socket.io/?EIO=4&transport=websocket");
        check(&["127.0.0.1:3711"], "http://127.0.0.1:3711/socket.io/?EIO=4&transport=websocket");
        check(&["ws://127.0.0.1", "--path", "/a/b"], "http://127.0.0.1:80/a/b/?EIO=4&transport=websocket");
        check(&["http://[::1]:8080/", "--path", "/"], "http://[::1]:8080/?EIO=4&transport=websocket");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["https://127.0.0.1", "ftp://127.0.0.1", "/", "http://"] {
            assert!(target(&[url]).is_err(), "{url}");
        }
        assert!(target(&["http://127.0.0.1", "--path", "a b"]).is_err());
    }

    #[test]
    fn packets_name_the_namespace() {
        let target = target(&["--namespace", "/chat", "--auth", r#"{"token": 1}"#]).unwrap();
        assert_eq!(target.connect_packet(), r#"40/chat,{"token":1}"#);
        assert_eq!(target.disconnect_packet(), "41/chat,");
    }

    #[test]
    fn source_addresses_take_turns() {
        let target = target(&["--source-addresses", "2"]).unwrap();
        let sources: Vec<_> = (0..3).map(|_| target.source().unwrap().octets()[3]).collect();
        assert_eq!(sources, [2, 3, 2]);
    }
}
