//! What was laid for a storefront, and what its stores must hold because of it.
//! Layer: shell

use std::sync::Arc;

use penstock_cli::demo::{
    audit::{Audit, Findings},
    dead_letters,
    log::Log,
    producer::{self, Production},
    reference::Reference,
    shared::Shared,
    storefront::{Storefront, Workload},
};

use super::{
    SinksError,
    ground::Places,
    observe,
    pipeline::{self, Doors},
};
use crate::{
    names::Names,
    topics::{self, TopicError, Watch},
};

const PARTITIONS: u32 = 12;
const KEYS: u32 = 3_000;
/// Timestamp of the first record; the rest follow within four days.
const START_MS: i64 = 1_795_000_000_000;

/// Whether the sets of visitors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sets {
    /// They must be those of the reference.
    Exact,
    /// The server has lost them.
    Lost,
}

/// The records of one run of the storefront.
pub(crate) struct Books {
    bootstrap: String,
    scenario: &'static str,
    names: Names,
    storefront: Arc<Storefront>,
    log: Log,
}

impl Books {
    /// Fresh topics with all records in them.
    pub(crate) fn lay(
        (bootstrap, scenario): (&str, &'static str),
        seed: u64,
        records: u32,
    ) -> Result<Self, SinksError> {
        let names = Names::new(scenario, &format!("{seed:x}-{}", std::process::id()));
        // The records are older than brokers keep them by default.
        let counts = [(&*names.input, PARTITIONS), (&*names.dead, 1)];
        topics::create_all(bootstrap, &counts, &[("retention.ms", "-1")])?;
        let storefront = Arc::new(Storefront::new(Workload {
            seed,
            records,
            keys: KEYS,
            partitions: PARTITIONS,
            start_ms: START_MS,
        }));
        Ok(Self {
            log: lay(bootstrap, &names, &storefront)?,
            bootstrap: bootstrap.to_owned(),
            scenario,
            names,
            storefront,
        })
    }

    /// The pipeline that reads them.
    pub(crate) fn pipeline(&self, doors: &Doors) -> String {
        pipeline::write(self.scenario, doors, &self.names)
    }

    /// What has become of them.
    pub(crate) fn watch(&self) -> Result<Watch, TopicError> {
        Watch::new(&self.bootstrap, &self.names, PARTITIONS)
    }

    /// How many there are.
    pub(crate) fn records(&self) -> u64 {
        self.log.len() as u64
    }

    /// Compares every document, counter and set with the reference.
    pub(crate) fn audit(&self, places: &Places<'_>, sets: Sets) -> Result<Findings, SinksError> {
        let reference = Reference::of(&self.storefront, &self.log);
        let mut audit = Audit::new(&self.storefront, &self.log, &reference);
        observe::stores(places, self.scenario, &mut audit)?;
        match sets {
            Sets::Exact => observe::members(places.redis, self.scenario, &mut audit)?,
            Sets::Lost => observe::forgive_members(&reference, &mut audit),
        }
        observe::forgive_duplicates(&self.log, &mut audit);
        for (partition, offset) in self.dead_letters()? {
            audit.dead_letter(partition, offset);
        }
        Ok(audit.finish())
    }

    fn dead_letters(&self) -> Result<dead_letters::Origins, SinksError> {
        let ended = Shared::new(PARTITIONS);
        ended.stop();
        let letters = dead_letters::collect(&self.bootstrap, &self.names.dead, &ended)?;
        Ok(letters)
    }
}

fn lay(bootstrap: &str, names: &Names, storefront: &Arc<Storefront>) -> Result<Log, SinksError> {
    let shared = Arc::new(Shared::new(PARTITIONS));
    let production = Production {
        bootstrap_servers: bootstrap.to_owned(),
        topic: names.input.clone(),
        storefront: Arc::clone(storefront),
        pacing: None,
    };
    let log = producer::produce(production, &shared)?;
    match shared.failure() {
        None => Ok(log),
        Some(reason) => Err(SinksError::Laid(reason)),
    }
}

/// What an audit found wrong, in words.
pub(crate) fn broken(findings: &Findings) -> Vec<String> {
    let kinds = [
        (findings.lost, "records lost"),
        (findings.out_of_order, "keys out of order"),
        (
            findings.mismatches,
            "documents, counters or members differ from the reference",
        ),
    ];
    let found = kinds.into_iter().filter(|(count, _)| *count > 0);
    found
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}
