//! Dates of the proleptic Gregorian calendar in UTC, by integer arithmetic.
//! Layer: core
//!
//! Source of the formulas: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A point in time, split for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year; negative before year 0.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
}

impl Civil {
    /// The UTC date and hour of milliseconds since the epoch.
    #[must_use]
    pub fn from_timestamp_ms(timestamp_ms: i64) -> Self {
        let (year, month, day) = from_days(timestamp_ms.div_euclid(DAY_MS));
        let hour = timestamp_ms.rem_euclid(DAY_MS) / 3_600_000;
        Self {
            year,
            month,
            day,
            hour: small(hour),
        }
    }
}

/// ISO 8601 week: the week's year and its number, 1 to 53.
#[must_use]
pub fn iso_week(timestamp_ms: i64) -> (i64, u32) {
    let days = timestamp_ms.div_euclid(DAY_MS);
    // Day 0 was a Thursday; a week belongs to the year of its Thursday.
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, ..) = from_days(thursday);
    (year, small((thursday - to_days(year, 1, 1)) / 7 + 1))
}

fn small(value: i64) -> u32 {
    u32::try_from(value).expect("parts of a date are small and not negative")
}

fn from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, small(month), small(day))
}

fn to_days(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Days of a month.
fn month_length(year: i64, month: u32) -> u32 {
    let next = if month == 12 {
        to_days(year + 1, 1, 1)
    } else {
        to_days(year, month + 1, 1)
    };
    small(next - to_days(year, month, 1))
}

/// Milliseconds since the epoch of an RFC 3339 time in UTC: `2026-11-21T12:00:00Z`, optionally
/// with three digits of milliseconds.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let (seconds, millis) = match text.split_once('.') {
        Some((seconds, millis)) => (seconds, number(millis, 3)?),
        None => (text, 0),
    };
    let (date, time) = seconds.split_once('T')?;
    let [year, month, day] = three(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = three(time, ':', [2, 2, 2])?;
    let month = u32::try_from(month)
        .ok()
        .filter(|month| (1..=12).contains(month))?;
    let day = u32::try_from(day)
        .ok()
        .filter(|d| (1..=month_length(year, month)).contains(d))?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((to_days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis)
}

fn three(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut next = |width| number(parts.next()?, width);
    let values = [next(widths[0])?, next(widths[1])?, next(widths[2])?];
    parts.next().is_none().then_some(values)
}

fn number(text: &str, width: usize) -> Option<i64> {
    let digits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
