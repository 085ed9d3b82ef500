//! Samples a cgroup and its processor once a second, on a thread of its own.
//! Layer: shell

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use penstock_cgroup::Cgroup;

use super::sample::{self, Sample};
use crate::fleet;

/// Between two looks at the working set; peaks between them are missed.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_A_SECOND: u32 = 20;

/// The sampling thread.
pub(crate) struct Watcher {
    stop: Arc<AtomicBool>,
    latest: Arc<Latest>,
    thread: Option<JoinHandle<Vec<Sample>>>,
}

/// Numbers for the script of a trial.
#[derive(Default)]
struct Latest {
    finished: AtomicU64,
    working_set: AtomicU64,
    peak: AtomicU64,
}

impl Watcher {
    /// Samples until [`Watcher::stop`].
    pub(crate) fn start(cgroup: Arc<Cgroup>, address: SocketAddr, limit: Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let latest = Arc::new(Latest::default());
        let (flag, shared) = (Arc::clone(&stop), Arc::clone(&latest));
        let thread = thread::spawn(move || {
            let started = Instant::now();
            let mut samples = Vec::new();
            while !flag.load(Ordering::Relaxed) {
                let peak = peak_of_a_second(&cgroup, &shared, &flag);
                let sample = Sample {
                    millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    peak,
                    limit: limit.load(Ordering::Relaxed),
                    told: fleet::get(address, "/status")
                        .ok()
                        .and_then(|body| sample::told(&body)),
                    ..counted(&cgroup)
                };
                if let Some(told) = sample.told {
                    shared.finished.store(told.finished, Ordering::Relaxed);
                }
                samples.push(sample);
            }
            samples
        });
        Self {
            stop,
            latest,
            thread: Some(thread),
        }
    }

    /// Records that the processor said it had finished, a second ago at most.
    pub(crate) fn finished(&self) -> u64 {
        self.latest.finished.load(Ordering::Relaxed)
    }

    /// The working set, 50 ms ago at most.
    pub(crate) fn working_set(&self) -> u64 {
        self.latest.working_set.load(Ordering::Relaxed)
    }

    /// The largest working set so far.
    pub(crate) fn peak(&self) -> u64 {
        self.latest.peak.load(Ordering::Relaxed)
    }

    /// Ends it; what it saw.
    pub(crate) fn stop(mut self) -> Vec<Sample> {
        self.end()
    }

    fn end(&mut self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        let samples = self.thread.take().map(JoinHandle::join);
        samples.and_then(Result::ok).unwrap_or_default()
    }
}

/// The cgroup can only be removed once nobody looks at it.
impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

fn peak_of_a_second(cgroup: &Cgroup, latest: &Latest, stop: &AtomicBool) -> u64 {
    let mut peak = 0;
    for _ in 0..LOOKS_A_SECOND {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let working_set = cgroup.working_set().unwrap_or(0);
        latest.working_set.store(working_set, Ordering::Relaxed);
        latest.peak.fetch_max(working_set, Ordering::Relaxed);
        peak = peak.max(working_set);
        thread::sleep(LOOK);
    }
    peak
}

/// What the kernel counts; zeros where a file cannot be read any more.
fn counted(cgroup: &Cgroup) -> Sample {
    Sample {
        usage: cgroup.usage().unwrap_or(0),
        working_set: cgroup.working_set().unwrap_or(0),
        anonymous: cgroup.anonymous().unwrap_or(0),
        oom_kills: cgroup.oom_kills().unwrap_or(0),
        limit_hits: cgroup.limit_hits().unwrap_or(0),
        ..Sample::default()
    }
}
