//! Judges an `upsert`: whether its id carries a guard, and which changes that allows.
//! Layer: core

use super::Bench;
use crate::{
    event_pipeline::{ChangeSpec, UpsertSpec},
    expression::Expression,
    names::{CollectionName, ContextName, FieldName},
    pipeline::{Change, Guard, Operator, Ordering, StageKind, UpsertStage},
};

impl Bench<'_> {
    pub(super) fn upsert(&mut self, own: &UpsertSpec) -> Option<UpsertStage> {
        let sink = self.sink("upsert.sink", &own.sink, StageKind::Upsert);
        let collection = self.keep("upsert.collection", CollectionName::parse(&own.collection));
        let id = self.expression("upsert.id", &own.id);
        let guard = id.as_ref().map(|id| self.guard(id));
        let changes = own
            .changes
            .iter()
            .enumerate()
            .map(|(at, change)| self.change(&format!("upsert.changes[{at}]"), change, guard));
        let changes: Vec<_> = changes.collect();
        self.overwritten(&changes);
        let returning = match own.returning.as_deref() {
            None => Some(None),
            Some(name) => self
                .keep("upsert.returning", ContextName::parse(name))
                .map(Some),
        };
        if let Some(Some(name)) = &returning {
            self.written.add(name.as_str());
        }
        Some(UpsertStage {
            sink: sink?,
            collection: collection?,
            id: id?,
            changes: changes.into_iter().collect::<Option<_>>()?,
            guard: guard?,
            returning: returning?,
        })
    }

    /// The offset of the last applied record tells repeats only if one partition's records of this
    /// id come in order: the id is the pipeline's key, and the pipeline keeps keys in order.
    ///
    /// A record with a null key has a null id, whatever `nullKeys` says: an error of the record,
    /// never an unguarded change. So `nullKeys` needs no rule here.
    fn guard(&self, id: &Expression) -> Guard {
        let key = self.surroundings.key;
        let is_key = key.is_none_or(|key| id.is_record_field(&key.field()));
        if is_key && self.surroundings.ordering != Ordering::None {
            Guard::Offset
        } else {
            Guard::LastWriter
        }
    }

    fn change(&mut self, at: &str, own: &ChangeSpec, guard: Option<Guard>) -> Option<Change> {
        let field = self.keep(&format!("{at}.field"), FieldName::parse(&own.field));
        let when = self.condition(&format!("{at}.when"), own.when.as_deref());
        if guard == Some(Guard::LastWriter) && own.operator.accumulates() {
            let message = self.unguarded(own.operator);
            self.add(&format!("{at}.operator"), message);
        }
        let value_at = format!("{at}.value");
        let value = match (own.operator, own.value.as_deref()) {
            (Operator::Unset, Some(text)) => {
                self.add(
                    &value_at,
                    format!("{text:?} with Unset, which takes none: leave it out"),
                );
                None
            }
            (Operator::Unset, None) => Some(None),
            (operator, None) => {
                self.add(
                    &value_at,
                    format!("missing, and required with {operator:?}: CEL"),
                );
                None
            }
            (Operator::Inc, Some(text)) => self.integer(&value_at, text).map(Some),
            (_, Some(text)) => self.expression(&value_at, text).map(Some),
        };
        Some(Change {
            field: field?,
            operator: own.operator,
            value: value?,
            when: when?,
        })
    }

    fn unguarded(&self, operator: Operator) -> String {
        let legal = "Set, SetOnInsert, Min, Max, AddToSet and Unset";
        if self.surroundings.ordering == Ordering::None {
            return format!(
                "{operator:?} with ordering None would count repeats twice: legal are {legal}, \
                 or another ordering"
            );
        }
        let key = self
            .surroundings
            .key
            .map_or("record.key".to_owned(), |k| k.field().to_string());
        format!(
            "{operator:?} under an id that is not the pipeline's key would count repeats twice: \
             legal are {legal}, or the id {key}"
        )
    }

    /// Two changes of one field that always happen: one of them has no effect.
    fn overwritten(&mut self, changes: &[Option<Change>]) {
        for (at, change) in changes.iter().enumerate() {
            let Some(change) = change.as_ref().filter(|change| change.when.is_none()) else {
                continue;
            };
            let same = |other: &&Change| other.when.is_none() && other.field == change.field;
            if changes[..at].iter().flatten().any(|other| same(&other)) {
                let message = format!("{} is changed twice: give one a condition", change.field);
                self.add(&format!("upsert.changes[{at}].field"), message);
            }
        }
    }
}
