//! The kind gets new rules and fields while objects of the older one are stored.
//! Layer: shell

use serde_json::{Value, json};

use super::Notes;
use crate::cluster::{
    CheckError, install, view,
    world::{SETTLE, World, hold},
};

const KIND: &str = "customresourcedefinition/eventpipelines.penstock.dev";

/// The older kind is the present one without its rules. An object that the rules would refuse is
/// stored under it; after the upgrade it is reported, not forgotten, and can be put right.
pub(super) fn upgrade(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let bad = manifest
        .clone()
        .named("stored-earlier")
        .with(
            "/spec/source/consumerGroup",
            format!("{}-earlier", world.names.group),
        )
        .with("/spec/resources/limits/memory", "16Mi");
    world.lay(2_000)?;
    world.apply(&manifest)?;
    world.await_ready(&manifest)?;
    let before = world.pipeline(&manifest)?;
    older(world)?;
    let stored = world.kubectl.apply(&bad.text());
    install::chart(world.site.ground, "penstock-crds", &[])?;
    stored?;
    world.until("the rules again", SETTLE, || {
        let said = world.kubectl.refusal(&bad.clone().named("new").text())?;
        Ok(said.map(|_| ()).ok_or_else(|| "taken".to_owned()))
    })?;
    let object = world.await_holds(&bad, "Stalled", SETTLE)?;
    let said = view::condition(&object, "Stalled")
        .map(|c| c.message)
        .unwrap_or_default();
    let after = world.await_ready(&manifest)?;
    let generation = |object: &Value| view::count(object, "/metadata/generation");
    hold!(generation(&before) == generation(&after), || {
        "the upgrade changed a stored object".to_owned()
    })?;
    let group = format!("{}-earlier", world.names.group);
    world.apply(
        &manifest
            .clone()
            .named("stored-earlier")
            .with("/spec/source/consumerGroup", group),
    )?;
    world.await_ready(&bad)?;
    world.kubectl.delete(&bad.object())?;
    Ok(vec![format!(
        "stored under the older kind, reported under the newer: {said}"
    )])
}

/// Takes every rule out of the kind, as helm would have applied an older chart: under its name, so
/// that the newer chart meets no foreign owner.
fn older(world: &World<'_>) -> Result<(), CheckError> {
    let kubectl = &world.site.kubectl;
    let kind = kubectl.json(&["get", KIND, "-o", "json"])?;
    let mut kind = kind.unwrap_or_default();
    without_rules(&mut kind["spec"]["versions"]);
    let metadata = &kind["metadata"];
    let older = json!({
        "apiVersion": kind["apiVersion"],
        "kind": kind["kind"],
        "metadata": {
            "name": metadata["name"],
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
        },
        "spec": kind["spec"],
    });
    let apply = [
        "apply",
        "--server-side",
        "--field-manager=helm",
        "--force-conflicts",
        "-f",
        "-",
    ];
    kubectl.feed(&apply, &older.to_string())?;
    Ok(())
}

fn without_rules(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("x-kubernetes-validations");
            members.values_mut().for_each(without_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rules),
        _ => {}
    }
}
