//! One trial: a backlog, a program in a cgroup of exactly the limit, a script, and the count.
//! Layer: shell

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{
    MemoryError,
    arm::{self, Arm, Held, Start},
    backlog::Backlogs,
    curve,
    judge::{self, Case, Fill, Outcome, Row},
    payload::{Payload, Work},
    pipeline::{self, Terms},
    sample::{self, Sample},
    watch::Watcher,
};
use crate::{
    fleet,
    names::Names,
    report::Verdict,
    rig::GRACE,
    topics::{self, Watch},
    wait,
};

/// Without any progress for so long, a run stands still.
const STALL: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
/// A control arm that has broken nothing by then never will.
const CONTROL: Duration = Duration::from_secs(60);
/// Idle time before the first burst, and after each at most.
const IDLE: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(60);
/// Exit code of a processor that refuses its limit.
const REFUSED: i32 = 2;

/// What to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Shape of the traffic.
    pub(crate) payload: Payload,
    /// Which program.
    pub(crate) arm: Arm,
    /// Limit of the cgroup, bytes.
    pub(crate) limit: u64,
    /// Records in the topic.
    pub(crate) records: u64,
    /// Appends more until so long has passed.
    pub(crate) at_least: Duration,
    /// How long a sink is locked.
    pub(crate) hang: Duration,
    /// Whether the plan must be used up.
    pub(crate) fill: Fill,
}

/// A trial at work.
struct Scene<'a> {
    trial: Trial,
    backlogs: &'a mut Backlogs,
    held: Held,
    watcher: Watcher,
    offsets: Watch,
    folder: PathBuf,
    input: String,
    started: Instant,
    outcome: Outcome,
}

/// Carries a trial out and judges it.
pub(crate) fn run(backlogs: &mut Backlogs, trial: Trial) -> Result<Row, MemoryError> {
    let Trial { payload, arm, .. } = trial;
    let name = format!("{}-{}-{}", trial.limit >> 20, payload.name(), arm.name());
    let folder = backlogs.folder().join(&name);
    fleet::fresh_folder(&folder)?;
    let largest = payload.largest(trial.limit);
    let names = backlogs.names(payload, &name, largest);
    // Bursts come while the processor is at work.
    let before = if payload == Payload::Burst {
        0
    } else {
        trial.records
    };
    backlogs.reach((payload, largest), &names.input, before)?;
    let counts = [(names.output.as_str(), 1), (names.dead.as_str(), 1)];
    let bootstrap = backlogs.bootstrap().to_owned();
    topics::create_all(&bootstrap, &counts, &[])?;
    let terms = Terms {
        bootstrap: &bootstrap,
        names: &names,
        limit: arm.declared(trial.limit),
        largest,
    };
    let text = pipeline::write(payload, &terms);
    let start = Start {
        arm,
        limit: trial.limit,
        pipeline: &text,
        folder: &folder,
        ordinal: 0,
    };
    let held = Held::start(backlogs.programs(), &start)?;
    let limit = Arc::new(AtomicU64::new(trial.limit));
    let watcher = Watcher::start(Arc::clone(&held.cgroup), held.address, limit);
    let partitions = payload.facts(largest).partitions;
    let scene = Scene {
        trial,
        backlogs,
        held,
        watcher,
        offsets: Watch::new(&bootstrap, &names, partitions)?,
        folder,
        input: names.input,
        started: Instant::now(),
        outcome: Outcome::default(),
    };
    scene.play(&name)
}

