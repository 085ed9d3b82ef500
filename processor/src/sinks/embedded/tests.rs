//! The sink against a reference under crashes and redelivery, and the isolation of a group.
//! Layer: test

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    group::{Fault, Group},
    schema,
};
use crate::{
    record::{Position, TopicId, TopicPartition},
    sinks::{Action, Change, Effect, Guard, Operator, Provenance, Reply, Retention, UpsertReply},
};
use std::sync::Arc;

fn open(path: &Path) -> Connection {
    schema::open(path, 1 << 20).expect("the file opens")
}

fn provenance(partition: i32, offset: i64, floor: i64) -> Provenance {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition,
    };
    let position = Position { partition, offset };
    Provenance {
        generation: 0,
        topic: Arc::from("t"),
        position,
        floor,
    }
}

fn effect(stage: &str, provenance: &Provenance, action: Action) -> Effect {
    Effect {
        stage: Arc::from(stage),
        provenance: provenance.clone(),
        action,
    }
}

fn create(id: &str) -> Action {
    Action::Create {
        index: "events".to_owned(),
        id: id.to_owned(),
        document: b"{}".to_vec(),
    }
}

fn increment(id: &str, by: Value) -> Action {
    let change = Change {
        field: Arc::from("n"),
        operator: Operator::Inc,
        value: by,
    };
    Action::Upsert {
        collection: Arc::from("visits"),
        id: id.to_owned(),
        changes: vec![change],
        guard: Guard::Offset,
        reply: UpsertReply::Document,
    }
}

fn count(id: &str, amount: i64) -> Action {
    let amounts = vec![(Arc::from("views"), 1), (Arc::from("cents"), amount)];
    Action::Count {
        collection: Arc::from("products"),
        id: id.to_owned(),
        amounts,
    }
}

fn unique(set: &str, member: &str) -> Action {
    Action::Unique {
        set: set.to_owned(),
        member: member.as_bytes().to_vec(),
        retention: Retention {
            until_ms: 0,
            margin_ms: 0,
        },
    }
}

/// One group of several effects; the reply of each.
fn group(connection: &Connection, effects: &[Effect]) -> Vec<Result<Reply, String>> {
    let mut group = Group::begin(connection).expect("the lock is free");
    let replies = effects.iter().map(|effect| match group.apply(effect) {
        Ok(reply) => Ok(reply),
        Err(Fault::Record(reason)) => Err(reason),
        Err(fault) => panic!("{fault:?}"),
    });
    let replies = replies.collect();
    group.commit().expect("commits");
    replies
}

fn number(connection: &Connection, query: &str) -> i64 {
    connection
        .query_row(query, [], |row| row.get::<_, Option<i64>>(0))
        .expect(query)
        .unwrap_or(0)
}

#[test]
fn each_kind_tells_new_from_redelivered_from_duplicate() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = open(&folder.path().join("sink.db"));
    let (a, b) = (provenance(0, 5, 0), provenance(0, 6, 0));
    let effects = [
        effect("index", &a, create("e1")),
        effect("index", &a, create("e1")),
        effect("index", &b, create("e1")),
        effect("index", &b, create("e1")),
        effect("visit", &a, increment("k", json!(2))),
        effect("visit", &a, increment("k", json!(2))),
        effect("stats", &a, count("p", 10)),
        effect("stats", &a, count("p", 10)),
        effect("other", &a, count("p", 10)),
        effect("visitors", &a, unique("s", "m")),
        effect("visitors", &b, unique("s", "m")),
        effect("visitors", &a, unique("s", "m")),
    ];
    let replies: Vec<_> = group(&file, &effects)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let document = Reply::Document(json!({"n": 2}));
    let expected = [
        Reply::Applied,
        Reply::Redelivered,
        Reply::Duplicate,
        Reply::Duplicate,
        document.clone(),
        document,
        Reply::Applied,
        Reply::Redelivered,
        Reply::Applied,
        Reply::Member { first: true },
        Reply::Member { first: false },
        Reply::Member { first: true },
    ];
    assert_eq!(replies, expected);
    assert_eq!(number(&file, "SELECT count(*) FROM duplicates"), 1);
    assert_eq!(
        number(
            &file,
            "SELECT sum(value) FROM counters WHERE field = 'cents'"
        ),
        20
    );
    assert_eq!(
        number(&file, "SELECT count FROM redelivered WHERE stage = 'index'"),
        2
    );
}

#[test]
fn a_bad_effect_fails_alone_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = open(&folder.path().join("sink.db"));
    let at = |offset| provenance(0, offset, 0);
    let twice = vec![(Arc::from("views"), 1), (Arc::from("cents"), i64::MAX)];
    let overflow = Action::Count {
        collection: Arc::from("products"),
        id: "p".to_owned(),
        amounts: twice,
    };
    let effects = [
        effect("stats", &at(0), count("p", 10)),
        effect("stats", &at(1), overflow),
        effect("stats", &at(2), count("p", 10)),
        effect("visit", &at(1), increment("k", json!("x"))),
        effect("visit", &at(2), increment("k", json!(1))),
        effect(
            "index",
            &at(1),
            Action::Create {
                index: "events".to_owned(),
                id: "e".to_owned(),
                document: vec![0xff],
            },
        ),
        effect("index", &at(2), create("e")),
    ];
    let failed: Vec<_> = group(&file, &effects).iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false, true, false, true, false]);
    assert_eq!(
        number(&file, "SELECT value FROM counters WHERE field = 'views'"),
        2
    );
    assert_eq!(
        number(&file, "SELECT value FROM counters WHERE field = 'cents'"),
        20
    );
    assert_eq!(number(&file, "SELECT body ->> 'n' FROM documents"), 1);
    assert_eq!(number(&file, "SELECT count(*) FROM events"), 1);
    // The overflowing record was not remembered: corrected, it would count.
    let corrected = effect("stats", &at(1), count("p", 10));
    assert_eq!(group(&file, &[corrected]), [Ok(Reply::Applied)]);
}

