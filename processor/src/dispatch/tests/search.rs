//! Every interleaving of a small world: two partitions, three keys, five records, two workers.
//! Layer: test

use std::{
    collections::HashSet,
    hash::{BuildHasher, Hash},
};

use foldhash::quality::RandomState;

use super::{
    reference::{End, Reference},
    subject::{Held, Subject},
};
use crate::dispatch::{Blame, Key, Limits, State};

/// Keys of the records of each partition, by offset.
type Log = &'static [u64];

/// Bounds of a world; each is small, together they let everything happen to everything.
#[derive(Clone, Copy)]
struct Bounds {
    logs: &'static [Log],
    lanes: u8,
    limits: Limits,
    /// Epochs of each partition.
    epochs: u64,
    /// Failed runs of each partition.
    failures: u8,
}

/// A partition and the part of the world that concerns it.
#[derive(Clone)]
struct Side {
    subject: Subject,
    now: u64,
    failures: u8,
    /// What the group has committed: where the next epoch begins.
    committed: i64,
    /// Next offset that the source reads.
    next: i64,
}

#[derive(Clone)]
struct World {
    sides: Vec<Side>,
    /// Two workers; each is free or holds a record of a partition.
    workers: [Option<(usize, Held)>; 2],
}

/// All that tells two worlds apart, as far as the future is concerned.
#[derive(Hash)]
struct Fingerprint<'a> {
    sides: Vec<(&'a Reference, u64, u8, i64, i64)>,
    hands: [Option<(usize, u64, u8, i64)>; 2],
}

impl World {
    fn new(bounds: &Bounds) -> Self {
        let side = |_: &Log| Side {
            subject: Subject::new(bounds.lanes, bounds.limits),
            now: 0,
            failures: 0,
            committed: 0,
            next: 0,
        };
        Self {
            sides: bounds.logs.iter().map(side).collect(),
            workers: [None, None],
        }
    }

    fn fingerprint(&self, seed: &RandomState) -> u128 {
        let mut hands = self.workers.each_ref().map(|hand| {
            hand.as_ref().map(|(side, held)| {
                let (epoch, lane, offset) = held.place();
                (*side, epoch, lane, offset)
            })
        });
        // The workers are alike.
        hands.sort();
        let sides = self.sides.iter().map(|side| {
            (
                &side.subject.reference,
                side.now,
                side.failures,
                side.committed,
                side.next,
            )
        });
        let print = Fingerprint {
            sides: sides.collect(),
            hands,
        };
        u128::from(seed.hash_one((1, &print))) << 64 | u128::from(seed.hash_one((2, &print)))
    }

    /// Every world one step away.
    fn successors(&self, bounds: &Bounds, visit: &mut impl FnMut(World)) {
        for at in 0..self.sides.len() {
            self.partition_steps(bounds, at, visit);
        }
        // Two free workers are alike.
        if let Some(free) = self.workers.iter().position(Option::is_none) {
            self.takes(bounds, free, visit);
        }
        for worker in 0..self.workers.len() {
            if let Some((side, _)) = &self.workers[worker] {
                self.ends(bounds, worker, *side, visit);
            }
        }
    }

    fn partition_steps(&self, bounds: &Bounds, at: usize, visit: &mut impl FnMut(World)) {
        let side = &self.sides[at];
        let mut go = |step: &dyn Fn(&mut Side)| {
            let mut world = self.clone();
            step(&mut world.sides[at]);
            visit(world);
        };
        match side.subject.engine.state() {
            State::Idle if side.subject.reference.epoch < bounds.epochs => go(&|side| {
                side.subject.assign(side.subject.reference.epoch + 1);
                side.next = side.committed;
            }),
            State::Idle => {}
            State::Consuming => {
                if let Some(&key) = bounds.logs[at].get(side.next.unsigned_abs() as usize) {
                    go(&|side| side.admit(key));
                }
                go(&|side| side.subject.begin_revoke());
                go(&|side| side.end_epoch(Subject::lose));
            }
            State::Draining => {
                go(&|side| side.end_epoch(Subject::finish_revoke));
                go(&|side| side.end_epoch(Subject::lose));
            }
        }
        if side
            .subject
            .engine
            .watermark()
            .is_some_and(|mark| mark > side.committed)
        {
            go(&Side::commit);
        }
        if side
            .subject
            .reference
            .view()
            .lanes
            .iter()
            .any(|lane| lane[3] > 0)
        {
            go(&|side| {
                side.now += 1;
                side.subject.tick(side.now);
            });
        }
    }

