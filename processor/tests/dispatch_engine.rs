//! The engine's rules, one at a time.
//! Layer: test

use penstock_processor::dispatch::{Blame, Engine, Epoch, Full, Key, Limits, State, Taken, Tick};

const LIMITS: Limits = Limits {
    records: 8,
    bytes: 1_000,
    window: 12,
    running: 4,
    detached_running: 2,
};

fn engine(lanes: u8) -> Engine<u64> {
    let mut engine = Engine::new(lanes, LIMITS);
    engine.assign(Epoch(1));
    engine
}

fn admit(engine: &mut Engine<u64>, offset: i64, key: u64) {
    let payload = offset.unsigned_abs();
    engine
        .admit(offset, Key::Hash(key), 10, payload)
        .expect("the record fits");
    engine.check().expect("every invariant holds");
}

fn take(engine: &mut Engine<u64>, lane: u8) -> Taken<u64> {
    let taken = engine.take(lane).expect("a key is ready");
    engine.check().expect("every invariant holds");
    taken
}

fn refused(engine: &mut Engine<u64>, offset: i64, charge: u64) -> Option<Full> {
    engine
        .admit(offset, Key::Spread, charge, 0)
        .err()
        .map(|refused| refused.why)
}

#[test]
fn one_record_of_a_key_runs_at_a_time_and_keys_take_turns() {
    let mut engine = engine(1);
    for (offset, key) in [(0, 7), (1, 7), (2, 8), (3, 7)] {
        admit(&mut engine, offset, key);
    }
    let first = take(&mut engine, 0);
    let second = take(&mut engine, 0);
    assert_eq!((first.offset, second.offset), (0, 2));
    assert!(engine.take(0).is_none(), "both keys are in flight");
    let _ = engine.complete(first.ticket);
    assert_eq!(take(&mut engine, 0).offset, 1);
}

#[test]
fn the_watermark_is_contiguous_and_holes_in_the_log_vanish() {
    let mut engine = engine(1);
    for (offset, key) in [(5, 1), (9, 2), (100, 3)] {
        admit(&mut engine, offset, key);
    }
    let [first, second, third] = [0; 3].map(|lane| take(&mut engine, lane));
    let _ = engine.complete(third.ticket);
    assert_eq!(engine.watermark(), None);
    let _ = engine.complete(first.ticket);
    assert_eq!(engine.watermark(), Some(6));
    let _ = engine.complete(second.ticket);
    assert_eq!(engine.watermark(), Some(101));
}

#[test]
fn every_budget_counts_the_record_that_asks() {
    let mut engine = engine(1);
    assert_eq!(
        refused(&mut engine, 0, 5_000),
        None,
        "an oversized record passes alone"
    );
    assert_eq!(refused(&mut engine, 1, 1), Some(Full::Bytes));
    let whole = take(&mut engine, 0);
    let released = engine.complete(whole.ticket);
    assert_eq!((released.bytes, released.records), (5_000, 1));
    assert_eq!(refused(&mut engine, 1, 999), None);
    assert_eq!(refused(&mut engine, 2, 2), Some(Full::Bytes));
    assert_eq!(
        refused(&mut engine, 1, 1),
        Some(Full::Backwards { expected: 2 })
    );
    assert_eq!(
        (2..9).find_map(|offset| refused(&mut engine, offset, 0)),
        None
    );
    assert_eq!(refused(&mut engine, 9, 0), Some(Full::Records));
}

#[test]
fn the_window_opens_with_an_acknowledged_commit_only() {
    let mut engine = engine(1);
    for offset in 0..12 {
        admit(&mut engine, offset, 1);
        let taken = take(&mut engine, 0);
        let _ = engine.complete(taken.ticket);
    }
    assert_eq!(engine.watermark(), Some(12));
    assert_eq!(engine.obstacle(12, 1), Some(Full::Window));
    engine.acknowledged(5);
    assert_eq!(engine.obstacle(12, 1), None);
    assert_eq!(engine.facts().window, 7);
}

#[test]
fn a_parked_record_stays_at_the_head_of_its_key_and_delays_no_other() {
    let mut engine = engine(1);
    for (offset, key) in [(0, 1), (1, 1), (2, 2)] {
        admit(&mut engine, offset, key);
    }
    let taken = take(&mut engine, 0);
    let _ = engine.park(taken.ticket, taken.payload, Tick(10), Blame::Record);
    assert_eq!(take(&mut engine, 0).offset, 2);
    engine.tick(Tick(9));
    assert!(engine.take(0).is_none());
    engine.tick(Tick(10));
    let again = take(&mut engine, 0);
    assert_eq!((again.offset, again.attempts), (0, 1));
    let _ = engine.park(again.ticket, again.payload, Tick(11), Blame::Sink);
    engine.tick(Tick(11));
    assert_eq!(
        take(&mut engine, 0).attempts,
        1,
        "a sink's failure costs no attempt"
    );
}

