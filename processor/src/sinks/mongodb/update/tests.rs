//! Statements field by field, and the guard against a naive model.
//! Layer: test

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    record::{Position, TopicId, TopicPartition},
    sinks::{UpsertReply, flush_target::Place},
};

fn effect(generation: u64, offset: i64, action: Action) -> Effect {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 3,
    };
    Effect {
        stage: Arc::from("visit"),
        provenance: Provenance {
            generation,
            topic: Arc::from("shop.events"),
            position: Position { partition, offset },
            floor: 0,
        },
        action,
    }
}

fn upsert(changes: Vec<Change>, guard: Guard) -> Action {
    Action::Upsert {
        collection: Arc::from("visits"),
        id: "u1".to_owned(),
        changes,
        guard,
        reply: UpsertReply::Nothing,
    }
}

fn change(field: &str, operator: Operator, value: Value) -> Change {
    Change {
        field: Arc::from(field),
        operator,
        value,
    }
}

#[test]
fn a_guarded_update_moves_its_own_mark() {
    let changes = vec![
        change("seen.last", Operator::Set, json!(7)),
        change("visits", Operator::Inc, json!(1)),
        change("pages", Operator::AddToSet, json!("a")),
        change("old", Operator::Unset, Value::Null),
    ];
    let effect = effect(1, 42, upsert(changes, Guard::Offset));
    let aimed = Aimed::of(&effect).expect("good");
    let entry = "_penstock.applied.visit.shop/events:3";
    let expected = doc! {
        "q": {
            "_id": "u1",
            "$nor": [
                { format!("{entry}.g"): { "$gt": 1_i64 } },
                { format!("{entry}.g"): 1_i64, format!("{entry}.o"): { "$gte": 42_i64 } },
            ],
        },
        "u": {
            "$set": { "seen.last": 7_i64, entry: { "g": 1_i64, "o": 42_i64 } },
            "$inc": { "visits": 1_i64 },
            "$addToSet": { "pages": { "$each": ["a"] } },
            "$unset": { "old": "" },
        },
        "upsert": true,
    };
    assert_eq!(aimed.statement, Statement::Update(expected));
    assert_eq!((aimed.collection, aimed.id), ("visits", "u1"));
}

#[test]
fn without_a_guard_there_is_no_mark_and_never_a_whole_document() {
    let effect = effect(1, 42, upsert(Vec::new(), Guard::LastWriter));
    let expected = doc! {
        "q": { "_id": "u1" },
        "u": { "$setOnInsert": { "_penstock.touched": true } },
        "upsert": true,
    };
    let aimed = Aimed::of(&effect).expect("good");
    assert_eq!(aimed.statement, Statement::Update(expected));
}

fn create(document: &str) -> Action {
    Action::Create {
        index: "events".to_owned(),
        id: "e1".to_owned(),
        document: document.as_bytes().to_vec(),
    }
}

