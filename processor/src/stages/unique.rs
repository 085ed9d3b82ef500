//! `unique`: adds a member to the set of its time window.
//! Layer: shell

use std::time::Instant;

use penstock_crds::{
    civil::{Civil, iso_week},
    pipeline::{UniqueStage, Window},
};

use super::{operand::Operand, target::Target};
use crate::{
    event::Event,
    sinks::{Action, Reply},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Unique {
    target: Target,
    set: Operand,
    member: Operand,
    window: Window,
    needs: Needs,
}

impl Unique {
    pub(super) fn new(target: Target, body: &UniqueStage, needs: Needs) -> Self {
        let set = Operand::new("set", &body.set);
        let member = Operand::new("member", &body.member);
        Self {
            target,
            set,
            member,
            window: body.window,
            needs,
        }
    }

    fn action(&self, event: &Event) -> Result<Action, StageError> {
        let set = self.set.id(event)?;
        let member = self.member.member(event)?;
        let window = window_name(self.window, event.record().timestamp_ms());
        Ok(Action::Unique {
            set: format!("{set}:{window}"),
            member,
        })
    }

    async fn add(&self, event: &Event, action: Action, deadline: Instant) -> StageResult {
        match self.target.submit(event, action, deadline).await? {
            Reply::Member { .. } | Reply::Applied | Reply::Redelivered => Ok(Verdict::Continue),
            other => Err(self.target.unexpected(&other)),
        }
    }
}

impl Stage for Unique {
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a> {
        match self.action(event) {
            Ok(action) => Step::pending(self.add(event, action, deadline)),
            Err(error) => Step::Ready(Err(error)),
        }
    }

    fn needs(&self) -> Needs {
        self.needs
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
