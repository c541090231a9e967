//! What the first request of a session said, kept small: one block of bytes, taken apart when somebody asks.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};

/// The request that opened a session: its headers, URL, address and extensions.
///
/// Cheap to clone, and the same for every socket of a session. The `auth` of a namespace is [`Socket::auth`](crate::Socket::auth).
#[derive(Clone)]
pub struct Handshake(Arc<Inner>);

struct Inner {
    /// The URL, then each header: name length (u32), value length (u32), name, value.
    block: Box<[u8]>,
    url_bytes: usize,
    address: OnceLock<SocketAddr>,
    secure: bool,
    issued: Instant,
    extensions: Extensions,
}

/// The address a request came from, for servers that know it: put it into the request's extensions.
///
/// [`Io::listen`](crate::Io::listen) does. Beside axum, a layer that reads axum's `ConnectInfo` can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddress(pub SocketAddr);

/// The request came over TLS, for servers that know it: put it into the request's extensions.
///
/// [`Io::listen_tls`](crate::Io::listen_tls) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secure;

impl Handshake {
    pub(crate) fn new(uri: &Uri, headers: &HeaderMap, extensions: Extensions, now: Instant) -> Self {
        let url = uri.path_and_query().map_or("/", |target| target.as_str());
        let bytes = headers.iter().map(|(name, value)| 8 + name.as_str().len() + value.len()).sum();
        let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let address = extensions.get::<RemoteAddress>().map_or_else(OnceLock::new, |address| address.0.into());
        let secure = extensions.get::<Secure>().is_some()
            || uri.scheme_str().is_some_and(|scheme| scheme == "https" || scheme == "wss");
        Handshake(Arc::new(Inner {
            url_bytes: url.len(),
            block: block(url, bytes, fields),
            address,
            secure,
            issued: now,
            extensions,
        }))
    }

    /// Of a client of another server, which is told what can be told.
    pub(crate) fn from_afar<'a>(
        url: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        address: Option<SocketAddr>,
        secure: bool,
        time: SystemTime,
    ) -> Self {
        let fields = headers.map(|(name, value)| (name, value.as_bytes()));
        Handshake(Arc::new(Inner {
            url_bytes: url.len(),
            block: block(url, 0, fields),
            address: address.map_or_else(OnceLock::new, Into::into),
            secure,
            issued: instant_of(time),
            extensions: Extensions::new(),
        }))
    }

    /// Keeps the stream's own address, unless the request said one.
    pub(crate) fn learn_address(&self, address: Option<SocketAddr>) {
        if let Some(address) = address {
            self.0.address.get_or_init(|| address);
        }
    }

    /// The value of a header, the first if there are several; `None` too if it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields();
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))?;
        std::str::from_utf8(value).ok()
    }

    /// All headers, built on each call: to read one, [`header`](Self::header) is cheaper.
    pub fn headers(&self) -> HeaderMap {
        let parse = |(name, value)| Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?));
        let mut headers = HeaderMap::new();
        for (name, value) in self.fields().filter_map(parse) {
            headers.append(name, value);
        }
        headers
    }

    /// Path and query, as in `/socket.io/?EIO=4&transport=polling`.
    pub fn url(&self) -> &str {
        std::str::from_utf8(&self.0.block[..self.0.url_bytes]).expect("made from a str")
    }

    /// The query's parameters in order, percent-decoded, those of Engine.IO included.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.url().split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The first value of one parameter of the query.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query().into_iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Where the client's connection came from, where known: always with [`Io::listen`](crate::Io::listen), else for sessions that
    /// began with a WebSocket over TCP, and by [`RemoteAddress`].
    /// Behind a proxy it is the proxy's: read the header it sets.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address.get().copied()
    }

    /// Whether the request's own URL said `https` or `wss`; behind a proxy that ends TLS, read the header it sets.
    pub fn secure(&self) -> bool {
        self.0.secure
    }

    /// Whether a page of some origin sent it: the `Origin` header is there.
    pub fn xdomain(&self) -> bool {
        self.header("origin").is_some()
    }

    /// When it came.
    pub fn issued(&self) -> Instant {
        self.0.issued
    }

    /// When it came, by the wall clock as it stands now.
    #[expect(clippy::disallowed_methods, reason = "a date for people; nothing is timed by it")]
    pub fn time(&self) -> SystemTime {
        SystemTime::now() - self.0.issued.elapsed()
    }

    /// What a tower layer in front put into the request.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.0.block[self.0.url_bytes..];
        std::iter::from_fn(move || {
            let (name_len, after) = rest.split_first_chunk::<4>()?;
            let (value_len, after) = after.split_first_chunk::<4>()?;
            let (name, after) = after.split_at(u32::from_le_bytes(*name_len) as usize);
            let (value, after) = after.split_at(u32::from_le_bytes(*value_len) as usize);
            rest = after;
            Some((name, value))
        })
    }
}

