//! Random steps against the reference.
//! Layer: test

use proptest::prelude::*;

use super::{
    reference::End,
    subject::{Held, Subject},
};
use crate::dispatch::{Blame, Key, Limits};

/// A step of the outside world.
#[derive(Clone, Debug)]
enum Step {
    Admit { gap: i64, key: Key, charge: u64 },
    Take(u8),
    End(usize, End),
    Tick(u64),
    Acknowledge(i64),
    BeginRevoke,
    FinishRevoke,
    Lose,
    Assign,
}

/// Hashes that share a bucket of the index, the low half, or neither.
const HASHES: [u64; 6] = [0, 1, 1 << 32, 128, 1 << 33 | 1, 4_096];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![
        4 => prop::sample::select(&HASHES[..]).prop_map(Key::Hash),
        1 => Just(Key::Spread),
    ];
    // Offsets that do not rise are a fault of the source that must be refused.
    let gap = prop_oneof![8 => Just(1), 2 => 2..50_i64, 1 => -3..=0_i64];
    let blame = prop_oneof![Just(Blame::Record), Just(Blame::Sink)];
    let end = prop_oneof![
        6 => Just(End::Complete),
        4 => Just(End::Advance),
        3 => (0..6_u64, blame).prop_map(|(delay, blame)| End::Park(delay, blame)),
        1 => Just(End::Block),
        1 => Just(End::GiveBack),
        1 => Just(End::Abandon),
    ];
    let step = prop_oneof![
        12 => (gap, key, 0..60_u64).prop_map(|(gap, key, charge)| Step::Admit { gap, key, charge }),
        10 => (0..3_u8).prop_map(Step::Take),
        10 => (any::<prop::sample::Index>(), end).prop_map(|(at, end)| Step::End(at.index(64), end)),
        3 => (0..4_u64).prop_map(Step::Tick),
        3 => (-5..60_i64).prop_map(Step::Acknowledge),
        1 => Just(Step::BeginRevoke),
        1 => Just(Step::FinishRevoke),
        1 => Just(Step::Lose),
        2 => Just(Step::Assign),
    ];
    prop::collection::vec(step, 1..400)
}

/// Plays the steps; tickets of ended epochs stay in hand and come back late.
fn play(lanes: u8, limits: Limits, steps: &[Step]) {
    let mut subject = Subject::new(lanes, limits);
    let (mut held, mut offset, mut now, mut epoch) = (Vec::<Held>::new(), 0, 0, 1);
    subject.assign(epoch);
    for step in steps {
        match *step {
            Step::Admit { gap, key, charge } => {
                if subject.admit(offset + gap, key, charge).is_none() {
                    offset += gap;
                }
            }
            Step::Take(lane) => held.extend(subject.take(lane % lanes)),
            Step::End(at, end) if !held.is_empty() => {
                let end = match end {
                    End::Park(delay, blame) => End::Park(now + delay, blame),
                    other => other,
                };
                let at = at % held.len();
                subject.end(held.swap_remove(at), end);
            }
            Step::End(..) => {}
            Step::Tick(by) => {
                now += by;
                subject.tick(now);
            }
            Step::Acknowledge(ahead) => subject.acknowledged(offset - 40 + ahead),
            Step::BeginRevoke => subject.begin_revoke(),
            Step::FinishRevoke => subject.finish_revoke(),
            Step::Lose => subject.lose(),
            Step::Assign => {
                epoch += 1;
                subject.assign(epoch);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_engine_is_its_reference(
        lanes in 1..4_u8,
        records in 1..20_u32,
        window in 1..30_u32,
        running in 1..6_u32,
        steps in steps(),
    ) {
        let limits = Limits { records, bytes: 300, window, running, detached_running: running };
        play(lanes, limits, &steps);
    }
}
