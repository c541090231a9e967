//! The inputs that fuzzing has kept: a file a target, a line of JSON an input. Text is a string, anything else is
//! `{"base64": "…"}`; so thousands of inputs are one file that can be read and compared.

use std::{fs, io, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// Where a target's inputs are: `fuzz/corpus/<target>.jsonl`.
pub fn file(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(format!("{target}.jsonl"))
}

/// The inputs of a target; none if there is no file.
///
/// # Errors
/// The file cannot be read, or a line of it is no input.
pub fn read(target: &str) -> io::Result<Vec<Vec<u8>>> {
    match fs::read_to_string(file(target)) {
        Ok(text) => text.lines().map(of_line).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The text of a file with these inputs: the short ones first.
pub fn text(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    inputs.dedup();
    inputs.iter().map(|input| to_line(input) + "\n").collect()
}

fn to_line(input: &[u8]) -> String {
    match std::str::from_utf8(input) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": STANDARD.encode(input)}),
    }
    .to_string()
}

fn of_line(line: &str) -> io::Result<Vec<u8>> {
    let input = match serde_json::from_str(line)? {
        Value::String(text) => Some(text.into_bytes()),
        value => value["base64"].as_str().and_then(|text| STANDARD.decode(text).ok()),
    };
    input.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no input: {line}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_as_they_were_written() {
        let inputs: Vec<Vec<u8>> = vec![vec![], b"a\n\"\0".to_vec(), vec![0xff, 0], "2[\"é\"]".into()];
        let text = text(inputs.iter().rev().chain(&inputs).cloned().collect());
        let read: Vec<Vec<u8>> = text.lines().map(|line| of_line(line).unwrap()).collect();
        assert_eq!(read, [inputs[0].clone(), inputs[2].clone(), inputs[1].clone(), inputs[3].clone()]);
    }
}
