//! The input topics of a run: laid once for each payload, read by every trial with its own group.
//! Layer: shell

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    MemoryError,
    arm::Programs,
    lay::{Kind, Layer},
    payload::Payload,
    trial,
};
use crate::{names::Names, topics};

/// Topics and what is in them.
pub(crate) struct Backlogs {
    bootstrap: String,
    programs: Programs,
    folder: PathBuf,
    seed: u64,
    run: String,
    topics: BTreeMap<String, Topic>,
}

struct Topic {
    layer: Layer,
    laid: u64,
}

impl Backlogs {
    /// None yet.
    pub(crate) fn new(bootstrap: &str, programs: Programs, folder: PathBuf, seed: u64) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            programs,
            folder,
            seed,
            // A seed may be run again on a broker that was given.
            run: format!("{seed:x}-{}", std::process::id()),
            topics: BTreeMap::new(),
        }
    }

    /// The broker.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What trials start.
    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Where trials keep their files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells runs apart.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Start of every choice.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Names of one trial: its own, but for the input.
    pub(crate) fn names(&self, payload: Payload, trial: &str, largest: usize) -> Names {
        trial::names(&self.run, &self.input(payload, trial, largest), trial)
    }

    /// Bursts are appended while a trial runs, so that each has a topic of its own.
    fn input(&self, payload: Payload, trial: &str, largest: usize) -> String {
        let base = format!("memory-{}-{}-{}", payload.name(), largest >> 10, self.run);
        match payload {
            Payload::Burst => format!("{base}-{trial}"),
            _ => base,
        }
    }

    /// Records in a trial's input.
    pub(crate) fn laid(&self, input: &str) -> u64 {
        self.topics.get(input).map_or(0, |topic| topic.laid)
    }

    /// Creates the topic if need be and appends up to so many records.
    pub(crate) fn reach(
        &mut self,
        (payload, largest): (Payload, usize),
        input: &str,
        records: u64,
    ) -> Result<(), MemoryError> {
        if !self.topics.contains_key(input) {
            let partitions = payload.facts(largest).partitions;
            topics::create_all(&self.bootstrap, &[(input, partitions)], &[])?;
            let kind = Kind {
                payload,
                seed: self.seed,
                largest,
            };
            let layer = Layer::new(&self.bootstrap, input, kind)?;
            self.topics
                .insert(input.to_owned(), Topic { layer, laid: 0 });
        }
        let topic = self.topics.get_mut(input).expect("it was just made");
        if records > topic.laid {
            topic.layer.lay(topic.laid..records)?;
            topic.laid = records;
        }
        Ok(())
    }
}
