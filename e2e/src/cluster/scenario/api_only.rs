//! A thousand pipelines without a node for their pods: what the operator alone makes of them.
//! Layer: shell

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Notes, many};
use crate::{
    cluster::{
        CheckError,
        kubelet::Kubelet,
        view,
        world::{World, hold},
    },
    wait,
};

/// For 1,000; printed, not held.
const GOALS: &str = "goals 60 s and 64 MiB";
/// For all of it, on a machine whose cores the API server and its controllers use, too.
const PATIENCE: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_secs(3);
const PARTITIONS: u32 = 12;

/// Every object gets its children and a status that says it is ready.
pub(super) fn api_only(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let count: usize = world.site.length.pick(50, 1_000);
    let topic = &world.names.input;
    let report = json!({"partitions": PARTITIONS, "brokers": 1,
        "topics": [{"name": topic, "id": "made-up", "partitions": PARTITIONS}], "sinks": []});
    let kubelet = Kubelet::start(world.site.ground, world.kubectl.namespace(), &report)?;
    let nodes = Cordon::all(world)?;
    let namespace = world.kubectl.namespace();
    let path = format!("/apis/penstock.dev/v1alpha1/namespaces/{namespace}/eventpipelines");
    let started = Instant::now();
    for number in 0..count {
        let manifest = world.manifest().named(&format!("many-{number}"));
        let manifest = manifest.with("/spec/replicas", 1).with(
            "/spec/source/consumerGroup",
            format!("{namespace}-{number}"),
        );
        kubelet.create(&path, &manifest.text())?;
        if number % 50 == 49 {
            kubelet.round()?;
        }
    }
    let applied = started.elapsed();
    let ready = await_ready(world, &kubelet, (count, started))?;
    let memory = many::operator_memory(world)?;
    drop(nodes);
    Ok(vec![
        format!(
            "{count} pipelines: stored after {:.1} s, all Ready after {:.1} s ({GOALS} for 1,000)",
            applied.as_secs_f64(),
            ready.as_secs_f64()
        ),
        format!("operator working set: {:.1} MiB", many::mebibytes(memory)),
    ])
}

fn await_ready(
    world: &World<'_>,
    kubelet: &Kubelet,
    (count, started): (usize, Instant),
) -> Result<Duration, CheckError> {
    let (mut looked, mut ready) = (Instant::now(), 0);
    while ready < count {
        hold!(started.elapsed() < PATIENCE, || {
            format!(
                "{ready} of {count} are ready after {} s",
                PATIENCE.as_secs()
            )
        })?;
        if kubelet.round()? == 0 || looked.elapsed() > LOOK {
            let objects = world.kubectl.list("eventpipelines", "")?;
            let is_ready = |object: &&serde_json::Value| view::holds(object, "Ready");
            ready = objects.iter().filter(is_ready).count();
            looked = Instant::now();
        }
        wait::pass(PAUSE)?;
    }
    Ok(started.elapsed())
}

/// Nodes that take no pods until dropped.
struct Cordon<'a> {
    world: &'a World<'a>,
    nodes: Vec<String>,
}

impl<'a> Cordon<'a> {
    fn all(world: &'a World<'a>) -> Result<Self, CheckError> {
        let all = world.kubectl.list("nodes", "")?;
        let nodes = all.iter().map(|node| view::name(node).to_owned()).collect();
        let cordon = Self { world, nodes };
        cordon.each("cordon")?;
        Ok(cordon)
    }

    fn each(&self, verb: &str) -> Result<(), CheckError> {
        let names: Vec<&str> = self.nodes.iter().map(String::as_str).collect();
        self.world
            .site
            .kubectl
            .run(&[&[verb], names.as_slice()].concat())?;
        Ok(())
    }
}

impl Drop for Cordon<'_> {
    fn drop(&mut self) {
        // The next scenario fails on its own when this did not work.
        let _ = self.each("uncordon");
    }
}
