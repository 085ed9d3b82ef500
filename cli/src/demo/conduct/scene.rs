//! What stands around the processor: broker, production and observers, each in its thread.
//! Layer: shell

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use penstock_cgroup::Cgroup;
use penstock_processor::plan::{Facts, demand};
use penstock_sizing::{Bytes, derive};

use super::{DemoError, Options, machine};
use crate::demo::{
    audit::{Audit, Findings},
    broker::{Broker, Topic},
    child::Launch,
    commits::{self, Watched},
    dead_letters::{self, Origins},
    folder::Folder,
    log::Log,
    pacing::{Limits, Pacing},
    pipeline::{self, Membership, Rewrite},
    producer::{self, Production},
    progress::Progress,
    reference::Reference,
    schedule::Schedule,
    shared::{Shared, TICK},
    sink, status,
    storefront::{SPAN_MS, Storefront, Workload},
    supervise::{self, Observed, SuperviseError, Supervision},
    verdict::Measured,
};

/// Everything that stands before the processor starts.
pub(super) struct Scene {
    broker: Broker,
    storefront: Arc<Storefront>,
    names: Names,
    sink: PathBuf,
    launch: Launch,
    cgroup: Option<Cgroup>,
    shared: Arc<Shared>,
    /// Window of the plan, records per partition; what the processor itself says goes before it.
    window: u64,
    pub(super) notes: Vec<String>,
}

/// Fresh names, so that a run on a real broker finds nothing of an earlier one.
struct Names {
    topic: String,
    dead_letter_topic: String,
    group: String,
}

/// What happened.
pub(super) struct Played {
    observed: Observed,
    log: Log,
    dead_letters: Origins,
}

impl Scene {
    /// Starts the broker, creates the topics, writes the pipeline, makes the cgroup.
    pub(super) fn set(options: &Options, folder: &Folder) -> Result<Self, DemoError> {
        let now_ms = now_ms()?;
        let names = Names::fresh(now_ms);
        let broker = match &options.bootstrap_servers {
            Some(servers) => Broker::running(servers),
            None => Broker::embedded()?,
        };
        let sink = folder.path().join("storefront.db");
        let text = names.pipeline(&broker, &sink, options)?;
        let window = window(&text, options.memory_bytes)?;
        let pipeline = folder.path().join("pipeline.yaml");
        fs::write(&pipeline, text).map_err(machine("write the pipeline"))?;
        for topic in names.topics(options.partitions) {
            broker.create_topic(topic)?;
        }
        let mut notes = Vec::new();
        let cgroup = Cgroup::create(folder.name(), options.memory_bytes)
            .inspect_err(|error| {
                notes.push(format!("no cgroup ({error}): memory is shown, not judged"));
            })
            .ok();
        let launch = Launch {
            program: options.processor.clone(),
            pipeline,
            status_address: free_address().map_err(machine("find a free port"))?,
            cgroup: cgroup.as_ref().map(Cgroup::processes_file),
            log: folder.log(),
        };
        let storefront = Arc::new(Storefront::new(workload(options, now_ms)));
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
            notes,
        })
    }

    /// Deletes the topics of the run from a broker that outlives it.
    pub(super) fn clear_away(&self) -> Result<(), DemoError> {
        for topic in self.names.topics(self.storefront.workload().partitions) {
            self.broker.delete_topic(topic)?;
        }
        Ok(())
    }

    /// Runs all threads to their end, also when one of them fails.
    pub(super) fn play(&self, options: &Options) -> Result<Played, DemoError> {
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

    pub(super) fn audit(&self, played: &Played) -> Result<Findings, DemoError> {
        let reference = Reference::of(&self.storefront, &played.log);
        let mut audit = Audit::new(&self.storefront, &played.log, &reference);
        sink::read(&self.sink, &mut audit)?;
        for (partition, offset) in &played.dead_letters {
            audit.dead_letter(*partition, *offset);
        }
        Ok(audit.finish())
    }

    pub(super) fn measured(&self, played: &Played) -> Measured {
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

fn workload(options: &Options, now_ms: i64) -> Workload {
    Workload {
        seed: options.seed,
        records: options.records,
        keys: options.keys,
        partitions: options.partitions,
        start_ms: now_ms - SPAN_MS,
    }
}

impl Names {
    fn fresh(now_ms: i64) -> Self {
        let topic = format!("storefront-events-{now_ms}-{}", process::id());
        Self {
            dead_letter_topic: format!("{topic}.dead"),
            group: format!("{topic}.group"),
            topic,
        }
    }

    fn topics(&self, partitions: u32) -> [Topic<'_>; 2] {
        [
            Topic {
                name: &self.topic,
                partitions,
            },
            Topic {
                name: &self.dead_letter_topic,
                partitions: 1,
            },
        ]
    }

    fn pipeline(
        &self,
        broker: &Broker,
        sink: &Path,
        options: &Options,
    ) -> Result<String, DemoError> {
        Ok(pipeline::rewrite(&Rewrite {
            bootstrap_servers: broker.address(),
            topic: &self.topic,
            dead_letter_topic: &self.dead_letter_topic,
            group: &self.group,
            sink_path: &sink.to_string_lossy(),
            memory_bytes: options.memory_bytes,
            partitions: options.partitions,
            membership: membership(broker),
        })?)
    }
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
