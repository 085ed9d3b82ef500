//! A stop under load repeats nothing, a kill repeats at most the window, and totals stay exact.
//! Layer: test

use std::{net::TcpStream, path::Path, time::Instant};

use crate::{
    broker::{Broker, Sent},
    process::{PATIENCE, Process, ours},
    setting::{GROUP, Setting, event, sink},
};

const PARTITIONS: i32 = 4;
const EACH: i64 = 1_500;
const ALL: i64 = EACH * PARTITIONS as i64;

fn load(broker: &Broker) {
    for partition in 0..PARTITIONS {
        let record = |n: i64| {
            let key = format!("k{partition}-{}", n % 50);
            Sent::new(&key, event(&format!("{partition}-{n}")))
        };
        broker.send(partition, &(0..EACH).map(record).collect::<Vec<_>>());
    }
}

fn setting() -> Setting<'static> {
    Setting {
        partitions: PARTITIONS as u32,
        ..Setting::default()
    }
}

/// Every record once, in every table.
fn assert_exact(broker: &Broker, folder: &Path) {
    let count = |query| sink(folder, query);
    assert_eq!(count("SELECT count(*) FROM events"), ALL);
    assert_eq!(count("SELECT count(*) FROM documents"), ALL);
    assert_eq!(count("SELECT value FROM counters WHERE id = 'p'"), ALL);
    assert_eq!(count("SELECT count(*) FROM duplicates"), 0);
    for partition in 0..PARTITIONS {
        assert_eq!(broker.committed(GROUP, partition), Some(EACH));
    }
}

fn redelivered(folder: &Path) -> i64 {
    sink(folder, "SELECT coalesce(sum(count), 0) FROM redelivered")
}

#[test]
fn a_stop_under_load_is_clean_and_repeats_nothing() {
    let (broker, folder) = (
        Broker::start(PARTITIONS),
        tempfile::tempdir().expect("a folder"),
    );
    load(&broker);
    let settings = setting().text(&broker);
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    let status = processor.until("the first records", |status| status.finished.done > 0);
    processor.stop();
    let applied = sink(folder.path(), "SELECT count(*) FROM events");
    assert!(
        applied < ALL,
        "the stop came too late to be under load: {status:#?}"
    );
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    processor.until("the rest", |status| {
        let marks = status.partitions.iter().map(|p| p.watermark);
        marks.sum::<i64>() == ALL
    });
    processor.stop();
    assert_exact(&broker, folder.path());
    assert_eq!(redelivered(folder.path()), 0);
}

#[test]
fn a_kill_repeats_at_most_the_window_and_totals_are_exact() {
    let (broker, folder) = (
        Broker::start(PARTITIONS),
        tempfile::tempdir().expect("a folder"),
    );
    load(&broker);
    let settings = setting().text(&broker);
    let mut window = 0;
    for kill in 1..=2_u64 {
        let mut processor = Process::start(&ours(), folder.path(), &settings);
        let status = processor.until("some progress", |status| status.finished.done > kill * 100);
        window += status.plan.window_records * PARTITIONS as u64;
        processor.kill();
    }
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    processor.until("the rest", |status| {
        let marks = status.partitions.iter().map(|p| p.watermark);
        marks.sum::<i64>() == ALL
    });
    processor.stop();
    assert_exact(&broker, folder.path());
    let repeats = redelivered(folder.path());
    assert!(
        repeats as u64 <= 3 * window,
        "{repeats} effects repeated, window {window}"
    );
}

/// The address is bound before the source starts: whoever reaches it finds signals heard.
#[test]
fn a_stop_during_the_start_is_clean() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let settings = setting().text(&broker);
    let processor = Process::start(&ours(), folder.path(), &settings);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(processor.address).is_err() {
        assert!(Instant::now() < deadline, "{}", processor.log());
        std::hint::spin_loop();
    }
    processor.stop();
}
