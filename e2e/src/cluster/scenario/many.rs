//! Many pipelines at once: how soon they work, what the operator needs, what it writes when idle.
//! Layer: shell

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::{Notes, rights};
use crate::{
    cluster::{
        CheckError,
        ground::Ground,
        install, view,
        world::{World, hold},
    },
    wait,
};

/// For pods of 200 pipelines on two cores; the objects themselves are converged long before.
const CONVERGED: Duration = Duration::from_secs(1_500);
/// Goal for the operator's working set at 200 pipelines.
const MEMORY: u64 = 40 << 20;

/// Applied in one file; each has a group of its own on the same topic.
pub(super) fn many(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let count: u32 = world.site.length.pick(20, 200);
    let idle = Duration::from_secs(world.site.length.pick(60, 600));
    let manifests = (0..count).map(|i| {
        let group = format!("{}-{i}", world.names.group);
        let manifest = world.manifest().named(&format!("many-{i}"));
        manifest
            .with("/spec/replicas", 1)
            .with("/spec/resources/limits/memory", "128Mi")
            .with("/spec/source/consumerGroup", group)
    });
    let mut file = String::new();
    for manifest in manifests {
        writeln!(file, "---\n{}", manifest.text()).expect("a string takes every write");
    }
    let started = Instant::now();
    world.kubectl.apply(&file)?;
    let mut told = None;
    world.await_all(count, CONVERGED, |objects| {
        let said = objects
            .iter()
            .filter(|object| view::is_observed(object))
            .count();
        if said == objects.len() {
            told.get_or_insert_with(|| started.elapsed());
        }
        objects
            .iter()
            .filter(|object| view::holds(object, "Ready"))
            .count()
    })?;
    let ready = started.elapsed();
    // Lags are written at most every half minute; here there are none.
    let before = rights::writes(world.site.ground)?;
    wait::pass(idle)?;
    let written = rights::writes(world.site.ground)?.difference(&before);
    hold!(written.is_empty(), || {
        format!("idle, and written: {}", written.join("; "))
    })?;
    let memory = operator_memory(world)?;
    hold!(memory <= MEMORY, || {
        format!("the operator holds {} MiB, goal 40", memory >> 20)
    })?;
    Ok(notes(count, (told.unwrap_or(ready), ready), (idle, memory)))
}

/// What is told of `count` pipelines: when their statuses were written and all were ready, how long
/// nothing was written then, and what the operator held.
fn notes(
    count: u32,
    (told, ready): (Duration, Duration),
    (idle, memory): (Duration, u64),
) -> Notes {
    vec![
        format!(
            "{count} pipelines: every status written after {:.1} s",
            told.as_secs_f64()
        ),
        format!(
            "{count} pipelines: all Ready after {:.1} s",
            ready.as_secs_f64()
        ),
        format!(
            "0 writes in {} s of idling, the Lease excepted",
            idle.as_secs()
        ),
        format!(
            "operator working set: {:.1} MiB (goal 40)",
            mebibytes(memory)
        ),
    ]
}

#[expect(clippy::float_arithmetic, reason = "a figure for a person")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0
}

/// The largest working set of the operator's containers, as the kubelet measures it.
pub(super) fn operator_memory(world: &World<'_>) -> Result<u64, CheckError> {
    let operator = world.site.kubectl.within(install::NAMESPACE);
    let mut largest = 0;
    for pod in operator.list("pods", "app.kubernetes.io/name=penstock-operator")? {
        let node = view::text(&pod, "/spec/nodeName");
        let path = format!("/api/v1/nodes/{node}/proxy/metrics/cadvisor");
        let page = world.site.kubectl.run(&["get", "--raw", &path])?;
        largest = largest.max(working_set(&page, view::name(&pod)));
    }
    hold!(largest > 0, || {
        format!("cadvisor on {} knows no operator", Ground::control_plane())
    })?;
    Ok(largest)
}

/// `container_memory_working_set_bytes` of a pod's container.
fn working_set(page: &str, pod: &str) -> u64 {
    let line = page.lines().find(|line| {
        line.starts_with("container_memory_working_set_bytes{")
            && line.contains(&format!("pod=\"{pod}\""))
            && line.contains("container=\"operator\"")
    });
    let value = line.and_then(|line| line.rsplit("} ").next()?.split(' ').next());
    let value = value.and_then(|value| value.parse::<f64>().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes"
    )]
    value.map_or(0, |value| value as u64)
}
