//! The tables, as Markdown, from a record alone.

use serde_json::Value;

use crate::{
    campaign::HANDLERS,
    record::{Record, Run},
    scenario::{CORES, GROWTH, Metric, SIZES, Scenario, TABLE, Target, WORKERS},
    server::Kind,
    summary::{self, Figures},
};

/// Every scenario, what Patera must reach, and whether it does.
pub(crate) fn targets(record: &Record) -> String {
    let mut table = Table::new(&["", "Node", "socketioxide", "floor", "Patera", "Patera must reach", "it has", ""]);
    for scenario in TABLE.iter().filter(|scenario| has(record, scenario.name)) {
        let figures = Figures::new(record, |report| summary::figure(scenario.metric, report));
        let mut cells = vec![scenario.title.to_owned()];
        cells.extend(cells_of(&figures, scenario, ""));
        let verdict = figures.verdict(scenario, record.request_head_bytes);
        cells.push(required(scenario.target, record.request_head_bytes));
        cells.push(match (verdict, scenario.target) {
            (Some(verdict), Target::Times(_, kind)) => format!("{:.2} × {}", verdict.ratio, kind.title()),
            (Some(verdict), _) => format!("{:.2} × that", verdict.ratio),
            (None, _) => MISSING.to_owned(),
        });
        cells.push(verdict.map_or(MISSING, |verdict| if verdict.met { "met" } else { "**missed**" }).to_owned());
        table.row(cells);
    }
    table.to_string()
}

/// The figures without the targets.
pub(crate) fn short(record: &Record) -> String {
    let mut table = Table::new(&["", "Node", "socketioxide", "Patera", "floor"]);
    for scenario in TABLE.iter().filter(|scenario| has(record, scenario.name)) {
        let figures = Figures::new(record, |report| summary::figure(scenario.metric, report));
        let [node, socketioxide, floor, patera] = cells_of(&figures, scenario, "");
        table.row(vec![scenario.title.to_owned(), node, socketioxide, patera, floor]);
    }
    table.to_string()
}

/// Throughput and latency of the same runs, and what the generator itself took.
pub(crate) fn rates(record: &Record) -> String {
    let mut table = Table::new(&["", "Node", "socketioxide", "floor", "Patera", "generator's own CPU"]);
    let read = |path: &'static str| move |report: &Value| report.pointer(path)?.as_f64();
    let rate = Figures::new(record, read("/rate"));
    let half = Figures::new(record, read("/latency_us/p50"));
    let most = Figures::new(record, read("/latency_us/p99"));
    let generator = Figures::new(record, read("/generator/cpu_us_per_operation"));
    for scenario in measured(record, Metric::CpuPerOperation) {
        let mut cells = vec![scenario.title.to_owned()];
        for kind in Kind::ALL {
            let of = |figures: &Figures| figures.median(scenario.name, "", kind);
            cells.push(match (of(&rate), of(&half), of(&most)) {
                (Some(rate), Some(half), Some(most)) => {
                    format!("{} /s · {} · {}", thousands(rate), time(half), time(most))
                }
                _ => MISSING.to_owned(),
            });
        }
        let own = generator.median(scenario.name, "", Kind::Patera);
        cells.push(own.map_or(MISSING.to_owned(), |own| with_unit(own, Metric::CpuPerOperation)));
        table.row(cells);
    }
    table.to_string()
}

/// Idle connections: memory, and the CPU time of a heartbeat.
pub(crate) fn idle(record: &Record) -> String {
    let mut table = Table::new(&["", "Node", "socketioxide", "floor", "Patera"]);
    for scenario in measured(record, Metric::BytesPerConnection) {
        let bytes = Figures::new(record, |report| summary::figure(scenario.metric, report));
        let mut cells = vec![scenario.title.to_owned()];
        cells.extend(cells_of(&bytes, scenario, ""));
        table.row(cells);
        let heartbeat = Figures::new(record, |report| summary::figure(Metric::CpuPerOperation, report));
        let mut cells = vec!["CPU per heartbeat of one connection".to_owned()];
        cells.extend(Kind::ALL.map(|kind| {
            let median = heartbeat.median(scenario.name, "", kind);
            let none = if kind == Kind::Floor { "has none" } else { MISSING };
            median.map_or(none.to_owned(), |figure| with_unit(figure, Metric::CpuPerOperation))
        }));
        table.row(cells);
    }
    table.to_string()
}

