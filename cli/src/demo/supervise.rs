//! Keeps the processor running until all is committed: measures it, kills it on schedule, stops it.
//! Layer: shell

use std::{
    io,
    process::ExitStatus,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use penstock_cgroup::Cgroup;

use super::{
    child::{self, Launch, Processor, Stopped},
    progress::{Moment, Progress},
    schedule::Schedule,
    shared::{Shared, TICK},
    stall::{Counts, Patience, Stall},
    verdict::{HeldBy, Usage},
};

/// What to supervise.
pub struct Supervision<'a> {
    /// How a processor is started.
    pub launch: Launch,
    /// What holds it, where there is one.
    pub cgroup: Option<&'a Cgroup>,
    /// Its memory limit, bytes.
    pub limit_bytes: u64,
    /// When it is killed.
    pub schedule: Schedule,
    /// Set once everything is produced.
    pub produced: &'a AtomicBool,
    /// What the other threads know.
    pub shared: &'a Shared,
    /// Where progress is shown.
    pub progress: Progress,
    /// Longest time without a new commit.
    pub patience: Duration,
}

/// What was seen of the processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Memory.
    pub usage: Usage,
    /// SIGKILLs sent.
    pub kills: u32,
    /// Milliseconds from the first start to the last commit.
    pub elapsed_ms: u64,
    /// CPU milliseconds of all lives.
    pub cpu_ms: u64,
}

/// Why a run ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The processor could not be handled.
    #[error("failed to {what} the processor: {source}")]
    Process {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended although it was to go on.
    #[error("the processor ended by itself with {status}; its last words:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It did not follow SIGTERM as it must.
    #[error("the processor did not stop cleanly: {how}; its last words:\n{log}")]
    Stop {
        /// How it ended.
        how: String,
        /// The end of its log.
        log: String,
    },
    /// No commit came for too long.
    #[error(
        "no commit for {seconds} s; waiting for {waiting}; last words of the processor:\n{log}"
    )]
    Stalled {
        /// How long.
        seconds: u64,
        /// Partitions and what is missing on them.
        waiting: String,
        /// The end of its log.
        log: String,
    },
    /// No record came for too long.
    #[error("no record was produced for {seconds} s, and all before are committed")]
    NothingProduced {
        /// How long.
        seconds: u64,
    },
    /// Another thread gave up.
    #[error("{0}")]
    Thread(String),
}

/// Longest time from SIGTERM to the end: the pod's default grace period.
const GRACE: Duration = Duration::from_secs(30);
/// Longest time without a new record while none waits: the producer's own timeout on a delivery
/// comes first.
const PRODUCING: Duration = Duration::from_secs(600);

/// Supervises until everything produced is committed and every kill has been, then stops the
/// processor.
///
/// # Errors
/// When the processor ends, stalls or stops in another way than it must, or a thread gave up.
pub fn supervise(supervision: Supervision<'_>) -> Result<Observed, SuperviseError> {
    let now = Instant::now();
    let processor = start(&supervision.launch)?;
    let mut run = Run {
        processor,
        pending: None,
        best: 0,
        stall: Patience::new(supervision.patience, PRODUCING, now),
        started: now,
        // `cargo run` becomes this process, and its compilers were children, too.
        cpu_ms_before: child::cpu_ms_of_ended_children().unwrap_or(0),
        observed: Observed::default(),
        supervision,
    };
    run.observed.usage.limit_bytes = run.supervision.limit_bytes;
    let outcome = run.until_committed();
    run.supervision.progress.end();
    outcome?;
    run.stop()
}

struct Run<'a> {
    supervision: Supervision<'a>,
    processor: Processor,
    /// When the kill that became due is sent.
    pending: Option<Instant>,
    /// Most finished records seen.
    best: u64,
    stall: Patience,
    started: Instant,
    /// CPU time of children that ended before the run, milliseconds.
    cpu_ms_before: u64,
    observed: Observed,
}

/// How far the records are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Records {
    Open,
    AllCommitted,
}

