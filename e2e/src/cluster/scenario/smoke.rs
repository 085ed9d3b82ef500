//! A pipeline from `kubectl apply` to its last commit.
//! Layer: shell

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::Notes;
use crate::{
    cluster::{
        CheckError, images,
        manifest::Manifest,
        owned, view,
        world::{SETTLE, World, hold},
    },
    oracle::Repeats,
};

/// From `kubectl apply` to the first record out, with the image present and the scout included.
const FIRST_RECORD: Duration = Duration::from_secs(15);
const MANAGER: &str = "penstock-operator";
const CHILDREN: [&str; 6] = [
    "serviceaccount",
    "configmap",
    "networkpolicy",
    "service",
    "poddisruptionbudget",
    "deployment",
];

pub(super) fn smoke(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let records = world.site.length.pick(20_000, 200_000);
    world.lay(records)?;
    let manifest = world.manifest();
    let started = Instant::now();
    world.apply(&manifest)?;
    world.await_produced(1, SETTLE)?;
    let first = started.elapsed();
    let ready = world.await_ready(&manifest)?;
    let until_ready = started.elapsed();
    status_tells(&ready)?;
    let children = children(world, &manifest)?;
    owned_fields(world, &children)?;
    world.disturb(2);
    world.judge(Repeats::Rebalances)?;
    user_sees(world, &manifest)?;
    second_apply(world, &manifest)?;
    let rate = f64::from(records);
    hold!(first <= FIRST_RECORD, || {
        format!("first record after {:.1} s, goal 15 s", first.as_secs_f64())
    })?;
    Ok(vec![
        format!(
            "apply to first record out: {:.1} s (goal 15 s)",
            first.as_secs_f64()
        ),
        format!("apply to Ready: {:.1} s", until_ready.as_secs_f64()),
        format!("{rate} records, none lost, none out of order"),
    ])
}

/// Conditions, counts and the plan are there, and of this generation.
fn status_tells(object: &Value) -> Result<(), CheckError> {
    for kind in ["Ready", "SourceReady", "SinksReady", "MemoryFits"] {
        hold!(view::holds(object, kind), || {
            format!("{kind} is not True: {}", view::conditions(object))
        })?;
    }
    for kind in ["Reconciling", "Stalled"] {
        hold!(view::condition(object, kind).is_none(), || {
            format!("{kind} is there: {}", view::conditions(object))
        })?;
    }
    let generation = view::count(object, "/metadata/generation");
    hold!(generation == 1, || {
        format!("generation is {generation}, not 1")
    })?;
    let ready = view::count(object, "/status/readyReplicas");
    hold!(ready == 2, || {
        format!("status.readyReplicas is {ready}, not 2")
    })
}

/// The children by kind.
fn children(
    world: &World<'_>,
    manifest: &Manifest,
) -> Result<BTreeMap<&'static str, Value>, CheckError> {
    let selector = format!("penstock.dev/pipeline={}", manifest.name());
    let mut found = BTreeMap::new();
    for kind in CHILDREN {
        let all = world.kubectl.list(kind, &selector)?;
        let mut fleet = all
            .into_iter()
            .filter(|o| view::name(o).ends_with("-processor"));
        let child = fleet.next();
        let child = child.ok_or_else(|| CheckError::broken(format!("no {kind} of the fleet")))?;
        found.insert(kind, child);
    }
    Ok(found)
}

