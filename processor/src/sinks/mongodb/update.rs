//! Statements: a guarded update, a creation, a flush, and what a document remembers of records.
//! Layer: core
//!
//! A document keeps, in `_penstock.applied.STAGE.TOPIC:PARTITION`, generation `g` and offset `o` of
//! the last record applied to it. It is right because the document's id is the pipeline's key: its
//! records are applied in order, so everything up to the last one has been applied.

use bson::{Bson, Document, doc};
use serde_json::Value;

use super::{
    fold::fold,
    values::{record, to_bson, to_document},
};
use crate::sinks::{
    Action, Change, Effect, Guard, Operator, Provenance, SinkError,
    flush_target::{Counters, Row},
    origin::{FIELD, Origin, generation},
};

/// Largest encoded statement, bytes: a document's limit less what its command adds.
const LARGEST: usize = (16 << 20) - (16 << 10);

/// Path of the version of flushed counters.
const VERSION: &str = "_penstock.version";

/// What a command repeats for each effect.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// One of the `updates` of an `update`.
    Update(Document),
    /// One of the `documents` of an `insert`.
    Insert(Document),
}

/// A statement and the collection it concerns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aimed<'e> {
    pub(super) collection: &'e str,
    pub(super) id: &'e str,
    pub(super) statement: Statement,
}

impl<'e> Aimed<'e> {
    /// The statement of an effect.
    pub(super) fn of(effect: &'e Effect) -> Result<Self, SinkError> {
        let aimed = match &effect.action {
            Action::Create {
                index,
                id,
                document,
            } => Self {
                collection: index,
                id,
                statement: Statement::Insert(creation(effect, id, document)?),
            },
            Action::Upsert {
                collection,
                id,
                changes,
                guard,
                ..
            } => Self {
                collection,
                id,
                statement: Statement::Update(doc! {
                    "q": filter(effect, id, *guard),
                    "u": update(effect, changes, *guard)?,
                    "upsert": true,
                }),
            },
            Action::Count { .. } | Action::Unique { .. } => {
                return Err(record("mongodb serves index and upsert stages alone"));
            }
        };
        Ok(aimed)
    }
}

/// The bytes of a statement, unless they are too many for the store.
pub(super) fn encoded(statement: &Document) -> Result<Vec<u8>, SinkError> {
    let bytes = statement.to_vec();
    let bytes = bytes.map_err(|_| record("the change has no binary form"))?;
    match bytes.len() {
        ..=LARGEST => Ok(bytes),
        length => Err(record(&format!(
            "change of {length} bytes, legal are {LARGEST}"
        ))),
    }
}

fn creation(effect: &Effect, id: &str, document: &[u8]) -> Result<Document, SinkError> {
    let parsed: Value =
        serde_json::from_slice(document).map_err(|_| record("document is not JSON"))?;
    let Value::Object(fields) = parsed else {
        return Err(record("document is no JSON object"));
    };
    if let Some(taken) = ["_id", FIELD]
        .into_iter()
        .find(|own| fields.contains_key(*own))
    {
        return Err(record(&format!(
            "document has a field {taken}, which is the store's own"
        )));
    }
    let origin = Origin::of(effect);
    let mut stored = doc! {
        "_id": id,
        FIELD: {
            "generation": origin.generation,
            "topic": origin.topic,
            "partition": origin.partition,
            "offset": origin.offset,
            "stage": origin.stage,
        },
    };
    stored.extend(to_document(&fields)?);
    Ok(stored)
}

/// The entry of a stage and partition. Topics have dots, which would descend, and never a slash.
fn entry(effect: &Effect) -> String {
    let (stage, provenance) = (&effect.stage, &effect.provenance);
    let topic = provenance.topic.replace('.', "/");
    let partition = provenance.position.partition.partition;
    format!("{FIELD}.applied.{stage}.{topic}:{partition}")
}

/// The document, unless it has this record or a later one; generation counts first.
pub(super) fn filter(effect: &Effect, id: &str, guard: Guard) -> Document {
    let mut filter = doc! { "_id": id };
    if guard == Guard::Offset {
        let entry = entry(effect);
        let (last_generation, last_offset) = (format!("{entry}.g"), format!("{entry}.o"));
        let generation = generation(&effect.provenance);
        let offset = effect.provenance.position.offset;
        filter.insert(
            "$nor",
            vec![
                doc! { &last_generation: { "$gt": generation } },
                doc! { &last_generation: generation, last_offset: { "$gte": offset } },
            ],
        );
    }
    filter
}

