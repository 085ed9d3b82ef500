//! The two calendar forms that the storefront pipeline writes: a day and an ISO week, both UTC.
//! Layer: core

/// `yyyy-MM-dd` of milliseconds since the epoch.
#[must_use]
pub fn day(ms: i64) -> String {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// ISO 8601 week as `year * 100 + week`; it belongs to the year of its Thursday.
#[must_use]
pub fn iso_week(ms: i64) -> u32 {
    let days = ms.div_euclid(DAY_MS);
    // 1970-01-01 was a Thursday; 0 is Monday
    let weekday = (days + 3).rem_euclid(7);
    let thursday = days - weekday + 3;
    let (year, _, _) = civil(thursday);
    let first = days_of_year_start(year);
    let week = (thursday - first) / 7 + 1;
    u32::try_from(year * 100 + week).expect("record timestamps lie after the year 0")
}

/// `yyyy-Www` of a week of [`iso_week`].
#[must_use]
pub fn week_name(week: u32) -> String {
    format!("{:04}-W{:02}", week / 100, week % 100)
}

const DAY_MS: i64 = 86_400_000;

/// Year, month and day of days since the epoch (Hinnant: "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since the epoch of January 1st.
fn days_of_year_start(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400)
        - 477
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days since the epoch, the day, its ISO week; from `date -u -d @… +'%F %G-W%V'`.
    const KNOWN: [(i64, &str, &str); 7] = [
        (0, "1970-01-01", "1970-W01"),
        (11_016, "2000-02-29", "2000-W09"),
        (18_627, "2020-12-31", "2020-W53"),
        (18_628, "2021-01-01", "2020-W53"),
        (18_631, "2021-01-04", "2021-W01"),
        (20_088, "2024-12-31", "2025-W01"),
        (20_778, "2026-11-21", "2026-W47"),
    ];

    #[test]
    fn known_days_and_weeks() {
        for (days, date, week) in KNOWN {
            for ms in [days * DAY_MS, days * DAY_MS + DAY_MS - 1] {
                assert_eq!(
                    (day(ms).as_str(), week_name(iso_week(ms)).as_str()),
                    (date, week)
                );
            }
        }
    }
}
