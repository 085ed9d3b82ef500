//! Pods are those that their watch shows, and an older picture of them does no harm.
//! Layer: test

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt, channel::mpsc};
use kube::runtime::reflector::ObjectRef;
use penstock_operator::{
    controller::{self, Controlled, Scope, Stop, one_reconcile},
    http::Health,
    metrics::Metrics,
    pods::{self, SharedRoster},
    resource::EventPipeline,
    shared::Shared,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    crash::{life, remains},
    model::Key,
    world::{Delivery, NAME, NAMESPACE, World, spec},
};

const SOON: Duration = Duration::from_secs(20);

fn shown(world: &World) -> Arc<EventPipeline> {
    Arc::new(serde_json::from_value(world.pipeline()).expect("an object"))
}

/// Follows the pods of the model until everything was shown.
async fn followed(world: &World, roster: &SharedRoster) {
    let client = world.context.cluster.client();
    let scope = Scope {
        namespaces: vec![NAMESPACE.to_owned()],
    };
    let (triggers, triggered) = mpsc::channel(pods::TRIGGERS);
    let following = pods::follow(client, scope, Arc::clone(roster), triggers);
    let object = shown(world);
    let complete = async {
        while roster.lock().crew(&object).is_none() {
            tokio::task::yield_now().await;
        }
    };
    let both = async {
        tokio::select! {
            () = following => unreachable!("it follows until it is dropped"),
            () = complete => {}
        }
    };
    tokio::time::timeout(SOON, both).await.expect("in time");
    let news: Vec<_> = triggered.collect().await;
    assert_eq!(news.len(), world.pods().len(), "each pod is news at first");
}

/// How often pods were read in one reconcile by the controller.
async fn reads(world: &World, operator: &Arc<Shared>) -> usize {
    world.model().reads.clear();
    let ended = one_reconcile(shown(world), Arc::clone(operator)).await;
    ended.expect("as set up");
    let model = world.model();
    let reads = model.reads.iter();
    reads.filter(|read| *read == "list pods").count()
}

#[tokio::test]
async fn the_controller_reads_no_pods_while_their_watch_shows_them() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let operator = Shared::new(world.context.clone(), Arc::new(Metrics::default()));
    let operator = Arc::new(operator);
    assert_eq!(reads(&world, &operator).await, 1, "no watch has begun");
    let roster = operator.new_roster();
    assert_eq!(reads(&world, &operator).await, 1, "it has shown nothing");
    followed(&world, &roster).await;
    assert_eq!(reads(&world, &operator).await, 0);
    // what is said of a pause and a drain is evidence
    for state in ["Paused", "Drained"] {
        world.edit("/state", json!(state));
        assert_eq!(reads(&world, &operator).await, 1, "{state}");
    }
    world.edit("/state", json!("Running"));
    assert_eq!(reads(&world, &operator).await, 0);
    let _another = operator.new_roster();
    assert_eq!(reads(&world, &operator).await, 1, "another watch begins");
}

/// Asks for reconciles until one of them makes no call.
async fn until_nothing_is_read(
    world: &World,
    operator: &Shared,
    mut triggers: mpsc::Sender<ObjectRef<EventPipeline>>,
) {
    let done = || {
        let page = operator.metrics.page();
        let line = page.lines().find(|line| line.contains("\"done\""));
        line.map(str::to_owned)
    };
    loop {
        let (calls, before) = (world.model().calls(), done());
        let pipeline = ObjectRef::new(NAME).within(NAMESPACE);
        triggers.send(pipeline).await.expect("it is served");
        while done() == before {
            tokio::task::yield_now().await;
        }
        if world.model().calls() == calls {
            return;
        }
    }
}

/// Without one of the watches its kind would be read every time.
#[tokio::test]
async fn with_its_watches_the_controller_comes_to_reconcile_without_a_call() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    let operator = Shared::new(world.context.clone(), Arc::new(Metrics::default()));
    let operator = Arc::new(operator);
    followed(&world, &operator.new_roster()).await;
    let scope = Scope {
        namespaces: vec![NAMESPACE.to_owned()],
    };
    let controlled = Controlled {
        shared: Arc::clone(&operator),
        scope,
        health: Health::default(),
    };
    let (triggers, triggered) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(Stop::NotYet);
    let running = controller::run(controlled, 1, (triggered, stopped));
    let rests = until_nothing_is_read(&world, &operator, triggers);
    let both = async {
        tokio::select! {
            () = running => unreachable!("nobody stops it"),
            () = rests => {}
        }
    };
    tokio::time::timeout(SOON, both).await.expect("in time");
}

/// Without events: they tell what was seen on the way, and an older picture shows another way.
fn ends(world: &World) -> BTreeMap<Key, Value> {
    let mut remains = remains(world);
    remains.retain(|(resource, ..), _| resource != "events");
    remains
}

#[tokio::test]
async fn a_watch_that_is_behind_our_own_writes_leads_to_the_same_end() {
    let mut prompt = World::new();
    life(&mut prompt).await;
    let mut late = World::new();
    late.delivery = Delivery::Late;
    life(&mut late).await;
    assert_eq!(ends(&late), ends(&prompt));
    let sent = |world: &World| {
        let made = |write: &&String| *write == "create pods";
        world.model().writes.iter().filter(made).count()
    };
    assert!(
        sent(&late) > sent(&prompt),
        "the older picture was decided by: {} and {}",
        sent(&late),
        sent(&prompt)
    );
}
