//! The open packet: what the server tells the client about the session. EIO 4 "Handshake".

use std::{error, fmt, fmt::Write as _, time::Duration};

use serde::Deserialize;

use super::packet::Transport;

/// The content of the open packet.
///
/// ```text
/// 0{"sid":"PNxmU2I8qCW0jru7AAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The session's id.
    pub sid: String,
    /// Transports the client may change to.
    pub upgrades: Vec<Transport>,
    /// Whole milliseconds on the wire.
    pub ping_interval: Duration,
    /// Whole milliseconds on the wire.
    pub ping_timeout: Duration,
    /// The largest message or body the server takes, in bytes.
    pub max_payload: usize,
}

/// A client takes intervals between these; a hostile or mistaken server can make it neither spin nor wait for ever.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// What a server that tells no limit is taken to accept: the default of engine.io.
const MAX_PAYLOAD: usize = 1_000_000;
/// A session id longer than this has no purpose: it goes into every request line.
const SID_BYTES_MAX: usize = 1024;

impl Handshake {
    /// The whole packet, type digit included, keys in the order of the reference implementation.
    pub fn to_packet(&self) -> String {
        let mut out = String::with_capacity(self.sid.len().saturating_add(128));
        out.push_str("0{\"sid\":");
        out.push_str(&serde_json::to_string(&self.sid).expect("a string is always JSON"));
        out.push_str(",\"upgrades\":[");
        for (index, transport) in self.upgrades.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"{transport}\"");
        }
        let (interval, timeout) = (self.ping_interval.as_millis(), self.ping_timeout.as_millis());
        let max = self.max_payload;
        let _ = write!(out, "],\"pingInterval\":{interval},\"pingTimeout\":{timeout},\"maxPayload\":{max}}}");
        out
    }

    /// Reads the JSON of an open packet, as a client: `{"sid":…}`. Intervals are clamped to 1 s … 1 h, transports we
    /// do not know are left out, keys we do not know are passed over.
    ///
    /// # Errors
    /// `Json` if it is not such an object; `Sid` if the id is empty or longer than 1 KiB; `Interval` if one is negative;
    /// `MaxPayload` if it is zero or negative.
    pub fn parse(json: &str) -> Result<Self, HandshakeError> {
        let wire: Wire = serde_json::from_str(json).map_err(|_| HandshakeError::Json)?;
        if wire.sid.is_empty() || wire.sid.len() > SID_BYTES_MAX {
            return Err(HandshakeError::Sid);
        }
        let max_payload = match wire.max_payload {
            None => MAX_PAYLOAD,
            Some(max) if max >= 1.0 => max.min(f64::from(u32::MAX)) as usize,
            Some(_) => return Err(HandshakeError::MaxPayload),
        };
        Ok(Handshake {
            sid: wire.sid,
            upgrades: wire.upgrades.iter().filter_map(|name| name.parse().ok()).collect(),
            ping_interval: interval(wire.ping_interval)?,
            ping_timeout: interval(wire.ping_timeout)?,
            max_payload,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    sid: String,
    #[serde(default)]
    upgrades: Vec<String>,
    ping_interval: f64,
    ping_timeout: f64,
    max_payload: Option<f64>,
}

fn interval(milliseconds: f64) -> Result<Duration, HandshakeError> {
    if milliseconds.is_nan() || milliseconds < 0.0 {
        return Err(HandshakeError::Interval);
    }
    let bounded = milliseconds.min(INTERVAL_MAX.as_millis() as f64);
    Ok(Duration::from_millis(bounded as u64).clamp(INTERVAL_MIN, INTERVAL_MAX))
}

/// Why an open packet was refused. The server broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not a JSON object with `sid`, `pingInterval` and `pingTimeout`.
    Json,
    /// An empty or oversized `sid`.
    Sid,
    /// A negative interval.
    Interval,
    /// A server that takes nothing.
    MaxPayload,
}

impl HandshakeError {
    /// A short name that does not change, for logs, counters and the test vectors: `max_payload`.
    pub fn name(&self) -> &'static str {
        match self {
            HandshakeError::Json => "json",
            HandshakeError::Sid => "sid",
            HandshakeError::Interval => "interval",
            HandshakeError::MaxPayload => "max_payload",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandshakeError::Json => "handshake is not the expected json object",
            HandshakeError::Sid => "handshake has an empty or oversized sid",
            HandshakeError::Interval => "handshake has a negative ping interval or timeout",
            HandshakeError::MaxPayload => "handshake has a max payload of zero",
        })
    }
}

