//! Commands of many statements: one for each collection and kind, within the server's sizes.
//! Layer: core

use std::{collections::BTreeMap, time::Duration};

use bson::{Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc, raw::cstr, rawdoc};

use super::{
    update::{Aimed, Statement, encoded},
    values::record,
};
use crate::sinks::{Effect, SinkError};

/// Most bytes of a command's statements; a document's limit is a command's, too, and a statement
/// that is larger goes alone.
const COMMAND_BYTES: usize = 12 << 20;

/// What the statements of a command do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Change documents.
    Update,
    /// Create documents.
    Insert,
}

/// The statements of one command.
#[derive(Debug)]
pub(super) struct Batch<'e> {
    pub(super) collection: &'e str,
    pub(super) kind: Kind,
    /// Place of each statement among all that were given.
    pub(super) places: Vec<usize>,
    /// Id of each statement's document.
    pub(super) ids: Vec<&'e str>,
    statements: RawArrayBuf,
    bytes: usize,
}

/// Batches of what is good, and what is wrong with the rest, by place.
#[derive(Debug, Default)]
pub(super) struct Batches<'e> {
    full: Vec<Batch<'e>>,
    open: BTreeMap<(&'e str, Kind), Batch<'e>>,
    pub(super) wrong: Vec<(usize, SinkError)>,
}

impl<'e> Batches<'e> {
    /// The statements of a group.
    pub(super) fn of(group: &'e [Effect]) -> Self {
        let mut batches = Self::default();
        for (place, effect) in group.iter().enumerate() {
            batches.add(place, Aimed::of(effect));
        }
        batches
    }

    /// Adds a statement.
    pub(super) fn add(&mut self, place: usize, aimed: Result<Aimed<'e>, SinkError>) {
        let added = aimed.and_then(|aimed| {
            let (kind, statement) = match &aimed.statement {
                Statement::Update(statement) => (Kind::Update, statement),
                Statement::Insert(statement) => (Kind::Insert, statement),
            };
            let bytes = encoded(statement)?;
            let raw = RawDocument::from_bytes(&bytes)
                .map_err(|_| record("the change has no binary form"))?;
            let batch = self.room((aimed.collection, kind), bytes.len());
            batch.bytes += bytes.len();
            batch.statements.push(raw);
            batch.places.push(place);
            batch.ids.push(aimed.id);
            Ok(())
        });
        self.wrong.extend(added.err().map(|error| (place, error)));
    }

    /// A batch with room for so many bytes.
    fn room(&mut self, key: (&'e str, Kind), bytes: usize) -> &mut Batch<'e> {
        let is_full = |batch: &Batch<'_>| batch.bytes + bytes > COMMAND_BYTES;
        if self.open.get(&key).is_some_and(is_full) {
            self.full.extend(self.open.remove(&key));
        }
        let (collection, kind) = key;
        self.open.entry(key).or_insert_with(|| Batch {
            collection,
            kind,
            places: Vec::new(),
            ids: Vec::new(),
            statements: RawArrayBuf::new(),
            bytes: 0,
        })
    }

    /// The batches, in no order: no two statements concern one document.
    pub(super) fn finish(self) -> Vec<Batch<'e>> {
        self.full
            .into_iter()
            .chain(self.open.into_values())
            .collect()
    }
}

impl Batch<'_> {
    /// The command. It is answered when a majority has the writes on disk, or says after `patience`
    /// that it is not.
    pub(super) fn command(&self, patience: Duration) -> RawDocumentBuf {
        let mut command = RawDocumentBuf::new();
        match self.kind {
            Kind::Update => {
                command.append(cstr!("update"), self.collection);
                command.append(cstr!("updates"), &self.statements);
            }
            Kind::Insert => {
                command.append(cstr!("insert"), self.collection);
                command.append(cstr!("documents"), &self.statements);
            }
        }
        // In any order, and all of them: each stands for a record of its own.
        command.append(cstr!("ordered"), false);
        command.append(cstr!("writeConcern"), write_concern(patience));
        command
    }
}

/// Acknowledged by a majority, from disk.
pub(super) fn write_concern(patience: Duration) -> RawDocumentBuf {
    // 0 would be for ever.
    let millis = i32::try_from(patience.as_millis())
        .unwrap_or(i32::MAX)
        .max(1);
    rawdoc! { "w": "majority", "j": true, "wtimeout": millis }
}

/// Asks for documents by id, with the field of ours alone or whole.
pub(super) fn lookup(collection: &str, ids: &[&str], part: Part) -> Document {
    let count = i32::try_from(ids.len()).unwrap_or(i32::MAX);
    let mut command = doc! {
        "find": collection,
        "filter": { "_id": { "$in": ids.to_vec() } },
        "batchSize": count,
        "limit": count,
        "singleBatch": true,
    };
    if part == Part::Ours {
        command.insert("projection", doc! { "_penstock": 1 });
    }
    command
}

/// How much of a document is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Our field.
    Ours,
    /// All of it.
    Whole,
}

/// The documents that a lookup found, by id.
pub(super) fn found(answer: Document) -> BTreeMap<String, Document> {
    let mut by_id = BTreeMap::new();
    let batch = answer
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    for document in batch
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_document())
    {
        if let Ok(id) = document.get_str("_id") {
            by_id.insert(id.to_owned(), document.clone());
        }
    }
    by_id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aimed(collection: &'static str, id: &'static str, bytes: usize) -> Aimed<'static> {
        Aimed {
            collection,
            id,
            statement: Statement::Insert(doc! { "_id": id, "pad": "x".repeat(bytes) }),
        }
    }

    #[test]
    fn a_command_is_for_one_collection_and_within_the_servers_size() {
        let mut batches = Batches::default();
        batches.add(0, Ok(aimed("a", "1", 8 << 20)));
        batches.add(1, Ok(aimed("b", "2", 10)));
        batches.add(2, Ok(aimed("a", "3", 8 << 20)));
        batches.add(3, Err(record("bad")));
        batches.add(4, Ok(aimed("a", "5", 17 << 20)));
        batches.add(5, Ok(aimed("a", "6", 10)));
        let wrong: Vec<_> = batches.wrong.iter().map(|(place, _)| *place).collect();
        assert_eq!(wrong, [3, 4]);
        let mut found: Vec<_> = batches
            .finish()
            .into_iter()
            .map(|batch| (batch.collection, batch.places, batch.ids))
            .collect();
        found.sort();
        let expected = [
            ("a", vec![0], vec!["1"]),
            ("a", vec![2, 5], vec!["3", "6"]),
            ("b", vec![1], vec!["2"]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_command_asks_for_a_majority() {
        let mut batches = Batches::default();
        batches.add(0, Ok(aimed("a", "1", 1)));
        let batch = batches.finish().remove(0);
        let command = batch.command(Duration::from_secs(2));
        let expected = doc! {
            "insert": "a",
            "documents": [{ "_id": "1", "pad": "x" }],
            "ordered": false,
            "writeConcern": { "w": "majority", "j": true, "wtimeout": 2000 },
        };
        assert_eq!(Document::try_from(command).expect("a document"), expected);
    }

    #[test]
    fn documents_are_found_by_id() {
        let answer =
            doc! { "cursor": { "firstBatch": [{ "_id": "1" }, { "_id": 2 }], "id": 0_i64 } };
        assert_eq!(found(answer).into_keys().collect::<Vec<_>>(), ["1"]);
        assert!(found(doc! {}).is_empty());
    }
}