#[test]
fn a_lane_frees_the_key_and_the_last_lane_finishes_the_record() {
    let mut engine = engine(2);
    admit(&mut engine, 0, 1);
    admit(&mut engine, 1, 1);
    for _ in 0..2 {
        let taken = take(&mut engine, 0);
        let _ = engine.advance(taken.ticket, taken.payload);
        engine.check().expect("every invariant holds");
    }
    assert_eq!((engine.watermark(), engine.bytes()), (None, 20));
    let detached = take(&mut engine, 1);
    assert!(
        engine.take(1).is_none(),
        "order per key holds in the second lane"
    );
    let _ = engine.advance(detached.ticket, detached.payload);
    assert_eq!((engine.watermark(), engine.bytes()), (Some(1), 10));
    assert_eq!(take(&mut engine, 1).offset, 1);
}

#[test]
fn a_blocked_key_waits_while_others_go_on() {
    let mut engine = engine(1);
    for (offset, key) in [(0, 1), (1, 1), (2, 2)] {
        admit(&mut engine, offset, key);
    }
    let taken = take(&mut engine, 0);
    let _ = engine.block(taken.ticket, taken.payload);
    let other = take(&mut engine, 0);
    assert_eq!(other.offset, 2);
    let _ = engine.complete(other.ticket);
    engine.tick(Tick(u64::MAX));
    assert!(engine.take(0).is_none());
    assert_eq!(
        (
            engine.facts().lanes[0].blocked,
            engine.facts().lanes[0].queued
        ),
        (1, 1)
    );
}

#[test]
fn a_revoke_drops_what_waits_and_lets_running_records_end() {
    let mut engine = engine(1);
    for (offset, key) in [(0, 1), (1, 2), (2, 1), (3, 3)] {
        admit(&mut engine, offset, key);
    }
    let (first, second) = (take(&mut engine, 0), take(&mut engine, 0));
    let released = engine.begin_revoke();
    engine.check().expect("every invariant holds");
    assert_eq!(
        (released.records, engine.running(), engine.state()),
        (2, 2, State::Draining)
    );
    assert!(engine.take(0).is_none());
    assert_eq!(engine.obstacle(4, 1), Some(Full::Epoch));
    let _ = engine.complete(first.ticket);
    assert_eq!(engine.watermark(), Some(1));
    let released = engine.finish_revoke();
    assert_eq!((released.records, engine.facts().stale_records), (0, 1));
    engine.assign(Epoch(2));
    admit(&mut engine, 1, 2);
    let released = engine.complete(second.ticket);
    assert_eq!(
        (
            released.bytes,
            engine.facts().stale_records,
            engine.watermark()
        ),
        (10, 0, None)
    );
    engine.check().expect("every invariant holds");
}

#[test]
fn an_abandoned_record_frees_its_memory_and_holds_its_offset() {
    let mut engine = engine(1);
    admit(&mut engine, 0, 1);
    admit(&mut engine, 1, 2);
    let (lost, fine) = (take(&mut engine, 0), take(&mut engine, 0));
    let released = engine.abandon(lost.ticket);
    let _ = engine.complete(fine.ticket);
    engine.check().expect("every invariant holds");
    assert_eq!(
        (released.bytes, engine.bytes(), engine.watermark()),
        (10, 0, None)
    );
}

#[test]
fn the_hottest_key_and_its_share_are_known() {
    let limits = Limits {
        records: 10_000,
        bytes: u64::MAX,
        window: 10_000,
        ..LIMITS
    };
    let mut engine = Engine::new(1, limits);
    engine.assign(Epoch(1));
    for offset in 0..4_000_i64 {
        let spread = offset.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let key = if offset % 5 == 0 { 42 } else { spread };
        engine
            .admit(offset, Key::Hash(key), 1, 0)
            .expect("the record fits");
    }
    let hottest = engine.facts().hottest.expect("there were records");
    assert_eq!(hottest.hash, 42);
    assert!((190..=220).contains(&hottest.permille), "{hottest:?}");
}

/// A key with a long queue gets one run in a round, like everybody else.
#[test]
fn a_hot_key_delays_another_by_one_run() {
    let mut engine = engine(1);
    for (offset, key) in [
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 2),
        (5, 3),
        (6, 2),
        (7, 3),
    ] {
        admit(&mut engine, offset, key);
    }
    let mut order = Vec::new();
    while let Some(taken) = engine.take(0) {
        order.push(taken.offset);
        let _ = engine.complete(taken.ticket);
    }
    assert_eq!(order, [0, 4, 5, 1, 6, 7, 2, 3]);
}