/// One table for each scenario of `growth`.
pub(crate) fn growth(record: &Record) -> String {
    let mut text = String::new();
    for scenario in GROWTH.iter().filter(|scenario| has(record, scenario.name)) {
        let figures = Figures::new(record, |report| summary::figure(scenario.metric, report));
        let mut table = Table::new(&[scenario.title, "Node", "socketioxide", "floor", "Patera"]);
        for size in SIZES {
            let mut cells = vec![thousands(f64::from(*size))];
            cells.extend(cells_of(&figures, scenario, &size.to_string()));
            table.row(cells);
        }
        text += &format!("{table}\n");
    }
    text.trim_end().to_owned() + "\n"
}

/// Patera's own figures by workers.
pub(crate) fn cores(record: &Record) -> String {
    let titles: Vec<String> = WORKERS
        .iter()
        .map(|count| if *count == 1 { "1 worker".to_owned() } else { format!("{count} workers") })
        .collect();
    let mut heads = vec![""];
    heads.extend(titles.iter().map(String::as_str));
    heads.push("ratio");
    let mut table = Table::new(&heads);
    for scenario in CORES.iter().filter(|scenario| has(record, scenario.name)) {
        let figures = Figures::new(record, |report| summary::figure(scenario.metric, report));
        let medians: Vec<_> =
            WORKERS.iter().map(|count| figures.median(scenario.name, &count.to_string(), Kind::Patera)).collect();
        let mut cells = vec![scenario.title.to_owned()];
        cells.extend(
            medians.iter().map(|median| median.map_or(MISSING.to_owned(), |figure| with_unit(figure, scenario.metric))),
        );
        cells.push(match (medians.first(), medians.last()) {
            (Some(Some(one)), Some(Some(more))) => format!("{:.2} ×", more / one),
            _ => MISSING.to_owned(),
        });
        table.row(cells);
    }
    table.to_string()
}

/// A million sessions, with each way to register handlers.
pub(crate) fn sessions(record: &Record) -> String {
    let mut table = Table::new(&[
        "handlers",
        "sessions",
        "bytes each",
        "and the stream's",
        "CPU per second",
        "heartbeats per second",
        "CPU per heartbeat",
        "broadcast to all",
        "CPU per delivery",
    ]);
    for &handlers in HANDLERS {
        let median = |read: &dyn Fn(&Value) -> Option<f64>, show: fn(f64) -> String| {
            let median = Figures::new(record, read).median("sessions", handlers, Kind::Patera);
            median.map_or(MISSING.to_owned(), show)
        };
        let read = |path: &'static str| move |report: &Value| report.pointer(path)?.as_f64();
        let beats = |report: &Value| Some(report["heartbeats"].as_f64()? / report["hold_seconds"].as_f64()?);
        table.row(vec![
            if handlers == "namespace" { "at the namespace" } else { "at each socket" }.to_owned(),
            median(&read("/count"), thousands),
            median(&read("/session_bytes"), thousands),
            median(&read("/stream_bytes"), thousands),
            median(&read("/cpu_us_per_second"), time),
            median(&beats, thousands),
            median(&read("/cpu_us_per_heartbeat"), time),
            median(&|report| Some(report.pointer("/broadcast/seconds")?.as_f64()? * 1e6), time),
            median(&read("/broadcast/cpu_us_per_delivery"), time),
        ]);
    }
    table.to_string()
}

/// Where, when and with what: one paragraph.
pub(crate) fn setting(record: &Record) -> String {
    let machine = &record.machine;
    let versions: Vec<String> = record.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let pinned = match record.what.as_str() {
        "cores" => format!("servers unpinned, generator on core {}", record.settings.generator_core),
        "sessions" => format!("on core {}", record.settings.server_core),
        _ => format!(
            "server on core {}, generator on core {}",
            record.settings.server_core, record.settings.generator_core
        ),
    };
    format!(
        "Measured {} at commit {} on {} cores of {}{}, {} GiB, Linux {}; {pinned}; medians of {}. {}.\n",
        record.date,
        record.commit,
        machine.cores,
        machine.cpu,
        if machine.hypervisor { " (virtual)" } else { "" },
        machine.memory_gib,
        machine.kernel,
        record.settings.repetitions,
        versions.join(", "),
    )
}

