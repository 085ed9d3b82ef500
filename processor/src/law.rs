//! Follows the memory limit: which plan holds now, and what changes when the kernel's limit does.
//! Layer: core
//!
//! The client's buffers are fixed while it lives. So a new plan keeps the share of the running
//! client (K) and divides the rest anew; the client that is built next gets a share of its own. Only
//! where the rest would not do, the client is built anew at once.

use std::sync::Arc;

use penstock_sizing::{Bytes, Demand, Plan, Pool, Refusal, derive};

use crate::{budgets, limit::Agreement, source::settings::ClientLimits};

/// What the processor plans with.
#[derive(Debug)]
pub struct Law {
    demand: Demand,
    settings_limit: Bytes,
    agreement: Agreement,
    plan: Arc<Plan>,
    client: ClientShare,
    refusal: Option<Refusal>,
    changes: u64,
}

/// K of the running client, and of the one that would be built now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClientShare {
    running: Bytes,
    next: Bytes,
    next_limits: ClientLimits,
}

/// A new plan, to be put into force.
#[derive(Clone, Debug)]
pub struct Change {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What the next client is built with.
    pub client: ClientLimits,
    /// When that is.
    pub rebuild: Rebuild,
}

/// When a client with other buffers is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// When one has to be built for another reason.
    Later,
    /// At once: its share does not fit any more.
    Now,
}

impl Law {
    /// The law at the start, with the plan that everything is made from.
    #[must_use]
    pub fn new(demand: Demand, settings_limit: Bytes, agreement: Agreement, plan: Plan) -> Self {
        let kafka = plan.pools[Pool::Kafka];
        let client = ClientShare {
            running: kafka,
            next: kafka,
            next_limits: budgets::client(&plan.client),
        };
        Self {
            demand,
            settings_limit,
            agreement,
            plan: Arc::new(plan),
            client,
            refusal: None,
            changes: 0,
        }
    }

    /// Looks at the enforced limit and at what the running client was built with; a plan to put
    /// into force when either has changed.
    pub fn look(&mut self, enforced: Option<Bytes>, running: ClientLimits) -> Option<Change> {
        let agreement = Agreement::of(self.settings_limit, enforced);
        let rebuilt = running == self.client.next_limits && self.client.running != self.client.next;
        if agreement == self.agreement && !rebuilt {
            return None;
        }
        if rebuilt {
            self.client.running = self.client.next;
        }
        self.changes += u64::from(agreement != self.agreement);
        self.agreement = agreement;
        self.derive(agreement.limit())
    }

    fn derive(&mut self, limit: Bytes) -> Option<Change> {
        let fresh = match derive(limit, &self.demand) {
            Ok(fresh) => fresh,
            Err(refusal) => {
                self.refusal = Some(refusal);
                return None;
            }
        };
        self.refusal = None;
        self.client.next = fresh.pools[Pool::Kafka];
        self.client.next_limits = budgets::client(&fresh.client);
        let mut kept = self.demand.clone();
        kept.overrides[Pool::Kafka] = Some(self.client.running);
        let (plan, rebuild) = match derive(limit, &kept) {
            Ok(plan) => (plan, Rebuild::Later),
            Err(_) => (fresh, Rebuild::Now),
        };
        self.plan = Arc::new(plan);
        Some(Change {
            plan: Arc::clone(&self.plan),
            client: self.client.next_limits,
            rebuild,
        })
    }

    /// The plan in force: the last one that was legal.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    /// How settings and control group compare.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// Why the plan in force is not of the enforced limit.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// What the pipeline asks.
    #[must_use]
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Limits seen since the start, without the first.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the next client gets other buffers than the running one has.
    #[must_use]
    pub fn client_lags(&self) -> bool {
        self.client.running != self.client.next
    }
}

#[cfg(test)]
mod tests {
    use penstock_sizing::invariants;
    use proptest::prelude::*;

    use super::*;
    use crate::limit::MemoryGroup;

    const SETTINGS: Bytes = Bytes::mib(256);

    fn law() -> Law {
        let demand = Demand {
            partitions: 12,
            largest_message: Bytes::kib(256),
            largest_batch: Bytes::kib(256),
            ..Demand::default()
        };
        let plan = derive(SETTINGS, &demand).expect("256Mi is enough");
        Law::new(demand, SETTINGS, Agreement::Same(SETTINGS), plan)
    }

