//! What must be known of a packet's JSON before anything is decoded: it is valid, it is not too deep, and where its
//! elements are.

use std::borrow::Cow;

use serde_json::{Number, value::RawValue};
use smallvec::SmallVec;

use super::{
    RESERVED_EVENTS,
    config::ConnectionConfig,
    error::{Error, Limit},
    scan::{DEPTH_MAX, Fault, Raw, Scanner},
};

/// The elements of an array. Most events have one or two, and this is moved about.
pub(super) type RawValues<'a> = SmallVec<[Raw<'a>; 2]>;

/// Splits `["name",…]` into the event's name and its arguments.
pub(super) fn split_event<'a>(
    json: &'a str,
    config: &ConnectionConfig,
) -> Result<(Cow<'a, str>, RawValues<'a>), Error> {
    let mut scanner = Scanner::new(json, config.json_depth_max);
    scanner.begin_array().map_err(refusal(config))?;
    let first = scanner.next_element(true).map_err(refusal(config))?;
    let name = event_name(first.ok_or(Error::InvalidPayload)?, config)?;
    let values = elements(scanner, false, config)?;
    Ok((name, values))
}

/// Splits `[…]` into its elements.
pub(super) fn split_array<'a>(json: &'a str, config: &ConnectionConfig) -> Result<RawValues<'a>, Error> {
    let mut scanner = Scanner::new(json, config.json_depth_max);
    scanner.begin_array().map_err(refusal(config))?;
    elements(scanner, true, config)
}

/// As [`split_array`], of our own making: of any length. `None` if it is none, or nested too deeply.
pub(super) fn split_any_array(json: &str) -> Option<RawValues<'_>> {
    let config = ConnectionConfig { arguments_max: usize::MAX, ..ConnectionConfig::default() };
    split_array(json, &config).ok()
}

fn elements<'a>(
    mut scanner: Scanner<'a>,
    mut is_first: bool,
    config: &ConnectionConfig,
) -> Result<RawValues<'a>, Error> {
    let mut values = RawValues::new();
    while let Some(value) = scanner.next_element(is_first).map_err(refusal(config))? {
        if values.len() == config.arguments_max {
            return Err(Error::Limit { what: Limit::Arguments, max: config.arguments_max });
        }
        values.push(value);
        is_first = false;
    }
    Ok(values)
}

/// The payload of a CONNECT: an object, or nothing.
pub(super) fn object<'a>(json: &'a str, config: &ConnectionConfig) -> Result<Option<&'a RawValue>, Error> {
    match json.as_bytes().first() {
        None => Ok(None),
        Some(b'{') => raw(json, config).map(Some),
        Some(_) => Err(Error::InvalidPayload),
    }
}

/// The payload of a CONNECT_ERROR: an object, or text.
pub(super) fn object_or_text<'a>(json: &'a str, config: &ConnectionConfig) -> Result<Option<&'a RawValue>, Error> {
    match json.as_bytes().first() {
        Some(b'{' | b'"') => raw(json, config).map(Some),
        Some(_) | None => Err(Error::InvalidPayload),
    }
}

fn raw<'a>(json: &'a str, config: &ConnectionConfig) -> Result<&'a RawValue, Error> {
    Scanner::new(json, config.json_depth_max).whole().map_err(refusal(config))?;
    serde_json::from_str(json).map_err(|_| Error::InvalidPayload)
}

fn refusal(config: &ConnectionConfig) -> impl Fn(Fault) -> Error {
    let max = config.json_depth_max.min(DEPTH_MAX);
    move |fault| match fault {
        Fault::Invalid => Error::InvalidPayload,
        Fault::TooDeep => Error::Limit { what: Limit::JsonDepth, max },
    }
}

