//! The processor's own line in this process: source, dispatcher and chain as a pod runs them.
//! Layer: shell

use std::time::{Duration, Instant};

use penstock_processor::{
    budgets, plan,
    run::{Options, Running},
    source::{
        security::Security,
        settings::{ClientTuning, GroupProtocol, SourceSettings, Start},
    },
    stages::custom::Registry,
};
use penstock_sizing::{Bytes, Plan};

use super::{
    BrokerError, PATIENCE, Round, Shape, Span,
    topic::{PARTITIONS, Topic},
    watch::{self, Watch},
};

/// The smallest stage that ships: one condition on the record, no body parsed.
const FILTER: &str = "filter: {keep: has(record.key)}";

/// How often progress is looked at; what a round's end is late by.
const LOOK: Duration = Duration::from_millis(1);

/// As the processor does it.
const TICK: Duration = Duration::from_millis(10);

const GRACE: Duration = Duration::from_secs(20);

/// One round with the filter; faults are records not finished exactly once by count, and
/// partitions whose commit is not the end of the log.
pub(super) fn round(topic: &Topic, shape: &Shape) -> Result<Round, BrokerError> {
    run(topic, shape, (FILTER, Registry::new()))
}

/// One round under the oracle's eyes, in a stage of its own. Stages of users are taken for remote,
/// so each record is a turn by itself, and the rate is another one.
pub(super) fn watched_round(topic: &Topic, shape: &Shape) -> Result<Round, BrokerError> {
    let watch = Watch::new(&topic.ends()?, shape.keys);
    let stage = format!("custom: {{name: {}}}", watch::NAME);
    let round = run(topic, shape, (&stage, Watch::registry(&watch)))?;
    Ok(Round {
        faults: round.faults + watch.faults(),
        ..round
    })
}

fn run(topic: &Topic, shape: &Shape, stage: (&str, Registry)) -> Result<Round, BrokerError> {
    let group = format!("{}-{}", topic.name, crate::clock::unique());
    let options = options(topic, shape, &group, stage)?;
    let plan = plan(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(plan.runtime.threads as usize)
        .max_blocking_threads(plan.runtime.blocking_threads as usize)
        .enable_all()
        .build()?;
    let round = runtime.block_on(process(&options, &plan, shape))?;
    drop(runtime);
    Ok(Round {
        faults: round.faults + topic.uncommitted(&group)?,
        ..round
    })
}

async fn process(options: &Options, plan: &Plan, shape: &Shape) -> Result<Round, BrokerError> {
    let running = Running::start(options, plan)?;
    let counters = running.counters();
    let mut looks = tokio::time::interval(LOOK);
    let (mut span, deadline) = (None, Instant::now() + PATIENCE);
    let mut ticked = Instant::now();
    loop {
        let now = looks.tick().await.into_std();
        if now - ticked >= TICK {
            ticked = now;
            running.check()?;
            running.tick();
        }
        let seen = counters.totals().total();
        if seen > 0 {
            span.get_or_insert_with(Span::begin);
        }
        if seen >= shape.records {
            break;
        }
        if now > deadline {
            let records = shape.records;
            return Err(BrokerError::Stuck { seen, records });
        }
    }
    let round = span.unwrap_or_else(Span::begin).end(shape.records, 0);
    running.stop(GRACE).await?;
    let finished = counters.totals();
    Ok(Round {
        faults: finished.total().abs_diff(shape.records) + finished.done.abs_diff(shape.records),
        ..round
    })
}

fn options(
    topic: &Topic,
    shape: &Shape,
    group: &str,
    (stage, registry): (&str, Registry),
) -> Result<Options, BrokerError> {
    let text = format!(
        "apiVersion: penstock.dev/v1alpha1
kind: EventPipeline
metadata: {{name: bench}}
spec:
  source:
    bootstrapServers: [\"{}\"]
    topics: [{{name: {}}}]
    consumerGroup: {group}
    start: Earliest
    maxMessageBytes: 1Mi
    groupProtocol: Classic
    facts: {{partitions: {PARTITIONS}, brokers: 1, largestBatchBytes: 1Mi, codec: None, typicalValueBytes: 1Ki}}
  ordering: PerKey
  resources: {{limits: {{memory: 512Mi, cpu: \"2\"}}}}
  stages:
    - name: nothing
      {stage}
",
        shape.bootstrap, topic.name
    );
    let parsed =
        penstock_crds::parse(&text).map_err(|faults| BrokerError::Pipeline(faults.to_string()))?;
    Ok(Options {
        pipeline: parsed.pipeline,
        facts: plan::Facts::default(),
        secrets: Default::default(),
        settings: None,
        status_address: ([127, 0, 0, 1], 0).into(),
        registry,
        termination_log: None,
    })
}

/// The client's properties as the line sets them: what its memory plan and its promises cost a
/// client by itself.
pub(super) fn properties(
    topic: &Topic,
    shape: &Shape,
) -> Result<Vec<(&'static str, String)>, BrokerError> {
    let options = options(topic, shape, "unused", (FILTER, Registry::new()))?;
    let plan = plan(&options)?;
    let client = &options.pipeline.source.client;
    let settings = SourceSettings {
        bootstrap: shape.bootstrap.clone(),
        security: Security::default(),
        group: "unused".to_owned(),
        topics: Vec::new(),
        protocol: GroupProtocol::Classic,
        start: Start::Earliest,
        max_message_bytes: 0,
        limits: budgets::client(&plan.client),
        tuning: ClientTuning::default(),
        commit_interval: client.commit_interval,
        drain_deadline: client.drain,
    };
    Ok(settings.properties())
}

fn plan(options: &Options) -> Result<Plan, BrokerError> {
    let limit = Bytes(options.pipeline.resources.memory_limit.bytes());
    let demand = plan::demand(&options.pipeline, &options.facts);
    penstock_sizing::derive(limit, &demand)
        .map_err(|refusal| BrokerError::Pipeline(refusal.to_string()))
}