    fn takes(&self, bounds: &Bounds, worker: usize, visit: &mut impl FnMut(World)) {
        for at in 0..self.sides.len() {
            for lane in 0..bounds.lanes {
                let mut world = self.clone();
                if let Some(held) = world.sides[at].subject.take(lane) {
                    world.workers[worker] = Some((at, held));
                    visit(world);
                }
            }
        }
    }

    fn ends(&self, bounds: &Bounds, worker: usize, at: usize, visit: &mut impl FnMut(World)) {
        let side = &self.sides[at];
        let mut ends = vec![End::Complete];
        if bounds.lanes > 1 {
            ends.push(End::Advance);
        }
        if side.failures < bounds.failures {
            let until = side.now + 1;
            ends.extend([
                End::Park(until, Blame::Record),
                End::Park(until, Blame::Sink),
            ]);
            ends.extend([End::Block, End::Abandon, End::GiveBack]);
        }
        for end in ends {
            let mut world = self.clone();
            let (_, held) = world.workers[worker]
                .take()
                .expect("the worker holds a record");
            let side = &mut world.sides[at];
            side.failures += u8::from(!matches!(end, End::Complete | End::Advance));
            side.subject.end(held, end);
            visit(world);
        }
    }
}

impl Side {
    fn admit(&mut self, key: u64) {
        if self.subject.admit(self.next, Key::Hash(key), 10).is_none() {
            self.next += 1;
        }
    }

    fn commit(&mut self) {
        let mark = self
            .subject
            .engine
            .watermark()
            .expect("there is one to commit");
        assert!(mark <= self.next, "nothing is committed that was not read");
        self.committed = mark;
        self.subject.acknowledged(mark);
    }

    fn end_epoch(&mut self, end: fn(&mut Subject)) {
        end(&mut self.subject);
        // Time that nobody waits for tells no two worlds apart.
        self.now = 0;
    }
}

/// Visits every reachable world once; every step of every world is compared with the reference.
fn explore(name: &str, bounds: Bounds) -> usize {
    let seed = RandomState::default();
    let first = World::new(&bounds);
    let mut seen = HashSet::from([first.fingerprint(&seed)]);
    let (mut open, mut steps) = (vec![first], 0_u64);
    while let Some(world) = open.pop() {
        world.successors(&bounds, &mut |next| {
            steps += 1;
            if seen.insert(next.fingerprint(&seed)) {
                open.push(next);
            }
        });
    }
    println!("{name}: {} states, {steps} steps", seen.len());
    seen.len()
}

const LIMITS: Limits = Limits {
    records: 3,
    bytes: 30,
    window: 3,
    running: 2,
    detached_running: 1,
};

const TWO_PARTITIONS: Bounds = Bounds {
    logs: &[&[1, 2, 1], &[1, 3]],
    lanes: 1,
    limits: LIMITS,
    epochs: 1,
    failures: 1,
};

#[test]
fn every_interleaving_of_two_partitions_agrees_with_the_reference() {
    assert!(explore("two partitions, one epoch", TWO_PARTITIONS) > 1_000);
}

/// Over a million states: `cargo test --release -p penstock-processor --lib search -- --ignored`.
#[test]
#[ignore = "takes minutes without optimisation"]
fn every_interleaving_of_two_partitions_and_epochs_agrees_with_the_reference() {
    let bounds = Bounds {
        epochs: 2,
        ..TWO_PARTITIONS
    };
    assert!(explore("two partitions, two epochs", bounds) > 1_000_000);
}

#[test]
fn every_interleaving_of_two_epochs_agrees_with_the_reference() {
    let bounds = Bounds {
        logs: &[&[1, 2, 1, 3]],
        lanes: 1,
        limits: LIMITS,
        epochs: 2,
        failures: 1,
    };
    assert!(explore("one partition, two epochs", bounds) > 1_000);
}

#[test]
fn every_interleaving_of_two_lanes_agrees_with_the_reference() {
    let bounds = Bounds {
        logs: &[&[1, 2, 1]],
        lanes: 2,
        limits: LIMITS,
        epochs: 2,
        failures: 2,
    };
    assert!(explore("two lanes, two epochs", bounds) > 1_000);
}
