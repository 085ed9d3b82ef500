//! Judges `spec.sinks` and resolves the names that stages use.
//! Layer: core

mod bodies;

use std::time::Duration;

use serde_json::Value;

use super::piece;
use crate::{
    event_pipeline::SinkSpec,
    fault::Collector,
    names::{SinkName, shown},
    pipeline::{Sink, SinkBody, SinkId, SinkKind, StageKind},
};

/// What is declared, by name and kind, whether or not the rest of it is right.
#[derive(Debug)]
pub(crate) struct Declared(Vec<(Option<String>, Vec<SinkKind>)>);

impl Declared {
    /// Reads the names and kinds of the sinks.
    pub(super) fn read(sinks: Option<&Value>) -> Self {
        let sinks = sinks.and_then(Value::as_array).into_iter().flatten();
        Self(sinks.map(entry).collect())
    }

    /// Name of an embedded sink, if there is one.
    pub(super) fn embedded(&self) -> Option<&str> {
        let embedded = |(_, kinds): &&(_, Vec<SinkKind>)| kinds.contains(&SinkKind::Embedded);
        self.0
            .iter()
            .find(embedded)
            .map(|(name, _)| name.as_deref().unwrap_or_default())
    }

    /// Kind of the sink that a stage was resolved to; `None` when it has several or none.
    pub(super) fn kind(&self, id: SinkId) -> Option<SinkKind> {
        match self.0.get(id.index())?.1[..] {
            [kind] => Some(kind),
            _ => None,
        }
    }

    /// Finds the sink that a stage names, and checks that its kind can serve the stage.
    pub(super) fn resolve(
        &self,
        path: &str,
        name: &str,
        stage: StageKind,
        faults: &mut Collector,
    ) -> Option<SinkId> {
        let want = Want {
            what: stage.field(),
            fits: &|kind| kind.serves(stage),
        };
        self.find(path, name, &want, faults)
    }

    /// Finds the sink that counters are flushed to, and checks its kind.
    pub(super) fn resolve_flush(
        &self,
        path: &str,
        name: &str,
        faults: &mut Collector,
    ) -> Option<SinkId> {
        let want = Want {
            what: "flush",
            fits: &SinkKind::takes_flushes,
        };
        self.find(path, name, &want, faults)
    }

    fn find(
        &self,
        path: &str,
        name: &str,
        want: &Want<'_>,
        faults: &mut Collector,
    ) -> Option<SinkId> {
        let mut sinks = self.0.iter();
        let at = sinks.position(|(own, _)| own.as_deref() == Some(name));
        let Some(at) = at else {
            let message = format!("{} is no sink: {}", shown(name), self.legal(want));
            faults.add(path, message);
            return None;
        };
        if let [kind] = self.0[at].1[..]
            && !(want.fits)(kind)
        {
            let (kind, what, legal) = (kind.field(), want.what, self.legal(want));
            let message = format!("the sink {name} is {kind}, which serves no {what}: {legal}");
            faults.add(path, message);
        }
        u16::try_from(at).ok().map(SinkId)
    }

    fn legal(&self, want: &Want<'_>) -> String {
        let fits = |(name, kinds): &(Option<String>, Vec<SinkKind>)| {
            name.clone()
                .filter(|_| kinds.iter().any(|kind| (want.fits)(*kind)))
        };
        let names = self.0.iter().filter_map(fits).collect::<Vec<_>>();
        if names.is_empty() {
            return format!("no declared sink serves {}", want.what);
        }
        format!("legal for {}: {}", want.what, names.join(", "))
    }
}

/// What a sink is looked for.
struct Want<'a> {
    what: &'a str,
    fits: &'a dyn Fn(SinkKind) -> bool,
}

/// Name and kinds of one sink.
fn entry(sink: &Value) -> (Option<String>, Vec<SinkKind>) {
    let name = sink.get("name").and_then(Value::as_str).map(str::to_owned);
    let set = |kind: &SinkKind| sink.get(kind.field()).is_some_and(|own| !own.is_null());
    (name, SinkKind::ALL.into_iter().filter(set).collect())
}

pub(super) fn check(sinks: Option<&Value>, faults: &mut Collector) -> Option<Vec<Sink>> {
    let mut checked: Vec<Sink> = Vec::new();
    let mut complete = true;
    for (at, tree) in sinks
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let path = format!("spec.sinks[{at}]");
        let sink = piece::<SinkSpec>(Some(tree)).and_then(|own| one(&path, own, faults));
        let Some(sink) = sink else {
            complete = false;
            continue;
        };
        if checked.iter().any(|other| other.name == sink.name) {
            let message = format!("a sink named {} is already there", sink.name);
            faults.add(format!("{path}.name"), message);
        } else if same_file(&sink, &checked) {
            let message = "another sink uses the same file: give it a file of its own";
            faults.add(format!("{path}.embedded.path"), message);
        }
        checked.push(sink);
    }
    complete.then_some(checked)
}

fn same_file(sink: &Sink, others: &[Sink]) -> bool {
    sink.body.kind() == SinkKind::Embedded && others.iter().any(|other| other.body == sink.body)
}

fn one(path: &str, written: SinkSpec, faults: &mut Collector) -> Option<Sink> {
    let name = faults.keep(format!("{path}.name"), SinkName::parse(&written.name));
    let timeout = written.timeout_seconds;
    let concurrency = written.concurrency;
    let body = body(path, written, faults);
    let body = body?;
    Some(Sink {
        name: name?,
        timeout: timeout.map_or(body.kind().default_timeout(), |seconds| {
            Duration::from_secs(seconds.into())
        }),
        concurrency,
        body,
    })
}

/// Judges every body that is set, so that a second one hides no fault of the first.
fn body(path: &str, written: SinkSpec, faults: &mut Collector) -> Option<SinkBody> {
    let at = |kind: SinkKind| format!("{path}.{}", kind.field());
    let elasticsearch = written
        .elasticsearch
        .map(|own| bodies::from_elasticsearch(&at(SinkKind::Elasticsearch), &own, faults));
    let documents = written
        .mongodb
        .map(|own| bodies::from_mongodb(&at(SinkKind::Mongodb), &own, faults));
    let counters = written
        .redis
        .map(|own| bodies::from_redis(&at(SinkKind::Redis), &own, faults));
    let embedded = written
        .embedded
        .map(|own| bodies::from_embedded(&at(SinkKind::Embedded), &own, faults));
    let judged = [elasticsearch, documents, counters, embedded];
    let kinds = SinkKind::ALL.iter().zip(&judged);
    let set: Vec<_> = kinds
        .filter(|(_, body)| body.is_some())
        .map(|(kind, _)| kind.field())
        .collect();
    let all = SinkKind::ALL.map(SinkKind::field).join(", ");
    if set.len() > 1 {
        let set = set.join(" and ");
        faults.add(path, format!("{set}: exactly one of {all} is needed"));
    } else if set.is_empty() && !faults.touches(path) {
        faults.add(path, format!("no kind: exactly one of {all} is needed"));
    }
    judged.into_iter().flatten().next().flatten()
}
