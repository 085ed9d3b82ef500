//! A crash at every write: the end is the same, and so is the number of effective writes.
//! Layer: test

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::SignedDuration;
use penstock_operator::permissions::SERVED;
use serde_json::{Value, json};

use crate::{
    model::{FAULTS, Fault, Key},
    world::{USABLE, World, reading, spec},
};

/// A life that comes by every write that the operator has. Each step ends at rest.
pub(crate) async fn life(world: &mut World) {
    let mut first = spec();
    first.as_object_mut().expect("as set up").remove("replicas");
    first["autoscaling"] = json!({"mode": "External", "minReplicas": 2, "maxReplicas": 4});
    world.write(first);
    world.settle().await;
    // the first try fails, the second works
    world.scout = (
        3,
        r#"{"failure":{"field":"spec.source.topics[0].name",
        "kind":"TopicNotFound","message":"not there"}}"#
            .to_owned(),
    );
    world.edit(
        "/source/topics",
        json!([{"name": "orders"}, {"name": "returns"}]),
    );
    world.settle().await;
    world.scout = (0, USABLE.to_owned());
    world.now += SignedDuration::from_secs(60);
    world.settle().await;
    world.edit("/resources/limits/memory", json!("512Mi"));
    world.settle().await;
    world.edit("/state", json!("Paused"));
    world.reading = Some(reading("Paused"));
    world.settle().await;
    world.edit("/state", json!("Drained"));
    world.reading = Some(reading("Drained"));
    world.settle().await;
}

/// What is left at the end, without versions: those count writes, which are compared by themselves.
pub(crate) fn remains(world: &World) -> BTreeMap<Key, Value> {
    let model = world.model();
    let objects = model.objects.iter().map(|(key, object)| {
        let mut object = object.clone();
        for field in ["resourceVersion", "uid", "ownerReferences"] {
            object["metadata"][field] = Value::Null;
        }
        if key.0 == "events" {
            // named after the identity of the pipeline
            object["regarding"] = Value::Null;
        }
        (key.clone(), object)
    });
    objects.collect()
}

struct Reference {
    writes: Vec<String>,
    effective: u64,
    remains: BTreeMap<Key, Value>,
}

async fn undisturbed() -> Reference {
    let mut world = World::new();
    life(&mut world).await;
    let remains = remains(&world);
    let model = world.model();
    Reference {
        writes: model.writes.clone(),
        effective: model.effective,
        remains,
    }
}

#[tokio::test]
async fn any_one_write_may_fail_in_any_way() {
    let reference = undisturbed().await;
    let mut sites = BTreeSet::new();
    for (number, site) in reference.writes.iter().enumerate() {
        for fault in FAULTS {
            let mut world = World::new();
            world.model().fault = Some((number, fault));
            life(&mut world).await;
            let case = format!("{fault:?} at write {number}, {site}");
            assert_eq!(world.model().effective, reference.effective, "{case}");
            let remains = remains(&world);
            for (key, object) in &reference.remains {
                assert_eq!(remains.get(key), Some(object), "{case}");
            }
            assert_eq!(remains.len(), reference.remains.len(), "{case}");
        }
        sites.insert(site.clone());
    }
    let all = sites_of_the_role();
    let never: Vec<&String> = all.difference(&sites).collect();
    assert_eq!(never, Vec::<&String>::new(), "writes that never failed");
}

/// Every write that the role allows; what is applied is patched, whether or not it was there.
fn sites_of_the_role() -> BTreeSet<String> {
    let applied = |verbs: &[&str]| verbs.contains(&"create") && verbs.contains(&"patch");
    let mut sites = BTreeSet::new();
    for right in SERVED {
        for verb in right.verbs {
            let by_apply = *verb == "create" && applied(right.verbs) && right.resource != "pods";
            if !["get", "list", "watch"].contains(verb) && !by_apply {
                sites.insert(format!("{verb} {}", right.resource));
            }
        }
    }
    sites
}

/// The comparison can fail: an operator that wrote once more would be seen.
#[tokio::test]
async fn one_write_too_many_is_seen() {
    let reference = undisturbed().await;
    let mut world = World::new();
    life(&mut world).await;
    world.model().fault = None;
    let (key, mut object) = world.model().objects.pop_first().expect("as set up");
    object["metadata"]["labels"]["more"] = json!("1");
    world.model().put(key, object);
    assert_ne!(world.model().effective, reference.effective);
    assert_ne!(remains(&world), reference.remains);
    assert!(reference.writes.len() > 40, "{}", reference.writes.len());
    assert_eq!(FAULTS[0], Fault::CrashBefore);
}
