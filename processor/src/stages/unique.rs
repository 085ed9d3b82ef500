//! `unique`: adds a member to the set of its time window, unless it was lately seen there.
//! Layer: shell

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use penstock_crds::{
    civil::{Civil, iso_week},
    pipeline::{UniqueStage, Window},
};

use super::{operand::Operand, target::Target};
use crate::{
    event::Event,
    fingerprints::{Fingerprint, Fingerprints},
    sinks::{Action, Reply, Retention},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

const HOUR_MS: i64 = 3_600_000;

/// How long a set outlives its window and its last touch: what a backlog may be late.
const MARGIN_MS: i64 = 24 * HOUR_MS;

/// The stage.
pub(super) struct Unique {
    target: Target,
    set: Operand,
    member: Operand,
    window: Window,
    needs: Needs,
    seen: Option<Seen>,
}

/// Members that need not be asked of the sink again.
struct Seen {
    table: Arc<Fingerprints>,
    /// Keys drawn for this process, so that nobody can choose members that collide.
    hasher: RandomState,
}

impl Seen {
    /// A sink that lost its data is another incarnation, whose members are not known yet.
    fn fingerprint(&self, incarnation: u64, set: &str, member: &[u8]) -> Fingerprint {
        Fingerprint::new(self.hasher.hash_one((incarnation, set, member)))
    }
}

/// A set and a member of it.
struct Membership {
    set: String,
    member: Vec<u8>,
}

impl Unique {
    pub(super) fn new(
        target: Target,
        body: &UniqueStage,
        needs: Needs,
        seen: Option<Arc<Fingerprints>>,
    ) -> Self {
        let set = Operand::new("set", &body.set);
        let member = Operand::new("member", &body.member);
        let seen = seen.map(|table| Seen {
            table,
            hasher: RandomState::new(),
        });
        Self {
            target,
            set,
            member,
            window: body.window,
            needs,
            seen,
        }
    }

    fn membership(&self, event: &Event) -> Result<Membership, StageError> {
        let set = self.set.id(event)?;
        let member = self.member.member(event)?;
        let window = window_name(self.window, event.record().timestamp_ms());
        Ok(Membership {
            set: format!("{set}:{window}"),
            member,
        })
    }

    /// Asks the sink, and remembers the member only once it answered.
    async fn add(
        &self,
        event: &Event,
        Membership { set, member }: Membership,
        fingerprint: Option<Fingerprint>,
        deadline: Instant,
    ) -> StageResult {
        let action = Action::Unique {
            set,
            member,
            retention: retention(self.window, event.record().timestamp_ms()),
        };
        match self.target.submit(event, action, deadline).await? {
            Reply::Member { .. } | Reply::Applied | Reply::Redelivered => {}
            other => return Err(self.target.unexpected(&other)),
        }
        if let (Some(seen), Some(fingerprint)) = (&self.seen, fingerprint) {
            seen.table.insert(fingerprint);
        }
        Ok(Verdict::Continue)
    }
}

impl Stage for Unique {
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a> {
        let membership = match self.membership(event) {
            Ok(membership) => membership,
            Err(error) => return Step::Ready(Err(error)),
        };
        // Taken before the sink is asked: what is lost in between makes the entry void.
        let incarnation = self.target.sink.incarnation();
        let Membership { set, member } = &membership;
        let seen = self.seen.as_ref();
        let fingerprint = seen.map(|seen| seen.fingerprint(incarnation, set, member));
        let known = seen
            .zip(fingerprint)
            .is_some_and(|(seen, fingerprint)| seen.table.contains(fingerprint));
        if known {
            return Step::next();
        }
        Step::pending(self.add(event, membership, fingerprint, deadline))
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

/// How long the set of a record's window is needed.
fn retention(window: Window, timestamp_ms: i64) -> Retention {
    let longest_ms = match window {
        Window::Hour => HOUR_MS,
        Window::Day => 24 * HOUR_MS,
        Window::Week => 7 * 24 * HOUR_MS,
        Window::Month => 31 * 24 * HOUR_MS,
    };
    Retention {
        until_ms: timestamp_ms.max(0).saturating_add(longest_ms),
        margin_ms: MARGIN_MS,
    }
}

/// The calendar window in UTC that a timestamp falls into: `2026-11-21T13`, `2026-11-21`,
/// `2026-W47` or `2026-11`. A record without a timestamp (negative) falls into the epoch's first,
/// so that a repeat finds the same window.
fn window_name(window: Window, timestamp_ms: i64) -> String {
    let timestamp_ms = timestamp_ms.max(0);
    let Civil {
        year,
        month,
        day,
        hour,
    } = Civil::from_timestamp_ms(timestamp_ms);
    match window {
        Window::Hour => format!("{year:04}-{month:02}-{day:02}T{hour:02}"),
        Window::Day => format!("{year:04}-{month:02}-{day:02}"),
        Window::Week => {
            let (year, week) = iso_week(timestamp_ms);
            format!("{year:04}-W{week:02}")
        }
        Window::Month => format!("{year:04}-{month:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_named_by_the_calendar() {
        const MS: i64 = 1000;
        let names = |seconds: i64| {
            [Window::Hour, Window::Day, Window::Week, Window::Month]
                .map(|window| window_name(window, seconds * MS))
        };
        // 2026-11-21T13:45:00Z, a Saturday.
        assert_eq!(
            names(1_795_268_700),
            ["2026-11-21T13", "2026-11-21", "2026-W47", "2026-11"]
        );
        // 2027-01-01 is a Friday and belongs to the last week of 2026.
        assert_eq!(
            names(1_798_761_600),
            ["2027-01-01T00", "2027-01-01", "2026-W53", "2027-01"]
        );
        assert_eq!(
            names(-1),
            ["1970-01-01T00", "1970-01-01", "1970-W01", "1970-01"]
        );
    }
}
