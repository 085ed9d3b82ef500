//! The scenarios: what is done to pipelines, and what a user must see then.
//! Layer: shell

use clap::ValueEnum;

use super::{CheckError, Site, world::World};

mod api_only;
mod blocked;
mod children;
mod crash;
mod faults;
mod many;
mod objects;
mod refusal;
mod rights;
mod rollout;
mod smoke;
mod states;
mod storefront;
mod upgrade;

/// Figures and remarks of a scenario that passed.
pub(crate) type Notes = Vec<String>;

/// A scenario by its name on the command line, in the order of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One pipeline from `kubectl apply` to its last commit, every owned field, a second apply.
    Smoke,
    /// Objects that the API server must refuse, each with its message, and the examples.
    BadObjects,
    /// A larger memory limit rolls one pod at a time.
    Memory,
    /// A limit that no plan fits is refused by the API server.
    ImpossibleLimit,
    /// A limit that only the cluster's facts make impossible leaves the old fleet running.
    ClusterFacts,
    /// So does a topic that does not exist.
    UnknownTopic,
    /// So does a wrong password; no password shows anywhere.
    Credentials,
    /// Pause, resume, drain with evidence.
    States,
    /// A drain that a blocked record holds up, past its deadline and until the cause is gone.
    BlockedDrain,
    /// The storefront on Elasticsearch, MongoDB and Redis, its processors killed.
    Storefront,
    /// Deletion at any moment.
    Deletion,
    /// A ConfigMap of the same name that somebody else made.
    Foreign,
    /// Two pipelines with one consumer group.
    SharedGroup,
    /// Children deleted or edited by hand.
    Children,
    /// The leading operator killed in the middle of a rollout.
    Leader,
    /// No operator while records flow.
    OperatorDown,
    /// A pod killed for its memory by force.
    OomKilled,
    /// Pods that a quota or an admission check refuses.
    Denials,
    /// A node drained under the fleet.
    NodeDrain,
    /// The node of the leading operator dies without a word, and comes back.
    NodeCrash,
    /// Many pipelines at once, then idling.
    Many,
    /// Two hundred and a thousand pipelines without a node for their pods.
    ApiOnly,
    /// New rules of the kind over objects that were stored before.
    Upgrade,
    /// Every call of the operator against its role; what no test here can show.
    Rights,
}

impl Scenario {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::BadObjects => "bad-objects",
            Self::Memory => "memory",
            Self::ImpossibleLimit => "impossible-limit",
            Self::ClusterFacts => "cluster-facts",
            Self::UnknownTopic => "unknown-topic",
            Self::Credentials => "credentials",
            Self::States => "states",
            Self::BlockedDrain => "blocked-drain",
            Self::Storefront => "storefront",
            Self::Deletion => "deletion",
            Self::Foreign => "foreign",
            Self::SharedGroup => "shared-group",
            Self::Children => "children",
            Self::Leader => "leader",
            Self::OperatorDown => "operator-down",
            Self::OomKilled => "oom-killed",
            Self::Denials => "denials",
            Self::NodeDrain => "node-drain",
            Self::NodeCrash => "node-crash",
            Self::Many => "many",
            Self::ApiOnly => "api-only",
            Self::Upgrade => "upgrade",
            Self::Rights => "rights",
        }
    }

    /// Whether it belongs to a short run.
    pub(crate) fn is_short(self) -> bool {
        match self {
            Self::Smoke
            | Self::BadObjects
            | Self::Memory
            | Self::ImpossibleLimit
            | Self::ClusterFacts
            | Self::UnknownTopic
            | Self::States
            | Self::Leader
            | Self::OomKilled
            | Self::Upgrade
            | Self::Rights => true,
            Self::Credentials
            | Self::BlockedDrain
            | Self::Deletion
            | Self::Foreign
            | Self::SharedGroup
            | Self::Children
            | Self::OperatorDown
            | Self::Denials
            | Self::NodeDrain
            | Self::NodeCrash
            | Self::Many
            | Self::ApiOnly
            | Self::Storefront => false,
        }
    }

    /// Carries it out; `witness` gets what the cluster says after a failure.
    pub(crate) fn run(self, site: &Site<'_>, witness: &mut Notes) -> Result<Notes, CheckError> {
        let mut world = World::new(site, self.name())?;
        let done = self.scenario()(&mut world);
        if done.is_err() {
            witness.extend(world.witness());
        }
        done
    }

    fn scenario(self) -> fn(&mut World<'_>) -> Result<Notes, CheckError> {
        match self {
            Self::Smoke => smoke::smoke,
            Self::BadObjects => objects::bad_objects,
            Self::Memory => rollout::memory,
            Self::ImpossibleLimit => refusal::impossible_limit,
            Self::ClusterFacts => refusal::cluster_facts,
            Self::UnknownTopic => refusal::unknown_topic,
            Self::Credentials => refusal::credentials,
            Self::States => states::states,
            Self::BlockedDrain => blocked::blocked_drain,
            Self::Storefront => storefront::storefront,
            Self::Deletion => states::deletion,
            Self::Foreign => children::foreign,
            Self::SharedGroup => children::shared_group,
            Self::Children => children::children,
            Self::Leader => rollout::leader,
            Self::OperatorDown => rollout::operator_down,
            Self::OomKilled => faults::oom_killed,
            Self::Denials => refusal::denials,
            Self::NodeDrain => faults::node_drain,
            Self::NodeCrash => crash::node_crash,
            Self::Many => many::many,
            Self::ApiOnly => api_only::api_only,
            Self::Upgrade => upgrade::upgrade,
            Self::Rights => rights::rights,
        }
    }
}
