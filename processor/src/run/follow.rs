//! Puts a new plan into force while records run: nothing is dropped, nothing restarts.
//! Layer: shell

use super::{Running, assemble};
use crate::{allocator, law::Change, limit::MemoryGroup, observe::Observatory};

impl Running {
    /// Looks whether the kernel's limit has changed; call it a few times a second.
    pub(super) fn follow(&self, observatory: &Observatory) {
        let Some(enforced) = enforced(&observatory.memory) else {
            return;
        };
        let running = self.source.facts().limits;
        let (change, before) = {
            let mut law = observatory.law.lock();
            let before = law.plan();
            (law.look(enforced, running), before)
        };
        let Some(change) = change else { return };
        tracing::info!(limit = %change.plan.limit, before = %before.limit, "the plan follows the limit");
        self.put_into_force(&change);
        if change.plan.limit < before.limit
            && let Err(error) = allocator::purge()
        {
            tracing::warn!(%error, "cannot purge");
        }
    }

    /// What runs stays; budgets that are over-used admit nothing until they are not.
    fn put_into_force(&self, change: &Change) {
        let (line, plan) = (&self.line, &change.plan);
        let inline = line.workshop.chain.lanes()[0].locality();
        line.dispatcher.set_limits(assemble::limits(plan, inline));
        let active = plan.pools[penstock_sizing::Pool::Active];
        line.workshop.chain.active().resize(active.0);
        line.stores.resize(plan);
        self.source.resize(change.client, change.rebuild);
    }
}

/// The limit in force; the outer `None` when it cannot be read just now, which changes nothing.
fn enforced(memory: &MemoryGroup) -> Option<Option<penstock_sizing::Bytes>> {
    memory.read().ok().map(|reading| reading.limit)
}
