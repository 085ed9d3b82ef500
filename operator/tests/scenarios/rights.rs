//! The role is neither wider nor narrower than what the operator does.
//! Layer: test

use std::collections::BTreeSet;

use k8s_openapi::jiff::SignedDuration;
use penstock_operator::permissions::{OWN, Permission, SERVED};
use serde_json::json;

use crate::{
    lease,
    world::{World, reading, spec},
};

type Right = (String, String, &'static str);

/// Watches are begun by the controller, which no scenario runs; each is on something that is also
/// read or applied.
const WATCHED: [&str; 2] = ["list", "watch"];

fn granted(permissions: &[Permission]) -> BTreeSet<Right> {
    let rights = permissions.iter().flat_map(|permission| {
        let Permission {
            group,
            resource,
            verbs,
            ..
        } = permission;
        verbs
            .iter()
            .map(|verb| ((*group).to_owned(), (*resource).to_owned(), *verb))
    });
    rights.collect()
}

fn without_watches(rights: BTreeSet<Right>) -> BTreeSet<Right> {
    let kept = rights.into_iter().filter(|(_, resource, verb)| {
        // the pipelines themselves are read by their watch alone
        let object = resource == "eventpipelines" && *verb == "get";
        !WATCHED.contains(verb) && !object
    });
    kept.collect()
}

#[tokio::test]
async fn the_role_is_what_was_done() {
    let mut world = World::new();
    let mut first = spec();
    first.as_object_mut().expect("as set up").remove("replicas");
    first["autoscaling"] = json!({"mode": "External", "minReplicas": 2, "maxReplicas": 4});
    world.write(first);
    world.settle().await;
    world.edit("/state", json!("Paused"));
    world.reading = Some(reading("Paused"));
    world.now += SignedDuration::from_secs(60);
    world.settle().await;
    let used = world.model().used.clone();
    let all = granted(SERVED);
    let beyond: Vec<&Right> = used.difference(&all).collect();
    assert_eq!(beyond, Vec::<&Right>::new(), "done, but not granted");
    let used = without_watches(used);
    let all = without_watches(all);
    let unused: Vec<&Right> = all.difference(&used).collect();
    assert_eq!(unused, Vec::<&Right>::new(), "granted, but never done");
}

#[tokio::test]
async fn the_role_of_the_lease_is_what_was_done() {
    let model = lease::a_short_reign().await;
    let used = model.lock().expect("as set up").used.clone();
    assert_eq!(used, granted(OWN));
}
