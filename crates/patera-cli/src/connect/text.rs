//! What happens, as lines for people.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use patera_client::Value;

use super::config::{HEX_BYTES_MAX, SHOWN_BYTES_MAX};
use super::happening::{Happening, What};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    /// Of the connection's life.
    Green,
    Yellow,
    Red,
    /// Of what comes.
    Cyan,
    /// Of answers to us.
    Magenta,
    Dim,
    None,
}

impl Colour {
    /// ECMA-48 SGR.
    fn code(self) -> &'static str {
        match self {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
            Colour::Cyan => "36",
            Colour::Magenta => "35",
            Colour::Dim => "2",
            Colour::None => "0",
        }
    }
}

/// One line, or more for a notice: the time in seconds, the namespace unless it is `/`, and what happens. None for an attempt to
/// come back that failed: why, was said of each namespace before.
pub(super) fn lines(happening: &Happening, at: Duration, colours: bool) -> String {
    if matches!(happening.what, What::ReconnectError { .. }) {
        return String::new();
    }
    let (colour, head, tail) = describe(&happening.what);
    let namespace = match happening.namespace.as_deref() {
        None | Some("/") => String::new(),
        Some(namespace) => format!("{} ", harmless(namespace)),
    };
    let tail = if tail.is_empty() { tail } else { format!(" {}", shortened(&tail)) };
    let head = if matches!(happening.what, What::Notice { .. }) { head } else { harmless(&head) };
    let head = head.replace('\n', "\n          ");
    let (time, tail) = (at.as_secs_f64(), harmless(&tail));
    if colours && colour != Colour::None {
        format!("\x1b[2m{time:8.3}\x1b[0m  {namespace}\x1b[{}m{head}\x1b[0m{tail}\n", colour.code())
    } else {
        format!("{time:8.3}  {namespace}{head}{tail}\n")
    }
}

/// Colour, what it is, and the details.
fn describe(what: &What) -> (Colour, String, String) {
    match what {
        What::Connecting => (Colour::Dim, "connecting".to_owned(), String::new()),
        What::Connect { id, transport, recovered, subprotocol } => {
            let mut details = String::new();
            for (name, value) in [("as", id.as_deref()), ("by", *transport), ("speaking", subprotocol.as_deref())] {
                if let Some(value) = value {
                    let _ = write!(details, " {name} {value}");
                }
            }
            if *recovered {
                details += ", recovered";
            }
            (Colour::Green, "connected".to_owned(), details.trim_start().to_owned())
        }
        What::ConnectError { message, advice, data } => {
            let data = data.as_ref().map(|data| format!(" {}", shown(std::slice::from_ref(data)))).unwrap_or_default();
            let advice = advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
            (Colour::Red, "not connected:".to_owned(), format!("{message}{data}{advice}"))
        }
        What::Disconnect { reason, details, code } => {
            let code = code.map(|code| format!("{code} ")).unwrap_or_default();
            let details = details.as_ref().map(|details| format!(" ({details})")).unwrap_or_default();
            (Colour::Red, "disconnected:".to_owned(), format!("{code}{reason}{details}"))
        }
        What::Reconnecting { attempt, delay } => {
            let delay = format!("{attempt} in {:.1} s", delay.as_secs_f64());
            (Colour::Yellow, "reconnecting: attempt".to_owned(), delay)
        }
        What::Reconnect { attempt } => (Colour::Green, "reconnected:".to_owned(), format!("attempt {attempt}")),
        What::ReconnectError { message } => (Colour::Yellow, "not reconnected:".to_owned(), message.clone()),
        What::ReconnectFailed => (Colour::Red, "no more attempts".to_owned(), String::new()),
        What::Error { message } => (Colour::Red, "error:".to_owned(), message.clone()),
        What::Upgrade { transport } => (Colour::Green, "upgraded".to_owned(), format!("to {transport}")),
        What::Event { name, args, ack, saved } => {
            let ack = ack.map(|ack| format!("  (ack {ack})")).unwrap_or_default();
            (Colour::Cyan, format!("← {}", word(name)), format!("{}{}{ack}", shown(args), kept(saved)))
        }
        What::Message { data: Value::String(text), .. } => (Colour::Cyan, "←".to_owned(), text.clone()),
        What::Message { data, saved } => {
            (Colour::Cyan, "←".to_owned(), shown(std::slice::from_ref(data)) + &kept(saved))
        }
        What::Answer { event, args, time, saved, .. } => {
            let details = format!("{}{}  ({})", shown(args), kept(saved), millis(*time));
            (Colour::Magenta, format!("↩ {}:", word(event)), details.trim_start().to_owned())
        }
        What::NoAnswer { event, message, time, .. } => {
            (Colour::Red, format!("↩ {}:", word(event)), format!("{message}  ({})", millis(*time)))
        }
        What::Lagged { count } => {
            let text = format!("{count} events left out: they came faster than they can be shown");
            (Colour::Yellow, "…".to_owned(), text)
        }
        What::Step { line, text } => (Colour::Dim, format!("{line:>3}>"), text.clone()),
        What::Complaint { message } => (Colour::Red, "!".to_owned(), message.clone()),
        What::Notice { text } => (Colour::None, text.clone(), String::new()),
    }
}

