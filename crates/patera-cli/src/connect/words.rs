//! The words of a command line of `patera connect`: as a shell has them, but JSON needs no quotes around it.

use std::path::Path;

use patera_client::Value;
use serde::Deserialize as _;

use crate::argument;

/// One word.
///
/// ```text
/// hello      Bare: a keyword, a name, a number or a string, as it is needed
/// {"a": 1}   Json: also [1, 2] and "text"; it may have spaces
/// 'a 1'      Text: as it stands, up to the next '
/// @file      File: its content is meant; @"my file" and @'my file' may have spaces
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Bare(String),
    Json(Value),
    Text(String),
    File(String),
}

impl Word {
    /// The argument that it is.
    ///
    /// # Errors
    /// There is no such file.
    pub(super) fn argument(&self) -> Result<Value, String> {
        match self {
            Word::Bare(word) => argument::json_or_text(word),
            Word::Json(value) => Ok(value.clone()),
            Word::Text(text) => Ok(text.as_str().into()),
            Word::File(name) => argument::file(Path::new(name)),
        }
    }

    /// The name that it is: a string, or a bare word even if it is JSON.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Word::Bare(word) => Some(word),
            Word::Text(text) => Some(text),
            Word::Json(value) => value.as_str(),
            Word::File(_) => None,
        }
    }

    /// Whether it is this keyword, which quotes would make a name.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Bare(word) if word == keyword)
    }
}

/// Takes the next word off a line; `None` at its end.
///
/// # Errors
/// A quote that does not close, JSON that is none, words that stick together.
pub(super) fn next(line: &str) -> Result<Option<(Word, &str)>, String> {
    let line = line.trim_start();
    let Some(first) = line.chars().next() else { return Ok(None) };
    let (word, rest) = match first {
        '{' | '[' | '"' => json(line)?,
        '\'' => quoted(line).map(|(text, rest)| (Word::Text(text.to_owned()), rest))?,
        '@' if line[1..].starts_with('@') => bare(&line[1..], Word::Text),
        '@' => match line[1..].chars().next() {
            Some('"') => match json(&line[1..])? {
                (Word::Json(Value::String(name)), rest) => (Word::File(name), rest),
                _ => return Err("the name of a file is missing behind @".to_owned()),
            },
            Some('\'') => quoted(&line[1..]).map(|(name, rest)| (Word::File(name.to_owned()), rest))?,
            Some(c) if !c.is_whitespace() => bare(&line[1..], Word::File),
            _ => return Err("the name of a file is missing behind @".to_owned()),
        },
        _ => bare(line, Word::Bare),
    };
    if rest.starts_with(|c: char| !c.is_whitespace()) {
        return Err(format!("a space is missing before {}", start(rest)));
    }
    Ok(Some((word, rest)))
}

/// All words of a line.
///
/// # Errors
/// See [`next`].
pub(super) fn split(mut line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    while let Some((word, rest)) = next(line)? {
        words.push(word);
        line = rest;
    }
    Ok(words)
}

fn bare(line: &str, make: impl Fn(String) -> Word) -> (Word, &str) {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    (make(line[..end].to_owned()), &line[end..])
}

fn json(line: &str) -> Result<(Word, &str), String> {
    let mut values = serde_json::Deserializer::from_str(line);
    let value = Value::deserialize(&mut values).map_err(|error| format!("{} is no JSON: {error}", start(line)))?;
    let length = values.into_iter::<Value>().byte_offset();
    Ok((Word::Json(value), &line[length..]))
}

fn quoted(line: &str) -> Result<(&str, &str), String> {
    line[1..].split_once('\'').ok_or_else(|| format!("the quote of {} does not close", start(line)))
}

/// So much of a line as fits into a message.
fn start(line: &str) -> String {
    let mut chars = line.chars();
    let start: String = chars.by_ref().take(40).collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(word: &str) -> Word {
        Word::Bare(word.to_owned())
    }

    fn text(word: &str) -> Word {
        Word::Text(word.to_owned())
    }

    fn file(word: &str) -> Word {
        Word::File(word.to_owned())
    }

    fn json(word: &str) -> Word {
        Word::Json(serde_json::from_str(word).expect("the test's own JSON"))
    }

    fn check(line: &str, expected: &[Word]) {
        assert_eq!(split(line).as_deref(), Ok(expected), "{line}");
    }

    #[test]
    fn json_needs_no_quotes() {
        check("", &[]);
        check("  emit  chat  ", &[bare("emit"), bare("chat")]);
        check(r#"emit chat {"a": [1, 2]} x"#, &[bare("emit"), bare("chat"), json(r#"{"a":[1,2]}"#), bare("x")]);
        check(r#""with \" space" [1 , 2]"#, &[json(r#""with \" space""#), json("[1,2]")]);
        check("'as it \"is' 1", &[text("as it \"is"), bare("1")]);
        check("'' don't", &[text(""), bare("don't")]);
        check("x * => 1\t2", &[bare("x"), bare("*"), bare("=>"), bare("1"), bare("2")]);
    }

    #[test]
    fn files_have_an_at() {
        check("@a.png @\"my a.png\" @'my b.png'", &[file("a.png"), file("my a.png"), file("my b.png")]);
        check("@@ada ada@home", &[text("@ada"), bare("ada@home")]);
    }

    #[test]
    fn lines_that_are_none_say_why() {
        let check = |line: &str, complaint: &str| {
            let error = split(line).err().unwrap_or_default();
            assert!(error.contains(complaint), "{line}: {error}");
        };
        check("emit chat {\"a\":", "{\"a\": is no JSON: EOF");
        check("'open", "the quote of 'open does not close");
        check("{\"a\":1}x", "a space is missing before x");
        check("'a''b'", "a space is missing before 'b'");
        check("emit @", "behind @");
        check("emit @ x", "behind @");
        check(&format!("[{}", "é,".repeat(100)), "é…");
    }

    #[test]
    fn word_is_a_name_or_an_argument() {
        assert_eq!(bare("1").argument(), Ok(1.into()));
        assert_eq!(bare("hello").argument(), Ok("hello".into()));
        assert_eq!(text("1").argument(), Ok("1".into()));
        assert_eq!(json("\"1\"").argument(), Ok("1".into()));
        assert_eq!((bare("1").name(), json("\"a b\"").name(), json("[1]").name()), (Some("1"), Some("a b"), None));
        assert!(bare("connect").is("connect") && !text("connect").is("connect"));
    }
}
