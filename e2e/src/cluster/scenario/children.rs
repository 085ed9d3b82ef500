//! Children that others made, deleted or edited, and groups that two pipelines want.
//! Layer: shell

use serde_json::json;

use super::{Notes, rollout::FLOW};
use crate::{
    cluster::{
        CheckError, view,
        world::{SETTLE, World, hold},
    },
    oracle::Repeats,
};

/// A ConfigMap of the fleet's name that somebody else made is left alone, and said so.
pub(super) fn foreign(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let name = format!("{}-processor", manifest.name());
    let foreign = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"mine": "yes"},
    });
    world.kubectl.apply(&foreign.to_string())?;
    let object = format!("configmap/{name}");
    let before = world.object(&object)?;
    world.apply(&manifest)?;
    let stalled = world.await_holds(&manifest, "Stalled", SETTLE)?;
    let said = view::condition(&stalled, "Stalled");
    let named = |c: &view::Condition| c.reason == "NameConflict" && c.message.contains(&name);
    hold!(said.as_ref().is_some_and(named), || {
        view::conditions(&stalled)
    })?;
    let after = world.object(&object)?;
    hold!(before == after, || {
        format!("the foreign ConfigMap was changed: {after}")
    })?;
    world.kubectl.delete(&object)?;
    world.lay(2_000)?;
    world.await_ready(&manifest)?;
    world.disturb(2);
    world.judge(Repeats::Rebalances)?;
    Ok(vec![said.map(|c| c.message).unwrap_or_default()])
}

/// The older of two pipelines with one group works; the younger one says why it does not.
pub(super) fn shared_group(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let older = world.manifest();
    let younger = older.clone().named("late");
    world.lay(2_000)?;
    world.apply(&older)?;
    world.await_ready(&older)?;
    world.apply(&younger)?;
    let object = world.await_holds(&younger, "Stalled", SETTLE)?;
    let said = view::condition(&object, "Stalled");
    let named = |c: &view::Condition| {
        c.reason == "ConsumerGroupConflict" && c.message.contains(older.name())
    };
    hold!(said.as_ref().is_some_and(named), || {
        view::conditions(&object)
    })?;
    let pods = world.pods(&younger)?.len();
    hold!(pods == 0, || {
        format!("the younger pipeline has {pods} pods")
    })?;
    world.kubectl.delete(&older.object())?;
    world.lay(2_000)?;
    world.await_ready(&younger)?;
    world.disturb(4);
    world.judge(Repeats::Rebalances)?;
    Ok(vec![said.map(|c| c.message).unwrap_or_default()])
}

/// Each child deleted, the Deployment edited: all is as declared again, and nothing is lost.
pub(super) fn children(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let fleet = format!("{}-processor", manifest.name());
    world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        for kind in [
            "configmap",
            "service",
            "poddisruptionbudget",
            "networkpolicy",
        ] {
            replaced(world, &format!("{kind}/{fleet}"))?;
        }
        let deployment = format!("deployment/{fleet}");
        world.kubectl.patch(
            &deployment,
            &json!({"spec": {"replicas": 1, "paused": true}}),
        )?;
        world.until("the edit undone", SETTLE, || {
            let now = world.object(&deployment)?;
            let replicas = view::count(&now, "/spec/replicas");
            Ok(if replicas == 2 {
                Ok(())
            } else {
                Err(format!("{replicas} replicas"))
            })
        })?;
        world.disturb(2);
        replaced(world, &deployment)?;
        world.disturb(4);
        world.await_ready(&manifest)
    })?;
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![format!(
        "{records} records, none lost, none out of order"
    )])
}

/// Deletes an object and waits for another one of its name.
fn replaced(world: &World<'_>, object: &str) -> Result<(), CheckError> {
    let before = view::text(&world.object(object)?, "/metadata/uid").to_owned();
    world.kubectl.delete(object)?;
    world.until(&format!("{object} made anew"), SETTLE, || {
        let now = world.kubectl.get(object)?.unwrap_or_default();
        let uid = view::text(&now, "/metadata/uid");
        let anew = !uid.is_empty() && uid != before && !view::is_leaving(&now);
        Ok(if anew {
            Ok(())
        } else {
            Err(format!("{object} is {uid}, was {before}"))
        })
    })
}
