//! A stage that does nothing but watch: each record once, each key in the order of the log.
//! Layer: core

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use penstock_processor::{
    event::Event,
    stage::{Needs, Stage, Step},
    stages::custom::Registry,
};

/// Name by which the pipeline refers to it.
pub(super) const NAME: &str = "watch";

/// What all copies of the stage have seen.
pub(super) struct Watch {
    /// By partition and offset.
    seen: Vec<Vec<AtomicBool>>,
    /// Last started offset of each key.
    started: Vec<AtomicI64>,
    faults: AtomicU64,
}

struct Watching(Arc<Watch>);

impl Watch {
    /// For logs of these ends and keys `0..keys` in decimal.
    pub(super) fn new(ends: &[i64], keys: u32) -> Arc<Self> {
        let cells = |end: &i64| (0..*end).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self {
            seen: ends.iter().map(cells).collect(),
            started: (0..keys).map(|_| AtomicI64::new(-1)).collect(),
            faults: AtomicU64::new(0),
        })
    }

    /// The binary's stages: this one.
    pub(super) fn registry(watch: &Arc<Self>) -> Registry {
        let watch = Arc::clone(watch);
        Registry::new().with(NAME, move |_| Ok(Box::new(Watching(Arc::clone(&watch)))))
    }

    fn start(&self, event: &Event) -> Option<()> {
        let record = event.record();
        let position = record.position();
        let partition = usize::try_from(position.partition.partition).ok()?;
        let offset = usize::try_from(position.offset).ok()?;
        let twice = self.seen.get(partition)?.get(offset)?.swap(true, Relaxed);
        let key = std::str::from_utf8(record.key()?).ok()?;
        let started = self.started.get(key.parse::<usize>().ok()?)?;
        let backwards = started.swap(position.offset, Relaxed) >= position.offset;
        self.faults
            .fetch_add(u64::from(twice) + u64::from(backwards), Relaxed);
        Some(())
    }

    /// Records seen twice, out of order, unknown, or never.
    pub(super) fn faults(&self) -> u64 {
        let cells = self.seen.iter().flatten();
        let missing = cells.filter(|cell| !cell.load(Relaxed)).count() as u64;
        self.faults.load(Relaxed) + missing
    }
}

impl Stage for Watching {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        if self.0.start(event).is_none() {
            self.0.faults.fetch_add(1, Relaxed);
        }
        Step::next()
    }

    fn needs(&self) -> Needs {
        Needs::Record
    }
}
