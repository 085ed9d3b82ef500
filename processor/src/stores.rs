//! Sinks, endpoints, tables and producer as the memory plan sees them: what they hold, new sizes.
//! Layer: core

use std::{collections::BTreeMap, sync::Arc};

use penstock_sizing::{Bytes, Plan, SinkPlan};

use crate::{
    fingerprints::Fingerprints,
    plan::{self, PRODUCER},
    publish::Publisher,
    sinks::Sink,
    stages::http::endpoint::Endpoint,
};

/// What the pools of sinks and caches are for.
#[derive(Clone, Default)]
pub struct Stores {
    /// By their name in the object.
    pub sinks: BTreeMap<Arc<str>, Arc<dyn Sink>>,
    /// By the name of their stage.
    pub endpoints: BTreeMap<Arc<str>, Arc<Endpoint>>,
    /// By the name of their stage.
    pub fingerprints: BTreeMap<Arc<str>, Arc<Fingerprints>>,
    /// Of `produce` stages and dead letters.
    pub publisher: Option<Arc<dyn Publisher>>,
}

impl Stores {
    /// Puts the sizes of a new plan into force; what is on its way stays. Call it inside a runtime.
    pub fn resize(&self, plan: &Plan) {
        for (name, sink) in &self.sinks {
            sink.resize(sink_plan(plan, name));
        }
        for (stage, endpoint) in &self.endpoints {
            endpoint.resize(sink_plan(plan, &plan::endpoint(stage)));
        }
        for cache in &plan.caches {
            if let Some(table) = self.fingerprints.get(cache.name.as_str()) {
                table.resize(cache.bytes.0);
            }
        }
        if let Some(publisher) = &self.publisher {
            publisher.resize(sink_plan(plan, PRODUCER));
        }
    }

    /// Bytes that the sinks hold of their pool.
    #[must_use]
    pub fn held_by_sinks(&self, plan: &Plan) -> Bytes {
        let sinks = self.sinks.iter();
        let sinks = sinks.map(|(name, sink)| sink_plan(plan, name).held(sink.taken_permille()));
        let endpoints = self.endpoints.iter().map(|(stage, endpoint)| {
            sink_plan(plan, &plan::endpoint(stage)).held(endpoint.taken_permille())
        });
        let publisher = self.publisher.iter();
        let publisher = publisher.map(|p| sink_plan(plan, PRODUCER).held(p.taken_permille()));
        let all = sinks.chain(endpoints).chain(publisher);
        Bytes(all.map(|bytes| bytes.0).sum())
    }

    /// Bytes that the tables hold of theirs: all of it from the start.
    #[must_use]
    pub fn held_by_caches(&self) -> Bytes {
        Bytes(self.fingerprints.values().map(|table| table.bytes()).sum())
    }
}

/// The sizes of a sink by its name in the plan.
///
/// # Panics
/// When the plan is not of the pipeline that the sink belongs to.
pub(crate) fn sink_plan<'p>(plan: &'p Plan, name: &str) -> &'p SinkPlan {
    let found = plan.sinks.iter().find(|sink| sink.name == name);
    found.expect("the demand names every sink of the pipeline")
}
