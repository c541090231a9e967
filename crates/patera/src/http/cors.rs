//! The `cors` option: which pages of other origins may read our answers, and the answers to preflights.
//!
//! The options and the headers are those of the npm package `cors`, which the reference hands its own `cors` option to.
//! These headers only tell a browser what it may show to a page: nothing here refuses a request or a WebSocket. Who turns
//! foreign origins away asks `Cors::allows` first. Rules: WHATWG Fetch, "HTTP CORS protocol".

use std::{fmt, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_LENGTH, ORIGIN, VARY,
    },
};

/// Which origins, methods and headers browsers may use across origins.
///
/// The headers go on every answer: polling, errors, the 101 of a WebSocket. A preflight (`OPTIONS`) is answered at once:
///
/// ```text
/// HTTP/1.1 204 No Content
/// Access-Control-Allow-Origin: *
/// Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE
/// Access-Control-Allow-Headers: content-type        (what the browser asked for)
/// Vary: Access-Control-Request-Headers
/// Content-Length: 0
/// ```
///
/// An origin that is not allowed still gets its answer, without `Access-Control-Allow-Origin`; its browser then hides
/// the answer from the page. The value never changes after it is built and can be shared between threads.
#[derive(Clone, Debug)]
pub struct Cors {
    /// The origins that may read answers, sent as `Access-Control-Allow-Origin`. Default: [`CorsOrigin::Any`].
    pub origin: CorsOrigin,
    /// The methods a preflight allows, sent as `Access-Control-Allow-Methods: GET,POST`; none sends no such header.
    /// Default: GET, HEAD, PUT, PATCH, POST, DELETE.
    pub methods: Vec<Method>,
    /// The request headers a preflight allows, sent as `Access-Control-Allow-Headers: content-type,x-token`.
    ///
    /// `None`, the default, allows whatever the browser asks for. An empty list allows none beyond those that every
    /// page may send.
    pub allowed_headers: Option<Vec<HeaderName>>,
    /// The response headers a page may read, sent as `Access-Control-Expose-Headers: x-total`. Default: none.
    pub exposed_headers: Vec<HeaderName>,
    /// Whether requests may carry cookies and other credentials: `Access-Control-Allow-Credentials: true`.
    ///
    /// Default: false. Browsers refuse credentials beside the origin `*`, so name the origins too. Clients of version 1
    /// and 2 always ask for credentials.
    pub credentials: bool,
    /// How long a browser may remember a preflight, in whole seconds, rounded down: `Access-Control-Max-Age: 600`.
    ///
    /// Default: `None`, no such header: browsers then remember for 5 seconds. Zero makes them ask each time.
    pub max_age: Option<Duration>,
    /// Whether an `OPTIONS` request, its headers set, is left to the handlers behind instead of answered here.
    /// Default: false.
    pub preflight_continue: bool,
    /// The status of a preflight's answer. Default: 204; some old browsers and televisions want 200.
    pub options_success_status: StatusCode,
}

impl Cors {
    /// Lets pages of every origin read answers, without credentials. The same as the default.
    pub fn any() -> Self {
        Self::default()
    }

    /// Lets pages of these origins read answers: [`CorsOrigin::List`], the rest as by default.
    pub fn origins(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { origin: CorsOrigin::List(origins.into_iter().map(Into::into).collect()), ..Self::default() }
    }

    /// Adds what an ordinary response needs: any method but `OPTIONS`, also errors and the 101.
    pub(crate) fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.apply_origin(request, response);
        if self.credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let exposed = self.exposed_headers.iter().map(HeaderName::as_str);
        insert_list(response, ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }

