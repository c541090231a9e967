//! The query of an Engine.IO request, and the ways to refuse one. Which method and which session a request is for is
//! the server's business. EIO 4 "HTTP long-polling" and the reference server's error codes.

use std::{borrow::Cow, error, fmt};

use super::{packet::Transport, payload::Format, version::Version};

/// The query parameters that Engine.IO reads, percent-decoded. Others belong to the application and are passed over.
///
/// ```text
/// EIO=4&transport=polling&sid=PNxmU2I8qCW0jru7AAAA&t=Oq3d2
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `EIO`: the protocol's revision.
    pub eio: Option<Cow<'a, str>>,
    /// `transport`: how this request carries packets.
    pub transport: Option<Cow<'a, str>>,
    /// `sid`: the session, absent in a handshake.
    pub sid: Option<Cow<'a, str>>,
    /// `b64` with anything that is not empty: the client cannot receive binary frames.
    pub base64: bool,
    /// `j`: JSONP, in revision 3: [`Query::format`]. In revision 4 it belongs to the application, so it may be there twice;
    /// then a comma joins both, and it is no number.
    pub callback: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads what stands behind the `?`.
    ///
    /// # Errors
    /// `BadRequest` if a parameter of ours is there twice: then two programs on the way could read two meanings.
    pub fn parse(query: &'a str) -> Result<Query<'a>, RequestError> {
        let mut parsed = Query::default();
        let mut base64 = None;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name);
            if name == "j" {
                let value = decode(value);
                match &mut parsed.callback {
                    // It may be there thousands of times: what came before is not copied each time.
                    Some(before) => before.to_mut().extend([",", &value]),
                    None => parsed.callback = Some(value),
                }
                continue;
            }
            let field = match name.as_ref() {
                "EIO" => &mut parsed.eio,
                "transport" => &mut parsed.transport,
                "sid" => &mut parsed.sid,
                "b64" => &mut base64,
                _ => continue,
            };
            if field.replace(decode(value)).is_some() {
                return Err(RequestError::BadRequest);
            }
        }
        parsed.base64 = base64.is_some_and(|value| !value.is_empty());
        Ok(parsed)
    }

    /// The protocol's revision, for a server that takes revision 4 alone.
    ///
    /// # Errors
    /// `UnsupportedProtocolVersion` unless `EIO` is exactly `4`.
    pub fn version(&self) -> Result<Version, RequestError> {
        match self.eio.as_deref() {
            Some("4") => Ok(Version::V4),
            Some(_) | None => Err(RequestError::UnsupportedProtocolVersion),
        }
    }

    /// The protocol's revision, where clients of revision 3 may be taken too: `EIO=4` is 4, and anything else is 3, since
    /// some clients of that time say nothing or something older.
    ///
    /// # Errors
    /// As [`Query::version`], unless `allow_eio3`.
    pub fn version_with_eio3(&self, allow_eio3: bool) -> Result<Version, RequestError> {
        self.version().or_else(|error| if allow_eio3 { Ok(Version::V3) } else { Err(error) })
    }

    /// How answers to the GETs of a session of this revision are written.
    ///
    /// # Errors
    /// `BadRequest` in revision 3, if `j` is no decimal below 2^32: it becomes part of a script.
    pub fn format(&self, version: Version) -> Result<Format, RequestError> {
        let jsonp = match (version, self.callback.as_deref()) {
            // There `j` belongs to the application.
            (Version::V4, _) | (_, None) => None,
            (Version::V3, Some(index)) => {
                let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                let index = index.parse().ok().filter(|_| digits);
                Some(index.ok_or(RequestError::BadRequest)?)
            }
        };
        Ok(Format { version, base64: self.base64, jsonp })
    }

    /// The transport.
    ///
    /// # Errors
    /// `UnknownTransport` unless it is one of ours by its exact name.
    pub fn transport(&self) -> Result<Transport, RequestError> {
        let name = self.transport.as_deref().ok_or(RequestError::UnknownTransport)?;
        name.parse().map_err(|_| RequestError::UnknownTransport)
    }
}

/// Undoes percent-encoding as JavaScript servers do: `+` is a space, an incomplete escape stands for itself, bytes that
/// are no UTF-8 become U+FFFD (and so match nothing of ours).
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    match percent_decode(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
    }
}

/// As [`decode`], before it is known to be text.
pub(super) fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(byte),
        }
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The ways to refuse a request; each has its code, status and exact body.
///
/// ```text
/// 400 {"code":0,"message":"Transport unknown"}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Code 0: `transport` is missing or is none of ours.
    UnknownTransport,
    /// Code 1: no such session.
    UnknownSid,
    /// Code 2: a handshake must be a GET.
    BadHandshakeMethod,
    /// Code 3: anything else that is wrong.
    BadRequest,
    /// Code 4: the application refused, with this message.
    Forbidden(Cow<'static, str>),
    /// Code 5: `EIO` is missing or none of ours.
    UnsupportedProtocolVersion,
}

impl RequestError {
    /// Code 4 with the default message.
    pub fn forbidden() -> Self {
        RequestError::Forbidden(Cow::Borrowed("Forbidden"))
    }

    /// The code in the body.
    pub fn code(&self) -> u8 {
        match self {
            RequestError::UnknownTransport => 0,
            RequestError::UnknownSid => 1,
            RequestError::BadHandshakeMethod => 2,
            RequestError::BadRequest => 3,
            RequestError::Forbidden(_) => 4,
            RequestError::UnsupportedProtocolVersion => 5,
        }
    }

