//! Arguments of events, as people write them: JSON, words and files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use patera_client::Value;
use serde::ser::{Serialize, SerializeTuple as _, Serializer};

/// A file that is sent, in bytes. 16 MiB, which is what waits to be sent at most. Past it the argument is refused.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// One argument as a word of the command line.
///
/// # Errors
/// It is neither JSON nor a string, or there is no such file.
pub(crate) fn parse(word: &str) -> Result<Value, String> {
    match word.strip_prefix('@') {
        Some(name) if name.starts_with('@') => Ok(name.into()),
        Some("-") => read(io::stdin().lock()).map(Value::from).map_err(|error| format!("standard input: {error}")),
        Some(name) => file(Path::new(name)),
        None if word == "-" => {
            let bytes = read(io::stdin().lock()).map_err(|error| format!("standard input: {error}"))?;
            let text = String::from_utf8(bytes).map_err(|_| "standard input is no text; @- takes it as bytes")?;
            json_or_text(text.trim_end_matches(['\r', '\n']))
        }
        None => json_or_text(word),
    }
}

/// JSON if it is JSON, else a string.
pub(crate) fn json_or_text(word: &str) -> Result<Value, String> {
    match serde_json::from_str::<Value>(word) {
        Ok(value) => Ok(value),
        Err(error) if word.trim_start().starts_with(['{', '[', '"']) => {
            Err(format!("{word} is no JSON: {error}; as a string it is written {}", Value::from(word)))
        }
        Err(_) => Ok(word.into()),
    }
}

/// A file's content as bytes.
pub(crate) fn file(path: &Path) -> Result<Value, String> {
    let content = File::open(path).and_then(read);
    content.map(Value::from).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(content)
}

/// Any number of arguments: a tuple, for who emits.
pub(crate) struct Arguments<'a>(pub(crate) &'a [Value]);

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_unit();
        }
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_is_json_or_a_string() {
        let check = |word: &str, expected: Value| assert_eq!(parse(word), Ok(expected), "{word}");
        check("1", 1.into());
        check("-1.5", (-1.5).into());
        check("true", true.into());
        check("null", Value::Null);
        check("hello", "hello".into());
        check("hello you", "hello you".into());
        check("", "".into());
        check("'1'", "'1'".into());
        check("\"1\"", "1".into());
        check("01", "01".into());
        check("@@ada", "@ada".into());
        check("[1,\"a\"]", vec![Value::from(1), "a".into()].into());
        let object = parse(r#"{"a": 1}"#);
        assert_eq!(object.map(|object| object.to_string()).as_deref(), Ok(r#"{"a":1}"#));
    }

    #[test]
    fn what_was_to_be_json_is_no_string() {
        let check = |word: &str, complaint: &str| {
            let error = parse(word).err().unwrap_or_default();
            assert!(error.contains(complaint), "{word}: {error}");
        };
        check("{a:1}", "{a:1} is no JSON");
        check("[1,", "as a string it is written \"[1,\"");
        check("\"open", "no JSON");
        check("@/nowhere/at all", "/nowhere/at all: No such file");
    }
}
