//! What a run found: one JSON object, or a table for people.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::error::Failure;
use super::options::{Options, Scenario};
use super::run::{Measured, Run};

/// What is said where no answer came at all.
const HANDLERS: &str = "has the server the handlers? (`patera serve`: --namespace /bench)";

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: Scenario,
    url: String,
    version: &'static str,
    options: Options,
    connections: u64,
    operations: u64,
    seconds: f64,
    /// Operations per second.
    rate: f64,
    latency_us: Latency,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    errors: BTreeMap<String, u64>,
    generator: Generator,
    server: Option<Server>,
}

/// Microseconds, of all measured operations.
#[derive(Debug, Default, Serialize)]
struct Latency {
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Generator {
    cpu_us: f64,
    cpu_us_per_operation: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Server {
    pid: u32,
    cpu_us: Option<f64>,
    cpu_us_per_operation: Option<f64>,
    rss_before_bytes: Option<u64>,
    rss_connected_bytes: Option<u64>,
    rss_after_bytes: Option<u64>,
    rss_bytes_per_connection: Option<f64>,
    threads: usize,
}

impl Report {
    pub(crate) fn new(run: &Run, measured: &Measured) -> Report {
        let tally = &run.tally;
        let operations = tally.operations();
        let per_operation = |microseconds: f64| (operations > 0).then(|| rounded(microseconds / operations as f64));
        let per_connection = |before: u64, connected: u64| {
            (measured.connections > 0)
                .then(|| rounded((connected as f64 - before as f64) / measured.connections as f64))
        };
        let server = run.process.map(|process| Server {
            pid: process.pid(),
            cpu_us: measured.server_cpu_us.map(rounded),
            cpu_us_per_operation: measured.server_cpu_us.and_then(per_operation),
            rss_before_bytes: run.rss_before,
            rss_connected_bytes: measured.rss_connected,
            rss_after_bytes: measured.rss_after,
            rss_bytes_per_connection: run
                .rss_before
                .zip(measured.rss_connected)
                .and_then(|(before, connected)| per_connection(before, connected)),
            threads: measured.server_threads,
        });
        Report {
            scenario: run.options.scenario,
            url: run.options.url.clone(),
            version: env!("CARGO_PKG_VERSION"),
            options: run.options.clone(),
            connections: measured.connections,
            operations,
            seconds: measured.seconds,
            rate: if measured.seconds > 0.0 { rounded(operations as f64 / measured.seconds) } else { 0.0 },
            latency_us: Latency::new(&tally.latency()),
            lost: tally.lost(),
            duplicated: tally.doubled(),
            reordered: tally.reordered(),
            errors: tally.errors(),
            generator: Generator {
                cpu_us: rounded(measured.generator_cpu_us),
                cpu_us_per_operation: per_operation(measured.generator_cpu_us),
            },
            server,
        }
    }

    /// Nothing was lost, doubled, reordered or failed, and something was measured.
    pub(crate) fn is_clean(&self) -> bool {
        let something = self.operations > 0 || self.scenario == Scenario::Idle && self.connections > 0;
        self.lost + self.duplicated + self.reordered == 0 && self.errors.is_empty() && something
    }

    /// Why there was nobody to measure, if that is so.
    pub(crate) fn unreached(&self) -> Option<String> {
        if self.operations > 0 || self.lost > 0 || self.errors.is_empty() {
            return None;
        }
        let reasons: Vec<_> = self.errors.keys().map(String::as_str).collect();
        let is_unanswered = self.errors.contains_key(&Failure::Timeout.to_string());
        let advice = if is_unanswered { format!("; {HANDLERS}") } else { String::new() };
        Some(format!("{}: {}{advice}", self.url, reasons.join("; ")))
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("its maps have strings as keys")
    }
}

impl Latency {
    fn new(nanoseconds: &Histogram<u64>) -> Latency {
        if nanoseconds.is_empty() {
            return Latency::default();
        }
        let at = |quantile| nanoseconds.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            min: nanoseconds.min() as f64 / 1e3,
            mean: rounded(nanoseconds.mean() / 1e3),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: nanoseconds.max() as f64 / 1e3,
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: String| writeln!(f, "  {name:<12} {value}");
        line("connections", count(self.connections))?;
        line("operations", format!("{} in {:.2} s", count(self.operations), self.seconds))?;
        line("rate", format!("{} / s", count(self.rate.round() as u64)))?;
        let Latency { min, mean, p50, p90, p99, p99_9, max } = self.latency_us;
        let values =
            [("min", min), ("mean", mean), ("50%", p50), ("90%", p90), ("99%", p99), ("99.9%", p99_9), ("max", max)];
        let mut text = String::new();
        for (name, value) in values {
            write!(text, "{name} {}   ", time(value))?;
        }
        line("latency", text.trim_end().to_owned())?;
        let is_unanswered = self.operations == 0 && self.lost > 0;
        let advice = if is_unanswered { format!("; no answer: {HANDLERS}") } else { String::new() };
        line("lost", format!("{}   doubled {}   reordered {}{advice}", self.lost, self.duplicated, self.reordered))?;
        for (kind, number) in &self.errors {
            line("error", format!("{kind}: {}", count(*number)))?;
        }
        let per_operation =
            |value: Option<f64>| value.map_or(String::new(), |value| format!(", {value:.2} µs per operation"));
        let Generator { cpu_us, cpu_us_per_operation } = self.generator;
        line("generator", format!("{} of CPU{}", time(cpu_us), per_operation(cpu_us_per_operation)))?;
        if let Some(server) = &self.server {
            let cpu = time(server.cpu_us.unwrap_or_default());
            let rest = per_operation(server.cpu_us_per_operation);
            line("server", format!("{cpu} of CPU{rest}, {} threads", server.threads))?;
            let mebibytes = |bytes: Option<u64>| format!("{:.1} MiB", bytes.unwrap_or_default() as f64 / 1048576.0);
            let [before, connected, after] =
                [server.rss_before_bytes, server.rss_connected_bytes, server.rss_after_bytes].map(mebibytes);
            let each = server.rss_bytes_per_connection.unwrap_or_default() / 1024.0;
            line(
                "memory",
                format!("{before} before, {connected} connected, {after} after: {each:.2} KiB per connection"),
            )?;
        }
        Ok(())
    }
}

/// To three decimals: there is no more in it.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// `1234567` → `1,234,567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds for people: `12.3 µs`, `4.56 ms`, `7.89 s`.
fn time(microseconds: f64) -> String {
    match microseconds {
        us if us < 1e3 => format!("{us:.1} µs"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let counts = [0, 7, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(counts, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
        let times = [0.0, 12.34, 999.9, 1_000.0, 2_500_000.0].map(time);
        assert_eq!(times, ["0.0 µs", "12.3 µs", "999.9 µs", "1.00 ms", "2.50 s"]);
    }

    #[test]
    fn latencies_are_in_microseconds() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in 1..=1000u64 {
            histogram.record(value * 1000).unwrap();
        }
        let latency = Latency::new(&histogram);
        let close = |value: f64, expected: f64| assert!((value / expected - 1.0).abs() < 2e-3, "{value} {expected}");
        close(latency.min, 1.0);
        close(latency.p50, 500.0);
        close(latency.p99, 990.0);
        close(latency.max, 1000.0);
        close(latency.mean, 500.5);
        assert_eq!(Latency::new(&Histogram::new(3).unwrap()).max, 0.0);
    }
}
