//! What an expectation compares with what has come.

use patera_client::Value;

use super::super::happening::{self, What};
use super::super::text::shown;
use super::super::words::Word;

/// What the arguments have to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Patterns {
    /// Whatever they are.
    Anything,
    /// One each, and no more unless it is open.
    Each { patterns: Vec<Pattern>, is_open: bool },
}

/// What one argument has to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    /// `*`
    Any,
    Value(Value),
}

/// What has to happen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// Any event or message.
    Any,
    Event(String),
    Message,
    /// One of [`LIFECYCLE`](happening::LIFECYCLE).
    Lifecycle(&'static str),
}

impl Target {
    /// Whether it is this that happens, by its name.
    fn fits(&self, what: &What) -> bool {
        match (self, what) {
            (Target::Any, What::Event { .. } | What::Message { .. }) | (Target::Message, What::Message { .. }) => true,
            (Target::Event(expected), What::Event { name, .. }) => name == expected,
            (Target::Lifecycle(kind), what) => what.kind() == *kind,
            (Target::Any | Target::Event(_) | Target::Message, _) => false,
        }
    }

    pub(super) fn is_lifecycle(&self) -> bool {
        matches!(self, Target::Lifecycle(_))
    }
}

/// Whether this is what a script waits for. The text of a message may be JSON that fits.
pub(super) fn is_expected(what: &What, target: &Target, patterns: &Patterns) -> bool {
    let is_json = || match what {
        What::Message { data: Value::String(text), .. } => {
            serde_json::from_str::<Value>(text).is_ok_and(|value| patterns.fit(&[value]))
        }
        _ => false,
    };
    target.fits(what) && (patterns.fit(&what.args()) || is_json())
}

/// Whether something is of the connection's life, and no event or message.
pub(super) fn is_lifecycle(what: &What) -> bool {
    happening::LIFECYCLE.contains(&what.kind())
}

impl Patterns {
    /// From the words behind a name; none are anything.
    pub(super) fn optional(words: &[Word]) -> Result<Self, String> {
        if words.is_empty() { Ok(Patterns::Anything) } else { Patterns::exactly(words) }
    }

    /// From the words behind `=>`; none are no arguments at all.
    pub(super) fn exactly(words: &[Word]) -> Result<Self, String> {
        let (words, is_open) = match words.split_last() {
            Some((last, before)) if last.is("…") || last.is("...") => (before, true),
            _ => (words, false),
        };
        let pattern = |word: &Word| Ok(if word.is("*") { Pattern::Any } else { Pattern::Value(word.argument()?) });
        Ok(Patterns::Each { patterns: words.iter().map(pattern).collect::<Result<_, String>>()?, is_open })
    }

    /// The same, and any more arguments.
    pub(super) fn open(self) -> Self {
        match self {
            Patterns::Anything => Patterns::Anything,
            Patterns::Each { patterns, .. } => Patterns::Each { patterns, is_open: true },
        }
    }

    /// Whether the arguments are as they have to be.
    pub(super) fn fit(&self, args: &[Value]) -> bool {
        match self {
            Patterns::Anything => true,
            Patterns::Each { patterns, is_open } => {
                (patterns.len() == args.len() || *is_open && patterns.len() < args.len())
                    && patterns.iter().zip(args).all(|(pattern, value)| pattern.fits(value))
            }
        }
    }
}

impl Pattern {
    fn fits(&self, value: &Value) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Value(pattern) => fits(pattern, value),
        }
    }
}

/// Whether a value is as the pattern: the same, but objects may have more, and `"*"` is anything. Bytes fit `{"base64":"…"}`.
fn fits(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Number(one), Value::Number(other)) => {
            // 1 and 1.0 are the same number in JSON.
            one == other
                || one.as_f64().is_some_and(|one| Some(one) == other.as_f64()) && !(one.is_u64() && other.is_u64())
        }
        (Value::Array(patterns), Value::Array(values)) => {
            patterns.len() == values.len() && patterns.iter().zip(values).all(|(pattern, value)| fits(pattern, value))
        }
        (Value::Object(patterns), Value::Object(values)) => {
            patterns.iter().all(|(key, pattern)| values.get(key).is_some_and(|value| fits(pattern, value)))
        }
        (Value::Object(_), Value::Binary(_)) => {
            serde_json::from_str(&value.to_string()).is_ok_and(|value: Value| fits(pattern, &value))
        }
        _ => pattern == value,
    }
}

/// A happening in few words, for who waited for another.
pub(super) fn brief(what: &What) -> String {
    const CHARS_MAX: usize = 120;
    let name = if let What::Event { name, .. } = what { name } else { what.kind() };
    let text = format!("{name} {}", shown(&what.args()));
    let mut chars = text.trim_end().chars();
    let start: String = chars
        .by_ref()
        .take(CHARS_MAX)
        .flat_map(|c| if c.is_control() { c.escape_unicode().collect() } else { vec![c] })
        .collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::super::super::words;
    use super::*;

    fn check(patterns: &str, args: &str, expected: bool) {
        let patterns = words::split(patterns).and_then(|words| Patterns::optional(&words));
        let args = words::split(args).and_then(|words| words.iter().map(Word::argument).collect::<Result<Vec<_>, _>>());
        let (patterns, args) = (patterns.expect("the test's own"), args.expect("the test's own"));
        assert_eq!(patterns.fit(&args), expected, "{patterns:?} {args:?}");
    }

    #[test]
    fn arguments_are_counted() {
        check("", "", true);
        check("", "1 2", true);
        check("1", "1", true);
        check("1", "1 2", false);
        check("1 2", "1", false);
        check("* 2", "x 2", true);
        check("*", "", false);
        check("1 …", "1", true);
        check("1 ...", "1 2 3", true);
        check("1 2 …", "1", false);
        check("…", "", true);
    }

    #[test]
    fn objects_may_have_more_and_arrays_may_not() {
        check(r#"{"a":1}"#, r#"{"b":2,"a":1}"#, true);
        check(r#"{"a":1}"#, r#"{"a":2}"#, false);
        check(r#"{"a":{"b":"*"}}"#, r#"{"a":{"b":[7],"c":1}}"#, true);
        check(r#"{"a":"*"}"#, "{}", false);
        check("[1,2]", "[1,2]", true);
        check("[1]", "[1,2]", false);
        check(r#"[{"a":1}]"#, r#"[{"a":1,"b":2}]"#, true);
    }

    #[test]
    fn values_are_of_one_type() {
        check("1", "'1'", false);
        check("1", "1.0", true);
        check("9007199254740993", "9007199254740992", false);
        check("null", "null", true);
        check("hello", "\"hello\"", true);
        check("'*'", "1", true);
        let bytes = [Value::from(vec![1_u8])];
        let patterns = words::split(r#"{"base64":"AQ=="}"#).and_then(|words| Patterns::optional(&words));
        assert!(patterns.is_ok_and(|patterns| patterns.fit(&bytes)));
    }

    #[test]
    fn nothing_behind_an_arrow_is_no_argument() {
        let none = Patterns::exactly(&[]).expect("no words");
        assert!(none.fit(&[]) && !none.fit(&[Value::Null]));
    }
}