/// The last address in `X-Forwarded-For` that is no proxy of these, if the request came from one. What stands before it anybody may
/// have written.
pub(crate) fn forwarded_for(request: &Handshake, proxies: &[IpAddr]) -> Option<IpAddr> {
    let is_proxy = |address: &IpAddr| proxies.contains(&address.to_canonical());
    request.address().filter(|peer| is_proxy(&peer.ip()))?;
    let values: Vec<&[u8]> =
        request.fields().filter(|(name, _)| *name == b"x-forwarded-for").map(|(_, value)| value).collect();
    let hops = values.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
    let addresses = hops.map(|hop| parse_hop(std::str::from_utf8(hop).ok()?.trim()));
    // What cannot be read hides who is behind it.
    addresses.map_while(|address| address).find(|address| !is_proxy(address))
}

/// Some write brackets around it, or a port behind it: `192.0.2.7:1234`, `[2001:db8::1]`, `[2001:db8::1]:1234`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    match hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')) {
        Some(hop) => hop.parse().ok().map(IpAddr::V6),
        None => hop.parse().ok(),
    }
}

/// `bytes`: how many the fields take, so that there is one allocation.
fn block<'a>(url: &str, bytes: usize, fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Box<[u8]> {
    let mut block = Vec::with_capacity(url.len() + bytes);
    block.extend_from_slice(url.as_bytes());
    for (name, value) in fields {
        for part in [name.len(), value.len()] {
            block.extend_from_slice(&(part as u32).to_le_bytes());
        }
        block.extend_from_slice(name.as_bytes());
        block.extend_from_slice(value);
    }
    block.into()
}

/// When that was, by the clock that is not the wall's.
#[expect(clippy::disallowed_methods, reason = "a date from another server, for people; nothing is timed by it")]
fn instant_of(time: SystemTime) -> Instant {
    let (now, age) = (Instant::now(), SystemTime::now().duration_since(time).unwrap_or_default());
    now.checked_sub(age).unwrap_or(now)
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("url", &self.url()).field("address", &self.address()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_request_said() {
        let mut headers = HeaderMap::new();
        headers.insert("x-one", HeaderValue::from_static("1"));
        headers.append("x-two", HeaderValue::from_static("a"));
        headers.append("x-two", HeaderValue::from_static("b"));
        headers.insert("x-raw", HeaderValue::from_bytes(b"\xff").unwrap());
        let mut extensions = Extensions::new();
        extensions.insert(RemoteAddress(([127, 0, 0, 1], 9).into()));
        let uri = Uri::from_static("http://h/socket.io/?EIO=4&name=a%20b&name=c");
        let handshake = Handshake::new(&uri, &headers, extensions, Instant::now());
        assert_eq!(handshake.url(), "/socket.io/?EIO=4&name=a%20b&name=c");
        assert_eq!(handshake.header("X-One"), Some("1"));
        assert_eq!(handshake.header("x-two"), Some("a"));
        assert_eq!(handshake.header("x-raw"), None);
        assert_eq!(handshake.headers(), headers);
        assert_eq!(handshake.query_value("name").as_deref(), Some("a b"));
        assert_eq!(handshake.address(), Some(([127, 0, 0, 1], 9).into()));
        assert!(!handshake.secure() && !handshake.xdomain());
    }

    #[test]
    fn only_proxies_are_believed_and_only_as_far_as_they_go() {
        let proxies: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2", "2001:db8::1"].map(|text| text.parse().unwrap()).into();
        let check = |peer: &str, headers: &[&'static str], expected: Option<&str>| {
            let mut map = HeaderMap::new();
            for header in headers {
                map.append("x-forwarded-for", HeaderValue::from_static(header));
            }
            let mut extensions = Extensions::new();
            extensions.insert(RemoteAddress(SocketAddr::new(peer.parse().unwrap(), 9)));
            let handshake = Handshake::new(&Uri::from_static("/"), &map, extensions, Instant::now());
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(forwarded_for(&handshake, &proxies), expected, "{peer} {headers:?}");
        };
        check("192.0.2.1", &["192.0.2.7"], None);
        check("10.0.0.1", &["192.0.2.7"], Some("192.0.2.7"));
        check("::ffff:10.0.0.1", &["192.0.2.7"], Some("192.0.2.7"));
        check("10.0.0.1", &["1.1.1.1, 192.0.2.7,10.0.0.2"], Some("192.0.2.7"));
        check("10.0.0.1", &["1.1.1.1", "192.0.2.7"], Some("192.0.2.7"));
        check("2001:db8::1", &["2001:db8::7"], Some("2001:db8::7"));
        check("10.0.0.1", &["192.0.2.7:80"], Some("192.0.2.7"));
        check("10.0.0.1", &["[2001:db8::7]:80"], Some("2001:db8::7"));
        check("10.0.0.1", &["[2001:db8::7]"], Some("2001:db8::7"));
        check("10.0.0.1", &["192.0.2.7, [2001:db8::1]"], Some("192.0.2.7"));
        check("10.0.0.1", &["[192.0.2.7]"], None);
        check("10.0.0.1", &["1.1.1.1, unknown"], None);
        check("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], None);
        check("10.0.0.1", &["10.0.0.2"], None);
        check("10.0.0.1", &[""], None);
        check("10.0.0.1", &[], None);
    }
}
