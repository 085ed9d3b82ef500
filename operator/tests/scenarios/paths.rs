//! The way of a pipeline from its first apply to its end.
//! Layer: test

use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{Kubelet, NAME, World, reading, running, spec};

#[tokio::test]
async fn the_first_apply_ends_ready() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let (ready, reason, message) = world.condition("Ready").expect("as set up");
    assert_eq!(
        (ready.as_str(), reason.as_str()),
        ("True", "Ready"),
        "{message}"
    );
    assert_eq!(world.condition("Reconciling"), None);
    assert_eq!(world.condition("Stalled"), None);
    let status = &world.pipeline()["status"];
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        (&status["readyReplicas"], &status["desiredReplicas"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(status["source"]["partitions"], 12);
    assert_eq!(status["derived"]["memoryLimitBytes"], 256 << 20);
    let revision = status["revisions"]["current"].as_str().expect("as set up");
    assert_eq!(status["revisions"]["lastStable"], revision);
    assert!(
        status["selector"]
            .as_str()
            .expect("as set up")
            .ends_with(revision)
    );
    assert_eq!(world.events(), ["Planned", "Created", "Ready"]);
    assert!(
        world.with_component("scout").is_empty(),
        "the scout is dismissed"
    );
}

/// The order is written once: what pods need before the pods, and the scout before all of it.
#[tokio::test]
async fn the_scout_goes_first_and_the_deployment_comes_last() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let writes = world.model().writes.clone();
    let position = |write: &str| {
        let found = writes.iter().position(|done| done == write);
        found.unwrap_or_else(|| unreachable!("no {write} in {writes:?}"))
    };
    let order = [
        "create pods",
        "patch serviceaccounts",
        "patch configmaps",
        "patch services",
        "patch poddisruptionbudgets",
        "patch deployments",
        "delete pods",
    ];
    assert!(order.map(position).is_sorted(), "{writes:?}");
}

#[tokio::test]
async fn a_second_reconcile_writes_nothing() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let writes = world.model().writes.len();
    world.reconcile().await.expect("as set up");
    world.reconcile().await.expect("as set up");
    let after = world.model().writes.clone();
    assert_eq!(after.len(), writes, "{after:?}");
}

#[tokio::test]
async fn a_new_limit_rolls_and_needs_no_scout() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let before = world.pipeline()["status"]["revisions"]["current"].clone();
    let scouts = |world: &World| {
        world
            .model()
            .writes
            .iter()
            .filter(|write| *write == "create pods")
            .count()
    };
    let sent = scouts(&world);
    world.edit("/resources/limits/memory", json!("512Mi"));
    world.settle().await;
    assert_eq!(scouts(&world), sent);
    let status = world.pipeline()["status"].clone();
    assert_ne!(status["revisions"]["current"], before);
    assert_eq!(status["derived"]["memoryLimitBytes"], 512 << 20);
    let name = format!("{NAME}-processor");
    let deployment = world.object("deployments", &name).expect("as set up");
    let resources = &deployment["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["limits"]["memory"], "512Mi");
    assert_eq!(resources["requests"]["memory"], "512Mi");
    assert!(world.events().contains(&"RollingOut".to_owned()));
}

#[tokio::test]
async fn scaling_restarts_nothing() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let name = format!("{NAME}-processor");
    let template = |world: &World| {
        world.object("deployments", &name).expect("as set up")["spec"]["template"].clone()
    };
    let settings = |world: &World| world.object("configmaps", &name).expect("as set up");
    let before = (template(&world), settings(&world));
    world.edit("/replicas", json!(5));
    world.settle().await;
    assert_eq!((template(&world), settings(&world)), before);
    assert_eq!(world.pipeline()["status"]["readyReplicas"], 5);
    assert!(world.events().contains(&"Scaled".to_owned()));
}

