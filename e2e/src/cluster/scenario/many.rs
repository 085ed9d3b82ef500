//! Many pipelines at once: how soon they work, what the operator needs, what it writes when idle.
//! Layer: shell

use std::{
    fmt::Write as _,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{Notes, rights};
use crate::{
    cluster::{
        CheckError, install, view,
        world::{World, hold},
    },
    wait,
};

/// For pods of 200 pipelines on two cores; the objects themselves are converged long before.
const CONVERGED: Duration = Duration::from_secs(1_500);
/// Goal for the operator's working set at 200 pipelines.
const MEMORY: u64 = 40 << 20;
/// Between two samples of cadvisor, at most, on a busy machine.
const SAMPLE: Duration = Duration::from_secs(60);

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

/// The largest working set of the operator's containers, as the kubelet measures it from now on: its
/// samples are up to some ten seconds old.
pub(super) fn operator_memory(world: &World<'_>) -> Result<u64, CheckError> {
    let operator = world.site.kubectl.within(install::NAMESPACE);
    let asked = SystemTime::now().duration_since(UNIX_EPOCH);
    let asked = asked.map_or(0, |since| since.as_millis());
    let mut largest = 0;
    for pod in operator.list("pods", "app.kubernetes.io/name=penstock-operator")? {
        let (name, node) = (view::name(&pod), view::text(&pod, "/spec/nodeName"));
        let path = format!("/api/v1/nodes/{node}/proxy/metrics/cadvisor");
        let own = world.until("a sample of the operator's memory", SAMPLE, || {
            let page = world.site.kubectl.run(&["get", "--raw", &path])?;
            let sample = working_set(&page, name).filter(|sample| sample.at >= asked);
            Ok(sample.ok_or_else(|| format!("cadvisor on {node} tells nothing new of {name}")))
        })?;
        largest = largest.max(own.bytes);
    }
    Ok(largest)
}

/// What a container held, and when: milliseconds since the epoch.
#[derive(Debug, PartialEq, Eq)]
struct Sample {
    bytes: u64,
    at: u128,
}

/// `container_memory_working_set_bytes` of a pod's container.
fn working_set(page: &str, pod: &str) -> Option<Sample> {
    let line = page.lines().find(|line| {
        line.starts_with("container_memory_working_set_bytes{")
            && line.contains(&format!("pod=\"{pod}\""))
            && line.contains("container=\"operator\"")
    })?;
    let (bytes, at) = line.rsplit_once("} ")?.1.split_once(' ')?;
    let bytes: f64 = bytes.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes"
    )]
    let bytes = bytes as u64;
    let at = at.parse().ok()?;
    Some(Sample { bytes, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_set_is_that_of_the_operators_container() {
        let line = |container: &str, bytes: &str| {
            format!(
                "container_memory_working_set_bytes{{container=\"{container}\",pod=\"p-1\"}} \
                 {bytes} 1796068039788\n"
            )
        };
        let page = line("", "9e+06") + &line("operator", "1.25e+07");
        let sample = Sample {
            bytes: 12_500_000,
            at: 1_796_068_039_788,
        };
        assert_eq!(working_set(&page, "p-1"), Some(sample));
        assert_eq!(working_set(&page, "p-2"), None);
    }
}