impl error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_the_reference() {
        let handshake = handshake();
        let json = r#"{"sid":"PNxmU2I8qCW0jru7AAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        assert_eq!(handshake.to_packet(), format!("0{json}"));
        assert_eq!(Handshake::parse(json), Ok(handshake));
    }

    #[test]
    fn no_upgrades_is_an_empty_list() {
        let handshake = Handshake { upgrades: Vec::new(), ..handshake() };
        assert!(handshake.to_packet().contains(r#""upgrades":[],"#));
    }

    #[test]
    fn intervals_of_a_hostile_server_are_clamped() {
        check_interval("1e308", INTERVAL_MAX);
        check_interval("1", INTERVAL_MIN);
        check_interval("0", INTERVAL_MIN);
        check_interval("999", INTERVAL_MIN);
        check_interval("1001", Duration::from_millis(1001));
        check_interval("3599999", Duration::from_millis(3_599_999));
        check_interval("3600001", INTERVAL_MAX);
    }

    #[test]
    fn unknown_upgrades_and_keys_are_passed_over() {
        let json =
            r#"{"sid":"a","upgrades":["__proto__","websocket"],"pingInterval":1000,"pingTimeout":1000,"x":[{}]}"#;
        let handshake = Handshake::parse(json).unwrap();
        assert_eq!(handshake.upgrades, [Transport::WebSocket]);
        assert_eq!(handshake.max_payload, MAX_PAYLOAD);
    }

    #[test]
    fn impossible_handshakes_are_refused() {
        check_refused("", HandshakeError::Json);
        check_refused("[]", HandshakeError::Json);
        check_refused(r#"{"sid":"a"}"#, HandshakeError::Json);
        check_refused(r#"{"sid":"a","pingInterval":"1","pingTimeout":1}"#, HandshakeError::Json);
        check_refused(r#"{"sid":"a","pingInterval":1e400,"pingTimeout":1}"#, HandshakeError::Json);
        check_refused(r#"{"sid":"a","sid":"b","pingInterval":1,"pingTimeout":1}"#, HandshakeError::Json);
        check_refused(r#"{"sid":"","pingInterval":1,"pingTimeout":1}"#, HandshakeError::Sid);
        check_refused(r#"{"sid":"a","pingInterval":-1,"pingTimeout":1}"#, HandshakeError::Interval);
        check_refused(r#"{"sid":"a","pingInterval":1,"pingTimeout":1,"maxPayload":0}"#, HandshakeError::MaxPayload);
        let nested = format!(r#"{{"x":{}"#, "[".repeat(150_000));
        check_refused(&nested, HandshakeError::Json);
    }

    #[test]
    fn sid_length_is_bounded() {
        let json = |bytes: usize| format!(r#"{{"sid":"{}","pingInterval":1,"pingTimeout":1}}"#, "a".repeat(bytes));
        assert!(Handshake::parse(&json(SID_BYTES_MAX - 1)).is_ok());
        assert!(Handshake::parse(&json(SID_BYTES_MAX)).is_ok());
        assert_eq!(Handshake::parse(&json(SID_BYTES_MAX + 1)), Err(HandshakeError::Sid));
    }

    fn handshake() -> Handshake {
        Handshake {
            sid: "PNxmU2I8qCW0jru7AAAA".to_owned(),
            upgrades: vec![Transport::WebSocket],
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
        }
    }

    fn check_interval(milliseconds: &str, expected: Duration) {
        let json = format!(r#"{{"sid":"a","pingInterval":{milliseconds},"pingTimeout":{milliseconds}}}"#);
        let handshake = Handshake::parse(&json).unwrap();
        assert_eq!((handshake.ping_interval, handshake.ping_timeout), (expected, expected), "{milliseconds}");
    }

    fn check_refused(json: &str, error: HandshakeError) {
        assert_eq!(Handshake::parse(json), Err(error), "{json:.80}");
    }
}