#[tokio::test]
async fn pause_and_resume_reload_and_restart_nothing() {
    let mut world = World::new();
    world.write(spec());
    world.settle().await;
    let pods: Vec<Value> = world
        .pods()
        .into_values()
        .map(|pod| pod["spec"].clone())
        .collect();
    world.edit("/state", json!("Paused"));
    world.settle().await;
    let told = |world: &World| -> Vec<Value> {
        let pods = world.pods().into_values();
        pods.map(|pod| pod["metadata"]["annotations"]["penstock.dev/state"].clone())
            .collect()
    };
    assert_eq!(told(&world), ["Paused", "Paused"]);
    assert_eq!(world.condition("Ready").expect("as set up").1, "Paused");
    assert_eq!(world.condition("Drained").expect("as set up").1, "Pausing");
    world.reading = Some(reading("Paused"));
    world.settle().await;
    assert_eq!(world.condition("Drained").expect("as set up").1, "Paused");
    world.edit("/state", json!("Running"));
    world.reading = Some(reading("Running"));
    world.settle().await;
    assert_eq!(told(&world), ["Running", "Running"]);
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
    let after: Vec<Value> = world
        .pods()
        .into_values()
        .map(|pod| pod["spec"].clone())
        .collect();
    assert_eq!(after, pods);
}

#[tokio::test]
async fn a_drain_waits_for_each_pod_and_keeps_the_evidence() {
    let mut world = World::new();
    world.write(spec());
    world.settle().await;
    world.edit("/state", json!("Drained"));
    let mut busy = reading("Drained");
    (busy.settled, busy.in_flight) = (false, 7);
    world.reading = Some(busy);
    world.settle().await;
    assert_eq!(
        world.pods().len(),
        2,
        "nobody is sent home before it has finished"
    );
    assert_eq!(world.condition("Drained").expect("as set up").1, "Draining");
    world.reading = Some(reading("Drained"));
    world.settle().await;
    assert_eq!(world.pods().len(), 0);
    assert_eq!(world.condition("Drained").expect("as set up").0, "True");
    let drain = world.pipeline()["status"]["drain"].clone();
    assert_eq!(drain["outcome"], "Complete");
    let pods = drain["pods"].as_array().expect("as set up");
    assert_eq!(pods.len(), 2);
    assert_eq!(
        (&pods[0]["inFlightRecords"], &pods[0]["finishedRecords"]),
        (&json!(0), &json!(1000))
    );
    world.edit("/state", json!("Running"));
    world.reading = None;
    world.settle().await;
    assert_eq!(world.pods().len(), 2);
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
    assert_eq!(world.pipeline()["status"]["drain"], Value::Null);
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline_and_tells_what_was_left() {
    let mut world = World::new();
    world.write(spec());
    world.settle().await;
    world.edit("/state", json!("Drained"));
    let mut blocked = reading("Drained");
    (blocked.settled, blocked.in_flight) = (false, 7);
    world.reading = Some(blocked);
    world.settle().await;
    world.now += SignedDuration::from_secs(120);
    world.settle().await;
    assert_eq!(world.pods().len(), 0, "a blocked key keeps nobody for ever");
    let drain = world.pipeline()["status"]["drain"].clone();
    assert_eq!(drain["outcome"], "DeadlineExceeded");
    let left: Vec<_> = drain["pods"]
        .as_array()
        .expect("as set up")
        .iter()
        .collect();
    assert_eq!(left.len(), 2);
    assert!(
        left.iter().all(|pod| pod["inFlightRecords"] == 7),
        "{drain}"
    );
    let said = |kind: &str| world.condition(kind).expect("as set up");
    assert_eq!(said("Drained").0, "False");
    assert_eq!(said("Stalled").1, "DrainDeadlineExceeded");
    assert!(world.condition("Reconciling").is_none());
    let events = world.events();
    assert!(
        events.contains(&"DrainDeadlineExceeded".to_owned()),
        "{events:?}"
    );
    world.reading = None;
    world.edit("/state", json!("Running"));
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
    assert_eq!(world.pipeline()["status"]["drain"], Value::Null);
}

#[tokio::test]
async fn a_restart_token_tries_again_and_restarts() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let before = world.pipeline()["status"]["revisions"]["current"].clone();
    world.edit("/rollout", json!({"restartToken": "monday"}));
    world.settle().await;
    assert_ne!(world.pipeline()["status"]["revisions"]["current"], before);
}

#[tokio::test]
async fn an_external_scaler_gets_a_first_number_once() {
    let world = World::new();
    let mut spec = spec();
    spec.as_object_mut().expect("as set up").remove("replicas");
    spec["autoscaling"] = json!({"mode": "External", "minReplicas": 3, "maxReplicas": 6});
    world.write(spec);
    world.settle().await;
    assert_eq!(world.pipeline()["spec"]["replicas"], 3);
    world.edit("/replicas", json!(6));
    world.settle().await;
    assert_eq!(world.pipeline()["spec"]["replicas"], 6);
    let written = world
        .model()
        .writes
        .iter()
        .filter(|write| *write == "patch eventpipelines")
        .count();
    assert_eq!(written, 1);
}

