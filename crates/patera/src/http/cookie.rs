//! The `cookie` option: the `Set-Cookie` header that carries the session's id.
//!
//! It only writes; a request's cookies are never read here, for a session is found by the `sid` of its query. Balancers
//! read the cookie to send a client's requests to one process. Rules: RFC 6265 §4.1.1.

use std::time::Duration;

use http::HeaderValue;

/// How the session's id is given to the client as a cookie.
///
/// The header goes on the first polling response of a session, never on a handshake by WebSocket:
///
/// ```text
/// Set-Cookie: io=lv_VI97HAXpY6yYWAAAC; Path=/; HttpOnly; SameSite=Lax
/// ```
///
/// If a name, a path or a domain cannot be written in a cookie, no cookie is set. The attribute `Expires` is left out,
/// since nothing here reads a wall clock: use `max_age`, which browsers prefer to it. The value never changes after it is
/// built and can be shared between threads.
#[derive(Clone, Debug)]
pub struct Cookie {
    /// The cookie's name: letters, digits and ``!#$%&'*+-.^_`|~``. Default: `io`.
    pub name: String,
    /// The part of the site the cookie is sent to: `Path=/`. `None` or empty leaves it to the browser, which takes the
    /// folder of the request. Default: `/`.
    pub path: Option<String>,
    /// Whether scripts of the page are kept from reading the cookie: `HttpOnly`. Default: true.
    pub http_only: bool,
    /// Whether the cookie goes with requests that other sites cause: `SameSite=Lax`. `None` leaves it to the browser.
    /// Default: [`SameSite::Lax`].
    pub same_site: Option<SameSite>,
    /// The host the cookie is sent to, with the hosts below it: `Domain=example.com`. `None` or empty means this host
    /// alone. Default: `None`.
    pub domain: Option<String>,
    /// Whether the cookie is sent over TLS only: `Secure`. Default: false.
    pub secure: bool,
    /// How long the browser keeps the cookie, in whole seconds, rounded down: `Max-Age=3600`. Zero removes it; `None`
    /// keeps it until the browser closes. Default: `None`.
    pub max_age: Option<Duration>,
    /// Whether the browser keeps one such cookie for each site that embeds this one: `Partitioned`. Browsers want
    /// `secure` beside it. Default: false.
    pub partitioned: bool,
}

impl Cookie {
    /// The value of `Set-Cookie` for this session: `io=<sid>; Path=/; HttpOnly; SameSite=Lax`.
    ///
    /// The id is percent-encoded as the reference does, which leaves generated ids as they are. `None` if the id is
    /// empty or holds what no cookie value may (RFC 6265 `cookie-octet`), or if an attribute cannot be written.
    pub(crate) fn header(&self, sid: &str) -> Option<HeaderValue> {
        let mut text = format!("{}={}", name(&self.name)?, encoded(sid)?);
        if let Some(max_age) = self.max_age {
            text.push_str(&format!("; Max-Age={}", max_age.as_secs()));
        }
        if let Some(host) = self.domain.as_deref().filter(|host| !host.is_empty()) {
            text.push_str(&format!("; Domain={}", domain(host)?));
        }
        if let Some(folder) = self.path.as_deref().filter(|folder| !folder.is_empty()) {
            text.push_str(&format!("; Path={}", path(folder)?));
        }
        let flags = [(self.http_only, "; HttpOnly"), (self.secure, "; Secure"), (self.partitioned, "; Partitioned")];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            text.push_str(flag);
        }
        if let Some(same_site) = self.same_site {
            text.push_str(same_site.attribute());
        }
        let mut header = HeaderValue::from_str(&text).ok()?;
        // Whoever knows the id can take the session over: keep it out of logs and of HTTP/2's shared tables.
        header.set_sensitive(true);
        Some(header)
    }
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "io".to_owned(),
            path: Some("/".to_owned()),
            http_only: true,
            same_site: Some(SameSite::Lax),
            domain: None,
            secure: false,
            max_age: None,
            partitioned: false,
        }
    }
}

/// Which requests caused by other sites carry the cookie: the attribute `SameSite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None of them: `SameSite=Strict`. The reference's `"strict"` or `true`.
    Strict,
    /// Only those that follow a link: `SameSite=Lax`. The reference's `"lax"`.
    Lax,
    /// All of them: `SameSite=None`. The reference's `"none"`. Browsers want `secure` beside it.
    None,
}

impl SameSite {
    fn attribute(self) -> &'static str {
        match self {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        }
    }
}

/// RFC 9110 §5.6.2: a token.
fn name(text: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!text.is_empty() && text.bytes().all(plain)).then_some(text)
}

/// A cookie value, what `encodeURIComponent` would encode written as `%2B`.
fn encoded(sid: &str) -> Option<String> {
    // RFC 6265 §4.1.1: cookie-octet. No controls, space, quote, comma, semicolon or backslash, and ASCII only.
    let octet = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
    if sid.is_empty() || !sid.bytes().all(octet) {
        return None;
    }
    let mut value = String::with_capacity(sid.len());
    for letter in sid.chars() {
        if letter.is_ascii_alphanumeric() || "-_.!~*'()".contains(letter) {
            value.push(letter);
        } else {
            value.push_str(&format!("%{:02X}", u32::from(letter)));
        }
    }
    Some(value)
}