    /// The HTTP status: 403 for code 4, else 400.
    pub fn status(&self) -> u16 {
        match self {
            RequestError::Forbidden(_) => 403,
            RequestError::UnknownTransport
            | RequestError::UnknownSid
            | RequestError::BadHandshakeMethod
            | RequestError::BadRequest
            | RequestError::UnsupportedProtocolVersion => 400,
        }
    }

    /// The message in the body.
    pub fn message(&self) -> &str {
        match self {
            RequestError::UnknownTransport => "Transport unknown",
            RequestError::UnknownSid => "Session ID unknown",
            RequestError::BadHandshakeMethod => "Bad handshake method",
            RequestError::BadRequest => "Bad request",
            RequestError::Forbidden(message) => message,
            RequestError::UnsupportedProtocolVersion => "Unsupported protocol version",
        }
    }

    /// The whole body, `application/json`.
    pub fn body(&self) -> String {
        let message = serde_json::to_string(self.message()).expect("a string is always JSON");
        format!("{{\"code\":{},\"message\":{message}}}", self.code())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_parameters_are_decoded_and_others_passed_over() {
        let query = Query::parse("EIO=4&transport=polling&sid=a%2Fb+c&t=x&t=y&b64=1&token=%ff").unwrap();
        assert_eq!(query.eio.as_deref(), Some("4"));
        assert_eq!(query.transport(), Ok(Transport::Polling));
        assert_eq!(query.sid.as_deref(), Some("a/b c"));
        assert!(query.base64);
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert!(!Query::parse("b64=").unwrap().base64);
    }

    #[test]
    fn a_parameter_of_ours_stands_once() {
        for query in ["EIO=4&EIO=4", "transport=polling&transport=websocket", "sid=a&s%69d=b", "b64=1&b64=1"] {
            assert_eq!(Query::parse(query), Err(RequestError::BadRequest), "{query}");
        }
    }

    #[test]
    fn only_exactly_4_is_version_4() {
        assert_eq!(Query::parse("EIO=4").unwrap().version(), Ok(Version::V4));
        for query in ["", "EIO", "EIO=", "EIO=3", "EIO=-1", "EIO=4.0", "EIO=04", "EIO=%D9%A4", "EIO=4%00", "EIO=4+"] {
            let version = Query::parse(query).unwrap().version();
            assert_eq!(version, Err(RequestError::UnsupportedProtocolVersion), "{query}");
        }
    }

    #[test]
    fn anything_but_4_is_version_3_where_that_is_allowed() {
        for (query, version) in
            [("EIO=4", Version::V4), ("EIO=3", Version::V3), ("", Version::V3), ("EIO=04", Version::V3)]
        {
            assert_eq!(Query::parse(query).unwrap().version_with_eio3(true), Ok(version), "{query}");
        }
        assert_eq!(Query::parse("EIO=4").unwrap().version_with_eio3(false), Ok(Version::V4));
        let refused = Query::parse("EIO=3").unwrap().version_with_eio3(false);
        assert_eq!(refused, Err(RequestError::UnsupportedProtocolVersion));
    }

    #[test]
    fn callbacks_are_numbers() {
        check_format("b64=1", Version::V3, Ok((true, None)));
        check_format("j=0", Version::V3, Ok((false, Some(0))));
        check_format("j=4294967295&b64=1", Version::V3, Ok((true, Some(u32::MAX))));
        for query in ["j=", "j", "j=4294967296", "j=+1", "j=%2B1", "j=-1", "j=1.0", "j=0%5D(alert(1))//", "j=0&j=0"] {
            check_format(query, Version::V3, Err(RequestError::BadRequest));
            check_format(query, Version::V4, Ok((false, None)));
        }
    }

    #[test]
    fn unknown_transports_are_refused() {
        for query in ["", "transport=", "transport=WebTransport", "transport=__proto__", "transport=Polling"] {
            assert_eq!(Query::parse(query).unwrap().transport(), Err(RequestError::UnknownTransport), "{query}");
        }
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        for (text, expected) in
            [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%25", "%"), ("%%41", "%A"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    #[test]
    fn bodies_are_those_of_the_reference() {
        check(RequestError::UnknownTransport, 400, r#"{"code":0,"message":"Transport unknown"}"#);
        check(RequestError::UnknownSid, 400, r#"{"code":1,"message":"Session ID unknown"}"#);
        check(RequestError::BadHandshakeMethod, 400, r#"{"code":2,"message":"Bad handshake method"}"#);
        check(RequestError::BadRequest, 400, r#"{"code":3,"message":"Bad request"}"#);
        check(RequestError::forbidden(), 403, r#"{"code":4,"message":"Forbidden"}"#);
        check(RequestError::Forbidden("no \"way\"\n".into()), 403, r#"{"code":4,"message":"no \"way\"\n"}"#);
        check(RequestError::UnsupportedProtocolVersion, 400, r#"{"code":5,"message":"Unsupported protocol version"}"#);
    }

    fn check_format(query: &str, version: Version, expected: Result<(bool, Option<u32>), RequestError>) {
        let format = Query::parse(query).unwrap().format(version);
        let expected = expected.map(|(base64, jsonp)| Format { version, base64, jsonp });
        assert_eq!(format, expected, "{query}");
    }

    fn check(error: RequestError, status: u16, body: &str) {
        assert_eq!((error.status(), error.body().as_str()), (status, body));
        assert!(size_of::<RequestError>() <= 32);
    }
}