/// Values as JSON with a space between, bytes as `<5 bytes: 68 65 6c 6c 6f>`.
pub(super) fn shown(args: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in args.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        show(value, &mut out);
    }
    out
}

fn show(value: &Value, out: &mut String) {
    match value {
        Value::Binary(bytes) => show_bytes(bytes, out),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                show(element, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, element)) in entries.iter().enumerate() {
                let _ = write!(out, "{}{}:", if index > 0 { "," } else { "" }, Value::from(key));
                show(element, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

fn show_bytes(bytes: &Bytes, out: &mut String) {
    let _ = write!(out, "<{} byte{}", bytes.len(), if bytes.len() == 1 { "" } else { "s" });
    for (index, byte) in bytes.iter().take(HEX_BYTES_MAX).enumerate() {
        let _ = write!(out, "{} {byte:02x}", if index == 0 { ":" } else { "" });
    }
    out.push_str(if bytes.len() > HEX_BYTES_MAX { " …>" } else { ">" });
}

fn kept(saved: &[PathBuf]) -> String {
    saved.iter().map(|path| format!(" → {}", path.display())).collect()
}

/// A name, in quotes unless it is one word.
fn word(name: &str) -> String {
    let is_word = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
    if is_word { name.to_owned() } else { Value::from(name).to_string() }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// As much as is shown of one line.
fn shortened(text: &str) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    format!("{}… ({} bytes in all)", &text[..end], text.len())
}

/// Text of the server's that does nothing to the terminal: control characters are written as escapes.
fn harmless(text: &str) -> String {
    // Besides C0 and C1 what turns the direction of text around.
    let is_harmful = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    let escape = |c: char| if is_harmful(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(namespace: Option<&str>, what: What, expected: &str) {
        let happening = Happening { namespace: namespace.map(str::to_owned), what };
        assert_eq!(lines(&happening, Duration::from_millis(1234), false), format!("   1.234  {expected}\n"));
    }

    fn event(name: &str, args: &[Value], ack: Option<u64>) -> What {
        What::Event { name: name.to_owned(), args: args.to_vec(), ack, saved: Vec::new() }
    }

    #[test]
    fn events_have_name_arguments_and_the_wish_for_an_answer() {
        let object: Value = serde_json::from_str(r#"{"a":[1,"x"]}"#).expect("the test's own JSON");
        check(Some("/"), event("news", &[1.into(), "two".into(), object], None), r#"← news 1 "two" {"a":[1,"x"]}"#);
        check(Some("/chat"), event("two words", &[], Some(3)), "/chat ← \"two words\"   (ack 3)");
        let bytes = Value::from(vec![0_u8, 255]);
        check(Some("/"), event("x", &[vec![bytes].into()], None), "← x [<2 bytes: 00 ff>]");
        check(Some("/"), event("x", &[vec![7_u8; 17].into()], None), &format!("← x <17 bytes:{} …>", " 07".repeat(16)));
        check(Some("/"), event("x", &[Vec::<u8>::new().into()], None), "← x <0 bytes>");
    }

    #[test]
    fn server_has_no_power_over_the_terminal() {
        check(
            None,
            What::Message { data: "\x1b[2J\u{9b}1m\u{202e}".into(), saved: vec![] },
            "← \\u001b[2J\\u009b1m\\u202e",
        );
        check(Some("/\x07"), event("\x1b]0;x", &["\u{7f}".into()], None), "/\\u0007 ← \"\\u001b]0;x\" \"\\u007f\"");
        let what = What::Disconnect { reason: "\r\n0.000".to_owned(), details: None, code: Some(1000) };
        check(None, what, "disconnected: 1000 \\u000d\\u000a0.000");
    }

    #[test]
    fn long_lines_are_cut() {
        for (length, is_cut) in
            [(SHOWN_BYTES_MAX - 3, false), (SHOWN_BYTES_MAX - 2, false), (SHOWN_BYTES_MAX - 1, true)]
        {
            let text = shown(&["x".repeat(length).into()]);
            let expected = if is_cut { format!("… ({} bytes in all)", length + 2) } else { "x\"".to_owned() };
            assert!(shortened(&text).ends_with(&expected), "{length}");
        }
        assert!(shortened(&"é".repeat(SHOWN_BYTES_MAX)).contains("é… ("));
    }

    #[test]
    fn colours_are_around_what_is_ours() {
        let happening = Happening { namespace: None, what: What::Connecting };
        assert_eq!(lines(&happening, Duration::ZERO, true), "\x1b[2m   0.000\x1b[0m  \x1b[2mconnecting\x1b[0m\n");
    }
}
