//! Conducts a run: broker, production, processor and observers beside each other, then the audit.
//! Layer: shell

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use penstock_crds::Faults;
use penstock_processor::plan::{Facts, demand};
use penstock_sizing::{Bytes, Refusal, derive};

use super::{
    audit::{Audit, Findings},
    broker::{Broker, BrokerError, Topic},
    cgroup::Cgroup,
    child::Launch,
    commits::{self, Watched},
    dead_letters::{self, Origins},
    folder::Folder,
    log::Log,
    pacing::{Limits, Pacing},
    pipeline::{self, Membership, Rewrite, RewriteError},
    producer::{self, Production},
    progress::{Audience, Progress},
    reference::Reference,
    schedule::Schedule,
    shared::{Shared, TICK},
    sink::{self, SinkError},
    status,
    storefront::{SPAN_MS, Storefront, Workload},
    supervise::{self, Observed, SuperviseError, Supervision},
    verdict::{self, Measured, Verdict},
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records to produce.
    pub records: u32,
    /// Distinct keys.
    pub keys: u32,
    /// Partitions of the source topic.
    pub partitions: u32,
    /// Memory limit of the processor, bytes.
    pub memory_bytes: u64,
    /// SIGKILLs.
    pub kills: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// A running broker; `None` starts the embedded one.
    pub bootstrap_servers: Option<String>,
    /// Who watches.
    pub audience: Audience,
    /// The program that is started as `… run -f FILE --status-address ADDRESS`.
    pub processor: PathBuf,
    /// Longest time without a new commit.
    pub patience: Duration,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something of this machine could not be had.
    #[error("failed to {what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] RewriteError),
    /// There is no plan for the limit.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The rewritten example is not valid.
    #[error("the rewritten example pipeline is not valid: {0}")]
    Faults(#[from] Faults),
    /// The processor, or one of the threads around it.
    #[error(transparent)]
    Processor(#[from] SuperviseError),
    /// The sink's file.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The clock stands before 1970 or after the year 292,000,000.
    #[error("the system clock is out of range")]
    Clock,
}

/// What a run comes to.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// Each broken promise in words.
    pub broken: Vec<String>,
    /// The first few findings in words.
    pub examples: Vec<String>,
    /// What remains to be looked into; `None` after a pass.
    pub remains: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// When it could not be run to its end; a broken promise is no error but a verdict.
pub fn conduct(options: &Options) -> Result<Conclusion, DemoError> {
    let folder = Folder::create(options.seed).map_err(machine("create a folder for the run"))?;
    let scene = Scene::set(options, &folder)?;
    let played = scene.play(options)?;
    let findings = scene.audit(&played)?;
    let measured = scene.measured(&played);
    let (verdict, broken) = verdict::judge(&measured, &findings);
    let path = folder.path().to_owned();
    let remains = if broken.is_empty() {
        folder
            .remove()
            .map_err(machine("remove the folder of the run"))?;
        None
    } else {
        Some(path)
    };
    Ok(Conclusion {
        verdict,
        broken,
        examples: findings.examples,
        remains,
    })
}

fn machine(what: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Machine { what, source }
}

/// Everything that stands before the processor starts.
struct Scene {
    broker: Broker,
    storefront: Arc<Storefront>,
    names: Names,
    sink: PathBuf,
    launch: Launch,
    cgroup: Option<Cgroup>,
    shared: Arc<Shared>,
    /// Window of the plan, records per partition; what the processor itself says goes before it.
    window: u64,
}

/// Fresh names, so that a run on a real broker finds nothing of an earlier one.
struct Names {
    topic: String,
    dead_letter_topic: String,
    group: String,
}

/// What happened.
struct Played {
    observed: Observed,
    log: Log,
    dead_letters: Origins,
}

impl Scene {
    fn set(options: &Options, folder: &Folder) -> Result<Self, DemoError> {
        let now_ms = now_ms()?;
        let workload = Workload {
            seed: options.seed,
            records: options.records,
            keys: options.keys,
            partitions: options.partitions,
            start_ms: now_ms - SPAN_MS,
        };
        let topic = format!("storefront-events-{now_ms}-{}", std::process::id());
        let names = Names {
            dead_letter_topic: format!("{topic}.dead"),
            group: format!("{topic}.group"),
            topic,
        };
        let broker = match &options.bootstrap_servers {
            Some(servers) => Broker::running(servers),
            None => Broker::embedded()?,
        };
        broker.create_topic(Topic {
            name: &names.topic,
            partitions: options.partitions,
        })?;
        broker.create_topic(Topic {
            name: &names.dead_letter_topic,
            partitions: 1,
        })?;
        let sink = folder.path().join("storefront.db");
        let pipeline = folder.path().join("pipeline.yaml");
        let text = pipeline::rewrite(&Rewrite {
            bootstrap_servers: broker.address(),
            topic: &names.topic,
            dead_letter_topic: &names.dead_letter_topic,
            group: &names.group,
            sink_path: &sink.to_string_lossy(),
            memory_bytes: options.memory_bytes,
            partitions: options.partitions,
            membership: membership(&broker),
        })?;
        let window = window(&text, options.memory_bytes)?;
        fs::write(&pipeline, text).map_err(machine("write the pipeline"))?;
        let cgroup = cgroup(options.memory_bytes);
        let launch = Launch {
            program: options.processor.clone(),
            pipeline,
            status_address: free_address().map_err(machine("find a free port"))?,
            cgroup: cgroup.as_ref().map(Cgroup::processes_file),
            log: folder.path().join("processor.log"),
        };
        let storefront = Arc::new(Storefront::new(workload));
        let shared = Arc::new(Shared::new(options.partitions));
        Ok(Self {
            broker,
            storefront,
            names,
            sink,
            launch,
            cgroup,
            shared,
            window,
        })
    }

    /// Runs all threads to their end, also when one of them fails.
    fn play(&self, options: &Options) -> Result<Played, DemoError> {
        let shared = &self.shared;
        let produced = AtomicBool::new(false);
        thread::scope(|scope| {
            let producing = scope.spawn(|| {
                let log = producer::produce(self.production(), shared);
                produced.store(true, Ordering::Release);
                log.unwrap_or_else(|error| {
                    shared.fail(error.to_string());
                    Log::default()
                })
            });
            scope.spawn(|| {
                if let Err(error) = commits::watch(self.watched(options), shared) {
                    shared.fail(format!("failed to watch the commits: {error}"));
                }
            });
            let collecting = scope.spawn(|| self.collect_dead_letters());
            scope.spawn(|| self.watch_status());
            let observed = supervise::supervise(self.supervision(options, &produced));
            shared.stop();
            let log = producing
                .join()
                .expect("the producing thread returns its errors");
            let dead_letters = collecting
                .join()
                .expect("the collecting thread returns its errors");
            let observed = observed?;
            match shared.failure() {
                Some(reason) => Err(SuperviseError::Thread(reason).into()),
                None => Ok(Played {
                    observed,
                    log,
                    dead_letters,
                }),
            }
        })
    }

    fn production(&self) -> Production {
        let partitions = self.storefront.workload().partitions;
        let embedded = self.broker.is_embedded();
        Production {
            bootstrap_servers: self.broker.address().to_owned(),
            topic: self.names.topic.clone(),
            storefront: Arc::clone(&self.storefront),
            pacing: embedded.then(|| Pacing::new(partitions, Limits::EMBEDDED)),
        }
    }

    fn watched(&self, options: &Options) -> Watched<'_> {
        Watched {
            bootstrap_servers: self.broker.address(),
            group: &self.names.group,
            topic: &self.names.topic,
            partitions: options.partitions,
        }
    }

    fn supervision<'a>(&'a self, options: &Options, produced: &'a AtomicBool) -> Supervision<'a> {
        let records = u64::from(options.records);
        Supervision {
            launch: self.launch.clone(),
            cgroup: self.cgroup.as_ref(),
            limit_bytes: options.memory_bytes,
            schedule: Schedule::new(options.seed, options.kills, records),
            produced,
            shared: &self.shared,
            progress: Progress::new(options.audience, records, options.memory_bytes),
            patience: options.patience,
        }
    }

    fn collect_dead_letters(&self) -> Origins {
        let (address, topic) = (self.broker.address(), &self.names.dead_letter_topic);
        dead_letters::collect(address, topic, &self.shared).unwrap_or_else(|error| {
            self.shared.fail(error.to_string());
            Origins::new()
        })
    }

    /// A processor that does not answer, because it was just killed or starts, is asked again.
    fn watch_status(&self) {
        while !self.shared.is_stopping() {
            if let Ok(status) = status::get(self.launch.status_address) {
                self.shared.report(status);
            }
            thread::sleep(TICK * 5);
        }
    }

    fn audit(&self, played: &Played) -> Result<Findings, DemoError> {
        let reference = Reference::of(&self.storefront, &played.log);
        let mut audit = Audit::new(&self.storefront, &played.log, &reference);
        sink::read(&self.sink, &mut audit)?;
        for (partition, offset) in &played.dead_letters {
            audit.dead_letter(*partition, *offset);
        }
        Ok(audit.finish())
    }

    fn measured(&self, played: &Played) -> Measured {
        let observed = &played.observed;
        let sum = |offsets: Vec<i64>| offsets.iter().map(|offset| offset.unsigned_abs()).sum();
        let status = self.shared.status().unwrap_or_default();
        let window = status.window_records.unwrap_or(self.window);
        let partitions = u64::from(self.storefront.workload().partitions);
        Measured {
            produced: sum(self.shared.acknowledged()),
            finished: sum(self.shared.committed()),
            repeat_bound: u64::from(observed.kills) * window * partitions,
            usage: observed.usage,
            elapsed_ms: observed.elapsed_ms,
            cpu_ms: observed.cpu_ms,
            kills: observed.kills,
        }
    }
}

/// The window that the law derives; a limit that is too small is refused before anything starts.
fn window(pipeline: &str, limit_bytes: u64) -> Result<u64, DemoError> {
    let parsed = penstock_crds::parse(pipeline)?;
    let demand = demand(&parsed.pipeline, &Facts::default());
    Ok(derive(Bytes(limit_bytes), &demand)?.dispatch.window)
}

fn membership(broker: &Broker) -> Membership {
    if broker.is_embedded() {
        Membership::Consumer
    } else {
        Membership::Classic
    }
}

/// Where the machine allows none, the demo goes on without, and says so.
fn cgroup(limit_bytes: u64) -> Option<Cgroup> {
    let cgroup = Cgroup::create(limit_bytes);
    cgroup
        .inspect_err(|error| tracing::warn!(%error, "no cgroup: memory is shown, not judged"))
        .ok()
}

fn now_ms() -> Result<i64, DemoError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| DemoError::Clock)?;
    i64::try_from(now.as_millis()).map_err(|_| DemoError::Clock)
}

/// The port is free now and, but for bad luck, when the processor binds it.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
