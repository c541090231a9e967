//! Medians over the repetitions, and what they say about the targets.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    record::Record,
    scenario::{Metric, Scenario, Target},
    server::Kind,
};

/// All samples of one figure, by scenario, variant and server.
pub(crate) struct Figures(BTreeMap<(String, String, Kind), Vec<f64>>);

/// The repetitions of one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// Whether Patera reached its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The most it may be.
    pub(crate) limit: f64,
    /// How often the figure it is compared with, or the limit where it is absolute.
    pub(crate) ratio: f64,
    pub(crate) met: bool,
}

/// The figure that is compared, from a generator's report.
pub(crate) fn figure(metric: Metric, report: &Value) -> Option<f64> {
    match metric {
        Metric::CpuPerOperation => report["server"]["cpu_us_per_operation"].as_f64(),
        Metric::BytesPerConnection => report["server"]["rss_bytes_per_connection"].as_f64(),
    }
}

impl Figures {
    /// What `read` finds in each report.
    pub(crate) fn new(record: &Record, read: impl Fn(&Value) -> Option<f64>) -> Self {
        let mut samples: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for run in &record.runs {
            if let Some(figure) = read(&run.report) {
                let key = (run.scenario.clone(), run.variant.clone(), run.server);
                samples.entry(key).or_default().push(figure);
            }
        }
        Self(samples)
    }

    pub(crate) fn spread(&self, scenario: &str, variant: &str, kind: Kind) -> Option<Spread> {
        let samples = self.0.get(&(scenario.to_owned(), variant.to_owned(), kind))?;
        Spread::of(samples)
    }

    pub(crate) fn median(&self, scenario: &str, variant: &str, kind: Kind) -> Option<f64> {
        Some(self.spread(scenario, variant, kind)?.median)
    }

    /// `None` without a target, or without the figures it needs.
    pub(crate) fn verdict(&self, scenario: &Scenario, request_head_bytes: Option<usize>) -> Option<Verdict> {
        let ours = self.median(scenario.name, "", Kind::Patera)?;
        match scenario.target {
            Target::Times(times, kind) => {
                let theirs = self.median(scenario.name, "", kind)?;
                Some(Verdict { limit: times * theirs, ratio: ours / theirs, met: ours <= times * theirs })
            }
            Target::BytesBeyondHead(bytes) => {
                let limit = bytes + request_head_bytes? as f64;
                Some(Verdict { limit, ratio: ours / limit, met: ours <= limit })
            }
            Target::None => None,
        }
    }
}

impl Spread {
    fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { min, median, max })
    }
}

/// Runs that failed, and runs that lost, doubled or reordered messages: their figures are not to be trusted.
pub(crate) fn troubles(record: &Record) -> Vec<String> {
    let mut troubles = Vec::new();
    for run in &record.runs {
        let mut say = |what: String| {
            let name = format!("{} {}", run.scenario, run.variant);
            troubles.push(format!("{} · {} · repetition {}: {what}", name.trim(), run.server.title(), run.repetition));
        };
        if let Some(failure) = &run.failure {
            say(failure.clone());
        }
        for count in ["lost", "duplicated", "reordered"] {
            if let Some(number) = run.report[count].as_u64().filter(|&number| number > 0) {
                say(format!("{number} {count}"));
            }
        }
        if let Some(errors) = run.report["errors"].as_object() {
            for (kind, number) in errors.iter().filter(|(_, number)| number.as_u64() != Some(0)) {
                say(format!("{kind}: {number}"));
            }
        }
    }
    troubles
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        machine::Machine,
        record::{Run, Settings},
        scenario::TABLE,
    };

    /// A record of the table with these figures of the scenario `echo`, in microseconds.
    pub(crate) fn record(figures: &[(Kind, &[f64])]) -> Record {
        let mut runs = Vec::new();
        for &(server, samples) in figures {
            for (repetition, sample) in (1..).zip(samples) {
                let report = json!({
                    "seconds": 2.0, "rate": 1000.0, "lost": 0, "errors": {},
                    "latency_us": {"p50": 100, "p99": 200},
                    "generator": {"cpu_us_per_operation": 5.0},
                    "server": {"cpu_us": 4000, "cpu_us_per_operation": sample},
                });
                runs.push(Run {
                    scenario: "echo".into(),
                    variant: String::new(),
                    server,
                    repetition,
                    report,
                    failure: None,
                });
            }
        }
        Record {
            what: "table".into(),
            date: "2026-01-31T12:00:00Z".into(),
            commit: "0123456789ab".into(),
            machine: Machine { cpu: "A CPU".into(), cores: 2, memory_gib: 24, kernel: "6.1".into(), hypervisor: true },
            versions: BTreeMap::from([("patera".into(), "0.1.0".into())]),
            settings: Settings {
                repetitions: 3,
                quick: false,
                server_core: 0,
                generator_core: 1,
                idle_ping_interval_ms: 5000,
            },
            request_head_bytes: Some(200),
            runs,
        }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let median = |samples: &[f64]| Spread::of(samples).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_target_is_met_up_to_its_limit() {
        let check = |ours: f64, met| {
            let record = record(&[(Kind::Floor, &[10.0, 30.0, 8.0]), (Kind::Patera, &[ours])]);
            let figures = Figures::new(&record, |report| figure(Metric::CpuPerOperation, report));
            let verdict = figures.verdict(&TABLE[0], record.request_head_bytes).expect("both figures are there");
            assert_eq!((verdict.met, verdict.ratio), (met, ours / 10.0));
        };
        check(11.49, true);
        check(11.51, false);
    }

    #[test]
    fn a_missing_figure_is_no_verdict() {
        let record = record(&[(Kind::Patera, &[10.0])]);
        let figures = Figures::new(&record, |report| figure(Metric::CpuPerOperation, report));
        assert_eq!(figures.verdict(&TABLE[0], record.request_head_bytes), None);
    }

    #[test]
    fn losses_and_failures_are_told() {
        let mut record = record(&[(Kind::Floor, &[10.0, 11.0])]);
        assert!(troubles(&record).is_empty());
        record.runs[0].report["lost"] = json!(3);
        record.runs[1].failure = Some("ended".into());
        assert_eq!(troubles(&record), ["echo · floor · repetition 1: 3 lost", "echo · floor · repetition 2: ended"]);
    }
}
