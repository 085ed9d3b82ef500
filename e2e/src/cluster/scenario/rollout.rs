//! A new memory limit: one pod at a time, with records flowing, whoever of the operators dies.
//! Layer: shell

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Notes;
use crate::{
    cluster::{
        CheckError, install,
        kubectl::Within,
        manifest::Manifest,
        view,
        world::{SETTLE, World, hold},
    },
    oracle::Repeats,
};

/// Records a second while pods come and go.
pub(super) const FLOW: u32 = 1_000;
const LIMIT: &str = "/spec/resources/limits/memory";
const LARGER: &str = "512Mi";
const LARGER_BYTES: u64 = 512 << 20;
/// What a drain takes at most, and ten seconds: for each pod.
const PER_POD: Duration = Duration::from_secs(40);
/// After the Lease of a killed leader has ended, the other one goes on.
const TAKE_OVER: Duration = Duration::from_secs(60);

/// From 256Mi to 512Mi.
pub(super) fn memory(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let larger = manifest.clone().with(LIMIT, LARGER);
    let took = world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let started = Instant::now();
        world.apply(&larger)?;
        roll(world, &larger)?;
        Ok(started.elapsed())
    })?;
    follows(world, &larger)?;
    let records = world.judge(Repeats::Rebalances)?;
    hold!(took <= PER_POD * 2, || {
        format!(
            "the rollout took {:.1} s, goal 40 s per pod",
            took.as_secs_f64()
        )
    })?;
    Ok(vec![
        format!(
            "edit to rollout complete: {:.1} s for 2 pods",
            took.as_secs_f64()
        ),
        format!("{records} records, none lost, none out of order"),
    ])
}

/// Watches the change: at no time is more than one pod missing, or one too many.
fn roll(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    // Both pods start, both pods stop.
    world.disturb(4);
    world.until("the rollout", SETTLE, || {
        let pods = world.pods(manifest)?;
        let ready = pods.iter().filter(|pod| view::is_ready(pod)).count();
        let staying = pods.iter().filter(|pod| !view::is_leaving(pod)).count();
        hold!(ready >= 1, || {
            "no pod was ready during the rollout".to_owned()
        })?;
        hold!(staying <= 2, || {
            format!("{staying} pods at once, 2 were asked for")
        })?;
        let object = world.pipeline(manifest)?;
        let done = view::holds(&object, "Ready") && planned(&object) == LARGER_BYTES;
        Ok(if done {
            Ok(())
        } else {
            Err(view::conditions(&object))
        })
    })?;
    world.await_ready(manifest).map(drop)
}

fn planned(object: &Value) -> u64 {
    view::count(object, "/status/derived/memoryLimitBytes")
}

/// The budgets in the status, the limits of the pods and the plans in the pods are the new ones.
fn follows(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    let object = world.pipeline(manifest)?;
    let budget = view::count(&object, "/status/derived/dispatcherBytes");
    let pods = world.pods(manifest)?;
    hold!(pods.len() == 2, || format!("{} pods, not 2", pods.len()))?;
    for pod in &pods {
        let name = view::name(pod);
        for kind in ["limits", "requests"] {
            let path = format!("/spec/containers/0/resources/{kind}/memory");
            let memory = view::text(pod, &path);
            hold!(memory == LARGER, || {
                format!("{name}: {kind} {memory}, not {LARGER}")
            })?;
        }
        let own = records_budget(&world.page(name)?);
        hold!(own == budget && own > 0, || {
            format!("{name} plans {own} bytes for records, the status says {budget}")
        })?;
    }
    Ok(())
}

/// The dispatcher's part in a pod's own ledger.
fn records_budget(page: &Value) -> u64 {
    let parts = page.pointer("/memory/parts").and_then(Value::as_array);
    let mut parts = parts.into_iter().flatten();
    let dispatcher = parts.find(|part| part["name"] == "dispatcher");
    dispatcher.map_or(0, |part| view::count(part, "/plannedBytes"))
}

/// The replica that leads is killed while pods are being changed; the other one finishes.
pub(super) fn leader(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let larger = manifest.clone().with(LIMIT, LARGER);
    let operator = world.site.kubectl.within(install::NAMESPACE);
    let took = world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let before = holder(&operator)?;
        world.apply(&larger)?;
        world.until("a pod of the new revision", SETTLE, || {
            let object = world.pipeline(&larger)?;
            let begun = view::condition(&object, "Reconciling").is_some();
            Ok(if begun {
                Ok(())
            } else {
                Err(view::conditions(&object))
            })
        })?;
        operator.kill(&before)?;
        let killed = Instant::now();
        world.until("another leader", TAKE_OVER, || {
            let now = holder(&operator)?;
            Ok(if now == before {
                Err(format!("{now} holds the Lease"))
            } else {
                Ok(())
            })
        })?;
        let took = killed.elapsed();
        roll(world, &larger)?;
        Ok(took)
    })?;
    follows(world, &larger)?;
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![
        format!("leader killed to the next one: {:.1} s", took.as_secs_f64()),
        format!("{records} records, none lost, none out of order"),
    ])
}

/// The pod that holds the Lease.
pub(super) fn holder(operator: &Within) -> Result<String, CheckError> {
    let lease = operator.get("lease/penstock-operator")?;
    let lease = lease.ok_or_else(|| CheckError::broken("there is no Lease"))?;
    Ok(view::text(&lease, "/spec/holderIdentity").to_owned())
}

/// No operator at all: records flow, an edit waits, and is made when it is back.
pub(super) fn operator_down(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let larger = manifest.clone().with(LIMIT, LARGER);
    let operator = world.site.kubectl.within(install::NAMESPACE);
    world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let down = Down::scale(&operator)?;
        let before = world.produced()?;
        world.apply(&larger)?;
        world.await_produced(before + u64::from(FLOW) * 5, SETTLE)?;
        let pods = world.pods(&larger)?;
        let ready = pods.iter().filter(|pod| view::is_ready(pod)).count();
        hold!(ready == 2, || {
            format!("{ready} of 2 pods are ready without an operator")
        })?;
        drop(down);
        roll(world, &larger)
    })?;
    follows(world, &larger)?;
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![format!(
        "{records} records, none lost, none out of order"
    )])
}

/// No operator until dropped.
struct Down<'a>(&'a Within);

impl<'a> Down<'a> {
    fn scale(operator: &'a Within) -> Result<Self, CheckError> {
        let deployment = format!("deployment/{}", install::RELEASE);
        operator.run(&["scale", &deployment, "--replicas=0"])?;
        let down = Self(operator);
        let label = "app.kubernetes.io/name=penstock-operator";
        let gone = ["wait", "pod", "-l", label, "--for=delete", "--timeout=60s"];
        operator.run(&gone)?;
        Ok(down)
    }
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let deployment = format!("deployment/{}", install::RELEASE);
        // The scenario fails on its own when this did not work.
        let _ = self.0.run(&["scale", &deployment, "--replicas=2"]);
        let _ = self
            .0
            .run(&["rollout", "status", &deployment, "--timeout=60s"]);
    }
}
