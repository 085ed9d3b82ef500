//! What cannot work is refused, or reported, while the last good fleet runs on.
//! Layer: shell

use std::collections::BTreeSet;

use serde_json::json;

use super::{Notes, rollout::FLOW};
use crate::{
    cluster::{
        CheckError,
        manifest::Manifest,
        view,
        world::{SETTLE, World, hold},
    },
    kafka::{PASSWORD, USER},
    oracle::Repeats,
};

const LIMIT: &str = "/spec/resources/limits/memory";

/// No plan fits 16Mi, whatever the cluster: the API server says so, and says how much would do.
pub(super) fn impossible_limit(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let impossible = world.manifest().with(LIMIT, "16Mi");
    let said = world.kubectl.refusal(&impossible.text())?;
    let said = said.ok_or_else(|| CheckError::broken("the API server took a limit of 16Mi"))?;
    hold!(said.contains("spec.resources.limits.memory"), || {
        format!("the refusal does not name the field: {said}")
    })?;
    Ok(vec![format!(
        "refused: {}",
        said.lines().last().unwrap_or_default()
    )])
}

/// A topic of many partitions, of which the object says nothing, needs more than the limit.
pub(super) fn cluster_facts(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let wide = world.wide_topic(WIDE)?;
    let edit = manifest
        .clone()
        .with("/spec/source/topics/0/name", wide)
        .with(LIMIT, "60Mi");
    last_good_runs_on(world, &manifest, &edit, &["MemoryLimitTooSmall"])
}

/// Partitions for which 60Mi is too little; it would do for those of the other topics.
const WIDE: u32 = 400;

/// A topic that does not exist.
pub(super) fn unknown_topic(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let edit = manifest
        .clone()
        .with("/spec/source/topics/0/name", "no-such-topic");
    last_good_runs_on(world, &manifest, &edit, &["TopicNotFound", "no-such-topic"])
}

/// A password that the broker does not accept.
pub(super) fn credentials(world: &mut World<'_>) -> Result<Notes, CheckError> {
    secret(world, "kafka-user", PASSWORD)?;
    secret(world, "kafka-stranger", "not-the-password")?;
    let authenticated = world.site.broker.authenticated();
    let manifest = world
        .manifest()
        .with("/spec/source/bootstrapServers/0", authenticated)
        .with("/spec/source/auth/mechanism", "ScramSha512")
        .with("/spec/source/auth/secretRef/name", "kafka-user");
    let edit = manifest
        .clone()
        .with("/spec/source/auth/secretRef/name", "kafka-stranger");
    let notes = last_good_runs_on(world, &manifest, &edit, &["spec.source.auth"])?;
    no_secret_shows(world, &manifest)?;
    Ok(notes)
}

fn secret(world: &World<'_>, name: &str, password: &str) -> Result<(), CheckError> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"username": USER, "password": password},
    });
    world.kubectl.apply(&secret.to_string())?;
    Ok(())
}

/// The password stands nowhere but in the Secret.
fn no_secret_shows(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    let mut places = vec![(
        "events",
        world.kubectl.run(&["get", "events", "-o", "json"])?,
    )];
    for kind in ["eventpipelines", "configmaps", "deployments", "pods"] {
        places.push((kind, world.kubectl.run(&["get", kind, "-o", "json"])?));
    }
    for pod in world.pods(manifest)? {
        let name = view::name(&pod);
        places.push(("logs", world.kubectl.run(&["logs", name])?));
        places.push(("/status", world.kubectl.page(name, "/status")?));
        places.push(("/metrics", world.kubectl.page(name, "/metrics")?));
    }
    let shown = places.iter().find(|(_, text)| text.contains(PASSWORD));
    hold!(shown.is_none(), || {
        format!("the password stands in {}", shown.map_or("", |s| s.0))
    })
}

/// Applies a good pipeline, then an edit that cannot work: it is reported with these words, and the
/// same pods go on; then the good one again.
fn last_good_runs_on(
    world: &mut World<'_>,
    good: &Manifest,
    edit: &Manifest,
    words: &[&str],
) -> Result<Notes, CheckError> {
    let message = world.streaming(FLOW, |world| {
        world.apply(good)?;
        world.await_ready(good)?;
        let pods = identities(world, good)?;
        world.apply(edit)?;
        let object = world.await_holds(edit, "Stalled", SETTLE)?;
        let said = view::conditions(&object);
        let missing = words.iter().find(|word| !said.contains(*word));
        hold!(missing.is_none(), || {
            format!("nothing said of {missing:?}: {said}")
        })?;
        hold!(!view::holds(&object, "Ready"), || {
            format!("Ready all the same: {said}")
        })?;
        let before = world.produced()?;
        world.await_produced(before + u64::from(FLOW) * 3, SETTLE)?;
        hold!(identities(world, good)? == pods, || {
            "the old pods were replaced".to_owned()
        })?;
        world.apply(good)?;
        world.await_ready(good)?;
        hold!(identities(world, good)? == pods, || {
            "pods were replaced by the way back".to_owned()
        })?;
        let stalled = view::condition(&object, "Stalled");
        Ok(stalled
            .map(|c| format!("{}: {}", c.reason, c.message))
            .unwrap_or_default())
    })?;
    world.disturb(1);
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![
        message,
        format!("{records} records, none lost, none out of order"),
    ])
}

/// Which pods they are.
fn identities(world: &World<'_>, manifest: &Manifest) -> Result<BTreeSet<String>, CheckError> {
    let pods = world.pods(manifest)?;
    Ok(pods
        .iter()
        .map(|pod| view::text(pod, "/metadata/uid").to_owned())
        .collect())
}

/// Pods that the API server does not admit: a quota, a priority class that is not there.
pub(super) fn denials(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let quota = json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"limits.memory": "400Mi"}},
    });
    let manifest = world.manifest();
    world.kubectl.apply(&quota.to_string())?;
    world.apply(&manifest)?;
    let object = world.await_holds(&manifest, "Stalled", SETTLE)?;
    let said = view::conditions(&object);
    hold!(said.contains("quota"), || {
        format!("nothing said of the quota: {said}")
    })?;
    world.kubectl.delete("resourcequota/small")?;
    world.await_ready(&manifest)?;
    let edit = manifest
        .clone()
        .named("urgent")
        .with(
            "/spec/source/consumerGroup",
            format!("{}-urgent", world.names.group),
        )
        .with("/spec/pod/priorityClassName", "no-such-class");
    world.apply(&edit)?;
    let object = world.await_holds(&edit, "Stalled", SETTLE)?;
    let refused = view::conditions(&object);
    hold!(refused.contains("no-such-class"), || {
        format!("nothing said of the priority class: {refused}")
    })?;
    Ok(vec![said, refused])
}
