//! Judges one stage: its one body, its expressions, and what its guard allows.
//! Layer: core

mod count;
mod http;
mod upsert;

use std::{fmt::Display, time::Duration};

use super::stages::{Surroundings, Written};
use crate::{
    event_pipeline::{
        CustomSpec, FilterSpec, IndexSpec, ProduceSpec, SetSpec, StageSpec, UniqueSpec,
    },
    expression::{Expression, Form},
    fault::Collector,
    index_pattern::IndexPattern,
    names::{ContextName, CustomName, HeaderName, StageName, TopicName},
    pipeline::{
        CustomStage, FilterStage, IndexStage, ProduceStage, ProducedHeader, SetField, SetStage,
        SinkId, Stage, StageBody, StageKind, UniqueStage,
    },
};

/// Longest configuration of a custom stage, bytes of JSON.
const MAX_CONFIG_BYTES: usize = 16 * 1024;

/// Where one stage is judged.
pub(super) struct Bench<'a> {
    pub(super) path: &'a str,
    pub(super) surroundings: &'a Surroundings<'a>,
    pub(super) written: &'a mut Written,
    pub(super) faults: &'a mut Collector,
}

pub(super) fn check(stage: StageSpec, bench: &mut Bench<'_>) -> Option<Stage> {
    let name = bench.keep("name", StageName::parse(&stage.name));
    let when = bench.condition("when", stage.when.as_deref());
    let (mode, deadline) = (stage.mode, stage.deadline_millis);
    let body = bench.body(stage);
    Some(Stage {
        name: name?,
        when: when?,
        mode,
        deadline: deadline.map(|millis| Duration::from_millis(millis.into())),
        body: body?,
    })
}

