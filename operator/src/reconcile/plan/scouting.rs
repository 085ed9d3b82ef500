//! Whether a connection is proven, being tried, or to be tried again.
//! Layer: core

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::{
    findings::{self, ClusterFacts, Finding},
    names,
    observed::{Existing, Progress, ScoutFacts},
    obstacle::Obstacle,
    reconcile::retry,
};

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Knowledge {
    /// It works, and this is what it leads to.
    Proven(ClusterFacts),
    /// It is not known, or did not work; this scout should be there.
    Trying {
        /// Which try.
        attempt: u32,
        /// What is said meanwhile.
        obstacle: Obstacle,
        /// When to look again, when nothing tells us.
        after: Option<Duration>,
    },
}

/// Judges what was seen of the scouts and of the settings that they proved before.
#[must_use]
pub fn judge(
    connection: &str,
    generation: u64,
    settings: Option<&Existing>,
    scouts: &[ScoutFacts],
    now: Timestamp,
) -> Knowledge {
    if let Some(facts) = settings.and_then(|settings| proven(settings, connection)) {
        return Knowledge::Proven(facts);
    }
    let tries = scouts.iter().filter(|scout| scout.connection == connection);
    let Some(last) = tries.max_by_key(|scout| scout.attempt) else {
        return trying(1, Obstacle::Scouting(None), None);
    };
    let (at, code, message) = match &last.progress {
        Progress::Waiting(trouble) => {
            return trying(last.attempt, Obstacle::Scouting(trouble.clone()), None);
        }
        Progress::Ended { at, code, message } => (*at, *code, message),
    };
    match findings::read(code, message, generation) {
        Finding::Usable(facts) => Knowledge::Proven(facts),
        Finding::Unusable(fault) => {
            let again = at + pause(connection, last.attempt);
            let left = again.duration_since(now);
            let obstacle = Obstacle::Unusable(fault);
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => trying(last.attempt, obstacle, Some(left)),
                _ => trying(last.attempt.saturating_add(1), obstacle, None),
            }
        }
    }
}

/// Credentials get fixed and brokers come back without a change of the object, so every cause is
/// tried again: soon at first, every five minutes at last.
fn pause(connection: &str, attempt: u32) -> Duration {
    let attempt = attempt.saturating_add(2);
    retry::delay(attempt, connection, retry::LONGEST_BETWEEN_SCOUTS)
}

fn trying(attempt: u32, obstacle: Obstacle, after: Option<Duration>) -> Knowledge {
    Knowledge::Trying {
        attempt,
        obstacle,
        after,
    }
}

/// What a scout proved of this connection before; kept with the settings that it led to.
#[must_use]
pub fn proven(settings: &Existing, connection: &str) -> Option<ClusterFacts> {
    let same = settings.annotation(names::PROVEN) == Some(connection);
    same.then(|| facts(settings)).flatten()
}

/// What the running settings were made from.
#[must_use]
pub fn facts(settings: &Existing) -> Option<ClusterFacts> {
    serde_json::from_str(settings.annotation(names::FACTS)?).ok()
}