/// Every field that the operator owns in every child is as committed.
fn owned_fields(
    world: &World<'_>,
    children: &BTreeMap<&'static str, Value>,
) -> Result<(), CheckError> {
    let cut = children
        .iter()
        .map(|(kind, object)| ((*kind).to_owned(), owned::owned(object, MANAGER)));
    let found = format!("{:#}\n", Value::Object(cut.collect()));
    let found = anonymous(&found, world, children);
    let path = golden();
    if env::var_os("PENSTOCK_REWRITE").is_some_and(|value| value == "1") {
        let written = fs::write(&path, &found);
        return written.map_err(|e| CheckError::broken(format!("{}: {e}", path.display())));
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differing = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    hold!(expected == found, || {
        format!(
            "owned fields differ from {} (PENSTOCK_REWRITE=1 writes it), first: {differing:?}",
            path.display()
        )
    })
}

fn golden() -> PathBuf {
    images::repository().join("e2e/cluster/owned.json")
}

/// Without what is different in each run: names of topics, addresses, identities, hashes.
fn anonymous(text: &str, world: &World<'_>, children: &BTreeMap<&'static str, Value>) -> String {
    let names = &world.names;
    let mut text = text.to_owned();
    for (name, stands_for) in [
        (world.site.broker.bootstrap(), "BOOTSTRAP"),
        (&names.input, "INPUT"),
        (&names.output, "OUTPUT"),
        (&names.dead, "DEAD"),
        (&names.group, "GROUP"),
        (world.kubectl.namespace(), "NAMESPACE"),
        (world.site.images.processor.as_str(), "TAG"),
    ] {
        text = text.replace(name, stands_for);
    }
    for object in children.values() {
        let owner = view::text(object, "/metadata/ownerReferences/0/uid");
        if !owner.is_empty() {
            text = text.replace(owner, "UID");
        }
    }
    let lines = text.lines().map(|line| match line.split_once("\": \"") {
        Some((key, _)) if is_hash(key) => format!("{key}\": \"HASH\""),
        _ => line.trim_end_matches(',').to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Annotations and labels whose values follow from addresses that differ in each run.
fn is_hash(key: &str) -> bool {
    let own = key.trim().trim_start_matches('"');
    ["applied", "proven", "facts", "revision", "settings"]
        .iter()
        .any(|name| own == format!("penstock.dev/{name}"))
}

/// The printer columns and the page of fields.
fn user_sees(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    let table = world.kubectl.run(&["get", "evp", manifest.name()])?;
    let head = table.lines().next().unwrap_or_default().to_owned();
    for column in ["NAME", "READY", "STATE", "MEMORY", "AGE"] {
        hold!(head.contains(column), || {
            format!("no column {column}: {head}")
        })?;
    }
    let explained = world
        .kubectl
        .run(&["explain", "eventpipeline.spec.source"])?;
    hold!(explained.contains("bootstrapServers"), || {
        format!("kubectl explain says nothing: {explained}")
    })?;
    let described = world.kubectl.run(&["describe", "evp", manifest.name()])?;
    hold!(described.contains("Events:"), || {
        "kubectl describe has no events".to_owned()
    })
}

/// Applying the same again changes nothing anywhere, nor does the operator when it looks again.
fn second_apply(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    let before = versions(world, manifest)?;
    world.apply(manifest)?;
    // A touched label makes the operator look at the object; it must find nothing to write.
    world.kubectl.patch(
        &manifest.object(),
        &json!({"metadata": {"labels": {"e2e.penstock.dev/touched": "once"}}}),
    )?;
    crate::wait::pass(Duration::from_secs(5))?;
    let after = versions(world, manifest)?;
    let changed: Vec<_> = before
        .iter()
        .filter(|(name, version)| after.get(*name) != Some(version))
        .map(|(name, _)| name.as_str())
        .collect();
    hold!(changed.is_empty(), || {
        format!("written again: {}", changed.join(", "))
    })?;
    let generation = view::count(&world.pipeline(manifest)?, "/metadata/generation");
    hold!(generation == 1, || {
        format!("generation is {generation} after a second apply")
    })
}

/// The versions of the children.
fn versions(
    world: &World<'_>,
    manifest: &Manifest,
) -> Result<BTreeMap<String, String>, CheckError> {
    let children = children(world, manifest)?;
    let version = |(kind, object): (&&str, &Value)| {
        let version = view::text(object, "/metadata/resourceVersion").to_owned();
        ((*kind).to_owned(), version)
    };
    Ok(children.iter().map(version).collect())
}
