//! What is remembered of children never hides what somebody else did to them.
//! Layer: test

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::jiff::SignedDuration;
use kube::{core::PartialObjectMeta, runtime::watcher::Event};
use penstock_operator::{children::Shows, kinds::Kind};
use serde_json::{Value, json};

use crate::{
    model::Key,
    world::{NAME, NAMESPACE, World, pipeline_key, spec},
};

async fn running() -> World {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    world
}

fn key(resource: &str) -> Key {
    let name = format!("{NAME}-processor");
    (resource.to_owned(), NAMESPACE.to_owned(), name)
}

fn pipeline(world: &World) -> penstock_operator::resource::EventPipeline {
    serde_json::from_value(world.pipeline()).expect("an object")
}

/// What the watch showed last is an older version than our own write.
#[tokio::test]
async fn an_edit_between_our_write_and_the_watch_is_seen_and_repaired() {
    let world = running().await;
    world.edit("/replicas", json!(3));
    let before = world.model().objects[&key("deployments")].clone();
    world.reconcile().await.expect("as set up");
    let mut theirs = world.model().objects[&key("deployments")].clone();
    assert_ne!(
        theirs, before,
        "we wrote, and the watch shows nothing of it"
    );
    theirs["spec"]["replicas"] = json!(9);
    world.model().put_by_others(key("deployments"), theirs);
    let object = pipeline(&world);
    world.reconcile_as_seen(&object).await.expect("as set up");
    let after = world.model().objects[&key("deployments")].clone();
    assert_eq!(after["spec"]["replicas"], 3);
}

/// The watch has shown our write, and not yet the edit: its event leads to a reconcile that reads.
#[tokio::test]
async fn an_edit_that_the_watch_shows_is_read_and_repaired() {
    let world = running().await;
    world.watch();
    let mut theirs = world.model().objects[&key("configmaps")].clone();
    let ours = theirs.clone();
    theirs["data"] = json!({"settings.json": "{}"});
    world.model().put_by_others(key("configmaps"), theirs);
    let object = pipeline(&world);
    let calls = world.model().calls();
    world.reconcile_as_seen(&object).await.expect("as set up");
    assert_eq!(world.model().calls(), calls, "nothing is read");
    world.watch();
    world.reconcile_as_seen(&object).await.expect("as set up");
    let after = world.model().objects[&key("configmaps")].clone();
    assert_eq!(after["data"], ours["data"]);
}

/// A write that is decided by an older child is refused, and the next reconcile reads.
#[tokio::test]
async fn a_write_over_an_edit_that_was_not_shown_is_refused() {
    let world = running().await;
    world.watch();
    let mut theirs = world.model().objects[&key("deployments")].clone();
    theirs["spec"]["paused"] = json!(true);
    world
        .model()
        .put_by_others(key("deployments"), theirs.clone());
    world.edit("/replicas", json!(3));
    let object = pipeline(&world);
    let first = world.reconcile_as_seen(&object).await;
    assert!(first.is_err(), "{first:?}");
    let stands = world.model().objects[&key("deployments")].clone();
    assert_eq!(stands["spec"]["replicas"], theirs["spec"]["replicas"]);
    world.reconcile_as_seen(&object).await.expect("it has read");
    let after = world.model().objects[&key("deployments")].clone();
    assert_eq!(after["spec"]["replicas"], 3);
}

/// A name is read again before anything is created under it, however often nothing was there.
#[tokio::test]
async fn an_object_that_comes_under_our_name_while_a_scout_runs_is_not_adopted() {
    let world = World::new();
    world.write(spec());
    world.reconcile().await.expect("as set up");
    let calls = world.model().calls();
    world.reconcile().await.expect("as set up");
    assert_eq!(world.model().calls(), calls, "absence is remembered");
    let theirs = json!({"metadata": {"name": key("services").2}, "spec": {"a": "b"}});
    world.model().put_by_others(key("services"), theirs);
    let before = world.model().objects[&key("services")].clone();
    world.settle().await;
    assert_eq!(world.model().objects[&key("services")], before);
    assert_eq!(
        world.condition("Stalled").expect("as set up").1,
        "NameConflict"
    );
    assert!(world.object("deployments", &key("deployments").2).is_none());
}

/// Children of the pipeline before are not taken for those of the next one.
#[tokio::test]
async fn a_new_pipeline_of_the_same_name_recalls_nothing() {
    let world = running().await;
    world.watch();
    world.model().objects.remove(&pipeline_key());
    world.write(spec());
    world.reconcile().await.expect("as set up");
    assert_eq!(
        world.condition("Reconciling").expect("as set up").1,
        "FormerChildren"
    );
}

/// A watch that lost an event is not believed for ever.
#[tokio::test]
async fn everything_is_read_again_after_half_an_hour() {
    let mut world = running().await;
    world.watch();
    world.model().objects.remove(&key("services"));
    world.now += SignedDuration::from_mins(31);
    let object = pipeline(&world);
    world.reconcile_as_seen(&object).await.expect("as set up");
    assert!(world.object("services", &key("services").2).is_some());
}

/// Events of our own writes lead to no reconcile; all others do, and every deletion.
#[tokio::test]
async fn only_what_no_reconcile_has_seen_is_news() {
    let world = running().await;
    let mut shows = Shows {
        kind: Kind::Deployment,
        namespace: None,
        arriving: HashSet::new(),
        memory: Arc::clone(&world.context.memory),
    };
    let metadata = |object: &Value| -> PartialObjectMeta {
        serde_json::from_value(json!({"metadata": object["metadata"]})).expect("as set up")
    };
    world.edit("/replicas", json!(3));
    world.reconcile().await.expect("as set up");
    let mut object = world.model().objects[&key("deployments")].clone();
    let mut take = |event| shows.take::<PartialObjectMeta>(event).is_some();
    assert!(!take(Event::Apply(metadata(&object))), "our own write");
    object["metadata"]["resourceVersion"] = json!("9999");
    assert!(take(Event::Apply(metadata(&object))), "a later one");
    assert!(take(Event::Delete(metadata(&object))));
    // a watch that begins anew, and shows nothing: what was there has gone
    world.watch();
    assert!(!take(Event::Init) && !take(Event::InitDone));
    let calls = world.model().calls();
    let object = pipeline(&world);
    world.reconcile_as_seen(&object).await.expect("as set up");
    assert!(world.model().calls() > calls, "the children are read");
}