#[test]
fn a_risen_floor_frees_the_blocks_below_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = open(&folder.path().join("sink.db"));
    for offset in (0..50_000).step_by(1_000) {
        let floor = (offset - 5_000).max(0);
        let effect = effect("stats", &provenance(0, offset, floor), count("p", 1));
        assert_eq!(group(&file, &[effect]), [Ok(Reply::Applied)]);
    }
    assert_eq!(number(&file, "SELECT count(*) FROM applied"), 2);
    assert_eq!(number(&file, "SELECT floor FROM lanes"), 44_000);
    let below = effect("stats", &provenance(0, 43_999, 0), count("p", 1));
    assert_eq!(group(&file, &[below]), [Ok(Reply::Redelivered)]);
}

/// A record of the property test: its effects follow from its numbers.
#[derive(Clone, Debug)]
struct Made {
    provenance: Provenance,
    id: u8,
    key: u8,
    amount: i64,
}

impl Made {
    fn effects(&self, floor: i64) -> Vec<Effect> {
        let provenance = Provenance {
            floor,
            ..self.provenance.clone()
        };
        let key = format!("k{}", self.key);
        vec![
            effect("index", &provenance, create(&format!("e{}", self.id))),
            effect("visit", &provenance, increment(&key, json!(self.amount))),
            effect(
                "stats",
                &provenance,
                count(&format!("p{}", self.id % 3), self.amount),
            ),
            effect("visitors", &provenance, unique("week", &key)),
        ]
    }
}

/// Records of two partitions; keys stay on their partition, as a producer's partitioner does it.
fn log() -> impl Strategy<Value = Vec<Made>> {
    prop::collection::vec((0..12_u8, 0..4_u8, -50_i64..50), 1..30).prop_map(|rows| {
        let mut next = [0_i64; 2];
        let make = |(id, key, amount): (u8, u8, i64)| {
            let partition = key % 2;
            let offset = &mut next[usize::from(partition)];
            // Gaps, as transactions and compaction leave them; some cross a block.
            *offset += 1 + i64::from(id) * 300;
            Made {
                provenance: provenance(i32::from(partition), *offset, 0),
                id,
                key,
                amount,
            }
        };
        rows.into_iter().map(make).collect()
    })
}

/// How a group ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Answered,
    /// Killed before the commit.
    Lost,
    /// Committed, then killed before the answers went out.
    Unheard,
}

fn ends() -> impl Strategy<Value = Vec<(usize, End)>> {
    let end = prop_oneof![Just(End::Answered), Just(End::Lost), Just(End::Unheard)];
    prop::collection::vec((1..7_usize, end), 1..40)
}

type Contents = (
    BTreeMap<String, i64>,
    BTreeMap<String, i64>,
    BTreeSet<String>,
    i64,
    i64,
);

/// What each record adds once, whatever was repeated.
fn reference(log: &[Made]) -> Contents {
    let mut contents = Contents::default();
    let mut ids = BTreeSet::new();
    for made in log {
        *contents.0.entry(format!("k{}", made.key)).or_default() += made.amount;
        *contents.1.entry(format!("p{}", made.id % 3)).or_default() += made.amount;
        contents.2.insert(format!("k{}", made.key));
        contents.4 += i64::from(!ids.insert(made.id));
    }
    contents.3 = i64::try_from(ids.len()).expect("few");
    contents
}

fn contents(file: &Connection) -> Contents {
    let pairs = |query: &str| -> BTreeMap<String, i64> {
        let mut query = file.prepare(query).expect("a right query");
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    };
    let members = pairs("SELECT CAST(member AS TEXT), 0 FROM members")
        .into_keys()
        .collect();
    (
        pairs("SELECT id, body ->> 'n' FROM documents"),
        pairs("SELECT id, value FROM counters WHERE field = 'cents'"),
        members,
        number(file, "SELECT count(*) FROM events"),
        number(file, "SELECT count(*) FROM duplicates"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn crashes_and_redelivery_leave_what_the_reference_has(log in log(), ends in ends()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sink.db");
        let mut file = open(&path);
        // Records finished for good, and the next one to be delivered. Both partitions together
        // stand at one place of the log, as after a commit of everything finished.
        let (mut committed, mut at) = (0, 0);
        let mut ends = ends.into_iter().chain(std::iter::repeat((5, End::Answered)));
        while at < log.len() {
            let (size, end) = ends.next().expect("an endless tail");
            let until = (at + size).min(log.len());
            let floor = |partition: i32| log[committed..].iter()
                .find(|made| made.provenance.position.partition.partition == partition)
                .map_or(0, |made| made.provenance.position.offset);
            let effects: Vec<_> = log[at..until].iter()
                .flat_map(|made| made.effects(floor(made.provenance.position.partition.partition)))
                .collect();
            let mut group = Group::begin(&file).expect("the lock is free");
            for effect in &effects {
                group.apply(effect).expect("all effects are good");
            }
            match end {
                End::Answered => {
                    group.commit().expect("commits");
                    at = until;
                    // The commit follows now and then only.
                    committed = if size % 2 == 0 { at } else { committed };
                }
                End::Lost => {
                    drop(group);
                    drop(file);
                    file = open(&path);
                    at = committed;
                }
                End::Unheard => {
                    group.commit().expect("commits");
                    drop(file);
                    file = open(&path);
                    at = committed;
                }
            }
        }
        prop_assert_eq!(contents(&file), reference(&log));
    }
}