impl Run<'_> {
    fn until_committed(&mut self) -> Result<(), SuperviseError> {
        loop {
            let memory_bytes = self.measure();
            if let Some(reason) = self.supervision.shared.failure() {
                return Err(SuperviseError::Thread(reason));
            }
            let finished = self.follow_commits()?;
            let records = self.records();
            self.kill_on_schedule(finished, records)?;
            if records == Records::AllCommitted
                && self.pending.is_none()
                && self.supervision.schedule.left() == 0
            {
                return Ok(());
            }
            self.check_alive()?;
            self.show(finished, memory_bytes);
            thread::sleep(TICK);
        }
    }

    /// Takes a sample; a file that is gone for a moment is no reason to stop.
    fn measure(&mut self) -> u64 {
        let usage = &mut self.observed.usage;
        let now = match self.supervision.cgroup {
            Some(cgroup) => {
                usage.held_by = HeldBy::Cgroup;
                let anonymous = cgroup.anonymous().unwrap_or(0);
                usage.peak_anonymous_bytes = usage.peak_anonymous_bytes.max(anonymous);
                usage.oom_kills = usage.oom_kills.max(cgroup.oom_kills().unwrap_or(0));
                cgroup.working_set().unwrap_or(0)
            }
            None => self.processor.resident_bytes(),
        };
        usage.peak_bytes = usage.peak_bytes.max(now);
        now
    }

    fn follow_commits(&mut self) -> Result<u64, SuperviseError> {
        let finished = total(&self.supervision.shared.committed());
        if finished > self.best {
            self.best = finished;
            let since_start = self.started.elapsed().as_millis();
            self.observed.elapsed_ms = u64::try_from(since_start).unwrap_or(u64::MAX);
        }
        let counts = Counts {
            produced: total(&self.supervision.shared.acknowledged()),
            committed: finished,
        };
        match self.stall.look(counts, Instant::now()) {
            None => Ok(finished),
            Some(Stall::NoCommit(elapsed)) => Err(SuperviseError::Stalled {
                seconds: elapsed.as_secs(),
                waiting: waiting(self.supervision.shared),
                log: self.log(),
            }),
            Some(Stall::NoRecord(elapsed)) => Err(SuperviseError::NothingProduced {
                seconds: elapsed.as_secs(),
            }),
        }
    }

    fn records(&self) -> Records {
        let shared = self.supervision.shared;
        let produced = self.supervision.produced.load(Ordering::Acquire);
        if produced && shared.committed() == shared.acknowledged() {
            Records::AllCommitted
        } else {
            Records::Open
        }
    }

    /// Sends the kill whose time has come; when all is finished, the rest at once.
    fn kill_on_schedule(&mut self, finished: u64, records: Records) -> Result<(), SuperviseError> {
        if self.pending.is_none() {
            let due = self.supervision.schedule.take_due(finished);
            self.pending = due.map(|kill| Instant::now() + Duration::from_millis(kill.delay_ms));
        }
        match self.pending {
            Some(at) if records == Records::AllCommitted || Instant::now() >= at => {}
            _ => return Ok(()),
        }
        self.pending = None;
        // one that has ended by itself is a finding, not a kill
        self.check_alive()?;
        let failed = |source| SuperviseError::Process {
            what: "kill",
            source,
        };
        self.processor.kill().map_err(failed)?;
        self.processor = start(&self.supervision.launch)?;
        self.observed.kills += 1;
        Ok(())
    }

    fn check_alive(&mut self) -> Result<(), SuperviseError> {
        let ended = self.processor.ended();
        match ended.map_err(|source| SuperviseError::Process {
            what: "wait for",
            source,
        })? {
            None => Ok(()),
            Some(status) => Err(SuperviseError::Ended {
                status,
                log: self.log(),
            }),
        }
    }

    fn show(&self, finished: u64, memory_bytes: u64) {
        let shared = self.supervision.shared;
        self.supervision.progress.show(&Moment {
            finished,
            produced: total(&shared.acknowledged()),
            memory_bytes,
            kills: self.observed.kills,
            status: shared.status().as_ref(),
        });
    }

    fn stop(mut self) -> Result<Observed, SuperviseError> {
        let log = self.log();
        self.measure();
        let failed = |source| SuperviseError::Process {
            what: "stop",
            source,
        };
        match self.processor.stop(GRACE).map_err(failed)? {
            Stopped::Cleanly => {}
            Stopped::WithFault(status) => {
                return Err(SuperviseError::Stop {
                    how: status.to_string(),
                    log,
                });
            }
            Stopped::Late => {
                let how = format!("killed {} s after SIGTERM", GRACE.as_secs());
                return Err(SuperviseError::Stop { how, log });
            }
        }
        let cpu = child::cpu_ms_of_ended_children();
        let cpu = cpu.map_err(|source| SuperviseError::Process {
            what: "measure",
            source,
        })?;
        self.observed.cpu_ms = cpu.saturating_sub(self.cpu_ms_before);
        Ok(self.observed)
    }

    fn log(&self) -> String {
        child::last_lines(&self.supervision.launch.log)
    }
}

fn start(launch: &Launch) -> Result<Processor, SuperviseError> {
    Processor::start(launch).map_err(|source| SuperviseError::Process {
        what: "start",
        source,
    })
}

fn total(offsets: &[i64]) -> u64 {
    offsets.iter().map(|offset| offset.unsigned_abs()).sum()
}

/// Partitions with records that are not committed.
fn waiting(shared: &Shared) -> String {
    let pairs = shared.committed().into_iter().zip(shared.acknowledged());
    let open = (0..)
        .zip(pairs)
        .filter(|(_, (committed, end))| committed < end);
    let words: Vec<_> = open
        .map(|(partition, (committed, end))| {
            format!("partition {partition} at {committed} of {end}")
        })
        .collect();
    let gears = shared
        .status()
        .map(|status| status.gears.join(", "))
        .unwrap_or_default();
    format!("{}; gears: {gears}", words.join(", "))
}
