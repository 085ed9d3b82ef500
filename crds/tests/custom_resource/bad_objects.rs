//! Every bad object is refused with the message that it names, by schema, rule and Rust alike.
//! Layer: test

use std::fs;

use kube_cel::Validator;
use penstock_crds::{custom_resource, parse};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{folder, schema};

/// One entry of `bad_objects/objects.yaml`; see there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BadObject {
    name: String,
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    before: Map<String, Value>,
    field: String,
    says: String,
    #[serde(default = "yes")]
    also_validation: bool,
}

fn yes() -> bool {
    true
}

fn read(name: &str) -> Value {
    let text =
        fs::read_to_string(folder(&format!("tests/bad_objects/{name}"))).expect("it is committed");
    serde_saphyr::from_str(&text).expect("it is YAML")
}

fn objects() -> Vec<BadObject> {
    serde_json::from_value(read("objects.yaml")).expect("entries as above")
}

/// Sets fields by JSON pointer, `null` removes; parents that are missing become mappings, an index
/// behind the end of a list appends.
fn edited(mut tree: Value, edits: &Map<String, Value>) -> Value {
    for (pointer, value) in edits {
        let (above, name) = pointer.rsplit_once('/').expect("a JSON pointer");
        let above = above
            .split('/')
            .skip(1)
            .fold(&mut tree, |place, step| match place {
                Value::Array(items) => &mut items[step.parse::<usize>().expect("an index")],
                other => &mut other[step.replace("~1", "/")],
            });
        match above {
            Value::Array(items) => {
                let at: usize = name.parse().expect("an index");
                if at < items.len() {
                    items[at] = value.clone();
                } else {
                    items.push(value.clone());
                }
            }
            other if value.is_null() => {
                other.as_object_mut().expect("a mapping").remove(name);
            }
            other => other[name.replace("~1", "/")] = value.clone(),
        }
    }
    tree
}

/// What the API server says, schema first: rules are only asked about objects that fit it.
fn refused(schema: &Value, object: &Value, before: Option<&Value>) -> Vec<String> {
    let faults = schema::faults(schema, object);
    if !faults.is_empty() {
        return faults;
    }
    match Validator::new().validate(schema, object, before) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_bad_object_is_refused_with_its_message() {
    let schema = custom_resource::object();
    let base = read("base.yaml");
    let objects = objects();
    assert!(objects.len() >= 60, "only {} bad objects", objects.len());
    let mut faults = Vec::new();
    for bad in &objects {
        let object = edited(base.clone(), &bad.set);
        let before = (!bad.before.is_empty()).then(|| edited(base.clone(), &bad.before));
        let said = refused(&schema, &object, before.as_ref());
        let field = bad.field.trim_start_matches('.');
        let fits = |text: &&String| text.contains(field) && text.contains(&bad.says);
        if !said.iter().any(|text| fits(&text)) {
            faults.push(format!("{}: {said:?}", bad.name));
        }
        if bad.also_validation && before.is_none() && parse(&object.to_string()).is_ok() {
            faults.push(format!("{}: the validation takes it", bad.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn good_objects_are_taken_by_schema_rules_and_validation() {
    let schema = custom_resource::object();
    let examples = fs::read_dir(folder("examples")).unwrap();
    let examples = examples.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut good: Vec<Value> = examples
        .map(|text| serde_saphyr::from_str(&text).unwrap())
        .collect();
    assert!(good.len() >= 4, "only {} examples", good.len());
    good.push(read("base.yaml"));
    good.extend(serde_json::from_value::<Vec<Value>>(read("older.yaml")).unwrap());
    for object in good {
        let name = object["metadata"]["name"].clone();
        assert_eq!(refused(&schema, &object, None), [""; 0], "{name}");
        assert_eq!(
            refused(&schema, &object, Some(&object)),
            [""; 0],
            "{name} unchanged"
        );
        parse(&object.to_string()).unwrap_or_else(|faults| panic!("{name}: {faults}"));
    }
}

/// The changes that rules about the earlier object must let through.
#[test]
fn legal_changes_are_taken() {
    let schema = custom_resource::object();
    let base = read("base.yaml");
    let json = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    for edits in [
        r#"{"/spec/state": "Paused", "/spec/ordering": "PerPartition"}"#,
        r#"{"/spec/state": "Drained"}"#,
        r#"{"/spec/ordering": "PerKey"}"#,
        r#"{"/spec/resources/limits/memory": 536870912}"#,
    ] {
        let object = edited(base.clone(), &json(edits));
        assert_eq!(refused(&schema, &object, Some(&base)), [""; 0], "{edits}");
    }
}
