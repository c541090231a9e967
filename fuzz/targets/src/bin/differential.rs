//! Asks the parsers of JavaScript about every seed and every input that fuzzing has kept, and holds their answers against ours:
//!
//! ```text
//! differential PARSERS DIFFERENCES [FOLDER]    FOLDER/<target>/* are asked about too
//! ```
//!
//! Each difference must stand in the file of differences, with its reason.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fuzz_targets::{
    TARGETS, corpus,
    differential::{Format, difference, questions},
    seeds,
};
use serde_json::{Value, json};

/// What kind of difference, and an input that shows it.
type Found = BTreeMap<(String, String, String), Vec<u8>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (parsers, differences, folder) = match &arguments[..] {
        [parsers, differences] => (parsers, differences, None),
        [parsers, differences, folder] => (parsers, differences, Some(Path::new(folder))),
        _ => return Err("usage: differential PARSERS DIFFERENCES [FOLDER]".into()),
    };
    let mut asked = Vec::new();
    for target in &TARGETS {
        for input in inputs(target.name, folder)? {
            asked.extend(questions(target.name, &input));
        }
    }
    asked.sort_by(|one, other| (one.0.name(), &one.1).cmp(&(other.0.name(), &other.1)));
    asked.dedup();
    let found = compare(&asked, &answers(parsers, &asked)?)?;
    println!("{} inputs, {} kinds of differences", asked.len(), found.len());
    check(&found, &serde_json::from_str(&fs::read_to_string(differences)?)?)
}

fn inputs(target: &str, folder: Option<&Path>) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut inputs = seeds::of(target)?;
    inputs.extend(corpus::read(target)?);
    if let Some(folder) = folder.map(|folder| folder.join(target)).filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            inputs.push(fs::read(entry?.path())?);
        }
    }
    Ok(inputs)
}

/// What the parsers say, in the order of the questions.
fn answers(parsers: &str, asked: &[(Format, Vec<u8>)]) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut node = Command::new("node").arg(parsers).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = node.stdin.take().ok_or("standard input is piped")?;
    let output = node.stdout.take().ok_or("standard output is piped")?;
    let lines: Vec<String> = asked
        .iter()
        .map(|(format, data)| json!({"format": format.name(), "data": STANDARD.encode(data)}).to_string() + "\n")
        .collect();
    // Both pipes would fill up otherwise.
    let writing = std::thread::spawn(move || lines.iter().try_for_each(|line| input.write_all(line.as_bytes())));
    let answers = BufReader::new(output).lines().map(|line| Ok(serde_json::from_str(&line?)?));
    let answers: Result<Vec<Value>, Box<dyn Error>> = answers.collect();
    let answers = answers?;
    writing.join().map_err(|_| "writing to node panicked")??;
    let status = node.wait()?;
    if !status.success() || answers.len() != asked.len() {
        return Err(format!("node answered {} of {} questions: {status}", answers.len(), asked.len()).into());
    }
    Ok(answers)
}

fn compare(asked: &[(Format, Vec<u8>)], answers: &[Value]) -> Result<Found, Box<dyn Error>> {
    let mut found = Found::new();
    for ((format, data), answer) in asked.iter().zip(answers) {
        let kind = match (format.read(data), answer.get("read"), answer["refused"].as_str()) {
            (Ok(ours), Some(theirs), _) => difference(&ours, theirs).map(|what| ("read".to_owned(), what)),
            (Ok(_), None, Some(why)) => Some(("read".to_owned(), format!("refused: {}", plain(why)))),
            (Err(why), Some(_), _) => Some((why.to_owned(), "read".to_owned())),
            (Err(_), None, Some(_)) => None,
            (_, None, None) => return Err(format!("no answer: {answer}").into()),
        };
        if let Some((ours, theirs)) = kind {
            found.entry((format.name().to_owned(), ours, theirs)).or_insert_with(|| data.clone());
        }
    }
    Ok(found)
}

/// Without what depends on the input.
fn plain(why: &str) -> String {
    let words =
        why.split_whitespace().filter(|word| word.chars().all(|char| char.is_ascii_alphabetic() || char == '\''));
    words.take(6).collect::<Vec<_>>().join(" ")
}

fn check(found: &Found, known: &Value) -> Result<(), Box<dyn Error>> {
    let rows = known.as_array().ok_or("the differences are an array")?;
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let listed: Vec<_> = rows.iter().map(|row| (text(row, "format"), text(row, "ours"), text(row, "theirs"))).collect();
    let mut faults = Vec::new();
    for (kind, data) in found.iter().filter(|(kind, _)| !listed.contains(kind)) {
        let (format, ours, theirs) = kind;
        let row = json!({"format": format, "ours": ours, "theirs": theirs});
        let (text, base64) = (String::from_utf8_lossy(data), STANDARD.encode(data));
        faults.push(format!("not known: {row} for {text:?}, in base64 {base64}"));
    }
    faults
        .extend(rows.iter().filter(|row| text(row, "reason").is_empty()).map(|row| format!("without a reason: {row}")));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}
