//! Times as they are written on the command line and in scripts.

use std::time::Duration;

/// `500ms`, `10s`, `2m`, `0.5`; at most a day.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "it must be a time as in 10s, 500ms, 2m, or a number of seconds";
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| EXPECTED)?;
    let unit = match &text[digits..] {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        _ => return Err(EXPECTED),
    };
    Duration::try_from_secs_f64(number * unit)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or("it must be at most a day")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(parse_duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        };
        check("10", Some(10_000));
        check("10s", Some(10_000));
        check("0.5", Some(500));
        check("500ms", Some(500));
        check("2m", Some(120_000));
        check("0", Some(0));
        check("86400", Some(86_400_000));
        check("86401", None);
        check("-1", None);
        check("1h", None);
        check("", None);
        check("s", None);
        check("1e9", None);
    }
}