/// RFC 1123 §2.1: labels of letters, digits and inner hyphens, 63 bytes at most. A dot before them is an old custom.
fn domain(text: &str) -> Option<&str> {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let edges = label.starts_with('-') || label.ends_with('-');
        plain && !edges && (1..=63).contains(&label.len())
    };
    text.strip_prefix('.').unwrap_or(text).split('.').all(label).then_some(text)
}

/// Printable ASCII without `;`, which would begin another attribute, and, as in the reference, without `<`.
fn path(text: &str) -> Option<&str> {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';' && byte != b'<';
    text.bytes().all(plain).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_the_reference_cookie() {
        check(
            Cookie::default(),
            "lv_VI97HAXpY6yYWAAAC",
            Some("io=lv_VI97HAXpY6yYWAAAC; Path=/; HttpOnly; SameSite=Lax"),
        );
    }

    #[test]
    fn attributes_keep_the_reference_order() {
        let cookie = Cookie {
            name: "node".to_owned(),
            path: Some("/socket.io/".to_owned()),
            same_site: Some(SameSite::None),
            domain: Some("Example.com".to_owned()),
            secure: true,
            max_age: Some(Duration::from_millis(3_600_999)),
            partitioned: true,
            ..Cookie::default()
        };
        let expected =
            "node=a; Max-Age=3600; Domain=Example.com; Path=/socket.io/; HttpOnly; Secure; Partitioned; SameSite=None";
        check(cookie, "a", Some(expected));
    }

    #[test]
    fn absent_and_empty_attributes_are_left_out() {
        let cookie = Cookie { path: None, http_only: false, same_site: None, ..Cookie::default() };
        check(cookie, "a", Some("io=a"));
        let cookie = Cookie { path: Some(String::new()), domain: Some(String::new()), ..Cookie::default() };
        check(cookie, "a", Some("io=a; HttpOnly; SameSite=Lax"));
        let cookie = Cookie { same_site: Some(SameSite::Strict), max_age: Some(Duration::ZERO), ..Cookie::default() };
        check(cookie, "a", Some("io=a; Max-Age=0; Path=/; HttpOnly; SameSite=Strict"));
    }

    #[test]
    fn id_is_encoded_as_by_encode_uri_component() {
        check(bare("io"), "aZ09-_.!~*'()", Some("io=aZ09-_.!~*'()"));
        check(bare("io"), "a+b/c=", Some("io=a%2Bb%2Fc%3D"));
        check(bare("io"), "%#$&:<>?@[]^`{|}", Some("io=%25%23%24%26%3A%3C%3E%3F%40%5B%5D%5E%60%7B%7C%7D"));
    }

    #[test]
    fn id_that_no_cookie_can_hold_sets_none() {
        for sid in " |a b|a;b|a,b|a\"b|a\\b|a\r\nSet-Cookie: b=c|a\0|a\x7f|é|".split('|') {
            check(bare("io"), sid, None);
        }
    }

    #[test]
    fn name_is_a_token() {
        check(bare("!#$%&'*+-.^_`|~09azAZ"), "a", Some("!#$%&'*+-.^_`|~09azAZ=a"));
        for name in "a b|a=b|a;b|a,b|a/b|\"a\"|a\r\nb|é|".split('|') {
            check(bare(name), "a", None);
        }
    }

    #[test]
    fn domain_is_a_host_name() {
        let with_domain = |domain: &str| Cookie { domain: Some(domain.to_owned()), ..bare("io") };
        for domain in "localhost|.example.com|a-b.c|127.0.0.1".split('|') {
            check(with_domain(domain), "a", Some(&format!("io=a; Domain={domain}")));
        }
        for domain in ".|..a|a.|a..b|-a|a-|a_b|a b|a;b|é.com".split('|') {
            check(with_domain(domain), "a", None);
        }
        let label = "a".repeat(63);
        check(with_domain(&label), "a", Some(&format!("io=a; Domain={label}")));
        check(with_domain(&format!("{label}a")), "a", None);
    }

    #[test]
    fn path_holds_no_further_attribute() {
        let with_path = |path: &str| Cookie { path: Some(path.to_owned()), ..bare("io") };
        for path in ["/", "/a b/%20=,\"~", "a"] {
            check(with_path(path), "a", Some(&format!("io=a; Path={path}")));
        }
        for path in ["/; Secure", "/<", "/\r\n", "/\t", "/\x7f", "/é"] {
            check(with_path(path), "a", None);
        }
    }

    #[test]
    fn header_is_kept_out_of_logs() {
        let header = Cookie::default().header("secret").expect("a plain id");
        assert!(!format!("{header:?}").contains("secret"));
    }

    fn bare(name: &str) -> Cookie {
        Cookie { name: name.to_owned(), path: None, http_only: false, same_site: None, ..Cookie::default() }
    }

    fn check(cookie: Cookie, sid: &str, expected: Option<&str>) {
        let header = cookie.header(sid);
        let text = header.as_ref().map(|header| header.to_str().expect("text"));
        assert_eq!(text, expected, "{cookie:?} {sid:?}");
    }
}
