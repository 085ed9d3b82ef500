//! When the processor is killed: at random points of the progress, decided by the seed.
//! Layer: core

use std::collections::VecDeque;

use super::draw::Draw;

/// A kill to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kill {
    /// Finished records at which it becomes due.
    pub at_finished: u64,
    /// Milliseconds to wait then: commits come in steps, and kills shall fall between them.
    pub delay_ms: u64,
}

/// The kills of a run, the next one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(VecDeque<Kill>);

impl Schedule {
    /// Spreads `kills` over the run: one in each of as many equal parts, between 2 % and 92 %.
    #[must_use]
    pub fn new(seed: u64, kills: u32, records: u64) -> Self {
        let mut draw = Draw::new(seed, u64::from(u32::MAX) + 1);
        let parts = u64::from(kills.max(1));
        let kills = (0..u64::from(kills)).map(|part| {
            let within = draw.below(1_000);
            let permille = 20 + (part * 1_000 + within) * 900 / (parts * 1_000);
            let at_finished = u128::from(records) * u128::from(permille) / 1_000;
            let at_finished = u64::try_from(at_finished).expect("a part of a 64 bit number");
            Kill {
                at_finished,
                delay_ms: draw.below(1_000),
            }
        });
        Self(kills.collect())
    }

    /// The next kill if it is due; it is then taken off.
    pub fn take_due(&mut self, finished: u64) -> Option<Kill> {
        self.0.pop_front_if(|kill| kill.at_finished <= finished)
    }

    /// Kills to come.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_and_decided_by_the_seed() {
        let schedule = Schedule::new(1, 20, 1_000_000);
        assert_eq!(schedule, Schedule::new(1, 20, 1_000_000));
        assert_ne!(schedule, Schedule::new(2, 20, 1_000_000));
        assert!(schedule.0.iter().is_sorted_by_key(|kill| kill.at_finished));
        let (first, last) = (schedule.0[0].at_finished, schedule.0[19].at_finished);
        assert!((20_000..65_000).contains(&first), "{first}");
        assert!((875_000..920_000).contains(&last), "{last}");
    }

    #[test]
    fn a_kill_is_taken_once_it_is_due() {
        let mut schedule = Schedule::new(1, 1, 1_000);
        let at = schedule.0[0].at_finished;
        assert_eq!(schedule.take_due(at - 1), None);
        assert!(schedule.take_due(at).is_some());
        assert_eq!((schedule.take_due(1_000), schedule.left()), (None, 0));
    }
}
