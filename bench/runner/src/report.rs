//! Where tables and plots of a record go: the terminal, docs/performance.md, README.md, docs/images/bench.

use std::{fs, path::Path};

use crate::{
    document,
    failure::{Failure, Outcome},
    plot,
    record::Record,
    table,
};

/// The tables, to the terminal.
pub(crate) fn print(record: &Record) {
    for (_, content) in sections(record) {
        println!("\n{}", content.trim());
    }
}

/// The tables, into the documents where they have markers for them, and the plots.
///
/// # Errors
/// docs/performance.md has no marker for one of the tables, or a file cannot be written.
pub(crate) fn write(record: &Record, root: &Path) -> Outcome {
    let file = root.join("docs/performance.md");
    let mut text = fs::read_to_string(&file).map_err(Failure::io(&file))?;
    for (name, content) in sections(record) {
        let missing = || Failure::new(format!("{}: no `<!-- bench:{name}:begin -->` and its end", file.display()));
        text = document::replace(&text, name, &content).ok_or_else(missing)?;
    }
    fs::write(&file, text).map_err(Failure::io(&file))?;

    if record.what == "table" {
        let file = root.join("README.md");
        let text = fs::read_to_string(&file).map_err(Failure::io(&file))?;
        if let Some(text) = document::replace(&text, "short", &table::short(record)) {
            fs::write(&file, text).map_err(Failure::io(&file))?;
        }
    }
    plot::write(record, &root.join("docs/images/bench"))
}

/// The tables of a record, by the names of their markers.
fn sections(record: &Record) -> Vec<(&'static str, String)> {
    match record.what.as_str() {
        "growth" => vec![("growth", table::growth(record)), ("growth-setting", table::setting(record))],
        "cores" => vec![("cores", table::cores(record)), ("cores-setting", table::setting(record))],
        "sessions" => vec![("sessions", table::sessions(record)), ("sessions-setting", table::setting(record))],
        _ => vec![
            ("table", table::targets(record)),
            ("rates", table::rates(record)),
            ("idle", table::idle(record)),
            ("setting", table::setting(record)),
        ],
    }
}
