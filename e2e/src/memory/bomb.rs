//! Batches that decompress to more than the pod holds: capped where that can be, told where not.
//! Layer: shell
//!
//! | codec | what must come of it |
//! |---|---|
//! | zstd | refused by the client; `/status` names partition and offset, the others go on |
//! | gzip | the pod is killed; its termination log names partition and offset, each time |
//! | gzip, topic `compression.type=uncompressed` | the bomb never reaches the log |

use std::{
    fs,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use rdkafka::{
    config::ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    MemoryError,
    arm::{Arm, Held, Start},
    backlog::Backlogs,
    payload::Payload,
    pipeline::{self, Terms},
    watch::Watcher,
};
use crate::{
    fleet,
    names::Names,
    report::Verdict,
    rig::GRACE,
    topics::{self, Watch},
    wait::{self, Waited},
};

const LIMIT: u64 = 128 << 20;
const LARGEST: usize = 256 << 10;
/// Where the bomb is; the other partitions have ordinary records.
const TARGET: i32 = 3;
/// Plain bytes of the bomb.
const RECORDS: usize = 1_500;
const VALUE: usize = 100 << 10;
/// Ordinary records in each other partition.
const ORDINARY: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// Starts of the pod that is killed.
const STARTS: u32 = 2;

/// One codec.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// Codec, and how the topic is set.
    pub(crate) case: &'static str,
    /// What was told of it.
    pub(crate) told: String,
    /// Whether it is what must come of it.
    pub(crate) verdict: Verdict,
}

/// All codecs.
pub(crate) fn run(backlogs: &mut Backlogs) -> Result<Vec<Row>, MemoryError> {
    Ok(vec![
        refused(&Scene::new(backlogs, "zstd", &[])?)?,
        killed(&Scene::new(backlogs, "gzip", &[])?)?,
        prevented(&Scene::new(
            backlogs,
            "gzip",
            &[("compression.type", "uncompressed")],
        )?)?,
    ])
}

struct Scene<'a> {
    backlogs: &'a Backlogs,
    names: Names,
    codec: &'static str,
    folder: std::path::PathBuf,
    offsets: Watch,
    partitions: u32,
}

impl<'a> Scene<'a> {
    /// A topic with ordinary records, and the bomb unless the broker refuses it.
    fn new(
        backlogs: &'a Backlogs,
        codec: &'static str,
        settings: &[(&str, &str)],
    ) -> Result<Self, MemoryError> {
        let name = format!(
            "bomb-{codec}-{}",
            if settings.is_empty() { "kept" } else { "plain" }
        );
        let folder = backlogs.folder().join(&name);
        fleet::fresh_folder(&folder)?;
        let input = format!("memory-{name}-{}", std::process::id());
        let names = super::trial::names(backlogs.run(), &input, &name);
        let partitions = Payload::Kib.facts(LARGEST).partitions;
        let bootstrap = backlogs.bootstrap();
        topics::create_all(bootstrap, &[(names.input.as_str(), partitions)], settings)?;
        let counts = [(names.output.as_str(), 1), (names.dead.as_str(), 1)];
        topics::create_all(bootstrap, &counts, &[])?;
        lay(bootstrap, &names.input, partitions)?;
        throw(bootstrap, &names.input, codec)?;
        Ok(Self {
            offsets: Watch::new(bootstrap, &names, partitions)?,
            backlogs,
            names,
            codec,
            folder,
            partitions,
        })
    }

    fn start(&self, ordinal: u32) -> Result<(Held, Watcher), MemoryError> {
        let terms = Terms {
            bootstrap: self.backlogs.bootstrap(),
            names: &self.names,
            limit: LIMIT,
            largest: LARGEST,
        };
        // Declared as the owner of an ordinary topic of that codec would.
        let ordinary = pipeline::write(Payload::Kib, &terms)
            .replace("codec: None", &format!("codec: {}", declared(self.codec)))
            .replace("compressionPercent: 100", "compressionPercent: 400");
        fs::write(self.folder.join("termination-log"), "")?;
        let start = Start {
            arm: Arm::Planned,
            limit: LIMIT,
            pipeline: &ordinary,
            folder: &self.folder,
            ordinal,
        };
        let held = Held::start(self.backlogs.programs(), &start)?;
        let limit = Arc::new(AtomicU64::new(LIMIT));
        let watcher = Watcher::start(Arc::clone(&held.cgroup), held.address, limit);
        Ok((held, watcher))
    }

    /// Whether everything but the bomb is committed.
    fn others_are_done(&self) -> bool {
        let commits = self.offsets.committed().unwrap_or_default();
        let others = commits
            .iter()
            .enumerate()
            .filter(|(p, _)| *p != TARGET as usize);
        commits.len() == self.partitions as usize && { others }
            .all(|(_, offset)| *offset >= ORDINARY)
    }
}

fn declared(codec: &str) -> &'static str {
    if codec == "zstd" { "Zstd" } else { "Gzip" }
}

