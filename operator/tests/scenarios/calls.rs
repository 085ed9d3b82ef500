//! How many calls to the API server a pipeline costs, pinned so that it changes only on purpose.
//! Layer: test

use std::{collections::BTreeMap, fmt::Write as _};

use expect_test::expect_file;

use crate::world::{World, spec};

/// The calls since the last time, by verb and resource.
fn table(world: &World, title: &str) -> String {
    let mut model = world.model();
    let reads = std::mem::take(&mut model.reads);
    let writes = std::mem::take(&mut model.writes);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in reads.into_iter().chain(writes) {
        *counts.entry(call).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let mut text = format!("{title}: {all}\n");
    for (call, count) in counts {
        writeln!(text, "{count:>6} {call}").expect("as set up");
    }
    text
}

#[tokio::test]
async fn the_calls_of_one_pipeline() {
    let world = World::new();
    world.write(spec());
    world.settle().await;
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
    let mut text = table(&world, "from creation to rest");
    world.reconcile().await.expect("as set up");
    text += &table(&world, "one reconcile at rest");
    world.edit("/replicas", serde_json::json!(3));
    world.settle().await;
    text += &table(&world, "one more replica");
    expect_file![format!(
        "{}/tests/golden/calls.txt",
        env!("CARGO_MANIFEST_DIR")
    )]
    .assert_eq(&text);
}
/// A step that failed and was repeated would be counted by the tables as if it belonged there.
#[tokio::test]
async fn no_step_of_an_undisturbed_life_fails() {
    let world = World::new();
    world.write(spec());
    for _ in 0..8 {
        world.reconcile().await.expect("nothing is in the way");
        world.step();
    }
    assert_eq!(world.condition("Ready").expect("as set up").0, "True");
}