/// The changes as operators of one update, and the record's own mark.
pub(super) fn update(
    effect: &Effect,
    changes: &[Change],
    guard: Guard,
) -> Result<Document, SinkError> {
    let mut update = Document::new();
    for change in fold(changes)? {
        let operand = match change.operator {
            Operator::Unset => Bson::String(String::new()),
            Operator::Push | Operator::AddToSet => {
                Bson::Document(doc! { "$each": to_bson(&change.value)? })
            }
            _ => to_bson(&change.value)?,
        };
        put(&mut update, name(change.operator), &change.field, operand);
    }
    if guard == Guard::Offset {
        let mark = doc! {
            "g": generation(&effect.provenance),
            "o": effect.provenance.position.offset,
        };
        put(&mut update, "$set", &entry(effect), mark.into());
    } else if update.is_empty() {
        // Without an operator it would be a whole document, and replace what is there.
        put(
            &mut update,
            "$setOnInsert",
            &format!("{FIELD}.touched"),
            true.into(),
        );
    }
    Ok(update)
}

fn put(update: &mut Document, operator: &str, field: &str, operand: Bson) {
    if let Ok(fields) = update.get_document_mut(operator) {
        fields.insert(field, operand);
    } else {
        update.insert(operator, doc! { field: operand });
    }
}

fn name(operator: Operator) -> &'static str {
    match operator {
        Operator::Set => "$set",
        Operator::SetOnInsert => "$setOnInsert",
        Operator::Inc => "$inc",
        Operator::Min => "$min",
        Operator::Max => "$max",
        Operator::Push => "$push",
        Operator::AddToSet => "$addToSet",
        Operator::Unset => "$unset",
    }
}

/// The statement of a flush: absolute values, unless a greater version is stored.
pub(super) fn flush(row: &Row) -> Document {
    let version = i64::try_from(row.counters.version).unwrap_or(i64::MAX);
    let mut set = doc! { VERSION: version };
    for (field, value) in &row.counters.fields {
        set.insert(&**field, *value);
    }
    doc! {
        "q": { "_id": &row.place.id, VERSION: { "$not": { "$gt": version } } },
        "u": { "$set": set },
        "upsert": true,
    }
}

/// What stands in the way of an effect whose id exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This very record had been applied, or a later one of its partition.
    Applied,
    /// Another record created the document.
    Taken,
    /// Nothing any more, or not yet when it was looked: try again.
    Nothing,
}

/// How an effect stands to the document that was found under its id.
pub(super) fn standing(effect: &Effect, found: Option<&Document>) -> Standing {
    let Some(found) = found else {
        return Standing::Nothing;
    };
    match &effect.action {
        Action::Create { .. } => match created_by(found) {
            Some(origin) if origin.is(&effect.provenance) => Standing::Applied,
            _ => Standing::Taken,
        },
        Action::Upsert {
            guard: Guard::Offset,
            ..
        } if last(effect, found).is_some_and(|last| last >= at(&effect.provenance)) => {
            Standing::Applied
        }
        Action::Upsert { .. } | Action::Count { .. } | Action::Unique { .. } => Standing::Nothing,
    }
}

fn at(provenance: &Provenance) -> (i64, i64) {
    (generation(provenance), provenance.position.offset)
}

fn created_by(found: &Document) -> Option<Origin> {
    let origin = found.get_document(FIELD).ok()?;
    Some(Origin {
        generation: origin.get_i64("generation").ok()?,
        topic: origin.get_str("topic").ok()?.to_owned(),
        partition: origin.get_i32("partition").ok()?,
        offset: origin.get_i64("offset").ok()?,
        stage: String::new(),
    })
}

/// Generation and offset of the last record applied for this stage and partition.
fn last(effect: &Effect, found: &Document) -> Option<(i64, i64)> {
    let entry = entry(effect);
    let mut inner = found;
    for step in entry.split('.') {
        inner = inner.get_document(step).ok()?;
    }
    Some((inner.get_i64("g").ok()?, inner.get_i64("o").ok()?))
}

/// The version of flushed counters; 0 when nobody has flushed to the document.
pub(super) fn version(found: &Document) -> u64 {
    let own = found.get_document(FIELD).ok();
    let version = own.and_then(|own| own.get_i64("version").ok());
    version
        .and_then(|version| u64::try_from(version).ok())
        .unwrap_or(0)
}

/// The integers of a document.
pub(super) fn counters(found: Document) -> Counters {
    let version = version(&found);
    let mut fields = Vec::new();
    flatten(&mut fields, "", found);
    Counters { fields, version }
}

fn flatten(fields: &mut Vec<(std::sync::Arc<str>, i64)>, prefix: &str, document: Document) {
    for (name, value) in document {
        let name = match prefix {
            "" if name == "_id" || name == FIELD => continue,
            "" => name,
            prefix => format!("{prefix}.{name}"),
        };
        match value {
            Bson::Document(inner) => flatten(fields, &name, inner),
            Bson::Int64(value) => fields.push((name.into(), value)),
            Bson::Int32(value) => fields.push((name.into(), value.into())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
