//! Opens what the stages reach outside: the declared sinks and the endpoints of `http` stages.
//! Layer: shell

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use penstock_crds::pipeline::{
    HttpMethod, HttpStage, RedisSink, Sink as Declared, SinkBody, SinkId, StageBody,
    ValidatedPipeline,
};
use penstock_sizing::Plan;

use super::{Options, RunError, assemble::BREAKER};
use crate::{
    budgets, plan,
    sinks::{
        Sink, SinkError,
        elasticsearch::Elasticsearch,
        embedded::Embedded,
        flush_target::FlushTarget,
        guard::{GuardSettings, Guarded},
        mongodb::Mongodb,
        outages::{Breaking, Outages},
        reach,
        redis::{
            Redis,
            keyspace::Keyspace,
            settings::{self, FlushRoute, RedisSettings},
        },
    },
    stages::http::endpoint::{self, AnswerUse, Endpoint, EndpointMethod, EndpointSettings},
    stores::sink_plan,
};

/// How long Redis keeps a counter after its last flush: a counter that is touched again within it
/// needs no look-up of its document.
const COUNTER_LIFETIME: Duration = Duration::from_secs(3600);

/// Connections of a Redis sink; the plan counts two.
const REDIS_CONNECTIONS: usize = 2;

/// Sinks and endpoints by name, and when each may be tried.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) sinks: BTreeMap<Arc<str>, Arc<dyn Sink>>,
    pub(super) endpoints: BTreeMap<Arc<str>, Arc<Endpoint>>,
    pub(super) outages: Outages,
    /// The sinks that take flushes; open before those that flush to them.
    targets: BTreeMap<Arc<str>, Arc<dyn FlushTarget>>,
}

/// Opens everything that a pipeline names.
pub(super) fn open(options: &Options, plan: &Plan) -> Result<Outside, RunError> {
    let opener = Opener {
        pipeline: &options.pipeline,
        secrets: &options.secrets,
        plan,
    };
    let mut outside = Outside::default();
    let (flushing, others): (Vec<_>, Vec<_>) = options
        .pipeline
        .sinks
        .iter()
        .partition(|sink| matches!(sink.body, SinkBody::Redis(_)));
    for sink in others.into_iter().chain(flushing) {
        opener
            .sink(sink, &mut outside)
            .map_err(|source| RunError::Sink {
                name: sink.name.to_string(),
                source,
            })?;
    }
    for stage in &options.pipeline.stages {
        if let StageBody::Http(body) = &stage.body {
            let name = stage.name.shared();
            let endpoint = opener
                .endpoint(&name, body)
                .map_err(|source| RunError::Sink {
                    name: name.to_string(),
                    source,
                })?;
            outside.outages.watch(Arc::clone(&name), endpoint.guard());
            outside.endpoints.insert(name, Arc::new(endpoint));
        }
    }
    Ok(outside)
}

struct Opener<'o> {
    pipeline: &'o ValidatedPipeline,
    /// Where the Secrets are mounted.
    secrets: &'o Path,
    plan: &'o Plan,
}

