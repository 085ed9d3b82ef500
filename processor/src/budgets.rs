//! The plan in the terms of those who live by it: dispatcher, embedded sink, producer.
//! Layer: core

use std::{path::Path, time::Duration};

use penstock_sizing::{ClientSettings, Plan, SinkPlan};

use crate::{
    dispatch::{engine::Limits, pool::Budgets},
    sinks::{embedded::EmbeddedSettings, grouped::GroupedSettings, grouping::GroupLimits},
    source::settings::ClientLimits,
};

/// Smallest effect that can wait in a sink's queue: provenance, names and an empty document.
const SMALLEST_EFFECT: u64 = 256;

/// Effects of one transaction: enough that the commit's own cost is lost in it, few enough that
/// nobody waits for a long group. Measured with `examples/embedded_sink_rate.rs`.
const GROUP_EFFECTS: usize = 512;

/// Send and receive buffer of each socket, bytes; part of the plan's fixed share.
const SOCKET_BUFFER: u32 = 128 * 1024;

/// Provenance or dead-letter headers, the reason at its longest, and the batch's framing.
const OUR_HEADERS: u64 = 16 * 1024;

/// Bounds of the embedded sink's log, a quarter of the limit between them. Its pages are the
/// kernel's to keep or drop, so they are in no pool; at 64 MiB a pod of 128 MiB peaked at 76 % of
/// its limit instead of 68 %, and above 64 MiB the rate hardly grows.
const SHORTEST_LOG: u64 = 16 << 20;
const LONGEST_LOG: u64 = 64 << 20;

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
pub fn embedded(path: &Path, sizes: &SinkPlan, plan: &Plan) -> EmbeddedSettings {
    EmbeddedSettings {
        path: path.to_owned(),
        queue_effects: usize::try_from(sizes.batch.0 / SMALLEST_EFFECT).unwrap_or(usize::MAX),
        queue_bytes: narrow(sizes.batch.0),
        group_effects: GROUP_EFFECTS,
        page_cache_bytes: sizes.page_cache.0,
        log_bytes: (plan.limit.0 / 4).clamp(SHORTEST_LOG, LONGEST_LOG),
    }
}

/// The client's numbers. Socket buffers are fixed, because the kernel's own tuning would charge up
/// to 32 MiB a socket to the pod.
#[must_use]
pub fn client(settings: &ClientSettings) -> ClientLimits {
    ClientLimits {
        queued_max_messages_kbytes: narrow(settings.queued_max_messages_kbytes),
        fetch_max_bytes: narrow(settings.fetch_max_bytes),
        max_partition_fetch_bytes: narrow(settings.max_partition_fetch_bytes),
        message_max_bytes: narrow(settings.message_max_bytes),
        receive_message_max_bytes: narrow(settings.receive_message_max_bytes),
        fetch_queue_backoff_ms: narrow(settings.fetch_queue_backoff_ms),
        queued_min_messages: narrow(settings.queued_min_messages),
        socket_send_buffer_bytes: SOCKET_BUFFER,
        socket_receive_buffer_bytes: SOCKET_BUFFER,
    }
}

/// Effects that a store is asked for at once, however small they are.
const REQUEST_EFFECTS: usize = 1000;

/// How long a group that is not full waits for company: a worker holds its record meanwhile, and
/// the other workers' records come within it.
const GROUP_LINGER: Duration = Duration::from_millis(1);

/// The queue of a sink that groups: half of it is written while the other half fills.
#[must_use]
pub fn grouped(sizes: &SinkPlan, plan: &Plan) -> GroupedSettings {
    GroupedSettings {
        queue_effects: concurrency(plan) as usize,
        queue_bytes: narrow(sizes.batch.0),
        group: GroupLimits {
            effects: REQUEST_EFFECTS,
            bytes: usize::try_from(sizes.batch.0 / 2).unwrap_or(usize::MAX),
            linger: GROUP_LINGER,
        },
    }
}

/// Operations of one sink at once: as many as there are workers, since each has one.
#[must_use]
pub fn concurrency(plan: &Plan) -> u32 {
    plan.runtime.workers.max(plan.runtime.detached_workers)
}

/// Largest record that is produced: the largest that is read, with headers of ours and framing.
#[must_use]
pub fn produced(largest: u64) -> u64 {
    largest.saturating_add(OUR_HEADERS)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
