//! A line of a script.

use std::time::Duration;

use patera_client::Value;

use super::super::command::{self, Command, Dialect, Request};
use super::super::happening::LIFECYCLE;
use super::super::words::{self, Word};
use super::pattern::{Patterns, Target};
use crate::duration::parse_duration;

/// What a line says, and how long this line may take if it says so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) within: Option<Duration>,
    pub(super) namespace: Option<String>,
    pub(super) action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// The lines below may take so long.
    Within(Duration),
    Wait(Duration),
    Perform(Command),
    /// A call whose acknowledgement has to be like this.
    Call {
        event: String,
        args: Vec<Value>,
        answer: Patterns,
    },
    /// This has to happen; it is acknowledged.
    Expect {
        target: Target,
        patterns: Patterns,
        answer: Option<Vec<Value>>,
    },
    /// This must not happen for so long.
    ExpectNo {
        target: Target,
        patterns: Patterns,
        time: Duration,
    },
}

impl Statement {
    /// Reads a line; `None` if there is nothing on it.
    ///
    /// # Errors
    /// Why it says nothing that can be done, for people.
    pub(super) fn parse(line: &str, dialect: Dialect) -> Result<Option<Self>, String> {
        let line = line.trim();
        let (within, line) = match line.strip_prefix("within ") {
            Some(rest) => {
                let (time, rest) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
                (Some(time_of(time)?), rest.trim_start())
            }
            None => (None, line),
        };
        if let (Some(time), "") = (within, line) {
            return Ok(Some(Statement { within: None, namespace: None, action: Action::Within(time) }));
        }
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (namespace, rest) = dialect.namespace(line);
        let verb = rest.split_whitespace().next().unwrap_or_default();
        let action = match verb {
            "wait" => Action::Wait(time_of(rest["wait".len()..].trim())?),
            "expect" => expectation(&words::split(&rest["expect".len()..])?, dialect)?,
            "call" if dialect == Dialect::SocketIo => call(words::split(&rest["call".len()..])?)?,
            _ => match dialect.parse(rest)? {
                Some(Request { command, .. }) => Action::Perform(command),
                None if namespace.is_some() => Action::Perform(Command::Namespace),
                None => return Ok(None),
            },
        };
        Ok(Some(Statement { within, namespace, action }))
    }
}

fn expectation(words: &[Word], dialect: Dialect) -> Result<Action, String> {
    let (is_forbidden, words) = match words {
        [no, words @ ..] if no.is("no") => (true, words),
        words => (false, words),
    };
    let (name, words) = words.split_first().ok_or("what is expected is missing")?;
    let target = target(name, dialect)?;
    if is_forbidden {
        let (time, patterns) = words.split_last().ok_or("the time is missing, as in: expect no news 500ms")?;
        let time = time.name().map_or(Err("the time is missing at the end".to_owned()), time_of)?;
        return Ok(Action::ExpectNo { target, patterns: Patterns::optional(patterns)?, time });
    }
    let (patterns, answer) = arrow(words);
    let answer = match (answer, &target) {
        (None, _) => None,
        (Some(_), Target::Lifecycle(_) | Target::Message) => return Err("only events can be acknowledged".to_owned()),
        (Some(words), Target::Any | Target::Event(_)) => Some(command::arguments(words.iter().cloned())?),
    };
    let patterns = Patterns::optional(patterns)?;
    // A reason may have details that nobody wants to know.
    let patterns = if target.is_lifecycle() { patterns.open() } else { patterns };
    Ok(Action::Expect { target, patterns, answer })
}

fn target(word: &Word, dialect: Dialect) -> Result<Target, String> {
    if word.is("*") {
        return Ok(Target::Any);
    }
    // In quotes it is the name of an event.
    if let Some(kind) = LIFECYCLE.into_iter().find(|kind| word.is(kind)) {
        return Ok(Target::Lifecycle(kind));
    }
    match dialect {
        Dialect::SocketIo => Ok(Target::Event(command::event(Some(word.clone()))?)),
        Dialect::Plain if word.is("message") => Ok(Target::Message),
        Dialect::Plain => Err("on a plain WebSocket only message is expected, or connect, disconnect …".to_owned()),
    }
}

fn call(words: Vec<Word>) -> Result<Action, String> {
    let (request, answer) = arrow(&words);
    let answer = answer.map_or(Ok(Patterns::Anything), Patterns::exactly)?;
    let mut request = request.iter().cloned();
    Ok(Action::Call { event: command::event(request.next())?, args: command::arguments(request)?, answer })
}

/// What is before `=>`, and what is behind it if it is there.
fn arrow(words: &[Word]) -> (&[Word], Option<&[Word]>) {
    match words.iter().position(|word| word.is("=>")) {
        Some(at) => (&words[..at], Some(&words[at + 1..])),
        None => (words, None),
    }
}

fn time_of(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, within: Option<u64>, namespace: Option<&str>, action: Action) {
        let statement =
            Statement { within: within.map(Duration::from_millis), namespace: namespace.map(str::to_owned), action };
        assert_eq!(Statement::parse(line, Dialect::SocketIo), Ok(Some(statement)), "{line}");
    }

    fn expect(target: Target) -> Action {
        Action::Expect { target, patterns: Patterns::Anything, answer: None }
    }

    #[test]
    fn lines_of_a_script() {
        let second = Duration::from_secs(1);
        let news = Target::Event("news".to_owned());
        check("expect connect", None, None, expect(Target::Lifecycle("connect")));
        check("expect 'connect'", None, None, expect(Target::Event("connect".to_owned())));
        check("/chat expect news", None, Some("/chat"), expect(news.clone()));
        check("within 2s /chat expect *", Some(2000), Some("/chat"), expect(Target::Any));
        check(" within 1s ", None, None, Action::Within(second));
        check("wait 1s", None, None, Action::Wait(second));
        let answer = Some(vec![42.into()]);
        check(
            "expect news => 42",
            None,
            None,
            Action::Expect { target: news.clone(), patterns: Patterns::Anything, answer },
        );
        let action = Action::ExpectNo { target: news, patterns: Patterns::Anything, time: second };
        check("expect no news 1s", None, None, action);
        let call = |args: &[Value], answer| Action::Call { event: "x".to_owned(), args: args.to_vec(), answer };
        check("call x 1", None, None, call(&[1.into()], Patterns::Anything));
        check("call x =>", None, None, call(&[], Patterns::Each { patterns: vec![], is_open: false }));
        check("emit x", None, None, Action::Perform(Command::Emit { event: "x".to_owned(), args: vec![] }));
        check("/chat", None, Some("/chat"), Action::Perform(Command::Namespace));
        for nothing in ["", "  # expect connect", "within 1s # expect"] {
            assert_eq!(Statement::parse(nothing, Dialect::SocketIo), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn lines_that_are_none_say_why() {
        let check = |dialect, line: &str, complaint: &str| {
            let error = Statement::parse(line, dialect).err().unwrap_or_default();
            assert!(error.contains(complaint), "{line}: {error}");
        };
        check(Dialect::SocketIo, "expect", "what is expected");
        check(Dialect::SocketIo, "expect no news", "time is missing");
        check(Dialect::SocketIo, "expect no news soon", "soon: it must be a time");
        check(Dialect::SocketIo, "expect connect => 1", "acknowledged");
        check(Dialect::SocketIo, "within soon expect x", "soon");
        check(Dialect::SocketIo, "wait", "a time");
        check(Dialect::SocketIo, "call", "name is missing");
        check(Dialect::SocketIo, "dance", "no such command");
        check(Dialect::Plain, "expect news", "only message");
    }
}
