//! How long until a slow detached stage slows everything: room divided by growth.
//! Layer: core

use std::time::{Duration, Instant};

/// Records a stage holds and the room that is left, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Records waiting for the stage.
    pub queued: u64,
    /// Records that may still be admitted before a budget is used up.
    pub room: u64,
}

/// Samples one stage's backlog.
#[derive(Debug, Default)]
pub struct Backlog {
    last: Option<(Instant, Level)>,
    until: Option<u64>,
}

/// Samples closer than this say more about bursts than about growth.
const LEAST_GAP: Duration = Duration::from_secs(1);

impl Backlog {
    /// Takes a sample. The answer holds until the next one that is at least a second later.
    pub fn sample(&mut self, now: Instant, level: Level) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, level));
            return;
        };
        let gap = now.saturating_duration_since(then);
        if gap < LEAST_GAP {
            return;
        }
        self.until = seconds_until_full(before, level, gap);
        self.last = Some((now, level));
    }

    /// Seconds until back-pressure at the growth last seen; `None` when the backlog does not grow.
    #[must_use]
    pub fn seconds_until_back_pressure(&self) -> Option<u64> {
        self.until
    }
}

fn seconds_until_full(before: Level, now: Level, gap: Duration) -> Option<u64> {
    let grown = now
        .queued
        .checked_sub(before.queued)
        .filter(|grown| *grown > 0)?;
    let millis = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
    Some(now.room.saturating_mul(millis) / grown / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(second: Level) -> Option<u64> {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        backlog.sample(
            start,
            Level {
                queued: 100,
                room: 900,
            },
        );
        backlog.sample(start + Duration::from_secs(2), second);
        backlog.seconds_until_back_pressure()
    }

    #[test]
    fn room_is_divided_by_growth() {
        assert_eq!(
            after(Level {
                queued: 300,
                room: 700
            }),
            Some(7)
        );
    }

    #[test]
    fn a_backlog_that_shrinks_or_stands_has_no_end() {
        assert_eq!(
            after(Level {
                queued: 100,
                room: 900
            }),
            None
        );
        assert_eq!(
            after(Level {
                queued: 20,
                room: 980
            }),
            None
        );
    }

    #[test]
    fn a_full_queue_is_there_already() {
        assert_eq!(
            after(Level {
                queued: 1000,
                room: 0
            }),
            Some(0)
        );
    }
}
