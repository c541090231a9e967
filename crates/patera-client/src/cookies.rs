//! The cookies of one server, kept between requests: name, value, `Max-Age` and `Expires`, as the reference keeps them. Enough
//! for a load balancer that marks its clients; domain and path mean nothing where there is one server and one path. Pure: the
//! time comes in.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

/// What a name and its value may take together, in bytes. 4,096, as in browsers; longer ones are passed over.
const COOKIE_BYTES_MAX: usize = 4096;

/// A small jar.
#[derive(Debug)]
pub(crate) struct Cookies {
    kept: Vec<Cookie>,
    max: usize,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    expires: Option<SystemTime>,
}

impl Cookies {
    /// At most so many; the oldest goes when one more comes.
    pub(crate) fn new(max: usize) -> Self {
        Cookies { kept: Vec::new(), max }
    }

    /// Takes what the headers of a response set, and drops what they end.
    pub(crate) fn keep(&mut self, headers: &HeaderMap, now: SystemTime) {
        let set = headers.get_all(SET_COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        for cookie in set.filter_map(|text| parse(text, now)) {
            self.kept.retain(|each| each.name != cookie.name);
            if cookie.expires.is_some_and(|expires| expires <= now) || self.max == 0 {
                continue;
            }
            if self.kept.len() >= self.max {
                self.kept.remove(0);
            }
            self.kept.push(cookie);
        }
    }

    /// The value of a `Cookie` header; `None` if there is nothing to say.
    pub(crate) fn header(&mut self, now: SystemTime) -> Option<HeaderValue> {
        self.kept.retain(|cookie| cookie.expires.is_none_or(|expires| expires > now));
        let pairs: Vec<String> = self.kept.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if pairs.is_empty() { None } else { HeaderValue::from_str(&pairs.join("; ")).ok() }
    }
}

/// `name=value; Max-Age=…; Expires=…; …`. RFC 6265 §5.2: of the two, `Max-Age` wins.
fn parse(text: &str, now: SystemTime) -> Option<Cookie> {
    let mut parts = text.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX {
        return None;
    }
    let mut expires = None;
    let mut max_age = None;
    for (attribute, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim();
        match attribute.trim() {
            name if name.eq_ignore_ascii_case("expires") => expires = httpdate::parse_http_date(value).ok().or(expires),
            name if name.eq_ignore_ascii_case("max-age") => max_age = value.parse::<i64>().ok().or(max_age),
            _ => {}
        }
    }
    if let Some(seconds) = max_age {
        let age = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        // An age beyond what the clock can tell is none.
        expires = now.checked_add(age);
    }
    Some(Cookie { name: name.to_owned(), value: value.to_owned(), expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sets cookies at a fixed time, and gives the header so many seconds later.
    fn check(max: usize, set: &[&str], after: u64, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in set {
            headers.append(SET_COOKIE, HeaderValue::from_str(value).unwrap());
        }
        // Thu, 08 Jan 1970 00:00:00 GMT
        let now = SystemTime::UNIX_EPOCH + 7 * 86_400 * SECOND;
        let mut cookies = Cookies::new(max);
        cookies.keep(&headers, now);
        let header = cookies.header(now + Duration::from_secs(after));
        assert_eq!(header.as_ref().and_then(|value| value.to_str().ok()), expected, "{set:?}");
    }

    #[test]
    fn name_and_value_come_back() {
        check(9, &["io=abc; Path=/; HttpOnly", " lb = 1 "], 0, Some("io=abc; lb=1"));
        check(9, &["token=a=b; Secure"], 0, Some("token=a=b"));
        check(9, &["io=1", "io=2"], 0, Some("io=2"));
        check(9, &[], 0, None);
        check(9, &["no value", "=x", ";"], 0, None);
    }

    #[test]
    fn cookies_end() {
        check(9, &["a=1; Max-Age=10"], 9, Some("a=1"));
        check(9, &["a=1; Max-Age=10"], 10, None);
        check(9, &["a=1; Max-Age=0"], 0, None);
        check(9, &["a=1; max-age=-1"], 0, None);
        check(9, &["a=1; Expires=Thu, 08 Jan 1970 00:00:05 GMT"], 4, Some("a=1"));
        check(9, &["a=1; Expires=Thu, 08 Jan 1970 00:00:05 GMT"], 5, None);
        check(9, &["a=1", "a=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], 0, None);
        check(9, &["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=5"], 4, Some("a=1"));
        check(9, &["a=1; Max-Age=9223372036854775807"], 1_000_000, Some("a=1"));
        check(9, &["a=1; Expires=tomorrow; Max-Age=soon"], 1_000_000, Some("a=1"));
    }

    #[test]
    fn jar_is_small() {
        check(2, &["a=1", "b=2", "c=3"], 0, Some("b=2; c=3"));
        check(0, &["a=1"], 0, None);
        let cookie = |bytes: usize| format!("a={}", "x".repeat(bytes - 1));
        check(9, &[&cookie(COOKIE_BYTES_MAX)], 0, Some(&cookie(COOKIE_BYTES_MAX)));
        check(9, &[&cookie(COOKIE_BYTES_MAX + 1)], 0, None);
    }
}
