//! What a user is told about bad input: every message as it is printed, path and line included.
//! Layer: test

use expect_test::{Expect, expect};
use penstock_crds::{parse, parse_settings};

#[path = "bad_input/expressions.rs"]
mod expressions;
#[path = "bad_input/references.rs"]
mod references;
#[path = "bad_input/structure.rs"]
mod structure;
#[path = "bad_input/values.rs"]
mod values;

const STOREFRONT: &str = include_str!("../examples/storefront.yaml");

/// The storefront with some of its text replaced; each text must be there exactly once.
fn storefront_with(edits: &[(&str, &str)]) -> String {
    edits
        .iter()
        .fold(STOREFRONT.to_owned(), |text, (from, to)| {
            assert_eq!(
                text.matches(from).count(),
                1,
                "{from:?} must be in the text once"
            );
            text.replace(from, to)
        })
}

/// Parses the storefront with some of its text replaced and compares what is reported.
fn refused(edits: &[(&str, &str)], expected: &Expect) {
    refused_text(&storefront_with(edits), expected);
}

fn refused_text(text: &str, expected: &Expect) {
    let faults = parse(text).expect_err("the text has a fault");
    expected.assert_eq(&format!("{faults}\n"));
}

#[test]
fn all_faults_of_a_file_are_reported_at_once() {
    let edits = [
        ("name: storefront\nspec", "name: Storefront\nspec"),
        ("key: Record", "kee: Record"),
        ("topics:\n      - name: storefront-events", "topics: []"),
        ("memory: 256Mi", "memory: 256MB"),
        ("id: event.id", "id: evnt.id"),
        (
            "sink: store\n        collection: visits",
            "sink: stor\n        collection: visits",
        ),
        (
            "id: record.key\n        changes:\n          - {operator: Set, field: email",
            "id: event.customer.id\n        changes:\n          - {operator: Set, field: email",
        ),
        (
            "name: product-stats\n      mode: Detached",
            "name: customer\n      mode: Later",
        ),
        ("set: event.shop", "set: event.shop +"),
        ("maxAttempts: 5", "maxAttempts: five"),
        ("    deadLetterTopic: storefront-events.dead\n", ""),
    ];
    refused(
        &edits,
        &expect![[r#"
            metadata.name (line 6): "Storefront" is not a pipeline name: 1 to 40 of a-z 0-9 -, starting and ending with a letter or digit
            spec.source.topics (line 10): 0 entries: 1 to 64 are legal
            spec.source.kee (line 12): unknown field: legal are auth, bootstrapServers, client, consumerGroup, facts, generation, groupProtocol, key, maxMessageBytes, nullKeys, start, tls, topics
            spec.resources.limits.memory (line 26): "256MB" is not a quantity: a number and one of Ki Mi Gi Ti Pi Ei k M G T P E m u n or an exponent such as e6
            spec.stages[0].index.id (line 32): "evnt.id" names the unknown variable evnt: legal are event, record and context
            spec.stages[2].upsert.sink (line 41): "stor" is no sink: legal for upsert: store
            spec.stages[3].upsert.changes[1].operator (line 61): Inc under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.key
            spec.stages[3].upsert.changes[2].operator (line 62): Inc under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.key
            spec.stages[4].mode (line 64): the text "Later" is not legal: Inline, Detached
            spec.stages[5].unique.set (line 76): "event.shop +" does not parse as CEL at column 13: it ends too early
            spec.failure.maxAttempts (line 84): the text "five" where a whole number is needed
        "#]],
    );
}

#[test]
fn settings_are_judged_like_the_object() {
    let text = "schemaVersion: 2
pipeline: {name: shop}
plannedLimitBytes: 0
spec:
  source: {bootstrapServers: ['kafka:9092'], topics: [], consumerGroup: shop}
  resources: {limits: {memory: 64Mi}}
  stages:
    - name: drop
      filter: {keep: event.x ==}
";
    let faults = parse_settings(text).expect_err("the text has faults");
    expect![[r#"
        schemaVersion (line 1): 2 is out of range: 1 to 1 is legal
        pipeline.namespace (line 2): missing, and required: `metadata.namespace` of the object.
        plannedLimitBytes (line 3): 0 is out of range: 1 to 9223372036854775807 is legal
        spec.source.topics (line 5): 0 entries: 1 to 64 are legal
        spec.stages[0].filter.keep (line 9): "event.x ==" does not parse as CEL at column 11: it ends too early
    "#]].assert_eq(&format!("{faults}\n"));
}
