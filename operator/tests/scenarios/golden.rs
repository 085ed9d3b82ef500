//! The objects of each example, as they go to the API server.
//! Layer: test

use std::fmt::Write as _;

use expect_test::expect_file;

use crate::world::{NAME, World};

#[tokio::test]
async fn the_objects_of_the_storefront() {
    golden(
        include_str!("../../../crds/examples/storefront.yaml"),
        "storefront",
    )
    .await;
}

async fn golden(example: &str, name: &str) {
    let object = penstock_crds::parse(example)
        .expect("the example is valid")
        .object;
    let mut world = World::new();
    world.scout.1 =
        r#"{"brokers":3,"partitions":12,"topics":[{"name":"storefront-events","id":"AAAA",
        "partitions":12}]}"#
            .to_owned();
    world.write(serde_json::to_value(object.spec).expect("as set up"));
    world.settle().await;
    let mut text = String::new();
    let kinds = [
        "serviceaccounts",
        "configmaps",
        "networkpolicies",
        "services",
        "poddisruptionbudgets",
        "deployments",
    ];
    for kind in kinds {
        let mut object = world
            .object(kind, &format!("{NAME}-processor"))
            .expect(kind);
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            object["metadata"]
                .as_object_mut()
                .expect("as set up")
                .remove(field);
        }
        object.as_object_mut().expect("as set up").remove("status");
        writeln!(text, "{}", sorted(&object)).expect("as set up");
    }
    expect_file![format!(
        "{}/tests/golden/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    )]
    .assert_eq(&text);
}

/// Fields in one order, whatever features of other crates say.
fn sorted(value: &serde_json::Value) -> String {
    fn sort(value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                fields
                    .into_iter()
                    .map(|(name, value)| (name.clone(), sort(value)))
                    .collect()
            }
            serde_json::Value::Array(items) => items.iter().map(sort).collect(),
            other => other.clone(),
        }
    }
    format!("{:#}", sort(value))
}
