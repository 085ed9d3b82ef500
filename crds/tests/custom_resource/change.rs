//! Every field of the spec is classified, and the documentation says how.
//! Layer: test

use penstock_crds::{change, custom_resource};
use serde_json::Value;

use super::in_step;

fn fields(node: &Value, path: &str, all: &mut Vec<(String, String)>) {
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let text = field["description"].as_str().unwrap_or_default().to_owned();
        let (node, list) = match field.get("items") {
            Some(items) => (items, format!("{path}[]")),
            None => (field, path.clone()),
        };
        let leaf = node.get("properties").is_none();
        if leaf {
            all.push((path, text));
        } else {
            fields(node, &list, all);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let object = custom_resource::object();
    fields(&object["properties"]["spec"], "", &mut all);
    all
}

#[test]
fn every_field_has_a_class_and_every_class_a_field() {
    let all = all();
    assert!(all.len() > 100, "only {} fields were found", all.len());
    for (field, _) in &all {
        assert!(change::of(field).is_some(), "{field} has no class");
    }
    for (prefix, class) in change::FIELDS {
        let used = all.iter().any(|(field, _)| field.starts_with(prefix));
        assert!(used, "{prefix} is no field, and {class:?}");
    }
    assert_eq!(change::of("sourcery"), None);
    assert_eq!(
        change::of("source.consumerGroup"),
        Some(change::Change::Refuse)
    );
}

#[test]
fn the_table_in_the_documentation_is_the_generated_one() {
    let mut text = "# The fields of an EventPipeline\n\n\
                    Written by the tests from `crds/src`; do not edit.\n\n\
                    | field of `spec` | what it is | a change of it |\n|---|---|---|\n"
        .to_owned();
    for (field, meaning) in all() {
        let class = change::of(&field).expect("each field has a class");
        let meaning = meaning.replace('|', "\\|");
        text += &format!("| `{field}` | {meaning} | {} |\n", class.words());
    }
    in_step("../docs/fields.md", &text, |committed, generated| {
        committed == generated
    });
}