#[tokio::test]
async fn a_child_that_was_edited_or_deleted_is_put_right() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let name = format!("{NAME}-processor");
    let key = |resource: &str| (resource.to_owned(), "shop".to_owned(), name.clone());
    let mut deployment = world.object("deployments", &name).expect("as set up");
    deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] = json!(true);
    world.model().put_by_others(key("deployments"), deployment);
    world.model().objects.remove(&key("configmaps"));
    world.settle().await;
    let deployment = world.object("deployments", &name).expect("as set up");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["automountServiceAccountToken"],
        false
    );
    assert!(world.object("configmaps", &name).is_some());
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}

#[tokio::test]
async fn a_kill_for_memory_is_seen_until_the_next_revision() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let (key, mut pod) = world.pods().pop_first().expect("as set up");
    let mut container = running(1);
    container["lastState"] = json!({"terminated": {
        "exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-25T12:01:00Z"}});
    pod["status"]["containerStatuses"] = json!([container]);
    world.model().put_by_others(key, pod);
    world.settle().await;
    assert_eq!(
        world.condition("MemoryFits").expect("as set up").1,
        "OOMKilled"
    );
    assert_eq!(world.condition("Ready").expect("as set up").1, "OOMKilled");
    assert_eq!(
        world.pipeline()["status"]["lastOOM"]["pod"],
        format!("{NAME}-processor-0")
    );
    assert_eq!(
        world
            .events()
            .iter()
            .filter(|reason| *reason == "OOMKilled")
            .count(),
        1
    );
    world.edit("/resources/limits/memory", json!("512Mi"));
    world.settle().await;
    assert_eq!(world.condition("MemoryFits").expect("as set up").0, "True");
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}

#[tokio::test]
async fn a_deleted_pipeline_is_left_to_the_garbage_collector() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let writes = world.model().writes.len();
    let mut object = world.pipeline();
    object["metadata"]["deletionTimestamp"] = json!("2026-11-25T12:00:00Z");
    let object = serde_json::from_value(object).expect("as set up");
    world.reconcile_as_seen(&object).await.expect("as set up");
    assert_eq!(world.model().writes.len(), writes);
}

#[tokio::test]
async fn the_lag_is_written_rounded_and_not_with_every_record() {
    let mut world = World::new();
    world.write(spec());
    world.reading = Some(reading("Running"));
    world.settle().await;
    assert_eq!(world.pipeline()["status"]["source"]["lagRecords"], 1000);
    let writes = world.model().writes.len();
    world.reading.as_mut().expect("as set up").lag = Some(70_123);
    world.now += SignedDuration::from_secs(10);
    world.settle().await;
    assert_eq!(world.model().writes.len(), writes, "within half a minute");
    world.now += SignedDuration::from_secs(21);
    world.settle().await;
    assert_eq!(world.pipeline()["status"]["source"]["lagRecords"], 140_000);
    assert_eq!(world.model().writes.len(), writes + 1);
}

#[tokio::test]
async fn a_sink_that_does_not_answer_is_named() {
    let mut world = World::new();
    world.write(spec());
    world.reading = Some(reading("Running"));
    world.settle().await;
    let broken = ("store".to_owned(), "connection refused".to_owned());
    world.reading.as_mut().expect("as set up").broken_sinks = vec![broken];
    world.settle().await;
    let (status, reason, message) = world.condition("SinksReady").expect("as set up");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "SinkUnavailable")
    );
    assert!(
        message.contains("spec.sinks[name=store]: connection refused"),
        "{message}"
    );
    assert_eq!(
        world.condition("Ready").expect("as set up").1,
        "SinkUnavailable"
    );
}

#[tokio::test]
async fn pods_that_do_not_start_are_explained() {
    let mut world = World::new();
    world.write(spec());
    world.settle().await;
    world.kubelet = Kubelet::Stopped;
    world.edit("/resources/limits/memory", json!("512Mi"));
    world.settle().await;
    let (key, mut pod) = world.pods().pop_first().expect("as set up");
    pod["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled",
        "status": "False", "message": "0/3 nodes are available: insufficient memory"}]});
    world.model().put_by_others(key, pod);
    world.settle().await;
    let (status, reason, message) = world.condition("Ready").expect("as set up");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "RollingOut"));
    assert!(message.contains("insufficient memory"), "{message}");
    assert!(world.condition("Reconciling").is_some());
}
