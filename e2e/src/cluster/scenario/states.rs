//! Pause, resume, drain, and deletion at any moment.
//! Layer: shell

use serde_json::json;

use super::{Notes, rollout::FLOW};
use crate::{
    cluster::{
        CheckError,
        manifest::Manifest,
        view,
        world::{SETTLE, World, hold},
    },
    oracle::Repeats,
    wait,
};

/// How long a paused fleet is watched.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

/// Running, Paused, Running, Drained, Running.
pub(super) fn states(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let notes = world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let repeats = pause(world, &manifest)?;
        resume(world, &manifest)?;
        drain(world, &manifest, repeats)
    })?;
    resume(world, &manifest)?;
    world.disturb(4);
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![
        notes,
        format!("{records} records, none lost, none out of order"),
    ])
}

/// Pods and partitions stay, nothing comes out. Tells how many records came out more than once
/// while the pods found their partitions.
fn pause(world: &World<'_>, manifest: &Manifest) -> Result<u64, CheckError> {
    state(world, manifest, "Paused")?;
    let object = world.await_holds(manifest, "Drained", SETTLE)?;
    let said = view::condition(&object, "Drained");
    hold!(said.is_some_and(|c| c.reason == "Paused"), || {
        view::conditions(&object)
    })?;
    let before = world.produced()?;
    // The stream goes on meanwhile: what is not admitted must not come out.
    wait::pass(WATCHED)?;
    let after = world.produced()?;
    hold!(before == after, || {
        format!("{} records came out while paused", after - before)
    })?;
    let mut held = 0;
    for pod in world.pods(manifest)? {
        let page = world.page(view::name(&pod))?;
        held += page["partitions"].as_array().map_or(0, Vec::len);
    }
    hold!(held == 12, || {
        format!("{held} of 12 partitions are held while paused")
    })?;
    let committed = world.committed()?;
    hold!(committed <= after, || {
        format!("{committed} records are committed and {after} out while paused")
    })?;
    Ok(after - committed)
}

fn resume(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    // What waits may all be out by the time that the fleet is ready.
    let before = world.produced()?;
    state(world, manifest, "Running")?;
    world.await_ready(manifest)?;
    world.await_produced(before + 1, SETTLE).map(drop)
}

/// Everything taken is finished and committed, the evidence is in the status, the pods are gone.
fn drain(world: &World<'_>, manifest: &Manifest, repeats: u64) -> Result<String, CheckError> {
    state(world, manifest, "Drained")?;
    let object = world.await_holds(manifest, "Drained", SETTLE)?;
    let drain = &object["status"]["drain"];
    hold!(drain["outcome"] == "Complete", || {
        format!("status.drain is {drain}")
    })?;
    let pods = drain["pods"].as_array().map_or(0, Vec::len);
    hold!(pods == 2, || {
        format!("evidence of {pods} of 2 pods: {drain}")
    })?;
    let (out, committed) = (world.produced()?, world.committed()?);
    hold!(out == committed + repeats, || {
        format!("{out} records are out, {repeats} of them repeats, and {committed} committed")
    })?;
    world.until("no pods", SETTLE, || {
        let left = world.pods(manifest)?.len();
        Ok(if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} pods"))
        })
    })?;
    Ok(format!(
        "drained with {out} records out, {repeats} of them repeats, the others committed"
    ))
}

pub(super) fn state(world: &World<'_>, manifest: &Manifest, state: &str) -> Result<(), CheckError> {
    let patch = json!({"spec": {"state": state}});
    Ok(world.kubectl.patch(&manifest.object(), &patch)?)
}

/// Deleted while it starts, works, and rolls: nothing of it stays, and the next one goes on.
pub(super) fn deletion(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let rounds = world.site.length.pick(3, 8);
    let records = world.site.length.pick(3_000, 20_000);
    let manifest = world.manifest();
    for round in 0..rounds {
        world.lay(records)?;
        world.apply(&manifest)?;
        if round % 2 == 0 {
            world.await_produced(world.produced()? + 1, SETTLE)?;
        }
        world.disturb(4);
        world.kubectl.delete(&manifest.object())?;
        gone(world, &manifest)?;
    }
    world.apply(&manifest)?;
    world.await_ready(&manifest)?;
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![format!(
        "{rounds} deletions, {records} records, none lost, none out of order"
    )])
}

/// The object and all that belongs to it.
fn gone(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    let selector = format!("penstock.dev/pipeline={}", manifest.name());
    let kinds = "deployments,configmaps,services,serviceaccounts,networkpolicies,pods,\
                 poddisruptionbudgets";
    world.until("nothing left of it", SETTLE, || {
        let object = world.kubectl.get(&manifest.object())?;
        let left = world.kubectl.list(kinds, &selector)?;
        let names: Vec<_> = left.iter().map(view::name).collect();
        let all_gone = object.is_none() && names.is_empty();
        Ok(if all_gone {
            Ok(())
        } else {
            Err(names.join(", "))
        })
    })
}
