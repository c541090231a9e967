//! What a campaign leaves: where, when and with what it ran, and every single run as the generator reported it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    failure::{Failure, Outcome},
    machine::Machine,
    server::Kind,
};

/// One campaign.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    /// `table`, `growth`, `cores` or `sessions`.
    pub(crate) what: String,
    /// When it started, in UTC.
    pub(crate) date: String,
    /// The commit of the tree it was built from; with `+` behind it if the tree had changes beside.
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    /// Of everything that was measured, and of what built it.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) settings: Settings,
    /// Bytes of the request's head that the generator opens a WebSocket with.
    pub(crate) request_head_bytes: Option<usize>,
    pub(crate) runs: Vec<Run>,
}

/// What holds for all runs.
#[derive(Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) repetitions: u32,
    pub(crate) quick: bool,
    pub(crate) server_core: u32,
    pub(crate) generator_core: u32,
    pub(crate) idle_ping_interval_ms: u32,
}

/// One run of one scenario against one server.
#[derive(Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) scenario: String,
    /// What a scenario is repeated for: connections in `growth`, workers in `cores`, handlers in `sessions`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) variant: String,
    pub(crate) server: Kind,
    /// From 1.
    pub(crate) repetition: u32,
    /// The generator's report as it came; nothing if there was none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) report: Value,
    /// Why there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

impl Record {
    pub(crate) fn load(file: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(file).map_err(Failure::io(file))?;
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
    }

    /// Writes it to `bench/results`; a part or a quick run goes to a folder that is not kept.
    pub(crate) fn save(&self, root: &Path, whole: bool) -> Outcome<PathBuf> {
        let folder = root.join("bench/results").join(if whole { "" } else { "partial" });
        fs::create_dir_all(&folder).map_err(Failure::io(&folder))?;
        let file = folder.join(format!("{}.json", self.what));
        fs::write(&file, self.to_json()?).map_err(Failure::io(&file))?;
        Ok(file)
    }

    /// Readable, yet with one line a run: a difference between two records shows the runs.
    fn to_json(&self) -> Outcome<String> {
        let failed = |error: serde_json::Error| Failure::new(error.to_string());
        let head = Record { runs: Vec::new(), ..self.without_runs() };
        let text = serde_json::to_string_pretty(&head).map_err(failed)?;
        let mut lines = Vec::new();
        for run in &self.runs {
            lines.push(format!("    {}", serde_json::to_string(run).map_err(failed)?));
        }
        Ok(text.replace("\"runs\": []", &format!("\"runs\": [\n{}\n  ]", lines.join(",\n"))) + "\n")
    }

    fn without_runs(&self) -> Self {
        Self {
            what: self.what.clone(),
            date: self.date.clone(),
            commit: self.commit.clone(),
            machine: self.machine.clone(),
            versions: self.versions.clone(),
            settings: Settings { ..self.settings },
            request_head_bytes: self.request_head_bytes,
            runs: Vec::new(),
        }
    }
}
