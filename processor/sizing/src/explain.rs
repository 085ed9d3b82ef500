//! A plan as lines of text: one wording for status, command line, start-up log and README.
//! Layer: core

use std::fmt;

use crate::{bytes::Bytes, plan::Plan, pool::Pool};

/// One part of the limit. All lines together are the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Part of the ledger.
    pub name: &'static str,
    /// What it takes of the limit.
    pub bytes: Bytes,
    /// The same in per mille of the limit, rounded down.
    pub per_mille: u64,
    /// How it was derived and what follows from it.
    pub how: String,
}

impl Plan {
    /// The ledger, line by line, in the order of the equation.
    #[must_use]
    pub fn explain(&self) -> Vec<Line> {
        let mut lines = vec![
            self.line(
                "safety",
                self.safety,
                "0.15 of the limit, 12Mi to 512Mi; never assigned",
            ),
            self.line(
                "fixed",
                self.fixed,
                "24Mi, 64Ki a thread, 512Ki a connection, 8Ki a partition",
            ),
        ];
        for pool in Pool::ALL {
            let how = format!("{}{}", self.origin(pool), self.consequence(pool));
            lines.push(self.line(pool.name(), self.pools[pool], &how));
        }
        let bulk = self.bulk_chunk(1).approximate();
        lines.push(self.line(
            "bulk",
            Bytes::ZERO,
            &format!("borrows up to {bulk} from dispatcher and caches"),
        ));
        lines.push(self.line(
            "slack",
            self.slack,
            "0.2 of all pools: fragmentation, pages not yet returned",
        ));
        lines.push(self.line("spare", self.spare, "every pool is at its cap, or rounding"));
        lines
    }

    fn line(&self, name: &'static str, bytes: Bytes, how: &str) -> Line {
        let per_mille = bytes.scaled_down(1000, self.limit.0).0;
        Line {
            name,
            bytes,
            per_mille,
            how: how.to_owned(),
        }
    }

    fn origin(&self, pool: Pool) -> String {
        match (self.pinned[pool], self.minimums[pool]) {
            (Some(_), _) => format!("pinned by {}; ", pool.field()),
            (None, Bytes::ZERO) => String::new(),
            (None, minimum) => format!("minimum {}; ", minimum.approximate()),
        }
    }

    fn consequence(&self, pool: Pool) -> String {
        match pool {
            Pool::Kafka => format!(
                "queue {} kB, fetch {}",
                self.client.queued_max_messages_kbytes,
                Bytes(self.client.fetch_max_bytes)
            ),
            Pool::Dispatcher => format!(
                "{} records in {}, window {} a partition",
                self.dispatch.records,
                self.dispatch.bytes.approximate(),
                self.dispatch.window
            ),
            Pool::Active => format!("{} workers share it by parsed size", self.runtime.workers),
            Pool::Sinks => self.sinks.first().map_or_else(
                || "no sink".to_owned(),
                |sink| {
                    format!(
                        "batches of {} in {} sinks",
                        sink.batch.approximate(),
                        self.sinks.len()
                    )
                },
            ),
            Pool::Caches => match self.caches.iter().map(|cache| cache.entries).sum() {
                0_u64 => "no stage uses one".to_owned(),
                entries => format!("{entries} entries"),
            },
        }
    }
}

/// The ledger as a table.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line {
            name,
            bytes,
            per_mille,
            how,
        } in self.explain()
        {
            let (whole, tenth) = (per_mille / 10, per_mille % 10);
            writeln!(
                f,
                "{name:<10} {:>9} {whole:>3}.{tenth} %  {how}",
                bytes.approximate()
            )?;
        }
        write!(f, "{:<10} {:>9} 100.0 %", "limit", self.limit.approximate())
    }
}
