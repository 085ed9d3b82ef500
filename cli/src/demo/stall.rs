//! Decides when a run has stalled: records wait for a commit and none comes, or nothing is produced.
//! Layer: core

use std::time::{Duration, Instant};

/// What is known of all partitions at a moment, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged by the broker.
    pub produced: u64,
    /// Committed by the group.
    pub committed: u64,
}

/// What has not moved for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// Records wait, and no commit came.
    NoCommit(Duration),
    /// Everything produced is committed, and no new record came.
    NoRecord(Duration),
}

/// Measures how long nothing has moved. Each of the two waits for the other, so only one clock
/// runs at a time: a slow producer is no fault of the processor.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    commits: Duration,
    records: Duration,
    seen: Counts,
    since: Instant,
}

impl Patience {
    /// `commits` is how long a commit may take while records wait, `records` how long a record may
    /// take while none waits.
    #[must_use]
    pub fn new(commits: Duration, records: Duration, now: Instant) -> Self {
        Self {
            commits,
            records,
            seen: Counts::default(),
            since: now,
        }
    }

    /// Takes a look; counts never shrink.
    pub fn look(&mut self, counts: Counts, now: Instant) -> Option<Stall> {
        let waited = self.seen.committed < self.seen.produced;
        if counts.committed > self.seen.committed || (!waited && counts != self.seen) {
            self.since = now;
        }
        self.seen = counts;
        let elapsed = now.saturating_duration_since(self.since);
        let waits = counts.committed < counts.produced;
        if waits && elapsed > self.commits {
            return Some(Stall::NoCommit(elapsed));
        }
        (!waits && elapsed > self.records).then_some(Stall::NoRecord(elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITS: u64 = 10;
    const RECORDS: u64 = 100;

    /// Looks at `(second, produced, committed)` in turn; what the last look said.
    fn said(looks: &[(u64, u64, u64)]) -> Option<Stall> {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut patience = Patience::new(seconds(COMMITS), seconds(RECORDS), start);
        let mut last = None;
        for &(second, produced, committed) in looks {
            assert_eq!(last, None, "before second {second}");
            let counts = Counts {
                produced,
                committed,
            };
            last = patience.look(counts, start + seconds(second));
        }
        last
    }

    fn no_commit(seconds: u64) -> Option<Stall> {
        Some(Stall::NoCommit(Duration::from_secs(seconds)))
    }

    #[test]
    fn a_slow_producer_is_no_stall_of_the_processor() {
        assert_eq!(said(&[(50, 0, 0), (99, 0, 0)]), None);
        assert_eq!(said(&[(50, 0, 0), (51, 3, 0), (61, 3, 0)]), None);
        assert_eq!(said(&[(1, 3, 0), (2, 3, 3), (90, 3, 3), (95, 9, 3)]), None);
    }

    #[test]
    fn records_that_wait_too_long_are_one() {
        assert_eq!(said(&[(50, 0, 0), (51, 3, 0), (62, 3, 0)]), no_commit(11));
        assert_eq!(said(&[(1, 3, 0), (9, 3, 1), (20, 3, 1)]), no_commit(11));
    }

    #[test]
    fn new_records_do_not_hide_that_old_ones_wait() {
        assert_eq!(said(&[(1, 3, 0), (6, 30, 0), (12, 99, 0)]), no_commit(11));
    }

    #[test]
    fn a_producer_that_never_goes_on_ends_the_run_too() {
        let waited = Duration::from_secs(101);
        assert_eq!(said(&[(101, 0, 0)]), Some(Stall::NoRecord(waited)));
    }
}