    /// What the running client has.
    fn client(law: &Law) -> ClientLimits {
        let plan = derive(SETTINGS, law.demand()).expect("256Mi is enough");
        budgets::client(&plan.client)
    }

    #[test]
    fn nothing_changes_while_nothing_changes() {
        let mut law = law();
        let running = client(&law);
        assert!(law.look(Some(SETTINGS), running).is_none());
        assert_eq!((law.changes(), law.client_lags()), (0, false));
    }

    #[test]
    fn a_larger_limit_grows_all_but_the_running_client() {
        let mut law = law();
        let (running, before) = (client(&law), law.plan());
        let change = law
            .look(Some(Bytes::mib(512)), running)
            .expect("a new plan");
        assert_eq!(change.rebuild, Rebuild::Later);
        assert_eq!(change.plan.pools[Pool::Kafka], before.pools[Pool::Kafka]);
        assert!(change.plan.dispatch.bytes > before.dispatch.bytes);
        assert!(law.client_lags() && change.client != running);
        // The client was built anew, for whatever reason: its share is taken up.
        let rebuilt = law
            .look(Some(Bytes::mib(512)), change.client)
            .expect("its share");
        assert!(rebuilt.plan.pools[Pool::Kafka] > before.pools[Pool::Kafka]);
        assert!(!law.client_lags());
    }

    #[test]
    fn a_limit_that_the_running_client_does_not_fit_rebuilds_it() {
        let mut law = law();
        let running = client(&law);
        let change = law.look(Some(Bytes::mib(70)), running).expect("a new plan");
        assert_eq!(change.rebuild, Rebuild::Now);
        assert_eq!(change.plan.limit, Bytes::mib(70));
    }

    /// A cgroup folder as the kernel lays it out, version 2.
    #[test]
    fn the_plan_follows_what_the_kernel_says() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            let folder = path.parent().expect("a file in a folder");
            std::fs::create_dir_all(folder).expect("folders");
            std::fs::write(path, text).expect("a file");
        };
        write("proc/self/cgroup", "0::/pod\n");
        let mount = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n";
        write("proc/self/mountinfo", mount);
        write("sys/fs/cgroup/pod/memory.current", "1048576\n");
        write("sys/fs/cgroup/pod/memory.stat", "inactive_file 0\n");
        write("sys/fs/cgroup/pod/memory.events", "oom_kill 0\n");
        write("sys/fs/cgroup/pod/memory.max", "268435456\n");
        let group = MemoryGroup::find(root.path()).expect("a complete tree");
        let enforced = || group.read().expect("a complete tree").limit;
        let mut law = law();
        let running = client(&law);
        assert!(law.look(enforced(), running).is_none());
        for mib in [300_u64, 128, 512, 96] {
            write("sys/fs/cgroup/pod/memory.max", &format!("{}\n", mib << 20));
            assert!(law.look(enforced(), running).is_some());
            assert_eq!(law.plan().limit, Bytes::mib(mib));
        }
        assert_eq!(law.changes(), 4);
    }

    #[test]
    fn an_infeasible_limit_keeps_the_plan_and_says_why() {
        let mut law = law();
        let (running, before) = (client(&law), law.plan());
        assert!(law.look(Some(Bytes::mib(30)), running).is_none());
        assert_eq!(law.plan(), before);
        assert!(law.refusal().is_some());
        assert!(law.look(Some(Bytes::mib(300)), running).is_some());
        assert!(law.refusal().is_none());
    }

    proptest! {
        #[test]
        fn every_plan_on_the_way_keeps_the_law(limits in prop::collection::vec(20_u64..1024, 1..40)) {
            let mut law = law();
            let mut running = client(&law);
            for mib in limits {
                if let Some(change) = law.look(Some(Bytes::mib(mib)), running) {
                    let mut demand = law.demand().clone();
                    demand.overrides[Pool::Kafka] = change.plan.pinned[Pool::Kafka];
                    prop_assert_eq!(invariants::broken(&change.plan, &demand), None);
                    if change.rebuild == Rebuild::Now {
                        running = change.client;
                    }
                }
                let legal = law.refusal().is_some() || law.plan().limit == Bytes::mib(mib);
                prop_assert!(legal, "{} planned at {}Mi", law.plan().limit, mib);
            }
        }
    }
}
