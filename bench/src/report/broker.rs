//! Results of the broker command: each round, medians, and the ratio that counts.
//! Layer: core

use serde_json::{Value, json};

use super::fixed;
use crate::broker::Round;

/// Both sides of one run.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Records of each round.
    pub records: u64,
    /// The round under the oracle's eyes.
    pub watched: Round,
    /// The bare loop with the client's defaults.
    pub bare: Vec<Round>,
    /// The bare loop with the client's settings that the processor's memory plan makes.
    pub bounded: Vec<Round>,
    /// The processor's line.
    pub ours: Vec<Round>,
}

/// Goal of the first version for ours / bare, per mille, and the project's.
pub const GOALS_PERMILLE: [u64; 2] = [700, 900];

/// What Confluent's Parallel Consumer was measured at, ordering by key, CPU seconds per million.
const PARALLEL_CONSUMER: u64 = 20;

impl Comparison {
    /// Broken promises; 0 is a pass.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let rounds = self.ours.iter().chain(&self.bare);
        self.watched.faults + rounds.map(|round| round.faults).sum::<u64>()
    }

    /// Median of ours over median of bare, per mille.
    #[must_use]
    pub fn ratio_permille(&self) -> u64 {
        self.ratio(&self.bare)
    }

    fn ratio(&self, peer: &[Round]) -> u64 {
        let rate = |rounds: &[Round]| median(rounds, |round| round.rate);
        rate(&self.ours) * 1_000 / rate(peer).max(1)
    }

    /// CPU milliseconds per million records, medians of ours and bare.
    #[must_use]
    pub fn cpu_millis(&self) -> [u64; 2] {
        [&self.ours, &self.bare].map(|rounds| median(rounds, |round| round.cpu_millis))
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "broker, {} records of 1 KiB, 12 partitions      records/s   CPU s/M\n",
            self.records
        );
        let mut row = |name: &str, round: &Round| {
            let cpu = fixed(round.cpu_millis, 3);
            text += &format!("  {name:<44} {:>10} {cpu:>9}\n", round.rate);
        };
        row("watched by the oracle, custom stage", &self.watched);
        self.bare
            .iter()
            .for_each(|r| row("bare rdkafka poll loop", r));
        let bounded = self.bounded.iter();
        bounded.for_each(|r| row("the same with the plan's client settings", r));
        self.ours
            .iter()
            .for_each(|r| row("penstock, one filter", r));
        text += &format!(
            "  ours / bare with the plan's client settings: {}\n",
            fixed(self.ratio(&self.bounded), 3),
        );
        let [ours, bare] = self.cpu_millis();
        text += &format!(
            "  ours / bare by median: {} (goal {}, the project's {})\n",
            fixed(self.ratio_permille(), 3),
            fixed(GOALS_PERMILLE[0], 3),
            fixed(GOALS_PERMILLE[1], 3),
        );
        text += &format!(
            "  CPU s/M by median: ours {}, bare {}, Parallel Consumer {PARALLEL_CONSUMER} (published)\n",
            fixed(ours, 3),
            fixed(bare, 3),
        );
        text + &format!("oracle: {} faults\n", self.faults())
    }

    /// The JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let round = |r: &Round| json!({"recordsPerSecond": r.rate, "cpuMillisPerMillion": r.cpu_millis, "faults": r.faults});
        let rounds = |rounds: &[Round]| rounds.iter().map(round).collect::<Vec<_>>();
        json!({
            "records": self.records,
            "watched": round(&self.watched),
            "bare": rounds(&self.bare),
            "bounded": rounds(&self.bounded),
            "ours": rounds(&self.ours),
            "ratioPermille": self.ratio_permille(),
            "goalsPermille": GOALS_PERMILLE,
            "faults": self.faults(),
            "verdict": if self.faults() == 0 { "pass" } else { "fail" },
        })
    }
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> u64) -> u64 {
    let mut values: Vec<_> = rounds.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
