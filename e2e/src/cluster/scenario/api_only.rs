//! A thousand pipelines without a node for their pods: what the operator alone makes of them.
//! Layer: shell

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Notes, many, rights};
use crate::{
    cluster::{
        CheckError,
        kubelet::Kubelet,
        view,
        world::{SETTLE, World, hold},
    },
    wait,
};

/// For all of it, on a machine whose cores the API server and its controllers use, too.
const PATIENCE: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_secs(3);
const PARTITIONS: u32 = 12;
/// Stored between two looks at the pods.
const BATCH: usize = 50;

/// So many pipelines, from none, and what is hoped for; printed, not held: the machine is shared.
struct Leg {
    count: usize,
    goals: &'static str,
}

const SHORT: &[Leg] = &[Leg {
    count: 50,
    goals: "none",
}];
const FULL: &[Leg] = &[
    Leg {
        count: 200,
        goals: "20 s and 40 MiB",
    },
    Leg {
        count: 1_000,
        goals: "60 s and 64 MiB",
    },
];

/// Every object gets its children and a status that says it is ready.
pub(super) fn api_only(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let topic = &world.names.input;
    let report = json!({"partitions": PARTITIONS, "brokers": 1,
        "topics": [{"name": topic, "id": "made-up", "partitions": PARTITIONS}], "sinks": []});
    let kubelet = Kubelet::start(world.site.ground, world.kubectl.namespace(), &report)?;
    let mut notes = Vec::new();
    for leg in world.site.length.pick(SHORT, FULL) {
        notes.extend(run(world, &kubelet, leg)?);
        none_left(world)?;
    }
    Ok(notes)
}

fn run(world: &World<'_>, kubelet: &Kubelet, leg: &Leg) -> Result<Notes, CheckError> {
    let (count, goals, ground) = (leg.count, leg.goals, world.site.ground);
    let path = pipelines(world);
    let objects: Vec<String> = (0..count).map(|number| object(world, number)).collect();
    let before = rights::asked(ground, |_| true)?;
    let started = Instant::now();
    for batch in objects.chunks(BATCH) {
        kubelet.create(&path, batch)?;
        kubelet.round()?;
    }
    let stored = started.elapsed();
    let ready = await_ready(world, kubelet, (count, started))?;
    let asked = rights::asked(ground, |_| true)?.difference(&before);
    let memory = many::operator_memory(world)?;
    Ok(vec![
        format!(
            "{count} pipelines: stored after {:.1} s, all Ready after {:.1} s, operator working set \
             {:.1} MiB (goals {goals})",
            stored.as_secs_f64(),
            ready.as_secs_f64(),
            many::mebibytes(memory)
        ),
        format!("{count} pipelines: {}", asked.join("; ")),
    ])
}

/// The path of the kind.
fn pipelines(world: &World<'_>) -> String {
    let namespace = world.kubectl.namespace();
    format!("/apis/penstock.dev/v1alpha1/namespaces/{namespace}/eventpipelines")
}

fn object(world: &World<'_>, number: usize) -> String {
    let group = format!("{}-{number}", world.names.group);
    let manifest = world.manifest().named(&format!("many-{number}"));
    let manifest = manifest.with("/spec/replicas", 1);
    // A label that no node has: nor does any take them all when this program ends early.
    let manifest = manifest.with("/spec/pod/nodeSelector/e2e.penstock.dev~1node", "none");
    manifest.with("/spec/source/consumerGroup", group).text()
}

fn await_ready(
    world: &World<'_>,
    kubelet: &Kubelet,
    (count, started): (usize, Instant),
) -> Result<Duration, CheckError> {
    let path = pipelines(world);
    let (mut looked, mut ready) = (Instant::now(), 0);
    while ready < count {
        hold!(started.elapsed() < PATIENCE, || {
            format!(
                "{ready} of {count} are ready after {} s",
                PATIENCE.as_secs()
            )
        })?;
        if kubelet.round()? == 0 || looked.elapsed() > LOOK {
            let is_ready = |object: &&Value| view::holds(object, "Ready");
            ready = kubelet.list(&path)?.iter().filter(is_ready).count();
            looked = Instant::now();
        }
        wait::pass(PAUSE)?;
    }
    Ok(started.elapsed())
}

/// Deletes them and waits until their children have followed, so that the next leg begins with none.
fn none_left(world: &World<'_>) -> Result<(), CheckError> {
    let delete = ["delete", "eventpipelines", "--all", "--wait=false"];
    world.kubectl.run(&delete)?;
    world.until("no pipeline and no child of one", SETTLE, || {
        let left = world
            .kubectl
            .list("eventpipelines,deployments,configmaps,pods", "")?;
        let own = |object: &&Value| view::name(object).starts_with("many-");
        let left = left.iter().filter(own).count();
        Ok(if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} objects"))
        })
    })
}
