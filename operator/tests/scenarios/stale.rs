//! An object that is older than our own last write to it is not reconciled.
//! Layer: test

use std::sync::Arc;

use kube::runtime::controller::Action;
use penstock_operator::{
    controller::one_reconcile, metrics::Metrics, resource::EventPipeline, shared::Shared, staleness,
};
use serde_json::json;

use crate::world::{NAME, World, spec};

fn shown(world: &World) -> Arc<EventPipeline> {
    Arc::new(serde_json::from_value(world.pipeline()).expect("an object"))
}

fn operator(world: &World) -> Arc<Shared> {
    Arc::new(Shared::new(
        world.context.clone(),
        Arc::new(Metrics::default()),
    ))
}

#[tokio::test]
async fn the_controller_waits_for_the_watch_to_show_its_own_write() {
    let world = World::new();
    let operator = operator(&world);
    world.write(spec());
    let before = shown(&world);
    let first = one_reconcile(Arc::clone(&before), Arc::clone(&operator)).await;
    first.expect("as set up");
    let calls = world.model().calls();
    let again = one_reconcile(before, Arc::clone(&operator)).await;
    assert_eq!(
        again.expect("as set up"),
        Action::requeue(staleness::LOOK_AGAIN)
    );
    assert_eq!(
        world.model().calls(),
        calls,
        "nothing is read or written meanwhile"
    );
    let page = operator.metrics.page();
    assert!(
        page.contains(r#"{outcome="awaited_watch"} 1"#),
        "it is counted by itself: {page}"
    );
    let now = one_reconcile(shown(&world), Arc::clone(&operator)).await;
    assert_ne!(
        now.expect("as set up"),
        Action::requeue(staleness::LOOK_AGAIN)
    );
    assert!(world.model().calls() > calls, "the watch has come");
}

/// Its versions may be older than those of the object that it replaces.
#[tokio::test]
async fn a_new_object_of_the_same_name_is_not_waited_for() {
    let world = World::new();
    let operator = operator(&world);
    world.write(spec());
    let mut object = world.pipeline();
    let first = one_reconcile(shown(&world), Arc::clone(&operator)).await;
    first.expect("as set up");
    object["metadata"]["uid"] = json!("another");
    let object: EventPipeline = serde_json::from_value(object).expect("an object");
    assert_eq!(object.metadata.name.as_deref(), Some(NAME));
    let calls = world.model().calls();
    // its status cannot be written in this world, for it is not there
    let ended = one_reconcile(Arc::new(object), operator).await;
    assert!(ended.is_err() && world.model().calls() > calls, "{ended:?}");
}

/// The first value of `spec.replicas` is a write to the object too.
#[tokio::test]
async fn the_first_number_of_an_external_scaler_is_waited_for() {
    let world = World::new();
    let operator = operator(&world);
    let mut spec = spec();
    spec.as_object_mut().expect("as set up").remove("replicas");
    spec["autoscaling"] = json!({"mode": "External", "minReplicas": 3, "maxReplicas": 6});
    world.write(spec);
    let before = shown(&world);
    let first = one_reconcile(Arc::clone(&before), Arc::clone(&operator)).await;
    first.expect("as set up");
    let again = one_reconcile(before, operator).await;
    assert_eq!(
        again.expect("as set up"),
        Action::requeue(staleness::LOOK_AGAIN)
    );
}
