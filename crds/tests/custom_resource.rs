//! The committed CustomResourceDefinition: generated, small, and as strict as the validation.
//! Layer: test

use std::{env, fs};

use penstock_crds::custom_resource;
use serde_json::Value;

#[path = "custom_resource/bad_objects.rs"]
mod bad_objects;
#[path = "custom_resource/change.rs"]
mod change;
#[path = "custom_resource/schema.rs"]
mod schema;

/// What `kubectl apply` notes beside the object, and what etcd and people are asked to carry.
const LARGEST: usize = 64 * 1024;

fn folder(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Compares a generated text with the committed one, or writes it.
fn in_step(path: &str, generated: &str, same: impl Fn(&str, &str) -> bool) {
    let file = folder(path);
    if env::var_os("PENSTOCK_REWRITE").is_some_and(|value| value == "1") {
        fs::write(&file, generated).expect("the folder can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        same(&committed, generated),
        "{file} is out of step: run this test with PENSTOCK_REWRITE=1 and commit the file"
    );
}

#[test]
fn the_committed_definition_is_the_generated_one() {
    let definition = serde_saphyr::to_string(&custom_resource::definition()).unwrap();
    let text = format!("# Written by the tests from crds/src; do not edit.\n{definition}");
    in_step("eventpipelines.yaml", &text, |committed, generated| {
        let tree = |text: &str| serde_saphyr::from_str::<Value>(text).ok();
        tree(committed) == tree(generated)
    });
}

#[test]
fn the_definition_is_small_enough_for_a_plain_apply() {
    let bytes = custom_resource::definition().to_string().len();
    assert!(
        bytes < LARGEST,
        "{bytes} bytes of compact JSON, at most {LARGEST}"
    );
}

/// A default would be written into objects that others write, too.
#[test]
fn no_field_has_a_default_and_everything_is_bounded() {
    let mut faults = Vec::new();
    let object = custom_resource::object();
    visit(&object["properties"]["spec"], "spec", &mut faults);
    assert_eq!(faults, [""; 0]);
}

fn visit(node: &Value, path: &str, faults: &mut Vec<String>) {
    let has = |word: &str| node.get(word).is_some();
    let bounded = match node["type"].as_str() {
        Some("string") => has("maxLength") || has("enum"),
        Some("integer") => has("maximum"),
        Some("array") => has("maxItems"),
        Some("object") => has("properties") || has("maxProperties") || path.ends_with("archive"),
        _ => true,
    };
    if !bounded {
        faults.push(format!("{path} has no bound"));
    }
    if has("default") {
        faults.push(format!("{path} has a default"));
    }
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        visit(field, &format!("{path}.{name}"), faults);
    }
    if let Some(items) = node.get("items") {
        visit(items, &format!("{path}[]"), faults);
    }
}
