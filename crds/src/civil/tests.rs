//! Dates against known ones and against a count of days one by one.
//! Layer: test

use super::*;

#[test]
fn dates_follow_one_another() {
    let mut expected = (1970, 1, 1);
    for day in 0..200_000 {
        let date = from_days(day);
        assert_eq!(date, expected, "day {day}");
        assert_eq!(to_days(date.0, date.1, date.2), day);
        expected = next(expected);
    }
}

/// The calendar as it is taught.
fn next((year, month, day): (i64, u32, u32)) -> (i64, u32, u32) {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    match (month, day) {
        (12, 31) => (year + 1, 1, 1),
        (_, day) if day == length => (year, month + 1, 1),
        _ => (year, month, day + 1),
    }
}

#[test]
fn known_times() {
    assert_eq!(parse_rfc3339("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(
        parse_rfc3339("2026-11-21T12:34:56.789Z"),
        Some(1_795_264_496_789)
    );
    assert_eq!(parse_rfc3339("1969-12-31T23:59:59.999Z"), Some(-1));
    let civil = Civil {
        year: 2026,
        month: 11,
        day: 21,
        hour: 12,
    };
    assert_eq!(Civil::from_timestamp_ms(1_795_264_496_789), civil);
    let before = Civil {
        year: 1969,
        month: 12,
        day: 31,
        hour: 23,
    };
    assert_eq!(Civil::from_timestamp_ms(-1), before);
}

#[test]
fn weeks_belong_to_the_year_of_their_thursday() {
    let week = |date: &str| iso_week(parse_rfc3339(&format!("{date}T12:00:00Z")).unwrap());
    assert_eq!(week("2026-11-21"), (2026, 47));
    assert_eq!(week("2021-01-03"), (2020, 53));
    assert_eq!(week("2021-01-04"), (2021, 1));
    assert_eq!(week("2024-12-30"), (2025, 1));
    assert_eq!(week("1970-01-01"), (1970, 1));
}

#[test]
fn texts_that_are_no_time() {
    let texts = [
        "",
        "Z",
        "2026-11-21",
        "2026-11-21T24:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-11-21T00:00:00+01:00",
        "2026-11-21T00:00:00.5Z",
        "+026-11-21T00:00:00Z",
        "2026-11-21T00:00:00:00Z",
    ];
    for text in texts {
        assert_eq!(parse_rfc3339(text), None, "{text}");
    }
}
