//! Who leads: what to do next about the Lease.
//! Layer: core
//!
//! Decided from what is written in it and from a monotonic clock. No clock of another machine is
//! compared with ours.

use std::time::Duration;

/// How long a Lease lasts without being renewed.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it, and the others look at it.
pub const PERIOD: Duration = Duration::from_secs(4);
/// The holder stops writing this long before its Lease can end: longer than the deadline of a call,
/// which may still be under way then.
pub const MARGIN: Duration = Duration::from_secs(3);

/// What was read of the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty when nobody does.
    pub holder: String,
    /// The object's version: it changes with every renewal.
    pub version: String,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write ourselves into it: renewing, or taking what is free or has ended.
    Take,
    /// Another one holds it; look again after that time.
    Wait(Duration),
}

/// This replica's view of the Lease.
#[derive(Clone, Debug)]
pub struct Elector {
    identity: String,
    /// The record last seen, and when it was first seen so.
    seen: Option<(Record, Duration)>,
    /// When our last successful renewal was begun.
    renewed: Option<Duration>,
}

impl Elector {
    /// A replica that has seen nothing yet.
    #[must_use]
    pub fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            seen: None,
            renewed: None,
        }
    }

    /// Judges what was read at `now`; `None` is a Lease that does not exist.
    ///
    /// A holder counts as gone when its record was not renewed for the whole duration *as watched
    /// from here*.
    pub fn observe(&mut self, record: Option<Record>, now: Duration) -> Step {
        let Some(record) = record else {
            return Step::Take;
        };
        if record.holder.is_empty() || record.holder == self.identity {
            self.seen = Some((record, now));
            return Step::Take;
        }
        self.renewed = None;
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        self.seen = Some((record, since));
        let left = (since + DURATION).saturating_sub(now);
        if left.is_zero() {
            Step::Take
        } else {
            Step::Wait(left.min(PERIOD))
        }
    }

    /// A write of ours that was begun then succeeded; answers until when we may write.
    pub fn taken(&mut self, begun: Duration) -> Duration {
        self.renewed = Some(begun);
        begun + DURATION.saturating_sub(MARGIN)
    }

    /// Whether we hold it and may still write.
    #[must_use]
    pub fn leads(&self, now: Duration) -> bool {
        self.renewed
            .is_some_and(|begun| now < begun + DURATION.saturating_sub(MARGIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn held(holder: &str, version: u32) -> Option<Record> {
        Some(Record {
            holder: holder.to_owned(),
            version: version.to_string(),
        })
    }

    #[test]
    fn a_free_lease_is_taken_at_once() {
        assert_eq!(Elector::new("a").observe(None, at(0)), Step::Take);
        assert_eq!(Elector::new("a").observe(held("", 1), at(0)), Step::Take);
        assert_eq!(Elector::new("a").observe(held("a", 1), at(0)), Step::Take);
    }

    #[test]
    fn a_holder_that_renews_keeps_it() {
        let mut elector = Elector::new("b");
        for second in 0..100 {
            let step = elector.observe(held("a", u32::try_from(second / 4).unwrap()), at(second));
            assert!(matches!(step, Step::Wait(_)), "after {second} s: {step:?}");
        }
    }

    #[test]
    fn a_holder_that_is_gone_loses_it_after_the_whole_duration_as_watched_from_here() {
        let mut elector = Elector::new("b");
        assert_eq!(elector.observe(held("a", 1), at(1000)), Step::Wait(PERIOD));
        assert_eq!(elector.observe(held("a", 1), at(1014)), Step::Wait(at(1)));
        assert_eq!(elector.observe(held("a", 1), at(1015)), Step::Take);
    }

    #[test]
    fn writing_ends_before_anybody_else_can_take_over() {
        let (mut ours, mut theirs) = (Elector::new("a"), Elector::new("b"));
        let until = ours.taken(at(0));
        theirs.observe(held("a", 1), at(0));
        for second in 0..30 {
            let taken = theirs.observe(held("a", 1), at(second)) == Step::Take;
            assert!(
                !(taken && ours.leads(at(second))),
                "two leaders after {second} s"
            );
        }
        assert_eq!(until, DURATION - MARGIN);
        assert!(ours.leads(at(11)) && !ours.leads(at(12)));
    }

    #[test]
    fn who_lost_it_does_not_lead() {
        let mut elector = Elector::new("a");
        elector.taken(at(0));
        elector.observe(held("b", 7), at(1));
        assert!(!elector.leads(at(1)));
    }
}
