//! The limit changes under a backlog, at random and many times, as a resize in place does it.
//! Layer: shell

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::Serialize;

use super::{
    MemoryError,
    arm::{self, Arm, Held, Start},
    backlog::Backlogs,
    payload::Payload,
    pipeline::{self, Terms},
    sample::{self, Told},
    trial,
    watch::Watcher,
};
use crate::{
    fleet,
    report::Verdict,
    rig::GRACE,
    topics::{self, Watch},
    wait::{self, Waited},
};

const PAYLOAD: Payload = Payload::Kib;
/// Limits are drawn between these.
const LEAST: u64 = 96 << 20;
const MOST: u64 = 512 << 20;
const LARGEST: usize = 1 << 20;
/// By then the plan must be that of the new limit.
const FOLLOW: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// Time for what is left once the changes are over.
const LAST: Duration = Duration::from_secs(120);
/// The kernel rounds a limit down to pages.
const PAGE: u64 = 64 << 10;
/// Records that are always ahead.
const AHEAD: u64 = 200_000;
/// Work between two changes, milliseconds.
const BETWEEN: std::ops::Range<u64> = 0..400;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// Limits that the kernel took.
    pub(crate) taken: u64,
    /// Limits that it refused: below what is in use.
    pub(crate) refused: u64,
    /// Longest time from the kernel's limit to the plan's, milliseconds.
    pub(crate) slowest_millis: u64,
    /// Records finished meanwhile.
    pub(crate) finished: u64,
    /// Processes killed by the kernel.
    pub(crate) oom_kills: u64,
    /// Times that the governor acted.
    pub(crate) governor: u64,
    /// Largest working set in thousandths of the limit at that moment.
    pub(crate) peak_permille: u64,
    /// Whether the promises were kept.
    pub(crate) verdict: Option<Verdict>,
    /// Broken promises in words.
    pub(crate) violations: Vec<String>,
}

/// Changes the limit `count` times.
pub(crate) fn run(backlogs: &mut Backlogs, count: u64) -> Result<Changes, MemoryError> {
    let name = "changes";
    let folder = backlogs.folder().join(name);
    fleet::fresh_folder(&folder)?;
    let names = backlogs.names(PAYLOAD, name, LARGEST);
    backlogs.reach((PAYLOAD, LARGEST), &names.input, 2 * AHEAD)?;
    let bootstrap = backlogs.bootstrap().to_owned();
    let counts = [(names.output.as_str(), 1), (names.dead.as_str(), 1)];
    topics::create_all(&bootstrap, &counts, &[])?;
    let terms = Terms {
        bootstrap: &bootstrap,
        names: &names,
        limit: MOST,
        largest: LARGEST,
    };
    let text = pipeline::write(PAYLOAD, &terms);
    let start = Start {
        arm: Arm::Planned,
        limit: MOST,
        pipeline: &text,
        folder: &folder,
        ordinal: 0,
    };
    let held = Held::start(backlogs.programs(), &start)?;
    let limit = Arc::new(AtomicU64::new(MOST));
    let watcher = Watcher::start(Arc::clone(&held.cgroup), held.address, Arc::clone(&limit));
    let partitions = PAYLOAD.facts(LARGEST).partitions;
    let mut scene = Scene {
        rng: SmallRng::seed_from_u64(backlogs.seed()),
        offsets: Watch::new(&bootstrap, &names, partitions)?,
        input: names.input.clone(),
        backlogs,
        held,
        watcher,
        limit,
        found: Changes::default(),
    };
    scene.play(count)?;
    scene.conclude(&folder)
}

struct Scene<'a> {
    backlogs: &'a mut Backlogs,
    held: Held,
    watcher: Watcher,
    limit: Arc<AtomicU64>,
    offsets: Watch,
    input: String,
    rng: SmallRng,
    found: Changes,
}

