//! One partition, one thread, no work: what order, budgets and watermark cost per record.
//! Layer: shell

use penstock_processor::dispatch::{
    Engine, Epoch, Key, KeyHasher, Limits, NullKeys, Ordering, Taken, Ticket,
};

use crate::{
    allocations, clock,
    floor::Floor,
    oracle::Oracle,
    published::Published,
    workload::{Skew, Workload},
};

/// A payload of 1 KiB that is handed around and never copied.
pub type Payload = Box<[u8; 1024]>;

/// A record that comes in.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: &'a [u8],
    /// Its payload.
    pub payload: Payload,
}

/// A dispatcher of one partition.
pub trait Subject {
    /// What a run is ended with.
    type Run;

    /// Takes records in, all there are in the batch; in the order of the batch.
    fn admit(&mut self, batch: &mut Vec<Arrival<'_>>);
    /// Hands out a record: its offset, its payload, and what ends its run.
    fn take(&mut self) -> Option<(i64, Payload, Self::Run)>;
    /// Ends the run of a record.
    fn complete(&mut self, run: Self::Run);
    /// Next offset to commit.
    fn watermark(&mut self) -> Option<i64>;
}

/// Ours.
pub struct Penstock {
    engine: Engine<Payload>,
    hasher: KeyHasher,
    keys: Vec<Key>,
}

impl Penstock {
    /// An engine whose window is this many records.
    ///
    /// # Panics
    /// When the window does not fit into 32 bits.
    #[must_use]
    pub fn new(window: usize) -> Self {
        let window = u32::try_from(window).expect("a window of records");
        let limits = Limits {
            records: window,
            bytes: u64::MAX,
            // One slow key holds the watermark back while others go on; here that is not the limit.
            window: 1 << 22,
            running: u32::MAX,
            detached_running: 1,
        };
        let mut engine = Engine::new(1, limits);
        engine.assign(Epoch(1));
        Self {
            engine,
            hasher: KeyHasher::new(Ordering::PerKey, NullKeys::Spread),
            keys: Vec::with_capacity(BATCH),
        }
    }
}

impl Subject for Penstock {
    type Run = Ticket;

    /// As the pool does it: all keys are hashed and looked up before the first record is admitted.
    fn admit(&mut self, batch: &mut Vec<Arrival<'_>>) {
        self.keys.clear();
        let hash = |arrival: &Arrival<'_>| self.hasher.key(Some(arrival.key));
        self.keys.extend(batch.iter().map(hash));
        self.engine.foresee(self.keys.iter().copied());
        for (arrival, key) in batch.drain(..).zip(&self.keys) {
            let admitted = self
                .engine
                .admit(arrival.offset, *key, 1_352, arrival.payload);
            assert!(admitted.is_ok(), "the driver keeps to the limits");
        }
    }

    fn take(&mut self) -> Option<(i64, Payload, Ticket)> {
        self.engine.take(0).map(
            |Taken {
                 ticket,
                 offset,
                 payload,
                 ..
             }| (offset, payload, ticket),
        )
    }

    fn complete(&mut self, run: Ticket) {
        let _ = self.engine.complete(run);
    }