impl Bench<'_> {
    fn at(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    fn keep<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        self.faults.keep(self.at(field), result)
    }

    fn add(&mut self, field: &str, message: impl Display) {
        self.faults.add(self.at(field), message);
    }

    fn expression(&mut self, field: &str, text: &str) -> Option<Expression> {
        let expression = self.keep(field, Expression::parse(text))?;
        self.written
            .check(&self.at(field), &expression, self.faults);
        Some(expression)
    }

    /// `Some(None)` when there is none, `None` when it is wrong.
    fn optional(&mut self, field: &str, text: Option<&str>) -> Option<Option<Expression>> {
        match text {
            Some(text) => self.expression(field, text).map(Some),
            None => Some(None),
        }
    }

    /// An optional expression that must be able to be true or false.
    fn condition(&mut self, field: &str, text: Option<&str>) -> Option<Option<Expression>> {
        let condition = self.optional(field, text)?;
        if let Some(literal) = condition.as_ref().filter(|own| is_literal(own)) {
            let text = literal.text();
            self.add(
                field,
                format!("{text} is neither true nor false: a condition is needed"),
            );
        }
        Some(condition)
    }

    /// An expression that must be able to be an integer.
    fn integer(&mut self, field: &str, text: &str) -> Option<Expression> {
        let expression = self.expression(field, text)?;
        if matches!(expression.form(), Form::Text(_)) {
            self.add(field, format!("{text} is text: an integer is needed"));
        }
        Some(expression)
    }

    fn sink(&mut self, field: &str, name: &str, stage: StageKind) -> Option<SinkId> {
        self.surroundings
            .sinks
            .resolve(&self.at(field), name, stage, self.faults)
    }

    /// Judges every body that is set, so that a second one hides no fault of the first.
    fn body(&mut self, stage: StageSpec) -> Option<StageBody> {
        self.one_body(&stage);
        let mut bodies = Vec::new();
        bodies.extend(
            stage
                .index
                .map(|own| self.index(&own).map(StageBody::Index)),
        );
        bodies.extend(
            stage
                .upsert
                .map(|own| self.upsert(&own).map(StageBody::Upsert)),
        );
        bodies.extend(
            stage
                .count
                .map(|own| self.count(&own).map(StageBody::Count)),
        );
        bodies.extend(
            stage
                .unique
                .map(|own| self.unique(&own).map(StageBody::Unique)),
        );
        bodies.extend(
            stage
                .filter
                .map(|own| self.filter(&own).map(StageBody::Filter)),
        );
        bodies.extend(stage.set.map(|own| self.set(&own).map(StageBody::Set)));
        bodies.extend(
            stage
                .produce
                .map(|own| self.produce(&own).map(StageBody::Produce)),
        );
        bodies.extend(stage.http.map(|own| self.http(&own).map(StageBody::Http)));
        bodies.extend(
            stage
                .custom
                .map(|own| self.custom(own).map(StageBody::Custom)),
        );
        bodies.into_iter().next().flatten()
    }

    fn one_body(&mut self, stage: &StageSpec) {
        let bodies = [
            (StageKind::Index, stage.index.is_some()),
            (StageKind::Upsert, stage.upsert.is_some()),
            (StageKind::Count, stage.count.is_some()),
            (StageKind::Unique, stage.unique.is_some()),
            (StageKind::Filter, stage.filter.is_some()),
            (StageKind::Set, stage.set.is_some()),
            (StageKind::Produce, stage.produce.is_some()),
            (StageKind::Http, stage.http.is_some()),
            (StageKind::Custom, stage.custom.is_some()),
        ];
        let all = bodies.map(|(kind, _)| kind.field()).join(", ");
        let set: Vec<_> = bodies
            .iter()
            .filter(|(_, set)| *set)
            .map(|(k, _)| k.field())
            .collect();
        if stage.archive.is_some() {
            let message = format!("this version has no archive: exactly one of {all} is needed");
            self.add("archive", message);
        }
        if set.len() > 1 {
            let set = set.join(" and ");
            self.faults
                .add(self.path, format!("{set}: exactly one of {all} is needed"));
        } else if set.is_empty() && !self.faults.touches(self.path) {
            self.faults.add(
                self.path,
                format!("no body: exactly one of {all} is needed"),
            );
        }
    }

    fn index(&mut self, own: &IndexSpec) -> Option<IndexStage> {
        let sink = self.sink("index.sink", &own.sink, StageKind::Index);
        let index = self.keep("index.index", IndexPattern::parse(&own.index));
        let id = self.expression("index.id", &own.id);
        Some(IndexStage {
            sink: sink?,
            index: index?,
            id: id?,
        })
    }

    fn unique(&mut self, own: &UniqueSpec) -> Option<UniqueStage> {
        let sink = self.sink("unique.sink", &own.sink, StageKind::Unique);
        let set = self.expression("unique.set", &own.set);
        let member = self.expression("unique.member", &own.member);
        Some(UniqueStage {
            sink: sink?,
            set: set?,
            member: member?,
            window: own.window,
        })
    }

    fn filter(&mut self, own: &FilterSpec) -> Option<FilterStage> {
        let keep = self.condition("filter.keep", Some(&own.keep))??;
        Some(FilterStage { keep })
    }

    fn set(&mut self, own: &SetSpec) -> Option<SetStage> {
        let mut fields: Vec<Option<SetField>> = Vec::with_capacity(own.fields.len());
        for (at, field) in own.fields.iter().enumerate() {
            let at = format!("set.fields[{at}]");
            let value = self.expression(&format!("{at}.value"), &field.value);
            let name = self.keep(&format!("{at}.name"), ContextName::parse(&field.name));
            if let Some(name) = &name {
                if fields.iter().flatten().any(|other| other.name == *name) {
                    self.add(
                        &format!("{at}.name"),
                        format!("{name} is set twice: keep one"),
                    );
                }
                self.written.add(name.as_str());
            }
            fields.push(
                name.zip(value)
                    .map(|(name, value)| SetField { name, value }),
            );
        }
        fields
            .into_iter()
            .collect::<Option<_>>()
            .map(|fields| SetStage { fields })
    }

    fn produce(&mut self, own: &ProduceSpec) -> Option<ProduceStage> {
        let topic = self.keep("produce.topic", TopicName::parse(&own.topic));
        if self.surroundings.topics.contains(&own.topic) {
            let message = format!("{} is a topic of the source: a loop", own.topic);
            self.add("produce.topic", message);
        }
        let key = self.optional("produce.key", own.key.as_deref());
        let value = self.optional("produce.value", own.value.as_deref());
        let headers = own.headers.iter().enumerate().map(|(at, header)| {
            let at = format!("produce.headers[{at}]");
            if header.name.starts_with("penstock-") {
                let message = "names that start with penstock- carry the provenance: another name";
                self.add(&format!("{at}.name"), message);
            }
            let name = self.keep(&format!("{at}.name"), HeaderName::parse(&header.name));
            let value = self.expression(&format!("{at}.value"), &header.value);
            Some(ProducedHeader {
                name: name?,
                value: value?,
            })
        });
        let headers: Vec<_> = headers.collect();
        let headers = headers.into_iter().collect::<Option<_>>();
        Some(ProduceStage {
            topic: topic?,
            key: key?,
            value: value?,
            headers: headers?,
        })
    }

    fn custom(&mut self, own: CustomSpec) -> Option<CustomStage> {
        self.written.open();
        let name = self.keep("custom.name", CustomName::parse(&own.name));
        let bytes = own.config.to_string().len();
        if bytes > MAX_CONFIG_BYTES {
            let message = format!("{bytes} bytes of JSON: at most {MAX_CONFIG_BYTES}");
            self.add("custom.config", message);
        }
        Some(CustomStage {
            name: name?,
            config: own.config,
        })
    }
}

fn is_literal(expression: &Expression) -> bool {
    matches!(expression.form(), Form::Integer(_) | Form::Text(_))
}
