//! Judges `spec.sinks` and resolves the names that stages use.
//! Layer: core

use std::path::{Component, PathBuf};

use serde_json::Value;

use super::piece;
use crate::{
    event_pipeline::{EmbeddedSpec, SinkSpec},
    fault::Collector,
    names::{SinkName, shown},
    pipeline::{Sink, SinkBody, SinkId, SinkKind, StageKind},
};

/// What is declared, by name and kind, whether or not the rest of it is right.
#[derive(Debug)]
pub(crate) struct Declared(Vec<(Option<String>, Vec<SinkKind>)>);

impl Declared {
    /// Reads the sinks. The kinds of later versions are refused by name and taken out, before the
    /// schema calls them unknown.
    pub(super) fn take(sinks: Option<&mut Value>, faults: &mut Collector) -> Self {
        let sinks = sinks.and_then(Value::as_array_mut).into_iter().flatten();
        Self(
            sinks
                .enumerate()
                .map(|(at, sink)| entry(at, sink, faults))
                .collect(),
        )
    }

    /// Finds the sink that a stage names, and checks that its kind can serve the stage.
    pub(super) fn resolve(
        &self,
        path: &str,
        name: &str,
        stage: StageKind,
        faults: &mut Collector,
    ) -> Option<SinkId> {
        let at = self
            .0
            .iter()
            .position(|(own, _)| own.as_deref() == Some(name));
        let Some(at) = at else {
            faults.add(
                path,
                format!("{} is no sink: {}", shown(name), self.legal(stage)),
            );
            return None;
        };
        if let [kind] = self.0[at].1[..]
            && !kind.serves(stage)
        {
            let (kind, own, legal) = (kind.field(), stage.field(), self.legal(stage));
            faults.add(
                path,
                format!("the sink {name} is {kind}, which serves no {own}: {legal}"),
            );
        }
        u16::try_from(at).ok().map(SinkId)
    }

    fn legal(&self, stage: StageKind) -> String {
        let serves = |(name, kinds): &(Option<String>, Vec<SinkKind>)| {
            name.clone()
                .filter(|_| kinds.iter().any(|kind| kind.serves(stage)))
        };
        let names = self.0.iter().filter_map(serves).collect::<Vec<_>>();
        if names.is_empty() {
            return format!("no declared sink serves {}", stage.field());
        }
        format!("legal for {}: {}", stage.field(), names.join(", "))
    }
}

/// Name and kinds of one sink.
fn entry(at: usize, sink: &mut Value, faults: &mut Collector) -> (Option<String>, Vec<SinkKind>) {
    let name = sink.get("name").and_then(Value::as_str).map(str::to_owned);
    let set = |kind: &SinkKind| sink.get(kind.field()).is_some();
    let kinds: Vec<_> = SinkKind::ALL.into_iter().filter(set).collect();
    for kind in kinds.iter().filter(|kind| !SinkKind::BUILT.contains(kind)) {
        let built = SinkKind::BUILT.map(SinkKind::field).join(", ");
        let message = format!("this version has no sink of this kind: it has {built}");
        faults.add(format!("spec.sinks[{at}].{}", kind.field()), message);
        sink.as_object_mut()
            .and_then(|fields| fields.remove(kind.field()));
    }
    (name, kinds)
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
        } else if checked.iter().any(|other| other.body == sink.body) {
            let message = "another sink uses the same file: give it a file of its own";
            faults.add(format!("{path}.embedded.path"), message);
        }
        checked.push(sink);
    }
    complete.then_some(checked)
}

fn one(path: &str, written: SinkSpec, faults: &mut Collector) -> Option<Sink> {
    let name = faults.keep(format!("{path}.name"), SinkName::parse(&written.name));
    let body = match written.embedded {
        Some(embedded) => embedded_file(path, embedded, faults),
        None => {
            if !faults.touches(path) {
                let built = SinkKind::BUILT.map(SinkKind::field).join(", ");
                faults.add(path, format!("no kind: exactly one of {built} is needed"));
            }
            None
        }
    };
    Some(Sink {
        name: name?,
        body: body?,
    })
}

fn embedded_file(path: &str, written: EmbeddedSpec, faults: &mut Collector) -> Option<SinkBody> {
    let file = PathBuf::from(&written.path);
    let climbs = file.components().any(|part| part == Component::ParentDir);
    let text = &written.path;
    if text.is_empty() || text.len() > 4096 || text.contains('\0') || climbs || text.ends_with('/')
    {
        let legal = "1 to 4096 bytes, without .. and not a directory, such as store.db";
        faults.add(
            format!("{path}.embedded.path"),
            format!("{} is not a file: {legal}", shown(text)),
        );
        return None;
    }
    Some(SinkBody::Embedded { path: file })
}