    fn watermark(&mut self) -> Option<i64> {
        let watermark = self.engine.watermark();
        self.engine.acknowledged(watermark.unwrap_or(0));
        watermark
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Distinct keys.
    pub keys: usize,
    /// How hot they are.
    pub skew: Skew,
    /// Unfinished records.
    pub window: usize,
    /// Measured records.
    pub records: usize,
    /// Seed of keys and draws.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Tenths of a nanosecond of CPU time per record, median of [`ROUNDS`].
    pub tenth_nanos: u64,
    /// Thousandths of an allocation per record, the most of all rounds.
    pub milli_allocations: u64,
    /// Faults that the oracle saw in the same schedule.
    pub faults: u64,
}

/// Measured rounds of `records` each, after one that warms up.
pub const ROUNDS: usize = 5;

/// Records admitted at once, as by the source.
const BATCH: usize = 64;

/// Runs that are open at a time; they complete in the order of a fixed scramble.
const IN_FLIGHT: usize = 64;

/// Measures ours, the published shape, and the driver by itself, whose faults do not count.
#[must_use]
pub fn measure(shape: Shape) -> [Figure; 3] {
    let workload = Workload::new(shape.keys, shape.skew, shape.seed);
    let ours = measure_one(|| Penstock::new(shape.window), &workload, shape);
    let published = measure_one(Published::new, &workload, shape);
    [ours, published, measure_one(Floor::new, &workload, shape)]
}

fn measure_one<S: Subject>(new: impl Fn() -> S, workload: &Workload, shape: Shape) -> Figure {
    let mut driver = Driver::new(new(), workload, shape);
    driver.run(shape.records, |_, _, _| {});
    let mut rounds = [(0, 0); ROUNDS];
    for round in &mut rounds {
        let (allocations, start) = (allocations::count(), clock::thread_nanos());
        driver.run(shape.records, |_, _, _| {});
        let tenths = (clock::thread_nanos() - start) * 10 / shape.records as u64;
        *round = (
            tenths,
            (allocations::count() - allocations) * 1_000 / shape.records as u64,
        );
    }
    let milli_allocations = rounds.iter().map(|round| round.1).max().unwrap_or(0);
    rounds.sort_unstable();
    let faults = watch(new(), workload, shape);
    Figure {
        tenth_nanos: rounds[ROUNDS / 2].0,
        milli_allocations,
        faults,
    }
}

/// The same schedule from the start under the oracle's eyes, to its end.
fn watch<S: Subject>(subject: S, workload: &Workload, shape: Shape) -> u64 {
    let mut oracle = Oracle::new(shape.keys, shape.records);
    let mut driver = Driver::new(subject, workload, shape);
    let mut look = |offset: i64, seen: Seen, watermark: Option<i64>| {
        let rank = workload.rank(offset);
        match seen {
            Seen::Start => oracle.start(rank, offset),
            Seen::Finish => oracle.finish(rank, offset, watermark),
        }
    };
    driver.run(shape.records, &mut look);
    driver.drain(&mut look);
    oracle.faults()
}

#[derive(Clone, Copy)]
enum Seen {
    Start,
    Finish,
}

/// Keeps the window full and [`IN_FLIGHT`] runs open.
struct Driver<'a, S: Subject> {
    subject: S,
    workload: &'a Workload,
    spare: Vec<Payload>,
    batch: Vec<Arrival<'a>>,
    in_flight: Vec<(i64, Payload, S::Run)>,
    next: i64,
    open: usize,
    scramble: usize,
}

impl<'a, S: Subject> Driver<'a, S> {
    fn new(subject: S, workload: &'a Workload, shape: Shape) -> Self {
        let spare = (0..shape.window).map(|_| Box::new([0; 1024])).collect();
        let in_flight = Vec::with_capacity(IN_FLIGHT);
        Self {
            subject,
            workload,
            spare,
            batch: Vec::with_capacity(BATCH),
            in_flight,
            next: 0,
            open: 0,
            scramble: 1,
        }
    }

    /// Finishes `records` records, admitting as many as the window has room for.
    fn run(&mut self, records: usize, mut look: impl FnMut(i64, Seen, Option<i64>)) {
        let end = self.next + i64::try_from(records).expect("offsets fit");
        while self.next < end {
            while self.admit(end) {}
            for _ in 0..IN_FLIGHT {
                self.step(&mut look);
            }
        }
    }

    /// Admits one batch of the records before `end`; whether there was room for a whole one.
    fn admit(&mut self, end: i64) -> bool {
        while self.next < end
            && self.batch.len() < BATCH
            && let Some(payload) = self.spare.pop()
        {
            let (offset, workload) = (self.next, self.workload);
            let key = workload.key(workload.rank(offset));
            self.batch.push(Arrival {
                offset,
                key,
                payload,
            });
            self.next += 1;
        }
        self.open += self.batch.len();
        let whole = self.batch.len() == BATCH;
        self.subject.admit(&mut self.batch);
        whole
    }

    fn drain(&mut self, mut look: impl FnMut(i64, Seen, Option<i64>)) {
        while self.open > 0 {
            self.step(&mut look);
        }
    }

    fn step(&mut self, look: &mut impl FnMut(i64, Seen, Option<i64>)) {
        while self.in_flight.len() < IN_FLIGHT
            && let Some(run) = self.subject.take()
        {
            look(run.0, Seen::Start, None);
            self.in_flight.push(run);
        }
        if self.in_flight.is_empty() {
            return;
        }
        self.scramble = self.scramble.wrapping_mul(25_214_903_917).wrapping_add(11);
        let at = (self.scramble >> 16) % self.in_flight.len();
        let (offset, payload, run) = self.in_flight.swap_remove(at);
        self.subject.complete(run);
        self.spare.push(payload);
        self.open -= 1;
        look(offset, Seen::Finish, self.subject.watermark());
    }
}
