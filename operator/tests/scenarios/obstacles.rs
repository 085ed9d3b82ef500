//! What must not change a running fleet, and what the object then says.
//! Layer: test

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use penstock_operator::observed::{Precedence, Rival};
use serde_json::{Value, json};

use crate::world::{NAME, NAMESPACE, USABLE, World, spec};

/// The fleet as pods see it.
fn fleet(world: &World) -> (Option<Value>, Option<Value>) {
    let name = format!("{NAME}-processor");
    let mut deployment = world.object("deployments", &name);
    if let Some(deployment) = &mut deployment {
        deployment["status"] = Value::Null;
    }
    (deployment, world.object("configmaps", &name))
}

async fn running() -> (World, (Option<Value>, Option<Value>)) {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let fleet = fleet(&world);
    assert!(fleet.0.is_some());
    (world, fleet)
}

/// The old fleet runs on; the object stalls for that reason, with that text.
fn stalls(world: &World, before: &(Option<Value>, Option<Value>), reason: &str, text: &str) {
    assert_eq!(fleet(world), *before);
    let (_, stalled, message) = world.condition("Stalled").expect("it stalls");
    assert_eq!(stalled, reason);
    assert!(message.contains(text), "{message}");
    assert_eq!(world.condition("Ready").expect("as set up").0, "False");
    assert_eq!(world.condition("Reconciling"), None);
    assert!(
        world.events().contains(&reason.to_owned()),
        "{:?}",
        world.events()
    );
}

const UNKNOWN_TOPIC: &str = r#"{"failure":{"field":"spec.source.topics[0].name",
        "kind":"TopicNotFound","message":"topic nowhere is not there"}}"#;

#[tokio::test]
async fn a_source_that_cannot_be_used_leaves_the_fleet_alone() {
    let (mut world, before) = running().await;
    world.scout = (3, UNKNOWN_TOPIC.to_owned());
    world.edit("/source/topics", json!([{"name": "nowhere"}]));
    world.settle().await;
    stalls(
        &world,
        &before,
        "TopicNotFound",
        "spec.source.topics[0].name: topic nowhere",
    );
    assert_eq!(
        world.condition("SourceReady").expect("as set up").0,
        "False"
    );
    assert_eq!(
        world.with_component("scout").len(),
        1,
        "its log can be read"
    );
}

#[tokio::test]
async fn what_may_pass_is_tried_again_ever_more_slowly() {
    let (mut world, _) = running().await;
    world.scout = (3, UNKNOWN_TOPIC.to_owned());
    world.edit("/source/topics", json!([{"name": "nowhere"}]));
    world.settle().await;
    let attempts = |world: &World| {
        let scouts = world.with_component("scout");
        let (_, scout) = scouts.first_key_value().expect("as set up");
        scout["metadata"]["annotations"]["penstock.dev/attempt"].clone()
    };
    assert_eq!(attempts(&world), "1");
    world.now += SignedDuration::from_secs(5);
    world.settle().await;
    assert_eq!(attempts(&world), "1", "too soon");
    world.now += SignedDuration::from_secs(10);
    world.settle().await;
    assert_eq!(attempts(&world), "2");
    assert_eq!(world.with_component("scout").len(), 1);
    world.scout = (0, USABLE.to_owned());
    world.now += SignedDuration::from_secs(60);
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
    assert_eq!(world.condition("Stalled"), None);
}

#[tokio::test]
async fn a_sink_that_cannot_be_used_is_told_from_the_source() {
    let (mut world, before) = running().await;
    world.scout = (
        3,
        r#"{"failure":{"field":"spec.sinks[0].redis.secretRef",
        "kind":"SinkAuthFailed","message":"wrong password"}}"#
            .to_owned(),
    );
    world.edit("/source/topics", json!([{"name": "other"}]));
    world.settle().await;
    stalls(
        &world,
        &before,
        "SinkAuthFailed",
        "spec.sinks[0].redis.secretRef: wrong password",
    );
    assert_eq!(world.condition("SinksReady").expect("as set up").0, "False");
}

#[tokio::test]
async fn a_scout_that_says_nothing_is_reported_as_it_ended() {
    let (mut world, before) = running().await;
    world.scout = (1, "thread main panicked".to_owned());
    world.edit("/source/topics", json!([{"name": "other"}]));
    world.settle().await;
    stalls(
        &world,
        &before,
        "ScoutFailed",
        "ended with 1: thread main panicked",
    );
    assert_eq!(
        world.condition("SourceReady").expect("as set up").0,
        "Unknown"
    );
}

#[tokio::test]
async fn faults_that_no_schema_finds_leave_the_fleet_alone() {
    let (world, before) = running().await;
    world.edit(
        "/stages",
        json!([{"name": "copy", "when": "event.", "produce": {"topic": "copies"}}]),
    );
    world.settle().await;
    stalls(&world, &before, "InvalidSpec", "spec.stages[0].when");
}

#[tokio::test]
async fn an_image_that_is_not_allowed_is_refused() {
    let (world, before) = running().await;
    world.edit("/image", json!("elsewhere/processor:1"));
    world.settle().await;
    stalls(
        &world,
        &before,
        "InvalidSpec",
        "spec.image: \"elsewhere/processor:1\" is not allowed",
    );
}

