//! Makes the parts of the line from pipeline and plan.
//! Layer: shell

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use penstock_crds::pipeline::{self, ValidatedPipeline};
use penstock_sizing::{CachePlan, Plan, SinkPlan};
use tokio::task::JoinSet;

use super::{
    Options, RunError,
    outside::{self, Outside},
};
use crate::{
    admission::{Admissions, DispatcherIntake},
    budgets,
    chain::{Chain, lane},
    clock::Clock,
    dispatch::pool::{Budgets, Dispatcher, Lanes, Locality, PoolId, TURN},
    failure::Policy,
    fingerprints::Fingerprints,
    keys,
    metrics::Counters,
    plan::PRODUCER,
    publish::Publisher,
    sinks::{
        guard::breaker::BreakerPolicy,
        kafka::{self, Compression, Connection, Producer, ProducerSettings},
    },
    source::{
        intake::Intake,
        security::Security,
        settings::{ClientTuning, GroupProtocol, SourceSettings, Start},
    },
    stages::Ports,
    stores::{Stores, sink_plan},
    troubles::Troubles,
    work::Work,
    worker::{self, Workshop},
};

/// How long a delivery may take: the default deadline of the producer.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A batch of produced records waits this long for company. Each record holds a worker until it is
/// acknowledged, so the wait bounds the rate; the workers' records come together anyway.
const LINGER: Duration = Duration::from_millis(1);

/// Three failures in a row open a breaker; the first wait is short because a restart is the
/// commonest outage, the longest is what a recovered sink may stay unnoticed.
pub(super) const BREAKER: BreakerPolicy = BreakerPolicy {
    threshold: 3,
    initial: Duration::from_millis(200),
    max: Duration::from_secs(10),
};

/// Workers of a thread where no stage waits: one at work, and one whose dead letter is under way.
const LOCAL_PER_THREAD: u32 = 2;

/// Everything between source and sinks.
pub(super) struct Line {
    pub(super) topics: Vec<Arc<str>>,
    pub(super) dispatcher: Dispatcher<Work>,
    pub(super) workshop: Arc<Workshop>,
    /// They follow a changed limit.
    pub(super) stores: Stores,
}

/// Makes dispatcher, sinks and stages.
pub(super) fn line(options: &Options, plan: &Plan) -> Result<Line, RunError> {
    let pipeline = &options.pipeline;
    let Outside {
        sinks,
        endpoints,
        outages,
        ..
    } = outside::open(options, plan)?;
    let publisher = match pipeline.produces() {
        true => Some(producer(options, sink_plan(plan, PRODUCER))?),
        false => None,
    };
    let ports = Ports {
        sinks: sinks.clone(),
        publisher: publisher.clone(),
        registry: options.registry.clone(),
        endpoints: endpoints.clone(),
        fingerprints: fingerprints(plan),
    };
    let active = plan.pools[penstock_sizing::Pool::Active].0;
    let chain = Chain::build(pipeline, &ports, active).map_err(RunError::Stages)?;
    let topic = pipeline.failure.dead_letter_topic.as_ref();
    let workshop = Workshop {
        policy: Policy::from(&pipeline.failure),
        letters: topic.and_then(|topic| Some((topic.shared(), publisher.clone()?))),
        outages,
        counters: Arc::new(Counters::default()),
        troubles: Arc::new(Troubles::default()),
        clock: Clock::start(),
        chain,
    };
    let detached = workshop.chain.lanes().len() - 1;
    let budgets = limits(plan, workshop.chain.lanes()[0].locality());
    Ok(Line {
        topics: pipeline
            .source
            .topics
            .iter()
            .map(|topic| topic.shared())
            .collect(),
        dispatcher: Dispatcher::new(Lanes::isolated(detached), budgets),
        workshop: Arc::new(workshop),
        stores: Stores {
            sinks,
            endpoints,
            fingerprints: ports.fingerprints,
            publisher,
        },
    })
}

