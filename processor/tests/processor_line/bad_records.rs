//! Records that cannot be processed end where the policy says, and nothing else is lost.
//! Layer: test

use expect_test::expect;
use penstock_processor::status::Status;

use crate::{
    broker::{Broker, DEAD, Read, Sent},
    process::{Process, ours},
    setting::{GROUP, Setting, event, sink},
};

/// One of each kind; the key names it.
fn records() -> Vec<Sent> {
    let members = vec![r#"{"a":1}"#; 130_000].join(",");
    let complex = format!(r#"{{"id":"c","list":[{members}]}}"#);
    assert!(complex.len() < 1 << 20, "smaller than the largest message");
    vec![
        Sent::new("good", event("1")),
        Sent::new("broken JSON", r#"{"id":"#),
        Sent::new("0 bytes", ""),
        Sent {
            value: None,
            ..Sent::new("null value", "")
        },
        Sent {
            key: None,
            ..Sent::new("", event("null key"))
        },
        Sent::new("", event("empty key")),
        Sent {
            headers: 1000,
            ..Sent::new("1,000 headers", event("headers"))
        },
        Sent::new("too deep", "[".repeat(129) + &"]".repeat(129)),
        Sent::new("too complex", complex),
        Sent::new("too large", vec![b' '; 1_100_000]),
        Sent::new("1,000 headers and broken", ""),
        Sent::new("good", event("2")),
    ]
    .into_iter()
    .map(|record| match record.key.as_deref() {
        Some(b"1,000 headers and broken") => Sent {
            headers: 1000,
            ..record
        },
        _ => record,
    })
    .collect()
}

const GOOD: u64 = 5;
const BAD: u64 = 7;

/// A letter in one line: what is left of the record, and why it is here.
fn line(letter: &Read) -> String {
    let key = letter.key.as_deref().map(String::from_utf8_lossy);
    let value = letter.value.as_ref().map(Vec::len);
    let own = |(name, _): &&(String, String)| !name.starts_with("penstock-dead-");
    let headers = letter.headers.iter().filter(own).count();
    let added = letter.headers.iter().filter_map(|(name, value)| {
        Some(format!(
            "\n  {}: {value}",
            name.strip_prefix("penstock-dead-")?
        ))
    });
    format!(
        "{key:?}, {value:?} bytes, {headers} headers{}\n",
        added.collect::<String>()
    )
}

#[test]
fn dead_letters_say_what_came_from_where_and_why() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    broker.send(0, &records());
    let settings = Setting::default().text(&broker);
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    let status = processor.until("every record", |status| {
        status.finished.total() == GOOD + BAD && is_committed(status, 12)
    });
    assert_eq!(
        (status.finished.done, status.finished.dead_lettered),
        (GOOD, BAD)
    );
    let letters = broker.read(DEAD, BAD as usize);
    let mut lines: Vec<String> = letters.iter().map(line).collect();
    lines.sort();
    expect![[r#"
        None, None bytes, 0 headers
          generation: 0
          topic: events
          partition: 0
          offset: 9
          timestamp: 1700000000000
          stage: source
          class: record
          reason: record of 1100009 bytes, source.maxMessageBytes allows 1048576
          attempts: 1
          reference: true
        Some("0 bytes"), Some(0) bytes, 0 headers
          generation: 0
          topic: events
          partition: 0
          offset: 2
          timestamp: 1700000000000
          stage: shape
          class: record
          reason: keep `size(event.id) > 0`: event: value is empty (0 bytes), legal is one JSON document or a null value
          attempts: 1
        Some("1,000 headers and broken"), Some(0) bytes, 1000 headers
          generation: 0
          topic: events
          partition: 0
          offset: 10
          timestamp: 1700000000000
          stage: shape
          class: record
          reason: keep `size(event.id) > 0`: event: value is empty (0 bytes), legal is one JSON document or a null value
          attempts: 1
        Some("broken JSON"), Some(6) bytes, 0 headers
          generation: 0
          topic: events
          partition: 0
          offset: 1
          timestamp: 1700000000000
          stage: shape
          class: record
          reason: keep `size(event.id) > 0`: event: value is not JSON at byte 5 of 6, legal is one JSON document
          attempts: 1
        Some("null value"), None bytes, 0 headers
          generation: 0
          topic: events
          partition: 0
          offset: 3
          timestamp: 1700000000000
          stage: shape
          class: record
          reason: keep `size(event.id) > 0`: found no matching overload for '_._' applied to '(null_type, string)'
          attempts: 1
        Some("too complex"), Some(1040019) bytes, 0 headers
          generation: 0
          topic: events
          partition: 0
          offset: 8
          timestamp: 1700000000000
          stage: shape
          class: too-complex
          reason: parsed size of 62400800 bytes exceeds the budget of 16777216 bytes
          attempts: 1
        Some("too deep"), Some(258) bytes, 0 headers
          generation: 0
          topic: events
          partition: 0
          offset: 7
          timestamp: 1700000000000
          stage: shape
          class: record
          reason: keep `size(event.id) > 0`: event: value is nested deeper than 128 levels, legal are at most 128
          attempts: 1
    "#]].assert_eq(&lines.concat());
    processor.stop();
    assert_eq!(
        sink(folder.path(), "SELECT count(*) FROM events"),
        GOOD as i64
    );
    assert_eq!(broker.end(DEAD), BAD as i64);
}

#[test]
fn blocked_keys_wait_and_others_go_on() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    broker.send(0, &records());
    // One more behind a blocked record of its key: it must not overtake.
    broker.send(0, &[Sent::new("0 bytes", event("behind"))]);
    let setting = Setting {
        failure: "onRecordError: Block",
        ..Setting::default()
    };
    let settings = setting.text(&broker);
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    let blocked = |status: &Status| {
        status
            .partitions
            .iter()
            .map(|p| p.blocked_keys)
            .sum::<u64>()
    };
    let status = processor.until("the good ones and the blocks", |status| {
        status.finished.done == GOOD && blocked(status) == BAD && is_committed(status, 1)
    });
    let partition = &status.partitions[0];
    assert_eq!((partition.watermark, partition.held), (1, BAD + 1));
    assert_eq!(status.finished.total(), GOOD);
    let mut troubles: Vec<String> = status
        .troubles
        .iter()
        .map(|trouble| {
            format!(
                "{}/{}: {}\n",
                trouble.partition, trouble.offset, trouble.reason
            )
        })
        .collect();
    troubles.sort();
    expect![[r#"
        0/10: stage shape: keep `size(event.id) > 0`: event: value is empty (0 bytes), legal is one JSON document or a null value
        0/1: stage shape: keep `size(event.id) > 0`: event: value is not JSON at byte 5 of 6, legal is one JSON document
        0/2: stage shape: keep `size(event.id) > 0`: event: value is empty (0 bytes), legal is one JSON document or a null value
        0/3: stage shape: keep `size(event.id) > 0`: found no matching overload for '_._' applied to '(null_type, string)'
        0/7: stage shape: keep `size(event.id) > 0`: event: value is nested deeper than 128 levels, legal are at most 128
        0/8: stage shape: parsed size of 62400800 bytes exceeds the budget of 16777216 bytes
        0/9: stage source: record of 1100009 bytes, source.maxMessageBytes allows 1048576
    "#]].assert_eq(&troubles.concat());
    processor.stop();
    assert_eq!(broker.committed(GROUP, 0), Some(1));
    assert_eq!(broker.end(DEAD), 0);
    assert_eq!(
        sink(
            folder.path(),
            "SELECT count(*) FROM events WHERE id = 'behind'"
        ),
        0
    );
    // A person sets a dead-letter topic: what was blocked ends there, nothing is applied twice.
    let settings = Setting::default().text(&broker);
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    processor.until("everything", |status| is_committed(status, 13));
    processor.stop();
    assert_eq!(broker.end(DEAD), BAD as i64);
    let views = "SELECT value FROM counters WHERE id = 'p'";
    assert_eq!(sink(folder.path(), views), GOOD as i64 + 1);
}

/// The partition is finished up to here, and the broker knows.
fn is_committed(status: &Status, offset: i64) -> bool {
    let [partition] = &status.partitions[..] else {
        return false;
    };
    partition.watermark == offset
        && i64::try_from(partition.window) == Ok(partition.position - offset)
}