#[test]
fn a_created_document_has_its_id_and_its_origin() {
    let effect = effect(1, 42, create(r#"{"a":{"b":[1,"x"]}}"#));
    let expected = doc! {
        "_id": "e1",
        "_penstock": {
            "generation": 1_i64, "topic": "shop.events", "partition": 3, "offset": 42_i64,
            "stage": "visit",
        },
        "a": { "b": [1_i64, "x"] },
    };
    let aimed = Aimed::of(&effect).expect("good");
    assert_eq!(aimed.statement, Statement::Insert(expected));
}

#[test]
fn a_document_that_the_store_could_not_keep_is_the_records_fault() {
    let bad = [
        "",
        "[]",
        "{",
        r#"{"_id":1}"#,
        r#"{"_penstock":1}"#,
        r#"{"a":18446744073709551615}"#,
    ];
    for document in bad {
        let error = Aimed::of(&effect(0, 0, create(document))).expect_err(document);
        assert!(matches!(error, SinkError::Record { .. }), "{error}");
    }
    let large = doc! { "q": "x".repeat(LARGEST) };
    assert!(encoded(&large).is_err());
}

#[test]
fn the_creator_is_the_record_itself_or_another() {
    let effect = effect(1, 42, create("{}"));
    let Aimed {
        statement: Statement::Insert(mut stored),
        ..
    } = Aimed::of(&effect).expect("good")
    else {
        panic!("an insert");
    };
    assert_eq!(standing(&effect, Some(&stored)), Standing::Applied);
    stored
        .get_document_mut(FIELD)
        .expect("ours")
        .insert("offset", 41_i64);
    assert_eq!(standing(&effect, Some(&stored)), Standing::Taken);
    assert_eq!(standing(&effect, Some(&doc! {})), Standing::Taken);
    assert_eq!(standing(&effect, None), Standing::Nothing);
}

#[test]
fn flushed_counters_come_back_as_they_went() {
    let row = Row {
        place: Place {
            collection: Arc::from("products"),
            id: "p1".to_owned(),
        },
        counters: Counters {
            fields: vec![(Arc::from("views"), 7)],
            version: 9,
        },
    };
    let expected = doc! {
        "q": { "_id": "p1", "_penstock.version": { "$not": { "$gt": 9_i64 } } },
        "u": { "$set": { "_penstock.version": 9_i64, "views": 7_i64 } },
        "upsert": true,
    };
    assert_eq!(flush(&row), expected);
    let stored = doc! {
        "_id": 5, "_penstock": { "version": 9_i64 }, "views": 7_i64, "by": { "day": 3, "name": "x" },
    };
    let read = counters(stored);
    let fields: Vec<_> = read.fields.iter().map(|(f, v)| (&**f, *v)).collect();
    assert_eq!(fields, [("views", 7), ("by.day", 3)]);
    assert_eq!(read.version, 9);
    assert_eq!(version(&doc! {}), 0);
}

/// The server's part as far as our filters go: `$nor`, `$gt`, `$gte`, equality, dotted paths.
fn matches(document: &Document, filter: &Document) -> bool {
    let field = |path: &str| {
        let mut steps = path.split('.').peekable();
        let mut inner = document;
        loop {
            let step = steps.next()?;
            if steps.peek().is_none() {
                return inner.get_i64(step).ok();
            }
            inner = inner.get_document(step).ok()?;
        }
    };
    filter
        .iter()
        .all(|(name, wanted)| match (name.as_str(), wanted) {
            ("_id", _) => true,
            ("$nor", Bson::Array(none)) => !none
                .iter()
                .any(|one| matches(document, one.as_document().expect("a filter"))),
            (path, Bson::Document(test)) => field(path).is_some_and(|found| {
                let at_least = test.get_i64("$gte").map_or(true, |least| found >= least);
                at_least && test.get_i64("$gt").map_or(true, |below| found > below)
            }),
            (path, wanted) => field(path) == wanted.as_i64(),
        })
}

/// A store of one document.
#[derive(Default)]
struct Store(Option<Document>);

impl Store {
    /// As the server does it, then as the sink decides. The change is the sum of applied offsets.
    fn deliver(&mut self, effect: &Effect) -> Standing {
        let filter = filter(effect, "u1", Guard::Offset);
        if self
            .0
            .as_ref()
            .is_some_and(|found| !matches(found, &filter))
        {
            // The insert of the upsert finds the id taken.
            return standing(effect, self.0.as_ref());
        }
        let stored = self.0.get_or_insert_with(Document::new);
        let (sum, offset) = (
            stored.get_i64("sum").unwrap_or(0),
            effect.provenance.position.offset,
        );
        stored.insert("sum", sum + offset);
        let mark = doc! { "g": generation(&effect.provenance), "o": offset };
        let applied = doc! { "visit": { "shop/events:3": mark } };
        stored.insert(FIELD, doc! { "applied": applied });
        Standing::Nothing
    }
}

proptest! {
    #[test]
    fn every_record_is_applied_once_whatever_is_repeated(
        deliveries in prop::collection::vec((0..2_u64, 0..8_i64), 0..60),
    ) {
        let (mut store, mut last, mut sum) = (Store::default(), None, 0);
        for (generation, offset) in deliveries {
            let standing = store.deliver(&effect(generation, offset, upsert(Vec::new(), Guard::Offset)));
            if last.is_some_and(|last| (generation, offset) <= last) {
                prop_assert_eq!(standing, Standing::Applied);
            } else {
                prop_assert_eq!(standing, Standing::Nothing);
                last = Some((generation, offset));
                sum += offset;
            }
        }
        let stored = store.0.unwrap_or_default();
        prop_assert_eq!(stored.get_i64("sum").unwrap_or(0), sum);
    }
}
