//! Dates as JavaScript's `toISOString` writes them.

/// How far a date of JavaScript may be from 1970, in milliseconds. ECMA-262 "Time Values and Time Range".
const MILLISECONDS_MAX: u64 = 8_640_000_000_000_000;

const MILLISECONDS_PER_DAY: i64 = 86_400_000;

/// Milliseconds since 1970 as `2015-10-21T07:28:00.000Z`; years beyond four digits as `+275760-…` and `-000001-…`. `None` for what is no date.
pub(super) fn iso_8601(milliseconds: i64) -> Option<String> {
    if milliseconds.unsigned_abs() > MILLISECONDS_MAX {
        return None;
    }
    let (year, month, day) = civil(milliseconds.div_euclid(MILLISECONDS_PER_DAY));
    let time = milliseconds.rem_euclid(MILLISECONDS_PER_DAY);
    let (seconds, millis) = (time / 1000, time % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let year = if (0..=9999).contains(&year) { format!("{year:04}") } else { format!("{year:+07}") };
    Some(format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"))
}

/// Year, month and day of a day since 1970, by the Gregorian calendar. A year begins in March here, so that the leap day is its last; an era
/// has 400 years.
#[expect(clippy::arithmetic_side_effects, reason = "a day of JavaScript's dates is within 100,000,000 of 1970")]
fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let since_march_0 = day + 719_468;
    let era = since_march_0.div_euclid(DAYS_PER_ERA);
    let day_of_era = since_march_0.rem_euclid(DAYS_PER_ERA);
    // Each fourth year has a day more, but not each hundredth, but each four hundredth.
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / (DAYS_PER_ERA - 1);
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months have 153 days by five, from March on.
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year_of_era, month + 3) } else { (year_of_era + 1, month - 9) };
    (400 * era + year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_javascript() {
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_445_412_480_007, "2015-10-21T07:28:00.007Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (-2_203_977_600_000, "1900-02-28T00:00:00.000Z"),
            (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
            (-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"),
        ] {
            assert_eq!(iso_8601(milliseconds).as_deref(), Some(expected));
        }
        for milliseconds in [8_640_000_000_000_001, -8_640_000_000_000_001, i64::MAX, i64::MIN] {
            assert_eq!(iso_8601(milliseconds), None);
        }
    }
}
