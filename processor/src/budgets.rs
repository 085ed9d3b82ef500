//! The plan in the terms of those who live by it: dispatcher, embedded sink, producer.
//! Layer: core

use std::path::Path;

use penstock_sizing::{Plan, SinkPlan};

use crate::{
    dispatch::{engine::Limits, pool::Budgets},
    sinks::embedded::EmbeddedSettings,
};

/// Smallest effect that can wait in a sink's queue: provenance, names and an empty document.
const SMALLEST_EFFECT: u64 = 256;

/// Effects of one transaction: enough that the commit's own cost is lost in it, few enough that
/// nobody waits for a long group. Measured with `examples/embedded_sink_rate.rs`.
const GROUP_EFFECTS: usize = 512;

/// Budgets of the dispatcher.
#[must_use]
pub fn dispatcher(plan: &Plan) -> Budgets {
    let dispatch = &plan.dispatch;
    Budgets {
        pod_bytes: dispatch.bytes.0,
        partition: Limits {
            records: narrow(dispatch.partition_records),
            bytes: dispatch.partition_bytes.0,
            window: narrow(dispatch.window),
            running: plan.runtime.workers_per_partition,
            detached_running: plan.runtime.detached_workers,
        },
    }
}

/// Sizes of an embedded sink.
#[must_use]
pub fn embedded(path: &Path, plan: &SinkPlan) -> EmbeddedSettings {
    EmbeddedSettings {
        path: path.to_owned(),
        queue_effects: usize::try_from(plan.batch.0 / SMALLEST_EFFECT).unwrap_or(usize::MAX),
        queue_bytes: narrow(plan.batch.0),
        group_effects: GROUP_EFFECTS,
        page_cache_bytes: plan.page_cache.0,
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