fn refused(scene: &Scene<'_>) -> Result<Row, MemoryError> {
    let (mut held, watcher) = scene.start(0)?;
    let stuck = wait::until(PATIENCE, POLL, || -> Result<_, MemoryError> {
        let dead = held.exited()?.is_some();
        let told = stuck_at(&held).filter(|_| scene.others_are_done());
        Ok((dead || told.is_some()).then_some(told))
    })?;
    let alive = held.exited()?.is_none();
    let oom = held.cgroup.oom_kills()?;
    let fault = if alive {
        held.stop(GRACE)?
    } else {
        Some(held.tail())
    };
    drop(watcher);
    let told = match stuck {
        Waited::Met(Some(told)) => told,
        Waited::Met(None) => "the processor ended".to_owned(),
        Waited::TimedOut => "nothing was told, or the other partitions stand".to_owned(),
    };
    let named = told.contains(&format!("/{TARGET}@0 BadCompression"));
    let kept = named && alive && oom == 0 && fault.is_none();
    Ok(Row {
        case: "zstd",
        told: fault.map_or(told.clone(), |fault| format!("{told}; {fault}")),
        verdict: if kept { Verdict::Pass } else { Verdict::Fail },
    })
}

/// `topic/partition@offset reason` of `/status`.
fn stuck_at(held: &Held) -> Option<String> {
    let status: Value = serde_json::from_slice(&fleet::get(held.address, "/status").ok()?).ok()?;
    let stuck = status.pointer("/source/stuck")?.as_object()?;
    let text = |name: &str| stuck.get(name).and_then(Value::as_str);
    let number = |name: &str| stuck.get(name).and_then(Value::as_i64);
    Some(format!(
        "{}/{}@{} {}",
        text("topic")?,
        number("partition")?,
        number("offset")?,
        text("reason")?
    ))
}

fn killed(scene: &Scene<'_>) -> Result<Row, MemoryError> {
    let (mut kept, mut told) = (true, String::new());
    for start in 0..STARTS {
        let (mut held, watcher) = scene.start(start)?;
        let ended = wait::until(PATIENCE, POLL, || held.exited())?;
        let oom = held.cgroup.oom_kills()?;
        drop(watcher);
        told = fs::read_to_string(scene.folder.join("termination-log"))?;
        let named = told.contains(&format!("/{TARGET}@"));
        let advised = told.contains("compression.type=uncompressed");
        kept &= ended != Waited::TimedOut && oom > 0 && named && advised;
    }
    Ok(Row {
        case: "gzip",
        told: told.trim().to_owned(),
        verdict: if kept { Verdict::Pass } else { Verdict::Fail },
    })
}

fn prevented(scene: &Scene<'_>) -> Result<Row, MemoryError> {
    let in_log = scene.offsets.input()?[TARGET as usize];
    let (mut held, watcher) = scene.start(0)?;
    let done = wait::until(PATIENCE, POLL, || -> Result<_, MemoryError> {
        let dead = held.exited()?.is_some();
        Ok((dead || scene.others_are_done()).then_some(dead))
    })?;
    let fault = held.stop(GRACE)?;
    drop(watcher);
    Ok(Row {
        case: "gzip, topic uncompressed",
        told: format!("{in_log} records of the bomb in the log"),
        verdict: match done {
            Waited::Met(false) if in_log == 0 && fault.is_none() => Verdict::Pass,
            _ => Verdict::Fail,
        },
    })
}

/// Ordinary records in every partition but the bomb's.
fn lay(bootstrap: &str, topic: &str, partitions: u32) -> Result<(), MemoryError> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .map_err(topics::client("layer"))?;
    let mut value = Vec::new();
    for sequence in 0..ORDINARY {
        let record = Payload::Kib.record(1, sequence, LARGEST, &mut value);
        for partition in (0..partitions).filter(|p| *p != TARGET as u32) {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            let record = BaseRecord::to(topic)
                .partition(partition)
                .key(&record.key)
                .payload(record.value);
            producer
                .send(record)
                .map_err(|(error, _)| topics::client("append a record")(error))?;
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE).map_err(topics::client("flush"))?;
    Ok(())
}

/// One batch of 150 MB that is a few hundred kilobytes on the wire. That the broker refuses it is
/// no error here.
fn throw(bootstrap: &str, topic: &str, codec: &str) -> Result<(), MemoryError> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("compression.codec", codec)
        .set("linger.ms", "10000")
        .set("batch.size", "1000000000")
        .set("batch.num.messages", RECORDS.to_string())
        .set("message.max.bytes", "1000000000")
        .set("queue.buffering.max.kbytes", "2000000")
        .set("message.send.max.retries", "0")
        .create()
        .map_err(topics::client("thrower"))?;
    let value = vec![b'x'; VALUE];
    for _ in 0..RECORDS {
        let record = BaseRecord::<str, [u8]>::to(topic)
            .partition(TARGET)
            .payload(&value);
        producer
            .send(record)
            .map_err(|(error, _)| topics::client("append the bomb")(error))?;
    }
    // The batch is full, so that it goes as one; its delivery may be an error.
    let _ = producer.flush(PATIENCE);
    Ok(())
}

/// In one line each.
pub(crate) fn lines(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let verdict = if row.verdict == Verdict::Pass {
            "pass"
        } else {
            "FAIL"
        };
        format!("bomb, {}: {verdict}: {}\n", row.case, row.told)
    };
    rows.iter().map(line).collect()
}
