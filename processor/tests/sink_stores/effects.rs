//! Effects, sizes and addresses for the tests.
//! Layer: test

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use penstock_processor::{
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Action, Change, Effect, Guard, Operator, Provenance, Reply, SinkError, UpsertReply,
        flush_target::{Counters, Place, Row},
        grouped::GroupedSettings,
        grouping::GroupLimits,
    },
};
use serde_json::{Value, json};

pub(crate) fn groups() -> GroupedSettings {
    GroupedSettings {
        queue_effects: 4096,
        queue_bytes: 16 << 20,
        group: GroupLimits {
            effects: 500,
            bytes: 8 << 20,
            linger: Duration::from_millis(1),
        },
    }
}

/// A name that no other test and no earlier run has used.
pub(crate) fn fresh(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_millis();
    format!("test-{what}-{now}-{}", NEXT.fetch_add(1, Relaxed))
}

/// A deadline that no test reaches unless it fails.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub(crate) fn at(partition: i32, offset: i64) -> Provenance {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition,
    };
    Provenance {
        generation: 0,
        topic: Arc::from("shop.events"),
        position: Position { partition, offset },
        floor: 0,
    }
}

pub(crate) fn create(index: &str, id: &str, provenance: Provenance, document: &Value) -> Effect {
    Effect {
        stage: Arc::from("index"),
        provenance,
        action: Action::Create {
            index: index.to_owned(),
            id: id.to_owned(),
            document: document.to_string().into_bytes(),
        },
    }
}

pub(crate) fn change(field: &str, operator: Operator, value: Value) -> Change {
    Change {
        field: Arc::from(field),
        operator,
        value,
    }
}

/// A guarded upsert that counts its records and keeps the last one's offset.
pub(crate) fn visit(collection: &str, id: &str, provenance: Provenance) -> Effect {
    let offset = provenance.position.offset;
    Effect {
        stage: Arc::from("visits"),
        provenance,
        action: Action::Upsert {
            collection: Arc::from(collection),
            id: id.to_owned(),
            changes: vec![
                change("first", Operator::SetOnInsert, json!(offset)),
                change("last", Operator::Set, json!(offset)),
                change("events", Operator::Inc, json!(1)),
            ],
            guard: Guard::Offset,
            reply: UpsertReply::Nothing,
        },
    }
}

/// The same, wanting the document back.
pub(crate) fn returning(mut effect: Effect) -> Effect {
    if let Action::Upsert { reply, .. } = &mut effect.action {
        *reply = UpsertReply::Document;
    }
    effect
}

pub(crate) fn row(collection: &str, id: &str, version: u64, views: i64) -> Row {
    Row {
        place: place(collection, id),
        counters: counters(version, views),
    }
}

pub(crate) fn place(collection: &str, id: &str) -> Place {
    Place {
        collection: Arc::from(collection),
        id: id.to_owned(),
    }
}

pub(crate) fn counters(version: u64, views: i64) -> Counters {
    Counters {
        fields: vec![(Arc::from("views"), views)],
        version,
    }
}

pub(crate) fn poison(outcome: Result<Reply, SinkError>) -> String {
    match outcome {
        Err(SinkError::Record { reason }) => reason,
        other => unreachable!("the record is to blame: {other:?}"),
    }
}

pub(crate) fn unavailable(outcome: Result<Reply, SinkError>) -> String {
    match outcome {
        Err(SinkError::Unavailable { reason }) => reason,
        other => unreachable!("an outage is not poison: {other:?}"),
    }
}
