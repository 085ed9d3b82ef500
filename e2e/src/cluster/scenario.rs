//! The scenarios: what is done to pipelines, and what a user must see then.
//! Layer: shell

use clap::ValueEnum;

use super::{CheckError, Site, world::World};

mod smoke;

/// Figures and remarks of a scenario that passed.
pub(crate) type Notes = Vec<String>;

/// A scenario by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One pipeline from `kubectl apply` to its last commit, every owned field, a second apply.
    Smoke,
}

impl Scenario {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
        }
    }

    /// Carries it out.
    pub(crate) fn run(self, site: &Site<'_>) -> Result<Notes, CheckError> {
        let mut world = World::new(site, self.name())?;
        match self {
            Self::Smoke => smoke::smoke(&mut world),
        }
    }
}
