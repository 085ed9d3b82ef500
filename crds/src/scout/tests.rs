//! A report fits its message, whatever was found, and comes back as it was sent.
//! Layer: test

use super::*;

fn report(topics: usize, sinks: usize, message: &str) -> ScoutReport {
    let topic = |at| TopicReport {
        name: format!("topic-{at}-{}", "x".repeat(240)),
        id: Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        partitions: 12,
        largest_message_bytes: Some(1 << 20),
        compression_type: Some("zstd".to_owned()),
    };
    let weakness = |at| Weakness {
        field: format!("spec.sinks[{at}]"),
        message: message.to_owned(),
    };
    let sink = |at| SinkReport {
        name: format!("sink-{at}"),
        usable: true,
        weaknesses: (0..3).map(weakness).collect(),
    };
    ScoutReport {
        failure: None,
        partitions: 12,
        brokers: 3,
        topics: (0..topics).map(topic).collect(),
        sinks: (0..sinks).map(sink).collect(),
        left_out: 0,
    }
}

#[test]
fn a_small_report_comes_back_as_it_was_sent() {
    let mut sent = report(2, 2, "appendonly is no: an outage loses counters");
    sent.failure = Some(ScoutFailure {
        field: "spec.source.auth".to_owned(),
        kind: FailureKind::AuthFailed,
        message: "the brokers refuse the credentials".to_owned(),
    });
    assert_eq!(ScoutReport::parse(&sent.to_text()).unwrap(), sent);
    assert!(!sent.is_usable());
}

#[test]
fn the_largest_report_fits_and_says_what_it_leaves_out() {
    let mut sent = report(64, 16, &"\u{1F9EA}\"".repeat(400));
    sent.failure = Some(ScoutFailure {
        field: "spec.source".to_owned(),
        kind: FailureKind::TopicNotFound,
        message: "\u{1F9EA}\"".repeat(4000),
    });
    let text = sent.to_text();
    assert!(text.len() <= MAX_BYTES, "{} bytes", text.len());
    let read = ScoutReport::parse(&text).unwrap();
    let kept = read.topics.len() + read.sinks.len();
    let weaknesses: usize = read.sinks.iter().map(|sink| sink.weaknesses.len()).sum();
    assert_eq!(read.failure.unwrap().kind, FailureKind::TopicNotFound);
    assert!(read.left_out > 0 && kept > 0);
    assert!(kept + weaknesses + read.left_out as usize <= 64 + 16 + 48);
}

#[test]
fn a_kind_of_a_later_version_is_read_as_other() {
    let text = r#"{"failure":{"field":"spec","kind":"Weather","message":"rain"},"more":1}"#;
    let failure = ScoutReport::parse(text).unwrap().failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Other);
}