    /// Adds what the response to an `OPTIONS` request needs, for a caller that answers it by itself since
    /// `preflight_continue` is set.
    pub(crate) fn apply_preflight(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.apply(request, response);
        let methods = self.methods.iter().map(Method::as_str);
        insert_list(response, ACCESS_CONTROL_ALLOW_METHODS, methods);
        match &self.allowed_headers {
            Some(allowed) => {
                let allowed = allowed.iter().map(HeaderName::as_str);
                insert_list(response, ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            }
            None => {
                vary_on(response, "Access-Control-Request-Headers");
                if let Some(wanted) = wanted_headers(request) {
                    response.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
                }
            }
        }
        if let Some(max_age) = self.max_age {
            response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(max_age.as_secs()));
        }
    }

    /// Answers an `OPTIONS` request; `None` when `preflight_continue` leaves it to the handlers behind.
    ///
    /// Like the reference it takes every `OPTIONS` request for a preflight, whether or not it carries
    /// `Access-Control-Request-Method`.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Option<Response<()>> {
        if self.preflight_continue {
            return None;
        }
        let mut response = Response::new(());
        *response.status_mut() = self.options_success_status;
        self.apply_preflight(request, response.headers_mut());
        // Some browsers, Safari among them, wait for a body after a 204 that does not deny having one.
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Some(response)
    }

    /// Whether pages of `origin` (`https://example.com`, or `null`) may read answers.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        match &self.origin {
            CorsOrigin::Any | CorsOrigin::Reflect => true,
            CorsOrigin::Exact(only) => only == "*" || only == origin,
            CorsOrigin::List(list) => list.iter().any(|allowed| allowed == origin),
            CorsOrigin::Matching(matches) => matches(origin),
        }
    }

    fn apply_origin(&self, request: &HeaderMap, response: &mut HeaderMap) {
        match &self.origin {
            CorsOrigin::Any => {
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            CorsOrigin::Exact(only) => {
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, only.clone());
                if only != "*" {
                    vary_on(response, "Origin");
                }
            }
            CorsOrigin::Reflect | CorsOrigin::List(_) | CorsOrigin::Matching(_) => {
                if let Some(origin) = sent_origin(request)
                    && origin.to_str().is_ok_and(|origin| self.allows(origin))
                {
                    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                }
                // Also when refused or absent: a cache must not hand this answer to an origin that is allowed.
                vary_on(response, "Origin");
            }
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origin: CorsOrigin::Any,
            methods: vec![Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE],
            allowed_headers: None,
            exposed_headers: Vec::new(),
            credentials: false,
            max_age: None,
            preflight_continue: false,
            options_success_status: StatusCode::NO_CONTENT,
        }
    }
}

/// The origins whose pages may read answers.
///
/// An origin is a scheme, a host and a port if it is not the scheme's own, without a final slash:
/// `https://example.com`, `http://localhost:3000`. Origins are compared letter by letter, as browsers write them.
#[derive(Clone)]
pub enum CorsOrigin {
    /// Every origin: `Access-Control-Allow-Origin: *`. The reference's `"*"`.
    Any,
    /// Every origin, named in the answer, which `credentials` needs. The reference's `true`.
    ///
    /// With `credentials` every page on the web acts as the user who visits it; prefer a list.
    Reflect,
    /// One origin, sent whoever asks. The reference's string; `*` means [`CorsOrigin::Any`].
    Exact(HeaderValue),
    /// These origins; the one that asks is named in the answer. The reference's array; `*` in it means nothing.
    List(Vec<String>),
    /// The origins this returns true for; the one that asks is named in the answer. Stands for the reference's regular
    /// expressions and functions.
    ///
    /// A refused preflight is still answered here, as with a regular expression.
    ///
    /// Called on each request that carries one readable `Origin`, so it should be quick and must not block. Compare
    /// whole origins: a test for the ending `example.com` also lets in `https://bad-example.com`.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl fmt::Debug for CorsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CorsOrigin::Any => f.write_str("Any"),
            CorsOrigin::Reflect => f.write_str("Reflect"),
            CorsOrigin::Exact(only) => f.debug_tuple("Exact").field(only).finish(),
            CorsOrigin::List(list) => f.debug_tuple("List").field(list).finish(),
            CorsOrigin::Matching(_) => f.write_str("Matching(..)"),
        }
    }
}