/// The first element of an event.
fn event_name<'a>(raw: Raw<'a>, config: &ConnectionConfig) -> Result<Cow<'a, str>, Error> {
    let name = match raw.plain_string() {
        Some(text) => Cow::Borrowed(text),
        None if raw.json.starts_with('"') => serde_json::from_str(raw.json).map_err(|_| Error::InvalidPayload)?,
        None => {
            let number: Number = serde_json::from_str(raw.json).map_err(|_| Error::InvalidEventName)?;
            let is_integer = number.is_i64() || number.is_u64();
            let float = number.as_f64().filter(|_| !is_integer);
            Cow::Owned(float.map_or_else(|| number.to_string(), |float| float.to_string()))
        }
    };
    if RESERVED_EVENTS.contains(&&*name) {
        return Err(Error::ReservedEventName);
    }
    let max = config.event_name_bytes_max;
    if name.len() > max { Err(Error::Limit { what: Limit::EventNameBytes, max }) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_split_into_name_and_raw_arguments() {
        check(r#"["a"]"#, "a", &[]);
        check(r#"["a",1,"x",[ 1, 2 ],{"b":null}]"#, "a", &["1", "\"x\"", "[ 1, 2 ]", r#"{"b":null}"#]);
        check(r#"["\u00e9\n"]"#, "é\n", &[]);
        check(r#"[1,2]"#, "1", &["2"]);
        check(r#"[-1]"#, "-1", &[]);
        check(r#"[1.5]"#, "1.5", &[]);
        check(r#"["__proto__","]"]"#, "__proto__", &["\"]\""]);
        check(r#"[ "a" , 1 ] "#, "a", &["1"]);
    }

    #[test]
    fn names_are_borrowed_from_the_packet() {
        let config = ConnectionConfig::default();
        assert!(matches!(split_event(r#"["name"]"#, &config).unwrap().0, Cow::Borrowed("name")));
        assert!(matches!(split_event(r#"["n\u0061me"]"#, &config).unwrap().0, Cow::Owned(_)));
    }

    #[test]
    fn bad_events_are_refused() {
        for json in
            ["", "[]", "\"\"", "null", "{}", "['a']", r#"["a""#, r#"["a",]"#, r#"["a"]]"#, r#"["a"]{}"#, "//c\n[1]"]
        {
            check_refused(json, Error::InvalidPayload);
        }
        for json in
            [r#"["a","\x41"]"#, "[\"a\",\"\ttab\"]", r#"["a",01]"#, r#"["a",NaN]"#, r#"["a",{"b"}]"#, r#"["a\ud800"]"#]
        {
            assert!(split_event(json, &ConnectionConfig::default()).is_err(), "{json}");
        }
        for json in ["[null]", "[true]", "[{}]", r#"[{"toString":"foo"}]"#, "[[]]", "[null,1]"] {
            check_refused(json, Error::InvalidEventName);
        }
        for name in RESERVED_EVENTS {
            check_refused(&format!("[{name:?},1]"), Error::ReservedEventName);
        }
        check_refused(r#"["\u0063onnect"]"#, Error::ReservedEventName);
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        let config = ConnectionConfig::default();
        let max = config.json_depth_max;
        let nested = |depth: usize| format!("[\"a\",{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let wide = format!("[\"a\",{}\"{}\\\"[\"]", "[],{},".repeat(max), "[".repeat(max));
        assert!(split_event(&nested(max - 1), &config).is_ok());
        assert!(split_event(&nested(max), &config).is_ok());
        assert!(split_event(&wide, &config).is_ok());
        check_refused(&nested(max + 1), Error::Limit { what: Limit::JsonDepth, max });
        let objects = format!("[\"a\",{}1{}]", "{\"a\":".repeat(150_000), "}".repeat(150_000));
        check_refused(&objects, Error::Limit { what: Limit::JsonDepth, max });
    }

    #[test]
    fn what_is_as_deep_as_allowed_can_be_decoded() {
        let config = ConnectionConfig { json_depth_max: usize::MAX, ..ConnectionConfig::default() };
        let json = format!("[{}{}]", "[".repeat(127), "]".repeat(127));
        let values = split_array(&json, &config).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(values[0].json).is_ok());
    }

    #[test]
    fn arguments_and_names_are_bounded() {
        let config = ConnectionConfig { arguments_max: 3, event_name_bytes_max: 4, ..ConnectionConfig::default() };
        let limit = |what, max| Some(Error::Limit { what, max });
        for (json, error) in [
            (r#"["a",1,2]"#, None),
            (r#"["a",1,2,3]"#, None),
            (r#"["a",1,2,3,4]"#, limit(Limit::Arguments, 3)),
            (r#"["abc"]"#, None),
            (r#"["\u0061bcd"]"#, None),
            (r#"["abcde"]"#, limit(Limit::EventNameBytes, 4)),
        ] {
            assert_eq!(split_event(json, &config).err(), error, "{json}");
        }
        let flood = format!("[0{}]", ",0".repeat(400_000));
        assert_eq!(split_array(&flood, &config).err(), limit(Limit::Arguments, 3));
    }

    #[test]
    fn connect_payloads_are_objects() {
        let config = ConnectionConfig::default();
        assert!(object("", &config).unwrap().is_none());
        assert_eq!(object(r#"{"a":[]}"#, &config).unwrap().unwrap().get(), r#"{"a":[]}"#);
        for json in ["\"x\"", "[]", "null", "{\"a\":", "1", "{}{}", "true", " {}"] {
            assert_eq!(object(json, &config).err(), Some(Error::InvalidPayload), "{json}");
        }
        for json in ["\"x\"", "{}"] {
            assert!(object_or_text(json, &config).is_ok(), "{json}");
        }
        for json in ["", "1", "[]", "null"] {
            assert_eq!(object_or_text(json, &config).err(), Some(Error::InvalidPayload), "{json}");
        }
    }

    fn check(json: &str, name: &str, arguments: &[&str]) {
        let (parsed, values) = split_event(json, &ConnectionConfig::default()).unwrap();
        assert_eq!(parsed, name, "{json}");
        assert_eq!(values.iter().map(|raw| raw.json).collect::<Vec<_>>(), arguments, "{json}");
    }

    fn check_refused(json: &str, error: Error) {
        assert_eq!(split_event(json, &ConnectionConfig::default()).err(), Some(error), "{json:.80}");
    }
}
