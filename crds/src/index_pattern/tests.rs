//! Index names of known times.
//! Layer: test

use super::*;

const TIME: i64 = 1_795_264_496_789; // 2026-11-21T12:34:56.789Z

#[test]
fn dates_come_from_the_timestamp() {
    let resolve = |text| IndexPattern::parse(text).unwrap().resolve(TIME);
    assert_eq!(resolve("events"), "events");
    assert_eq!(resolve("events-{yyyy-MM-dd}"), "events-2026-11-21");
    assert_eq!(resolve("e.{yyyy}.{MM}-x-{ddHH}"), "e.2026.11-x-2112");
}

#[test]
fn a_record_without_a_time_goes_to_the_first_day() {
    let pattern = IndexPattern::parse("events-{yyyy-MM-dd}").unwrap();
    assert_eq!(pattern.resolve(-1), "events-1970-01-01");
}

#[test]
fn texts_that_are_no_index_name() {
    for text in [
        "",
        "-a",
        "{yyyy}",
        "a-{}",
        "a-{-}",
        "a}",
        "a{",
        "a-{yyyy",
        "a{{yyyy}}",
        "a-{yy}",
        "A",
        "a b",
        "a-é",
    ] {
        assert!(IndexPattern::parse(text).is_err(), "{text}");
    }
}
