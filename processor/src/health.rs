//! Whether the processor makes progress; connections and single stuck records say nothing about it.
//! Layer: core

use std::time::{Duration, Instant};

/// How long work may wait beside idle workers before it is a stall. Ten times the longest commit
/// interval, so that a slow tick is never one.
pub const STALL_AFTER: Duration = Duration::from_secs(30);

/// How old the source loop's last turn may be. It turns at least every 50 ms.
pub const SOURCE_SILENT_AFTER: Duration = Duration::from_secs(20);

/// What the pod looked like at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Keys that a worker could take now.
    pub ready_keys: u64,
    /// Workers without work.
    pub idle_workers: u64,
    /// Records finished since the start.
    pub finished: u64,
    /// Last turn of the source loop.
    pub source_turned: Instant,
}

/// Why the pod is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Progress, or nothing to do.
    Ready,
    /// The first turn of the source loop has not been seen.
    Starting,
    /// Told to stop.
    Stopping,
    /// Work waits, workers are idle, nothing finishes.
    Stalled,
    /// The source loop does not turn.
    SourceSilent,
}

impl Verdict {
    /// Whether a restart is the only cure left: without its loop the source does nothing any more.
    #[must_use]
    pub fn is_beyond_help(self) -> bool {
        self == Self::SourceSilent
    }

    /// A sentence for the probe's body.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "the source has not started",
            Self::Stopping => "stopping",
            Self::Stalled => "work is waiting, workers are idle and nothing finishes",
            Self::SourceSilent => "the source loop does not turn",
        }
    }
}

/// Remembers since when there was no progress.
#[derive(Debug)]
pub struct StallDetector {
    finished: u64,
    stuck_since: Option<Instant>,
}

impl StallDetector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            finished: 0,
            stuck_since: None,
        }
    }

    /// Judges one observation; call it about once a second.
    pub fn observe(&mut self, now: Instant, progress: Progress) -> Verdict {
        let stuck = progress.ready_keys > 0
            && progress.idle_workers > 0
            && progress.finished == self.finished;
        self.finished = progress.finished;
        self.stuck_since = if stuck {
            self.stuck_since.or(Some(now))
        } else {
            None
        };
        if now.saturating_duration_since(progress.source_turned) > SOURCE_SILENT_AFTER {
            return Verdict::SourceSilent;
        }
        match self.stuck_since {
            Some(since) if now.duration_since(since) > STALL_AFTER => Verdict::Stalled,
            _ => Verdict::Ready,
        }
    }
}

impl Default for StallDetector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(start: Instant, second: u64) -> Progress {
        let source_turned = start + Duration::from_secs(second);
        Progress {
            ready_keys: 3,
            idle_workers: 1,
            finished: 10,
            source_turned,
        }
    }

    fn after(change: impl Fn(u64, Progress) -> Progress) -> Verdict {
        let (start, mut detector) = (Instant::now(), StallDetector::new());
        (0..60).fold(Verdict::Ready, |_, second| {
            let now = start + Duration::from_secs(second);
            detector.observe(now, change(second, progress(start, second)))
        })
    }

    #[test]
    fn waiting_work_beside_idle_workers_is_a_stall() {
        assert_eq!(after(|_, p| p), Verdict::Stalled);
    }

    #[test]
    fn one_stuck_record_is_not() {
        assert_eq!(
            after(|_, p| Progress { ready_keys: 0, ..p }),
            Verdict::Ready
        );
    }

    #[test]
    fn busy_workers_are_not() {
        assert_eq!(
            after(|_, p| Progress {
                idle_workers: 0,
                ..p
            }),
            Verdict::Ready
        );
    }

    #[test]
    fn progress_is_not() {
        assert_eq!(
            after(|second, p| Progress {
                finished: second,
                ..p
            }),
            Verdict::Ready
        );
    }

    #[test]
    fn a_silent_source_is_seen() {
        let start = Instant::now();
        let silent = |_, p| Progress {
            ready_keys: 0,
            source_turned: start,
            ..p
        };
        assert_eq!(after(silent), Verdict::SourceSilent);
        assert!(Verdict::SourceSilent.is_beyond_help() && !Verdict::Stalled.is_beyond_help());
    }
}