#[tokio::test]
async fn facts_that_make_the_limit_too_small_leave_the_fleet_alone() {
    let (mut world, before) = running().await;
    world.scout = (
        0,
        r#"{"brokers":200,"partitions":4000,"topics":[{"name":"wide","partitions":4000}]}"#
            .to_owned(),
    );
    world.edit("/source/topics", json!([{"name": "wide"}]));
    world.settle().await;
    stalls(
        &world,
        &before,
        "MemoryLimitTooSmall",
        "spec.resources.limits.memory",
    );
    assert_eq!(world.condition("MemoryFits").expect("as set up").0, "False");
    // the scout is not sent again for another limit
    let sent = world
        .model()
        .writes
        .iter()
        .filter(|write| *write == "create pods")
        .count();
    world.edit("/resources/limits/memory", json!("6Gi"));
    world.settle().await;
    let (ready, _, message) = world.condition("Ready").expect("as set up");
    assert_eq!(ready, "True", "{message}");
    let after = world
        .model()
        .writes
        .iter()
        .filter(|write| *write == "create pods")
        .count();
    assert_eq!(after, sent);
}

#[tokio::test]
async fn a_topic_made_anew_is_not_read_with_the_old_offsets() {
    let (mut world, before) = running().await;
    world.scout = (0, USABLE.replace("AAAA", "BBBB"));
    world.edit("/rollout", json!({"restartToken": "again"}));
    world.settle().await;
    stalls(
        &world,
        &before,
        "TopicRecreated",
        "raise spec.source.generation",
    );
    world.edit("/source/generation", json!(1));
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_touched() {
    let world = World::new();
    let key = (
        "configmaps".to_owned(),
        NAMESPACE.to_owned(),
        format!("{NAME}-processor"),
    );
    let theirs = json!({"metadata": {"name": key.2}, "data": {"a": "b"}});
    world.model().put_by_others(key.clone(), theirs);
    let before = world.model().objects[&key].clone();
    world.write(spec());
    world.settle().await;
    assert_eq!(world.model().objects[&key], before);
    let (_, reason, message) = world.condition("Stalled").expect("as set up");
    assert_eq!(reason, "NameConflict");
    assert!(
        message.contains("ConfigMap named orders-processor"),
        "{message}"
    );
    assert!(world.object("deployments", &key.2).is_none());
    // it goes away, and nobody tells
    let again = world.reconcile().await.expect("as set up");
    assert!(
        again.is_some_and(|after| after <= Duration::from_secs(60)),
        "{again:?}"
    );
    world.model().objects.remove(&key);
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}

#[tokio::test]
async fn children_of_a_deleted_pipeline_of_the_same_name_are_waited_for() {
    let (world, _) = running().await;
    let pipeline = crate::world::pipeline_key();
    let pods: Vec<_> = world.pods().into_keys().collect();
    world.model().objects.remove(&pipeline);
    world.write(spec());
    let writes = world.model().writes.len();
    world.reconcile().await.expect("as set up");
    assert_eq!(
        world.condition("Reconciling").expect("as set up").1,
        "FormerChildren"
    );
    let told = world.model().writes[writes..].to_vec();
    assert_eq!(
        told,
        ["patch eventpipelines/status"],
        "nothing is written over them"
    );
    // the garbage collector comes
    world
        .model()
        .objects
        .retain(|(resource, ..), _| resource == "eventpipelines");
    assert!(!pods.is_empty());
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}

#[tokio::test]
async fn the_younger_of_two_pipelines_of_a_group_is_not_started() {
    let mut world = World::new();
    let rival = |precedence| {
        vec![Rival {
            name: "other/orders".to_owned(),
            precedence,
        }]
    };
    world.rivals = rival(Precedence::Elder);
    world.write(spec());
    world.settle().await;
    assert!(
        world
            .object("deployments", &format!("{NAME}-processor"))
            .is_none()
    );
    let (_, reason, message) = world.condition("Stalled").expect("as set up");
    assert_eq!(reason, "ConsumerGroupConflict");
    assert!(message.contains("other/orders"), "{message}");

    let (mut elder, before) = running().await;
    elder.rivals = rival(Precedence::Younger);
    elder.settle().await;
    assert_eq!(fleet(&elder), before);
    let (status, reason, message) = elder.condition("SourceReady").expect("as set up");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "ConsumerGroupConflict"),
        "{message}"
    );
    assert_eq!(elder.condition("Ready").expect("as set up").0, "True");
    assert!(elder.events().contains(&"ConsumerGroupConflict".to_owned()));
}

#[tokio::test]
async fn what_the_api_server_refuses_is_said_in_its_words() {
    let (world, _) = running().await;
    let words = "pods is forbidden: exceeded quota";
    world
        .model()
        .refusals
        .insert("deployments".to_owned(), (403, words.to_owned()));
    world.edit("/replicas", json!(3));
    assert!(world.reconcile().await.is_err(), "it is tried again");
    let (_, reason, message) = world.condition("Stalled").expect("as set up");
    assert_eq!(reason, "ApiRefused");
    assert!(
        message.contains(words) && message.contains("Deployment"),
        "{message}"
    );
    world.model().refusals.clear();
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}