/// `9.4 µs`, `15.6 KiB`.
pub(crate) fn with_unit(figure: f64, metric: Metric) -> String {
    match metric {
        Metric::CpuPerOperation => time(figure),
        Metric::BytesPerConnection => format!("{} KiB", significant(figure / 1024.0)),
    }
}

const MISSING: &str = "–";

fn cells_of(figures: &Figures, scenario: &Scenario, variant: &str) -> [String; 4] {
    Kind::ALL.map(|kind| {
        let median = figures.median(scenario.name, variant, kind);
        median.map_or(MISSING.to_owned(), |figure| with_unit(figure, scenario.metric))
    })
}

fn required(target: Target, request_head_bytes: Option<usize>) -> String {
    match (target, request_head_bytes) {
        (Target::Times(times, kind), _) => format!("≤ {times} × {}", kind.title()),
        (Target::BytesBeyondHead(bytes), Some(head)) => format!("≤ {} KiB + {head} B of headers", bytes / 1024.0),
        (Target::BytesBeyondHead(bytes), None) => format!("≤ {} KiB + headers", bytes / 1024.0),
        (Target::None, _) => MISSING.to_owned(),
    }
}

/// The rows of the table that have this figure and were run at all.
fn measured(record: &Record, metric: Metric) -> impl Iterator<Item = &'static Scenario> {
    TABLE.iter().filter(move |scenario| scenario.metric == metric && has(record, scenario.name))
}

fn has(record: &Record, scenario: &str) -> bool {
    record.runs.iter().any(|run: &Run| run.scenario == scenario)
}

/// Microseconds, in the unit that fits.
fn time(microseconds: f64) -> String {
    match microseconds {
        ..1000.0 => format!("{} µs", significant(microseconds)),
        ..1e6 => format!("{} ms", significant(microseconds / 1e3)),
        _ => format!("{} s", significant(microseconds / 1e6)),
    }
}

/// Three digits that mean something.
fn significant(figure: f64) -> String {
    match figure.abs() {
        ..9.995 => format!("{figure:.2}"),
        ..99.95 => format!("{figure:.1}"),
        _ => thousands(figure),
    }
}

/// `1,234,567`
fn thousands(figure: f64) -> String {
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if figure <= -0.5 { format!("-{text}") } else { text }
}

/// A Markdown table: the first column to the left, the others to the right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|&head| head.to_owned()).collect()] }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            writeln!(f, "| {} |", row.join(" | "))?;
            if index == 0 {
                writeln!(f, "|---|{}", "--:|".repeat(row.len() - 1))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::record;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let check = |figure, text| assert_eq!(with_unit(figure, Metric::CpuPerOperation), text);
        check(0.854, "0.85 µs");
        check(9.4, "9.40 µs");
        check(54.87, "54.9 µs");
        check(816.7, "817 µs");
        check(1234.0, "1.23 ms");
        assert_eq!(with_unit(2048.0, Metric::BytesPerConnection), "2.00 KiB");
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(-1234.0), "-1,234");
    }

    #[test]
    fn a_row_says_figures_target_and_verdict() {
        let record = record(&[(Kind::Floor, &[10.0, 9.0, 11.0]), (Kind::Patera, &[12.0]), (Kind::Node, &[55.0])]);
        let table = targets(&record);
        let row = table.lines().nth(2).expect("the first scenario is the third line");
        let expected = "| echo 16 B, 64 connections, window 1 | 55.0 µs | – | 10.0 µs | 12.0 µs | ≤ 1.15 × floor | 1.20 × floor | **missed** |";
        assert_eq!(row, expected);
    }

    #[test]
    fn rates_say_throughput_and_latency() {
        let table = rates(&record(&[(Kind::Patera, &[12.0])]));
        let row = table.lines().nth(2).expect("the first scenario is the third line");
        assert!(row.ends_with("| – | – | – | 1,000 /s · 100 µs · 200 µs | 5.00 µs |"), "{row}");
    }
}
