//! Whatever stands in whichever field: a pipeline or a reason, never a panic and never silence.
//! Layer: test

use penstock_crds::parse;
use serde_json::{Value, json};

/// Pointers to every field and entry of a tree.
fn pointers(tree: &Value, own: String, all: &mut Vec<String>) {
    match tree {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| pointers(value, format!("{own}/{name}"), all));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, v)| pointers(v, format!("{own}/{at}"), all));
        }
        _ => {}
    }
    all.push(own);
}

#[test]
fn every_field_takes_every_kind_of_value_without_a_panic() {
    let storefront = parse(include_str!("../examples/storefront.yaml"))
        .expect("as the test has it")
        .object;
    let tree = serde_json::to_value(storefront).expect("as the test has it");
    let mut all = Vec::new();
    pointers(&tree, String::new(), &mut all);
    assert!(all.len() > 100, "only {} fields were found", all.len());
    let strange = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(0.5),
        json!(""),
        json!("x"),
        json!("é\u{0}"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"x": [1]}),
        json!({"header": null}),
    ];
    for pointer in &all {
        for value in &strange {
            let mut changed = tree.clone();
            *changed.pointer_mut(pointer).expect("as the test has it") = value.clone();
            if let Err(faults) = parse(&changed.to_string()) {
                let said = !faults.as_slice().is_empty()
                    && faults
                        .as_slice()
                        .iter()
                        .all(|fault| !fault.message.is_empty());
                assert!(said, "{pointer} as {value} is refused without a reason");
            }
        }
    }
}