impl Opener<'_> {
    fn sink(&self, sink: &Declared, outside: &mut Outside) -> Result<(), SinkError> {
        let sizes = sink_plan(self.plan, sink.name.as_str());
        match &sink.body {
            SinkBody::Embedded { path } => {
                let opened = Embedded::open(budgets::embedded(path, sizes, self.plan))?;
                outside.add(sink, Guarded::new(opened, self.guard(sink)));
            }
            SinkBody::Redis(body) => {
                let opened = Redis::open(self.redis(sink, body, outside)?);
                outside.add(sink, Guarded::new(opened, self.guard(sink)));
            }
            SinkBody::Elasticsearch(body) => {
                let settings = reach::search_cluster(body, self.secrets);
                let opened = Elasticsearch::open(&settings, budgets::grouped(sizes, self.plan))?;
                outside.add_target(sink, Guarded::new(opened, self.guard(sink)));
            }
            SinkBody::Mongodb(body) => {
                let settings = reach::document_store(body, self.secrets);
                let opened = Mongodb::open(&settings, budgets::grouped(sizes, self.plan))?;
                outside.add_target(sink, Guarded::new(opened, self.guard(sink)));
            }
        }
        Ok(())
    }

    fn guard(&self, sink: &Declared) -> GuardSettings {
        GuardSettings {
            timeout: sink.timeout,
            concurrency: sink.concurrency.unwrap_or(budgets::concurrency(self.plan)),
            breaker: BREAKER,
        }
    }

    fn redis(
        &self,
        sink: &Declared,
        body: &RedisSink,
        outside: &Outside,
    ) -> Result<RedisSettings, SinkError> {
        let sizes = sink_plan(self.plan, sink.name.as_str());
        let ways = self.ways(sink);
        let batch_bytes = settings::batch_bytes(sizes, ways.len());
        let routes = ways.into_iter().map(|(name, way)| {
            let target = outside.targets.get(&name).map(Arc::clone);
            Ok(FlushRoute {
                target: target.ok_or_else(|| SinkError::Unavailable {
                    reason: format!("sink {name} takes no counters"),
                })?,
                sink: name,
                stages: way.stages,
                interval: way.interval,
                batch_keys: way.batch_keys,
                batch_bytes,
                lifetime: COUNTER_LIFETIME,
            })
        });
        Ok(RedisSettings {
            server: reach::counter_store(body, self.secrets),
            keyspace: Keyspace::new(&self.pipeline.namespace, &self.pipeline.name),
            connections: REDIS_CONNECTIONS,
            queue_bytes: settings::queue_bytes(sizes),
            routes: routes.collect::<Result<_, SinkError>>()?,
        })
    }

    /// The flushes of the stages that count in a sink, by target. Stages of one target share its
    /// counters, so the shortest interval and the smallest batch hold for all.
    fn ways(&self, sink: &Declared) -> BTreeMap<Arc<str>, Way> {
        let mut ways: BTreeMap<Arc<str>, Way> = BTreeMap::new();
        for stage in &self.pipeline.stages {
            let StageBody::Count(count) = &stage.body else {
                continue;
            };
            let Some(flush) = count.flush.as_ref() else {
                continue;
            };
            if self.pipeline.sink(count.sink).name != sink.name {
                continue;
            }
            let batch_keys = usize::try_from(flush.batch_keys).unwrap_or(usize::MAX);
            let way = ways.entry(self.name(flush.sink)).or_insert(Way {
                stages: Vec::new(),
                interval: flush.interval,
                batch_keys,
            });
            way.stages.push(stage.name.shared());
            way.interval = way.interval.min(flush.interval);
            way.batch_keys = way.batch_keys.min(batch_keys);
        }
        ways
    }

    fn name(&self, id: SinkId) -> Arc<str> {
        self.pipeline.sink(id).name.shared()
    }

    fn endpoint(&self, stage: &Arc<str>, body: &HttpStage) -> Result<Endpoint, SinkError> {
        let sizes = sink_plan(self.plan, &plan::endpoint(stage));
        Endpoint::open(EndpointSettings {
            url: body.url.to_string(),
            method: match body.method {
                HttpMethod::Post => EndpointMethod::Post,
                HttpMethod::Put => EndpointMethod::Put,
            },
            token: body
                .secret
                .as_ref()
                .map(|secret| self.secrets.join(secret.as_str()).join("token")),
            answer: match body.returning {
                Some(_) => AnswerUse::Content,
                None => AnswerUse::Status,
            },
            queue_bytes: endpoint::queue_bytes(sizes),
            guard: GuardSettings {
                timeout: body.timeout,
                concurrency: budgets::concurrency(self.plan),
                breaker: BREAKER,
            },
        })
    }
}

/// How the counters of some stages reach one target.
struct Way {
    stages: Vec<Arc<str>>,
    interval: Duration,
    batch_keys: usize,
}

impl Outside {
    /// A sink that takes flushes, too.
    fn add_target<S: Sink + FlushTarget + 'static>(
        &mut self,
        sink: &Declared,
        guarded: Guarded<S>,
    ) {
        let guarded = Arc::new(guarded);
        let target: Arc<dyn FlushTarget> = Arc::clone(&guarded) as _;
        self.targets.insert(sink.name.shared(), target);
        self.watch(sink, guarded);
    }

    fn add<S: Sink + 'static>(&mut self, sink: &Declared, guarded: Guarded<S>) {
        self.watch(sink, Arc::new(guarded));
    }

    fn watch<S: Sink + 'static>(&mut self, sink: &Declared, guarded: Arc<Guarded<S>>) {
        let name = sink.name.shared();
        let breaking: Arc<dyn Breaking> = Arc::clone(&guarded) as _;
        self.outages.watch(Arc::clone(&name), breaking);
        self.sinks.insert(name, guarded);
    }
}