impl Scene<'_> {
    fn play(&mut self, count: u64) -> Result<(), MemoryError> {
        self.follows(MOST, Duration::from_secs(30))?;
        while self.found.taken < count && self.found.violations.is_empty() {
            let pause = self.rng.random_range(BETWEEN);
            wait::pass(Duration::from_millis(pause))?;
            let laid = self.backlogs.laid(&self.input);
            if self.watcher.finished() + AHEAD > laid {
                let kind = (PAYLOAD, LARGEST);
                self.backlogs.reach(kind, &self.input, laid + AHEAD)?;
            }
            let limit = self.rng.random_range(LEAST >> 20..=MOST >> 20) << 20;
            match self.held.cgroup.set_limit(limit) {
                Ok(()) => {
                    self.limit.store(limit, Ordering::Relaxed);
                    self.found.taken += 1;
                    self.follows(limit, FOLLOW)?;
                }
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    self.found.refused += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until the plan is that of the limit.
    fn follows(&mut self, limit: u64, deadline: Duration) -> Result<(), MemoryError> {
        let set = Instant::now();
        let followed = wait::until(deadline, POLL, || -> Result<_, MemoryError> {
            let ended = self.held.exited()?.is_some();
            let planned = self
                .told()
                .is_some_and(|told| told.planned_limit.abs_diff(limit) < PAGE);
            Ok((ended || planned).then_some(ended))
        })?;
        let took = u64::try_from(set.elapsed().as_millis()).unwrap_or(u64::MAX);
        match followed {
            Waited::Met(false) if self.found.taken > 0 => {
                self.found.slowest_millis = self.found.slowest_millis.max(took);
            }
            Waited::Met(false) => {}
            Waited::Met(true) => {
                let tail = self.held.tail();
                let fault = format!("ended at a limit of {} MiB:\n{tail}", limit >> 20);
                self.found.violations.push(fault);
            }
            Waited::TimedOut => {
                let fault = format!(
                    "no plan for {} MiB in {} s",
                    limit >> 20,
                    deadline.as_secs()
                );
                self.found.violations.push(fault);
            }
        }
        Ok(())
    }

    fn told(&self) -> Option<Told> {
        sample::told(&fleet::get(self.held.address, "/status").ok()?)
    }

    fn conclude(mut self, folder: &std::path::Path) -> Result<Changes, MemoryError> {
        let laid = self.backlogs.laid(&self.input);
        let done = wait::until(LAST, POLL, || -> Result<_, MemoryError> {
            let ended = self.held.exited()?.is_some();
            let committed: u64 = self.offsets.committed().unwrap_or_default().iter().sum();
            Ok((ended || committed >= laid).then_some(()))
        })?;
        if done == Waited::TimedOut {
            let fault = format!("{laid} records not committed in {} s", LAST.as_secs());
            self.found.violations.push(fault);
        }
        self.found.oom_kills = self.held.cgroup.oom_kills()?;
        if let Some(told) = self.told() {
            self.found.governor = told.governor;
            self.found.finished = told.finished;
        }
        if self.held.exited()?.is_none() {
            let fault = self.held.stop(GRACE)?;
            self.found.violations.extend(fault);
        } else if let Some(status) = self.held.exited()? {
            self.found.violations.push(arm::ended(status));
        }
        let produced = self.offsets.produced()?;
        let samples = Payload::samples(self.backlogs.laid(&self.input));
        if produced < samples {
            let fault = format!("{produced} of {samples} in the output");
            self.found.violations.push(fault);
        }
        if self.found.oom_kills > 0 {
            let fault = format!("{} processes were killed", self.found.oom_kills);
            self.found.violations.push(fault);
        }
        let samples = self.watcher.stop();
        let permille = samples
            .iter()
            .filter_map(|s| (s.working_set * 1000).checked_div(s.limit));
        self.found.peak_permille = permille.max().unwrap_or(0);
        trial::write(folder, "changes", &samples)?;
        let kept = self.found.violations.is_empty();
        self.found.verdict = Some(if kept { Verdict::Pass } else { Verdict::Fail });
        Ok(self.found)
    }
}

/// In one line, and one for each broken promise.
pub(crate) fn line(found: &Changes) -> String {
    let mut text = format!(
        "limit changes: {} taken, {} refused by the kernel, slowest {} ms, {} records finished, \
         {} oom kills, governor {}, working set at most {} thousandths",
        found.taken,
        found.refused,
        found.slowest_millis,
        found.finished,
        found.oom_kills,
        found.governor,
        found.peak_permille
    );
    for fault in &found.violations {
        text.push_str("\n    ");
        text.push_str(fault);
    }
    text
}