impl Scene<'_> {
    fn play(mut self, name: &str) -> Result<Row, MemoryError> {
        match (self.trial.arm, self.trial.payload) {
            (Arm::Planned, Payload::Burst) => self.bursts()?,
            (Arm::Planned, Payload::Hang) => self.hang()?,
            (Arm::Planned, _) => self.work_off()?,
            (Arm::Blind | Arm::Glibc | Arm::Stock, _) => self.until_broken()?,
        }
        let alive = self.held.exited()?;
        match alive {
            None if self.trial.arm == Arm::Planned => {
                let fault = self.held.stop(GRACE)?;
                self.outcome.faults.extend(fault);
            }
            None => self.held.kill()?,
            Some(status) if status.code() == Some(REFUSED) => return Ok(self.refused()),
            Some(status) => {
                self.outcome.death = Some(format!("{}\n{}", arm::ended(status), self.held.tail()));
            }
        }
        self.outcome.records = self.backlogs.laid(&self.input);
        if self.trial.arm == Arm::Planned {
            self.count()?;
        }
        let Self {
            trial,
            watcher,
            folder,
            outcome,
            backlogs,
            ..
        } = self;
        let samples = watcher.stop();
        write(&folder, name, &samples)?;
        let case = Case {
            arm: trial.arm,
            payload: trial.payload.name(),
            limit: trial.limit,
            fill: trial.fill,
            seed: backlogs.seed(),
        };
        Ok(judge::judge(case, &samples, outcome))
    }

    /// The law says no, with its reasons in the log: nothing to judge.
    fn refused(self) -> Row {
        let case = Case {
            arm: self.trial.arm,
            payload: self.trial.payload.name(),
            limit: self.trial.limit,
            fill: Fill::Any,
            seed: 0,
        };
        let tail = self.held.tail();
        drop(self.watcher.stop());
        let mut row = judge::judge(case, &[], Outcome::default());
        row.violations.clear();
        row.death = tail.lines().last().map(str::to_owned);
        row.verdict = Verdict::Skipped;
        row
    }

    /// Appends up to so many records.
    fn reach(&mut self, records: u64) -> Result<(), MemoryError> {
        let Trial { payload, limit, .. } = self.trial;
        let kind = (payload, payload.largest(limit));
        self.backlogs.reach(kind, &self.input, records)
    }

    /// Until all is committed, and more is appended as long as the trial shall last.
    fn work_off(&mut self) -> Result<(), MemoryError> {
        let Trial {
            records, at_least, ..
        } = self.trial;
        loop {
            let all = self.backlogs.laid(&self.input);
            if self.started.elapsed() < at_least && self.watcher.finished() + records / 2 > all {
                self.reach(all + records / 2)?;
                continue;
            }
            if self.commits_reach(all)? {
                return Ok(());
            }
        }
    }

    /// Waits a moment; true when so many records are committed, or the program will commit no more.
    fn commits_reach(&mut self, all: u64) -> Result<bool, MemoryError> {
        let before = (self.watcher.finished(), self.started.elapsed());
        while self.started.elapsed() < before.1 + STALL {
            if self.held.exited()?.is_some() {
                return Ok(true);
            }
            // The group has no coordinator before its first member came.
            let committed: u64 = self.offsets.committed().unwrap_or_default().iter().sum();
            if committed >= all {
                return Ok(true);
            }
            if self.watcher.finished() > before.0 {
                wait::pass(POLL)?;
                return Ok(false);
            }
            wait::pass(POLL)?;
        }
        let finished = self.watcher.finished();
        let fault = format!(
            "no progress in {} s at {finished} of {all}",
            STALL.as_secs()
        );
        self.outcome.faults.push(fault);
        Ok(true)
    }

    /// Locks the sink's file for a minute in the middle of the backlog, as soon as it has tables and
    /// any record is finished.
    fn hang(&mut self) -> Result<(), MemoryError> {
        let reached = wait::until(STALL, POLL, || -> Result<_, MemoryError> {
            let ended = self.held.exited()?.is_some();
            Ok((ended || self.finished_now() > 0).then_some(()))
        })?;
        if reached == wait::Waited::TimedOut {
            let fault = "never finished a record".to_owned();
            self.outcome.faults.push(fault);
        }
        let mut connection = Connection::open(self.folder.join("sink.db"))?;
        connection.busy_timeout(Duration::from_secs(30))?;
        let lock = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        let at = self.finished_now();
        if at >= self.trial.records {
            let fault = "all was done before the sink was locked".to_owned();
            self.outcome.faults.push(fault);
        }
        wait::pass(self.trial.hang)?;
        lock.rollback()?;
        drop(connection);
        self.work_off()
    }

    /// Asked at this moment: the watcher's number may be a second old.
    fn finished_now(&self) -> u64 {
        let body = fleet::get(self.held.address, "/status").ok();
        body.and_then(|body| sample::told(&body))
            .map_or(0, |told| told.finished)
    }

    /// Idle, burst, idle: the working set must come back to within a tenth of what it was.
    fn bursts(&mut self) -> Result<(), MemoryError> {
        wait::pass(IDLE)?;
        let mut before = self.watcher.working_set();
        let bursts = 2;
        for burst in 1..=bursts {
            let all = self.trial.records * burst / bursts;
            self.reach(all)?;
            while !self.commits_reach(all)? {}
            if burst == 1 {
                // What the first burst grows for good (windows, tables) is part of the baseline.
                wait::pass(SETTLE.min(self.trial.hang))?;
                before = before.max(self.watcher.working_set());
            }
        }
        let baseline = before + before / 10;
        let settled = wait::until(SETTLE, POLL, || -> Result<_, MemoryError> {
            Ok((self.watcher.working_set() <= baseline).then_some(()))
        })?;
        if settled == wait::Waited::TimedOut {
            let now = self.watcher.working_set();
            let fault = format!(
                "{now} bytes {} s after a burst, {before} before",
                SETTLE.as_secs()
            );
            self.outcome.faults.push(fault);
        }
        Ok(())
    }

    /// A control arm is watched until it has died, or is beyond the bound, or time is up.
    fn until_broken(&mut self) -> Result<(), MemoryError> {
        let bound = self.trial.limit / 1000 * judge::PEAK;
        wait::until(CONTROL, POLL, || -> Result<_, MemoryError> {
            let dead = self.held.exited()?.is_some();
            Ok((dead || self.watcher.peak() > bound).then_some(()))
        })?;
        Ok(())
    }

    /// Counts what came out, from the broker or the sink's file.
    fn count(&mut self) -> Result<(), MemoryError> {
        let records = self.outcome.records;
        (self.outcome.counted, self.outcome.expected) = match self.trial.payload.work() {
            Work::Forward => (self.offsets.produced()?, Payload::samples(records)),
            Work::Count => (
                self.in_sink("SELECT coalesce(sum(value), 0) FROM counters")?,
                records,
            ),
            Work::Visitors => (self.in_sink("SELECT count(*) FROM members")?, records),
            Work::Store => (self.in_sink("SELECT count(*) FROM events")?, records),
        };
        let committed: u64 = self.offsets.committed()?.iter().sum();
        if committed != records {
            let fault = format!("{committed} of {records} committed");
            self.outcome.faults.push(fault);
        }
        let dead = self.offsets.dead_letters()?;
        if dead > 0 {
            self.outcome.faults.push(format!("{dead} dead letters"));
        }
        Ok(())
    }

    fn in_sink(&self, query: &str) -> Result<u64, MemoryError> {
        let file = self.folder.join("sink.db");
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let count: i64 = connection.query_row(query, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

/// Samples for other tools, and the picture.
pub(crate) fn write(folder: &Path, name: &str, samples: &[Sample]) -> Result<(), MemoryError> {
    fs::write(folder.join("samples.csv"), sample::csv(samples))?;
    fs::write(folder.join("curve.svg"), curve::draw(name, samples))?;
    Ok(())
}

/// The trial's own names; the input topic belongs to its payload.
pub(crate) fn names(run: &str, input: &str, name: &str) -> Names {
    Names {
        input: input.to_owned(),
        ..Names::new(&format!("memory-{name}"), run)
    }
}