impl Line {
    /// One pool of workers for the inline stages, one for each detached stage.
    pub(super) fn start_workers(&self, plan: &Plan) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (index, lane) in (0..).zip(self.workshop.chain.lanes()) {
            let locality = match lane.locality() {
                lane::Locality::Local => Locality::Local,
                lane::Locality::Remote => Locality::Remote,
            };
            let runtime = &plan.runtime;
            let count = match (index, locality) {
                (0, Locality::Local) => local_workers(plan),
                (0, Locality::Remote) => runtime.workers,
                _ => runtime.detached_workers,
            };
            for _ in 0..count {
                let worker = self.dispatcher.worker(PoolId(index), locality);
                tasks.spawn(worker::serve(Arc::clone(&self.workshop), worker));
            }
        }
        tasks
    }

    /// What the source hands its records to.
    pub(super) fn intake(&self, options: &Options) -> Box<dyn Intake> {
        let pipeline = &options.pipeline;
        Box::new(DispatcherIntake::new(Admissions {
            dispatcher: self.dispatcher.clone(),
            topics: self.topics.clone(),
            generation: pipeline.source.generation,
            key_rule: keys::KeyRule::of(pipeline),
            hasher: keys::hasher(pipeline),
            largest: pipeline.source.max_message_bytes,
        }))
    }

    /// What the source is told.
    pub(super) fn source_settings(&self, options: &Options, plan: &Plan) -> SourceSettings {
        let source = &options.pipeline.source;
        SourceSettings {
            bootstrap: bootstrap(&options.pipeline),
            security: Security::of(source, &options.secrets),
            group: source.consumer_group.to_string(),
            topics: self.topics.iter().map(|topic| topic.to_string()).collect(),
            protocol: match source.group_protocol {
                pipeline::GroupProtocol::Classic => GroupProtocol::Classic,
                pipeline::GroupProtocol::Consumer => GroupProtocol::Consumer,
            },
            start: match source.start {
                pipeline::Start::Earliest => Start::Earliest,
                pipeline::Start::Latest => Start::Latest,
                pipeline::Start::Timestamp(at) => Start::Timestamp(at),
            },
            max_message_bytes: usize::try_from(source.max_message_bytes).unwrap_or(usize::MAX),
            limits: budgets::client(&plan.client),
            tuning: ClientTuning {
                fetch_wait: source.client.fetch_wait,
                session_timeout: source.client.session_timeout,
                max_poll_interval: source.client.poll_interval,
                rack: source.client.rack.clone(),
            },
            commit_interval: source.client.commit_interval,
            drain_deadline: source.client.drain,
        }
    }
}

/// More workers than that would only split the turns.
fn local_workers(plan: &Plan) -> u32 {
    let runtime = &plan.runtime;
    runtime.workers.min(runtime.threads * LOCAL_PER_THREAD)
}

/// The plan's budgets. Its limit on records in flight is for stages that wait for others; where
/// none does, every worker may hold a whole turn of one partition.
pub(super) fn limits(plan: &Plan, inline: lane::Locality) -> Budgets {
    let mut budgets = budgets::dispatcher(plan);
    if inline == lane::Locality::Local {
        let turns = local_workers(plan) * TURN;
        budgets.partition.running = budgets.partition.running.max(turns);
    }
    budgets
}

/// The tables of the `unique` stages, as large as the plan says.
fn fingerprints(plan: &Plan) -> BTreeMap<Arc<str>, Arc<Fingerprints>> {
    let table = |cache: &CachePlan| {
        let table = Fingerprints::new(cache.bytes.0);
        (Arc::from(cache.name.as_str()), Arc::new(table))
    };
    plan.caches.iter().map(table).collect()
}

fn producer(options: &Options, sizes: &SinkPlan) -> Result<Arc<dyn Publisher>, RunError> {
    let fail = |source| RunError::Sink {
        name: PRODUCER.to_owned(),
        source,
    };
    let source = &options.pipeline.source;
    let connection = Connection {
        bootstrap: bootstrap(&options.pipeline),
        security: Security::of(source, &options.secrets),
    };
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let settings = ProducerSettings {
        queue_records: kafka::queue_records(sizes.batch.0),
        queue_bytes: narrow(sizes.batch.0),
        max_message_bytes: narrow(budgets::produced(source.max_message_bytes)),
        delivery_timeout: DELIVERY_TIMEOUT,
        linger: LINGER,
        compression: Compression::None,
    };
    Ok(Arc::new(
        Producer::open(connection, settings).map_err(fail)?,
    ))
}

/// The brokers in the client's form.
pub(crate) fn bootstrap(pipeline: &ValidatedPipeline) -> String {
    let servers = pipeline.source.bootstrap_servers.iter();
    servers
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}
