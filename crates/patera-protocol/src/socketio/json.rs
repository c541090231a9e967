//! What must be known of a packet's JSON before anything is decoded: it is valid, it is not too deep, and where its
//! elements are. Depth never becomes recursion here: serde_json skips over values with a loop, and the depth is counted.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{
    RESERVED_EVENTS,
    config::ConnectionConfig,
    error::{Error, Limit},
};

/// Raw elements of an array. Most events have few.
pub(super) type RawValues<'a> = SmallVec<[&'a RawValue; 4]>;

/// serde_json decodes 127 levels; the outermost array is split here and does not count there.
const DEPTH_DECODABLE: usize = 128;

/// Splits `["name",…]` into the event's name and its arguments.
pub(super) fn split_event<'a>(
    json: &'a str,
    config: &ConnectionConfig,
) -> Result<(Cow<'a, str>, RawValues<'a>), Error> {
    let mut split = Split { config, named: true, name: None, values: RawValues::new(), fault: None };
    split.run(json)?;
    let name = split.name.ok_or(Error::InvalidPayload)?;
    Ok((name, split.values))
}

/// Splits `[…]` into its elements.
pub(super) fn split_array<'a>(json: &'a str, config: &ConnectionConfig) -> Result<RawValues<'a>, Error> {
    let mut split = Split { config, named: false, name: None, values: RawValues::new(), fault: None };
    split.run(json)?;
    Ok(split.values)
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
    check_depth(json, config.json_depth_max)?;
    serde_json::from_str(json).map_err(|_| Error::InvalidPayload)
}

/// Refuses what is deeper than `max` levels. Invalid JSON may pass; valid JSON is measured exactly.
fn check_depth(json: &str, max: usize) -> Result<(), Error> {
    let max = max.min(DEPTH_DECODABLE);
    // Few brackets at all, wherever they stand, settle it in most cases, and are counted much faster.
    let brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets <= max || depth(json) <= max {
        return Ok(());
    }
    Err(Error::Limit { what: Limit::JsonDepth, max })
}

fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// One pass over an array: checks it, and remembers where its elements are.
struct Split<'a, 'c> {
    config: &'c ConnectionConfig,
    /// Whether the first element is the event's name.
    named: bool,
    name: Option<Cow<'a, str>>,
    values: RawValues<'a>,
    /// What is wrong, when it is more than bad JSON: serde's error can only carry text.
    fault: Option<Error>,
}

impl<'a> Split<'a, '_> {
    fn run(&mut self, json: &'a str) -> Result<(), Error> {
        if !json.starts_with('[') {
            return Err(Error::InvalidPayload);
        }
        check_depth(json, self.config.json_depth_max)?;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let result = deserializer.deserialize_seq(&mut *self).and_then(|()| deserializer.end());
        result.map_err(|_| self.fault.unwrap_or(Error::InvalidPayload))
    }
}

impl<'a> Visitor<'a> for &mut Split<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.named {
            let name = EventName { max: self.config.event_name_bytes_max, fault: &mut self.fault };
            self.name = seq.next_element_seed(name)?;
        }
        let max = self.config.arguments_max;
        while let Some(value) = seq.next_element::<&RawValue>()? {
            if self.values.len() == max {
                self.fault = Some(Error::Limit { what: Limit::Arguments, max });
                return Err(A::Error::custom("too many arguments"));
            }
            self.values.push(value);
        }
        Ok(())
    }
}

/// An event's name: text, borrowed unless it has escapes, or a number in its decimal form.
struct EventName<'f> {
    max: usize,
    fault: &'f mut Option<Error>,
}

impl<'a> DeserializeSeed<'a> for EventName<'_> {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl EventName<'_> {
    fn check<'a, E: serde::de::Error>(self, name: Cow<'a, str>) -> Result<Cow<'a, str>, E> {
        *self.fault = if RESERVED_EVENTS.contains(&name.as_ref()) {
            Some(Error::ReservedEventName)
        } else if name.len() > self.max {
            Some(Error::Limit { what: Limit::EventNameBytes, max: self.max })
        } else {
            None
        };
        if self.fault.is_some() { Err(E::custom("event name")) } else { Ok(name) }
    }

    fn refuse<'a, E: serde::de::Error>(self) -> Result<Cow<'a, str>, E> {
        *self.fault = Some(Error::InvalidEventName);
        Err(E::custom("event name"))
    }
}

impl<'a> Visitor<'a> for EventName<'_> {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'a str) -> Result<Cow<'a, str>, E> {
        self.check(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Cow<'a, str>, E> {
        self.check(Cow::Owned(name.to_owned()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Cow<'a, str>, E> {
        self.check(Cow::Owned(number.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Cow<'a, str>, E> {
        self.check(Cow::Owned(number.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Cow<'a, str>, E> {
        self.check(Cow::Owned(number.to_string()))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Cow<'a, str>, E> {
        self.refuse()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Cow<'a, str>, E> {
        self.refuse()
    }

    fn visit_seq<A: SeqAccess<'a>>(self, _: A) -> Result<Cow<'a, str>, A::Error> {
        self.refuse()
    }

    fn visit_map<A: MapAccess<'a>>(self, _: A) -> Result<Cow<'a, str>, A::Error> {
        self.refuse()
    }
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
        assert!(serde_json::from_str::<serde_json::Value>(values[0].get()).is_ok());
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
        assert_eq!(values.iter().map(|value| value.get()).collect::<Vec<_>>(), arguments, "{json}");
    }

    fn check_refused(json: &str, error: Error) {
        assert_eq!(split_event(json, &ConnectionConfig::default()).err(), Some(error), "{json:.80}");
    }
}