/// The request's origin: `None` if it names none, an empty one or several.
fn sent_origin(request: &HeaderMap) -> Option<&HeaderValue> {
    let mut sent = request.get_all(ORIGIN).iter();
    let origin = sent.next().filter(|origin| !origin.is_empty())?;
    sent.next().is_none().then_some(origin)
}

/// The headers a preflight asks to send, its lines joined: `None` if there are none or they are not plain text.
fn wanted_headers(request: &HeaderMap) -> Option<HeaderValue> {
    let lines = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let lines: Vec<&str> = lines.map(HeaderValue::to_str).collect::<Result<_, _>>().ok()?;
    let wanted = lines.join(", ");
    if wanted.is_empty() { None } else { HeaderValue::from_str(&wanted).ok() }
}

/// Sets `name` to the items with commas between; no items, no header.
fn insert_list<'a>(response: &mut HeaderMap, name: HeaderName, items: impl Iterator<Item = &'a str>) {
    let list = items.collect::<Vec<_>>().join(",");
    if list.is_empty() {
        return;
    }
    if let Ok(list) = HeaderValue::from_str(&list) {
        response.insert(name, list);
    }
}

/// Adds `field` to what the response varies on, keeping what is there: `Vary: Accept-Encoding, Origin`.
pub(super) fn vary_on(response: &mut HeaderMap, field: &'static str) {
    let mut fields = Vec::new();
    for line in response.get_all(VARY) {
        let mut items = line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if items.any(|item| item == b"*" || item.eq_ignore_ascii_case(field.as_bytes())) {
            return;
        }
        fields.extend_from_slice(line.as_bytes());
        fields.extend_from_slice(b", ");
    }
    fields.extend_from_slice(field.as_bytes());
    if let Ok(fields) = HeaderValue::from_bytes(&fields) {
        response.insert(VARY, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_origin_is_a_star_without_vary() {
        let table = "
            GET                     -> allow-origin: *
            GET; origin: https://a  -> allow-origin: *
            GET; origin: https://é  -> allow-origin: *";
        check(Cors::any(), table);
        check(with_origin(exact("*")), table);
    }

    #[test]
    fn exact_origin_is_sent_whoever_asks() {
        let table = "
            GET                     -> allow-origin: https://a; vary: Origin
            GET; origin: https://a  -> allow-origin: https://a; vary: Origin
            GET; origin: https://b  -> allow-origin: https://a; vary: Origin";
        check(with_origin(exact("https://a")), table);
    }

    #[test]
    fn listed_origin_is_reflected_and_others_get_no_origin() {
        let table = "
            GET; origin: https://a    -> allow-origin: https://a; vary: Origin
            GET; origin: https://b    -> allow-origin: https://b; vary: Origin
            GET; origin: https://a/   -> vary: Origin
            GET; origin: https://a.b  -> vary: Origin
            GET; origin: HTTPS://A    -> vary: Origin
            GET; origin: http://a     -> vary: Origin
            GET; origin: null         -> vary: Origin
            GET; origin:              -> vary: Origin
            GET                       -> vary: Origin";
        check(Cors::origins(["https://b", "*", "", "https://a"]), table);
    }

    #[test]
    fn matching_origin_is_reflected() {
        let table = "
            GET; origin: https://a  -> allow-origin: https://a; vary: Origin
            GET; origin: https://b  -> vary: Origin";
        check(with_origin(matching(|origin| origin.ends_with("//a"))), table);
    }

    #[test]
    fn unreadable_origin_never_reaches_the_response() {
        let table = "
            GET; origin: https://a                     -> allow-origin: https://a; vary: Origin
            GET; origin: null                          -> allow-origin: null; vary: Origin
            GET; origin: https://é                     -> vary: Origin
            GET; origin:                               -> vary: Origin
            GET; origin: https://a; origin: https://b  -> vary: Origin
            GET                                        -> vary: Origin";
        check(with_origin(CorsOrigin::Reflect), table);
        check(with_origin(matching(|_| true)), table);
    }

    #[test]
    fn ordinary_response_carries_credentials_and_exposed_headers_only() {
        let cors = Cors {
            allowed_headers: Some(names(&["x-token"])),
            exposed_headers: names(&["x-total", "etag"]),
            credentials: true,
            max_age: Some(Duration::from_secs(9)),
            ..Cors::origins(["https://a"])
        };
        let table = "
            POST; origin: https://a; access-control-request-headers: x-a
                -> allow-credentials: true; allow-origin: https://a; expose-headers: x-total,etag; vary: Origin
            GET -> allow-credentials: true; expose-headers: x-total,etag; vary: Origin";
        check(cors, table);
    }

    #[test]
    fn preflight_allows_the_headers_asked_for() {
        let table = "
            OPTIONS
                -> 204; allow-methods: GET; allow-origin: *; content-length: 0; vary: Access-Control-Request-Headers
            OPTIONS; access-control-request-headers:
                -> 204; allow-methods: GET; allow-origin: *; content-length: 0; vary: Access-Control-Request-Headers
            OPTIONS; access-control-request-headers: x-é
                -> 204; allow-methods: GET; allow-origin: *; content-length: 0; vary: Access-Control-Request-Headers
            OPTIONS; access-control-request-headers: X-A,etag
                -> 204; allow-headers: X-A,etag; allow-methods: GET; allow-origin: *; content-length: 0; vary: Access-Control-Request-Headers
            OPTIONS; access-control-request-headers: x-a; access-control-request-headers: x-b
                -> 204; allow-headers: x-a, x-b; allow-methods: GET; allow-origin: *; content-length: 0; vary: Access-Control-Request-Headers";
        let cors = Cors { methods: vec![Method::GET], ..Cors::any() };
        check(cors, table);
    }

    #[test]
    fn preflight_sends_every_option() {
        let cors = Cors {
            methods: vec![Method::GET, Method::POST],
            allowed_headers: Some(names(&["x-token", "etag"])),
            exposed_headers: names(&["x-total"]),
            credentials: true,
            max_age: Some(Duration::from_millis(1999)),
            options_success_status: StatusCode::OK,
            ..Cors::any()
        };
        let table = "
            OPTIONS; access-control-request-headers: x-a
                -> 200; allow-credentials: true; allow-headers: x-token,etag; allow-methods: GET,POST; allow-origin: *; expose-headers: x-total; max-age: 1; content-length: 0";
        check(cors, table);
    }

    #[test]
    fn preflight_of_empty_lists_sends_no_empty_headers() {
        let cors = Cors {
            methods: Vec::new(),
            allowed_headers: Some(Vec::new()),
            max_age: Some(Duration::ZERO),
            ..Cors::any()
        };
        let table = "
            OPTIONS; access-control-request-headers: x-a
                -> 204; allow-origin: *; max-age: 0; content-length: 0";
        check(cors, table);
    }

    #[test]
    fn refused_preflight_is_answered_without_an_origin() {
        let table = "
            OPTIONS; origin: https://b
                -> 204; allow-methods: GET,HEAD,PUT,PATCH,POST,DELETE; content-length: 0; vary: Origin, Access-Control-Request-Headers";
        check(Cors::origins(["https://a"]), table);
    }

    #[test]
    fn continued_preflight_is_left_to_the_caller_with_its_headers() {
        let cors = Cors { preflight_continue: true, ..Cors::any() };
        let table = "
            OPTIONS; < vary: accept; < x-own: 1
                -> continued; allow-methods: GET,HEAD,PUT,PATCH,POST,DELETE; allow-origin: *; vary: accept, Access-Control-Request-Headers; x-own: 1";
        check(cors, table);
    }

    #[test]
    fn vary_is_extended_and_never_overwritten() {
        let table = "
            GET; < vary: Accept              -> vary: Accept, Origin
            GET; < vary: a; < vary: b,c      -> vary: a, b,c, Origin
            GET; < vary: a, oRIGIN           -> vary: a, oRIGIN
            GET; < vary: a; < vary: origin   -> vary: a; vary: origin
            GET; < vary: X-Origin            -> vary: X-Origin, Origin
            GET; < vary: *                   -> vary: *";
        check(with_origin(CorsOrigin::Reflect), table);
    }

    #[test]
    fn other_headers_of_the_response_stay() {
        let table = "
            GET; < access-control-allow-origin: https://old  -> allow-origin: *
            GET; < vary: accept; < x-own: 1                  -> allow-origin: *; vary: accept; x-own: 1";
        check(Cors::any(), table);
    }

    #[test]
    fn allows_is_what_the_headers_say() {
        let allowed = |origin: CorsOrigin| {
            let cors = with_origin(origin);
            ["https://a", "https://b", "null"].map(|asked| cors.allows(asked))
        };
        assert_eq!(allowed(CorsOrigin::Any), [true, true, true]);
        assert_eq!(allowed(CorsOrigin::Reflect), [true, true, true]);
        assert_eq!(allowed(exact("*")), [true, true, true]);
        assert_eq!(allowed(exact("https://a")), [true, false, false]);
        assert_eq!(allowed(Cors::origins(["https://a", "*"]).origin), [true, false, false]);
        assert_eq!(allowed(matching(|origin| origin == "https://b")), [false, true, false]);
    }

    #[test]
    fn origin_shows_itself_for_debugging() {
        let shown = format!("{:?}", [exact("https://a"), matching(|_| true)]);
        assert_eq!(shown, r#"[Exact("https://a"), Matching(..)]"#);
    }

    fn with_origin(origin: CorsOrigin) -> Cors {
        Cors { origin, ..Cors::default() }
    }

    fn exact(origin: &'static str) -> CorsOrigin {
        CorsOrigin::Exact(HeaderValue::from_static(origin))
    }

    fn matching(matches: fn(&str) -> bool) -> CorsOrigin {
        CorsOrigin::Matching(Arc::new(matches))
    }

    fn names(names: &[&'static str]) -> Vec<HeaderName> {
        names.iter().copied().map(HeaderName::from_static).collect()
    }

    /// Each case is what is sent, `->`, and what comes of it. Sent: a method, then the request's headers; those after
    /// `<` are already in the response. Expected: for `OPTIONS` the preflight's status or `continued`, then the
    /// response's headers by name, `access-control-` left out.
    fn check(cors: Cors, table: &str) {
        let table = table.replace("\n                ->", " ->");
        for case in table.lines().filter(|line| !line.trim().is_empty()) {
            let (sent, expected) = case.split_once("->").expect("an arrow");
            assert_eq!(answer(&cors, sent), expected.trim(), "{cors:?} {case}");
        }
    }

    fn answer(cors: &Cors, sent: &str) -> String {
        let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
        let (method, sent) = sent.trim().split_once(';').unwrap_or((sent.trim(), ""));
        let lines = sent.split(';').map(str::trim);
        for line in lines.filter(|line| !line.is_empty()) {
            let (headers, line) = match line.strip_prefix("< ") {
                Some(line) => (&mut response, line),
                None => (&mut request, line),
            };
            let (name, value) = line.split_once(':').expect("a header line");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            let value = HeaderValue::from_bytes(value.trim().as_bytes()).expect("a header value");
            headers.append(name, value);
        }
        let mut got = Vec::new();
        if method != "OPTIONS" {
            cors.apply(&request, &mut response);
        } else if let Some(preflight) = cors.preflight(&request) {
            got.push(preflight.status().as_str().to_owned());
            response = preflight.into_parts().0.headers;
        } else {
            got.push("continued".to_owned());
            cors.apply_preflight(&request, &mut response);
        }
        let mut lines: Vec<_> = response.iter().collect();
        lines.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in lines {
            let name = name.as_str().trim_start_matches("access-control-");
            got.push(format!("{name}: {}", value.to_str().expect("text")));
        }
        got.join("; ")
    }
}
