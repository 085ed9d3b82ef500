//! The stages of a validated pipeline, made once at start; an event then walks them lane by lane.
//! Layer: core

pub mod operand;

mod condition;
mod target;

mod index;

mod upsert;

mod count;

mod unique;

mod filter;

mod set;

mod produce;

pub mod http;

pub mod custom;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use penstock_crds::{
    expression::{Expression, Form},
    pipeline::{self as object, Mode, StageBody, ValidatedPipeline},
};

use self::{
    count::Count,
    custom::Registry,
    filter::Filter,
    http::{Http, endpoint::Endpoint},
    index::Index,
    operand::Operand,
    produce::Produce,
    set::Set,
    target::Target,
    unique::Unique,
    upsert::Upsert,
};
use crate::{
    chain::lane::{Entry, Lane, Locality},
    fingerprints::Fingerprints,
    publish::{PRODUCER, Publisher},
    sinks::Sink,
    stage::{Needs, Stage},
};

/// Deadline of an operation of the producer and of stages of users.
const SLOW_DEADLINE: Duration = Duration::from_secs(30);

/// What stages reach the outside with.
#[derive(Clone, Default)]
pub struct Ports {
    /// By the sink's name in the object.
    pub sinks: BTreeMap<Arc<str>, Arc<dyn Sink>>,
    /// There when [`ValidatedPipeline::produces`].
    pub publisher: Option<Arc<dyn Publisher>>,
    /// The stages of the user's own binary.
    pub registry: Registry,
    /// What `http` stages call, by the name of the stage.
    pub endpoints: BTreeMap<Arc<str>, Arc<Endpoint>>,
    /// What `unique` stages have lately seen, by the name of the stage; one without a table asks
    /// its sink for every record.
    pub fingerprints: BTreeMap<Arc<str>, Arc<Fingerprints>>,
}

/// Why a pipeline cannot be run by this binary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildFault {
    /// A port is missing.
    #[error("stage {stage}: nothing is connected for sink {sink}")]
    Unconnected {
        /// Name of the stage.
        stage: Arc<str>,
        /// Name of the sink.
        sink: Arc<str>,
    },
    /// A custom stage that this binary does not bring along.
    #[error("stage {stage}: this binary has no custom stage {name:?}, legal are: {known}")]
    UnknownCustom {
        /// Name of the stage.
        stage: Arc<str>,
        /// The name it refers to.
        name: String,
        /// What the binary has; `none` when it has none.
        known: String,
    },
    /// A custom stage refused its config.
    #[error("stage {stage}: custom stage {name:?} refused its config: {reason}")]
    CustomConfig {
        /// Name of the stage.
        stage: Arc<str>,
        /// The name it refers to.
        name: String,
        /// In the words of the user's factory.
        reason: String,
    },
    /// A stage of a later version.
    #[error("stage {stage}: {kind} is not built into this version")]
    NotBuilt {
        /// Name of the stage.
        stage: Arc<str>,
        /// Which body.
        kind: &'static str,
    },
}

