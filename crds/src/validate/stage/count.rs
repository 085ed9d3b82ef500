//! Judges a `count`: its amounts, and where counters that live in Redis are flushed to.
//! Layer: core

use std::time::Duration;

use super::Bench;
use crate::{
    event_pipeline::{AmountSpec, CountSpec, FlushSpec},
    names::{CollectionName, FieldName},
    pipeline::{Amount, CountStage, Flush, SinkId, SinkKind, StageKind},
};

const FLUSH_SECONDS: u32 = 5;
const FLUSH_KEYS: u32 = 100;

impl Bench<'_> {
    pub(super) fn count(&mut self, own: &CountSpec) -> Option<CountStage> {
        let sink = self.sink("count.sink", &own.sink, StageKind::Count);
        let collection = self.keep("count.collection", CollectionName::parse(&own.collection));
        let id = self.expression("count.id", &own.id);
        let mut amounts: Vec<Option<Amount>> = Vec::with_capacity(own.amounts.len());
        for (at, written) in own.amounts.iter().enumerate() {
            let amount = self.amount(&format!("count.amounts[{at}]"), written);
            let field = amount.as_ref().map(|amount| &amount.field);
            if let Some(field) = field.filter(|f| amounts.iter().flatten().any(|a| a.field == **f))
            {
                let message =
                    format!("{field} is counted twice: add the amounts in one expression");
                self.add(&format!("count.amounts[{at}].field"), message);
            }
            amounts.push(amount);
        }
        let flush = self.flush(sink, own.flush.as_ref());
        let amounts = amounts.into_iter().collect::<Option<_>>();
        Some(CountStage {
            sink: sink?,
            collection: collection?,
            id: id?,
            amounts: amounts?,
            flush: flush?,
        })
    }

    fn amount(&mut self, at: &str, own: &AmountSpec) -> Option<Amount> {
        let field = self.keep(&format!("{at}.field"), FieldName::parse(&own.field));
        let value = self.integer(&format!("{at}.value"), &own.value);
        let when = self.condition(&format!("{at}.when"), own.when.as_deref());
        Some(Amount {
            field: field?,
            value: value?,
            when: when?,
        })
    }

    /// Counters in Redis have a home elsewhere; those of an embedded sink are at home.
    fn flush(&mut self, sink: Option<SinkId>, own: Option<&FlushSpec>) -> Option<Option<Flush>> {
        let kind = sink.and_then(|id| self.surroundings.sinks.kind(id));
        let Some(own) = own else {
            if kind == Some(SinkKind::Redis) {
                let message = "missing, and required with a redis sink: where the counters are \
                               kept, such as {sink: NAME}";
                self.add("count.flush", message);
            }
            return Some(None);
        };
        if let Some(kind) = kind.filter(|kind| *kind == SinkKind::Embedded) {
            let message = format!(
                "the counters stay in the {} sink: leave it out",
                kind.field()
            );
            self.add("count.flush", message);
        }
        let path = self.at("count.flush.sink");
        let sinks = self.surroundings.sinks;
        let sink = sinks.resolve_flush(&path, &own.sink, self.faults)?;
        Some(Some(Flush {
            sink,
            interval: Duration::from_secs(own.interval_seconds.unwrap_or(FLUSH_SECONDS).into()),
            batch_keys: own.batch_keys.unwrap_or(FLUSH_KEYS),
        }))
    }
}
