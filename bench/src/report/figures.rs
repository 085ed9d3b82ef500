//! All figures against their goals, in one table.
//! Layer: core

use serde_json::{Value, json};

use super::{
    GOAL_TENTHS, Report,
    broker::{Comparison, GOALS_PERMILLE},
    fixed,
};
use crate::story::{Figure, Story};

/// What the `figures` command measured.
#[derive(Debug)]
pub struct Figures {
    /// On the broker.
    pub broker: Comparison,
    /// In process.
    pub process: Report,
}

/// One figure and its goal, as text.
struct Line {
    name: String,
    seen: String,
    goal: String,
    met: Met,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    Yes,
    No,
}

impl From<bool> for Met {
    fn from(met: bool) -> Self {
        if met { Self::Yes } else { Self::No }
    }
}

impl Met {
    fn word(self) -> &'static str {
        match self {
            Self::Yes => "met",
            Self::No => "MISSED",
        }
    }
}

impl Figures {
    /// Faults that any oracle saw; 0 is a pass.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.broker.faults() + self.process.faults()
    }

    /// Everything measured, then the goals.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = self.broker.table() + &self.process.table();
        text += &format!("{:<52} {:>12} {:>12}\n", "figure", "seen", "goal");
        for line in self.lines() {
            let Line {
                name,
                seen,
                goal,
                met,
            } = line;
            text += &format!("{name:<52} {seen:>12} {goal:>12}  {}\n", met.word());
        }
        text + &format!("oracles: {} faults\n", self.faults())
    }

    /// The JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let goal = |l: Line| json!({"figure": l.name, "seen": l.seen, "goal": l.goal, "met": l.met == Met::Yes});
        json!({
            "goals": self.lines().into_iter().map(goal).collect::<Vec<_>>(),
            "broker": self.broker.json(),
            "process": self.process.json(),
            "faults": self.faults(),
            "verdict": if self.faults() == 0 { "pass" } else { "fail" },
        })
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = self.engine();
        lines.extend(self.story());
        lines.extend(GOALS_PERMILLE.map(|goal| Line {
            name: "end to end, records/s over a bare loop's".to_owned(),
            seen: fixed(self.broker.ratio_permille(), 3),
            goal: format!(">= {}", fixed(goal, 3)),
            met: (self.broker.ratio_permille() >= goal).into(),
        }));
        lines
    }

    fn engine(&self) -> Vec<Line> {
        let rows = self.process.engine.iter();
        let nanos = rows.clone().map(|row| Line {
            name: format!(
                "engine ns a record, {}, window {}",
                row.skew.name(),
                row.window
            ),
            seen: fixed(row.ours.tenth_nanos, 1),
            goal: format!("<= {}", fixed(GOAL_TENTHS, 1)),
            met: (row.ours.tenth_nanos <= GOAL_TENTHS).into(),
        });
        let most = rows
            .map(|row| row.ours.milli_allocations)
            .max()
            .unwrap_or(0);
        let allocations = Line {
            name: "engine allocations a record, the most".to_owned(),
            seen: fixed(most, 3),
            goal: "0".to_owned(),
            met: (most == 0).into(),
        };
        nanos.chain([allocations]).collect()
    }

    fn story(&self) -> [Line; 4] {
        let Story {
            told,
            alike,
            dispatcher,
            ..
        } = self.process.story;
        let latency = |peer: Figure| (dispatcher.mean_micros, peer.mean_micros, 500);
        let allocations =
            |peer: Figure| (dispatcher.centi_allocations, peer.centi_allocations, 100);
        [
            ("mean latency over told", latency(told)),
            ("mean latency over alike", latency(alike)),
            ("allocations over told", allocations(told)),
            ("allocations over alike", allocations(alike)),
        ]
        .map(|(name, (ours, peer, goal))| {
            let permille = ours * 1_000 / peer.max(1);
            Line {
                name: format!("story (a), {name}"),
                seen: fixed(permille, 3),
                goal: format!("<= {}", fixed(goal, 3)),
                met: (permille <= goal).into(),
            }
        })
    }
}