/// Makes the lanes of a pipeline: lane 0 holds the inline stages, then one lane for each detached
/// stage, in the order written (validation puts inline stages first).
///
/// # Errors
/// Every stage that cannot be made, not only the first.
pub fn build(pipeline: &ValidatedPipeline, ports: &Ports) -> Result<Vec<Lane>, Vec<BuildFault>> {
    let builder = Builder { pipeline, ports };
    let (mut lanes, mut faults) = (vec![Lane::default()], Vec::new());
    for stage in &pipeline.stages {
        match builder.entry(stage) {
            Ok(entry) if stage.mode == Mode::Inline => lanes[0].push(entry),
            Ok(entry) => lanes.push(Lane::from(entry)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(lanes)
    } else {
        Err(faults)
    }
}

struct Builder<'a> {
    pipeline: &'a ValidatedPipeline,
    ports: &'a Ports,
}

impl Builder<'_> {
    fn entry(&self, stage: &object::Stage) -> Result<Entry, BuildFault> {
        let name = stage.name.shared();
        let (blame, default_deadline) = self.blame(stage);
        let interpreted = |e: &Expression| e.roots().event && matches!(e.form(), Form::Cel(_));
        Ok(Entry {
            when: stage.when.as_ref().map(|when| Operand::new("when", when)),
            stage: self.stage(&name, stage)?,
            deadline: stage.deadline.unwrap_or(default_deadline),
            locality: match stage.body {
                StageBody::Filter(_) | StageBody::Set(_) => Locality::Local,
                _ => Locality::Remote,
            },
            interprets: stage.expressions().any(interpreted),
            blame,
            name,
        })
    }

    /// Whom a passed deadline is blamed on, and how long it is.
    fn blame(&self, stage: &object::Stage) -> (Arc<str>, Duration) {
        match (stage.body.sink(), &stage.body) {
            (Some(id), _) => {
                let sink = self.pipeline.sink(id);
                (sink.name.shared(), sink.timeout)
            }
            (None, StageBody::Produce(_)) => (Arc::from(PRODUCER), SLOW_DEADLINE),
            (None, StageBody::Http(body)) => (stage.name.shared(), body.timeout),
            (None, _) => (stage.name.shared(), SLOW_DEADLINE),
        }
    }

    fn stage(&self, name: &Arc<str>, stage: &object::Stage) -> Result<Box<dyn Stage>, BuildFault> {
        let needs = if stage.reads_body() {
            Needs::Body
        } else {
            Needs::Record
        };
        Ok(match &stage.body {
            StageBody::Index(body) => Box::new(Index::new(self.target(name, body.sink)?, body)),
            StageBody::Upsert(body) => {
                Box::new(Upsert::new(self.target(name, body.sink)?, body, needs))
            }
            StageBody::Count(body) => {
                Box::new(Count::new(self.target(name, body.sink)?, body, needs))
            }
            StageBody::Unique(body) => {
                let seen = self.ports.fingerprints.get(name).map(Arc::clone);
                Box::new(Unique::new(
                    self.target(name, body.sink)?,
                    body,
                    needs,
                    seen,
                ))
            }
            StageBody::Filter(body) => Box::new(Filter::new(body, needs)),
            StageBody::Set(body) => Box::new(Set::new(body, needs)),
            StageBody::Produce(body) => {
                Box::new(Produce::new(name, self.publisher(name)?, body, needs))
            }
            StageBody::Custom(body) => self.custom(name, body)?,
            StageBody::Http(body) => Box::new(Http::new(name, self.endpoint(name)?, body, needs)),
            other => {
                let (stage, kind) = (Arc::clone(name), other.kind().field());
                return Err(BuildFault::NotBuilt { stage, kind });
            }
        })
    }

    fn target(&self, stage: &Arc<str>, id: object::SinkId) -> Result<Target, BuildFault> {
        let (stage, name) = (Arc::clone(stage), self.pipeline.sink(id).name.shared());
        match self.ports.sinks.get(&name) {
            Some(sink) => Ok(Target {
                stage,
                name,
                sink: Arc::clone(sink),
            }),
            None => Err(BuildFault::Unconnected { stage, sink: name }),
        }
    }

    fn endpoint(&self, stage: &Arc<str>) -> Result<Arc<Endpoint>, BuildFault> {
        let unconnected = || BuildFault::Unconnected {
            stage: Arc::clone(stage),
            sink: Arc::clone(stage),
        };
        let endpoint = self.ports.endpoints.get(stage);
        endpoint.map(Arc::clone).ok_or_else(unconnected)
    }

    fn publisher(&self, stage: &Arc<str>) -> Result<Arc<dyn Publisher>, BuildFault> {
        let unconnected = || BuildFault::Unconnected {
            stage: Arc::clone(stage),
            sink: Arc::from(PRODUCER),
        };
        self.ports.publisher.clone().ok_or_else(unconnected)
    }

    fn custom(
        &self,
        stage: &Arc<str>,
        body: &object::CustomStage,
    ) -> Result<Box<dyn Stage>, BuildFault> {
        let (stage, name) = (Arc::clone(stage), body.name.as_str().to_owned());
        match self.ports.registry.make(&name, body.config.clone()) {
            Some(Ok(made)) => Ok(made),
            Some(Err(reason)) => Err(BuildFault::CustomConfig {
                stage,
                name,
                reason,
            }),
            None => {
                let known = self.ports.registry.names().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known
                };
                Err(BuildFault::UnknownCustom { stage, name, known })
            }
        }
    }
}
