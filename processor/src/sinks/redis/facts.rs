//! What a server says of itself: whether it may drop our keys, and what it loses when it dies.
//! Layer: core

use crate::sinks::probe::Weakness;

/// The part of `INFO` and `CONFIG GET` that promises depend on; `None` where it may not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerFacts {
    /// `maxmemory-policy`.
    pub(super) policy: Option<String>,
    /// `maxmemory`, bytes; 0 is no limit.
    pub(super) maxmemory: Option<u64>,
    /// `appendonly`.
    pub(super) appendonly: Option<bool>,
    /// `appendfsync`.
    pub(super) appendfsync: Option<String>,
    /// Whether it is a node of a cluster.
    pub(super) cluster: bool,
    /// Whether it is a replica, which takes no writes.
    pub(super) replica: bool,
}

impl ServerFacts {
    /// Reads the answer of `INFO`.
    pub(super) fn parse(info: &str) -> Self {
        let mut facts = Self::default();
        let lines = info.lines().filter_map(|line| line.trim().split_once(':'));
        for (name, value) in lines {
            match name {
                "maxmemory_policy" => facts.policy = Some(value.to_owned()),
                "maxmemory" => facts.maxmemory = value.parse().ok(),
                "aof_enabled" => facts.appendonly = Some(value == "1"),
                "cluster_enabled" => facts.cluster = value == "1",
                "role" => facts.replica = value == "slave",
                _ => {}
            }
        }
        facts
    }

    /// Why nothing may be counted here; only what evicts keys is refused.
    pub(super) fn refusal(&self) -> Option<String> {
        let policy = self.policy.as_deref().filter(|_| self.evicts())?;
        Some(format!(
            "maxmemory-policy is {policy}, which may drop counters that are not flushed yet; legal \
             is noeviction"
        ))
    }

    /// A policy without a limit never acts.
    fn evicts(&self) -> bool {
        let limited = self.maxmemory.is_none_or(|bytes| bytes > 0);
        let policy = self.policy.as_deref();
        limited && policy.is_some_and(|policy| policy != "noeviction")
    }

    /// Settings that make a promise weaker than it reads.
    pub(super) fn weaknesses(&self) -> Vec<Weakness> {
        let weakness = |setting: &str, found: &str, consequence| Weakness {
            setting: setting.to_owned(),
            found: found.to_owned(),
            consequence,
        };
        let mut found = Vec::new();
        match (self.appendonly, self.appendfsync.as_deref()) {
            (Some(false), _) => found.push(weakness(
                "appendonly",
                "no",
                "a restart loses what was counted since the last snapshot and not flushed, and the \
                 members of open windows",
            )),
            (Some(true), Some("always")) => {}
            (Some(true), Some(sync)) => found.push(weakness(
                "appendfsync",
                sync,
                "a crash of the machine loses the last acknowledged writes",
            )),
            _ => found.push(weakness(
                "appendfsync",
                "may not be read",
                "whether a crash loses acknowledged writes is unknown",
            )),
        }
        if let Some(policy) = self
            .policy
            .as_deref()
            .filter(|policy| *policy != "noeviction")
        {
            found.push(weakness(
                "maxmemory-policy",
                policy,
                "under memory pressure sets and counters may be dropped",
            ));
        }
        if self.cluster {
            found.push(weakness(
                "cluster-enabled",
                "yes",
                "a node that does not hold the pipeline's slot answers MOVED, which is not followed",
            ));
        }
        if self.replica {
            found.push(weakness(
                "replicaof",
                "a primary",
                "a replica takes no writes: nothing is counted until it is promoted",
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Memory\r\nmaxmemory:8388608\r\nmaxmemory_policy:allkeys-lru\r\n\
        # Persistence\r\naof_enabled:0\r\n# Replication\r\nrole:master\r\n# Cluster\r\ncluster_enabled:1\r\n";

    #[test]
    fn a_server_that_evicts_is_refused() {
        let facts = ServerFacts::parse(INFO);
        let refusal = facts.refusal().expect("it evicts");
        assert!(
            refusal.contains("allkeys-lru") && refusal.contains("noeviction"),
            "{refusal}"
        );
        let settings: Vec<_> = facts.weaknesses().into_iter().map(|w| w.setting).collect();
        assert_eq!(
            settings,
            ["appendonly", "maxmemory-policy", "cluster-enabled"]
        );
        let harmless = [
            INFO.replace("allkeys-lru", "noeviction"),
            INFO.replace("8388608", "0"),
            String::new(),
        ];
        for info in harmless {
            assert_eq!(ServerFacts::parse(&info).refusal(), None, "{info}");
        }
    }

    #[test]
    fn only_a_log_synced_at_every_write_is_no_weakness() {
        let with = |appendonly, sync: Option<&str>| ServerFacts {
            appendonly,
            appendfsync: sync.map(str::to_owned),
            ..ServerFacts::default()
        };
        assert!(with(Some(true), Some("always")).weaknesses().is_empty());
        for facts in [
            with(Some(true), Some("everysec")),
            with(Some(true), None),
            with(Some(false), Some("always")),
            with(None, None),
        ] {
            assert_eq!(facts.weaknesses().len(), 1, "{facts:?}");
        }
    }
}
