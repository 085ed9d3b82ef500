//! Fields that are unknown, doubled, missing or of the wrong type; bodies that are two or none.
//! Layer: test

use expect_test::expect;

use super::{refused, refused_text};

#[test]
fn unknown_fields() {
    refused(
        &[("consumerGroup:", "consumergroup:")],
        &expect![[r#"
            spec.source.consumerGroup (line 8): missing, and required: Consumer group. Its offsets are taken over as they are.
            spec.source.consumergroup (line 12): unknown field: legal are auth, bootstrapServers, client, consumerGroup, facts, generation, groupProtocol, key, maxMessageBytes, nullKeys, start, tls, topics
        "#]],
    );
    refused(
        &[("window: Week", "window: Week\n        ttl: 5")],
        &expect![[r#"
            spec.stages[5].unique.ttl (line 80): unknown field: legal are member, set, sink, window
        "#]],
    );
    refused(
        &[("apiVersion:", "status: {}\napiVersion:")],
        &expect![[r#"
            status (line 3): unknown field: legal are apiVersion, kind, metadata, spec
        "#]],
    );
}

#[test]
fn doubled_fields() {
    refused(
        &[("  ordering: PerKey", "  ordering: PerKey\n  ordering: None")],
        &expect![[r#"
            spec.ordering (line 24): given twice, on lines 24 and 25: keep one
        "#]],
    );
    refused(
        &[("id: event.id", "id: event.id\n        id: event.uuid")],
        &expect![[r#"
            spec.stages[0].index.id (line 33): given twice, on lines 33 and 34: keep one
        "#]],
    );
    refused(
        &[(
            "{field: views, value: \"1\"}",
            "{field: views, value: \"1\", field: hits}",
        )],
        &expect![[r#"
            spec.stages[4].count.amounts[0].field (line 71): given twice, on lines 71 and 71: keep one
        "#]],
    );
}

#[test]
fn missing_fields() {
    refused(
        &[("      memory: 256Mi", "      cpu: 1")],
        &expect![[r#"
        spec.resources.limits.memory (line 26): missing, and required: every size is derived from it; such as 256Mi
    "#]],
    );
    refused(
        &[("        window: Week\n", "")],
        &expect![[r#"
        spec.stages[5].unique.window (line 75): missing, and required: Calendar window in UTC after which a member counts again.
    "#]],
    );
    refused(
        &[("path: storefront.db", "path:")],
        &expect![[r#"
        spec.sinks[0].embedded.path (line 83): missing, and required: Path of the file; relative to the directory the processor is started in.
    "#]],
    );
}

#[test]
fn wrong_types() {
    refused(
        &[("generation: 0", "generation: zero")],
        &expect![[r#"
        spec.source.generation (line 15): the text "zero" where a whole number is needed
    "#]],
    );
    refused(
        &[(
            "bootstrapServers: [localhost:9092]",
            "bootstrapServers: localhost:9092",
        )],
        &expect![[r#"
            spec.source.bootstrapServers (line 9): the text "localhost:9092" where a list is needed
        "#]],
    );
    refused(
        &[(
            "{operator: Inc, field: events, value: \"1\"}",
            "{operator: Inc, field: events, value: 1}",
        )],
        &expect![[r#"
            spec.stages[2].upsert.changes[5].value (line 51): the number 1 where text is needed
        "#]],
    );
    refused(
        &[("memory: 256Mi", "memory: true")],
        &expect![[r#"
        spec.resources.limits.memory (line 27): true where a quantity such as 256Mi is needed
    "#]],
    );
    refused(
        &[("memory: 256Mi", "memory: 1.5")],
        &expect![[r#"
            spec.resources.limits.memory (line 27): the number 1.5 where a quantity such as 256Mi is needed: quote it
        "#]],
    );
    refused(
        &[("    key: Record", "    key: {haeder: tenant}")],
        &expect![[r#"
            spec.source.key (line 13): a mapping is not legal: Record, {header: …}
        "#]],
    );
    refused(
        &[("    start: Earliest", "    start: Oldest")],
        &expect![[r#"
            spec.source.start (line 16): the text "Oldest" is not legal: Earliest, Latest, {timestamp: …}
        "#]],
    );
    refused(
        &[("ordering: PerKey", "ordering: 5")],
        &expect![[r#"
        spec.ordering (line 24): the number 5 is not legal: PerKey, PerPartition, None
    "#]],
    );
    refused(
        &[("    set: event.shop", "    set: [event.shop]")],
        &expect![[r#"
            spec.stages[5].unique.set (line 77): a list where text is needed
        "#]],
    );
}

#[test]
fn two_bodies_or_none() {
    refused(
        &[(
            "      set:\n        fields",
            "      filter: {keep: has(event.ad)}\n      set:\n        fields",
        )],
        &expect![[r#"
            spec.stages[1] (line 34): filter and set: exactly one of index, upsert, count, unique, filter, set, produce, http, custom is needed
        "#]],
    );
    refused(
        &[(
            "  sinks:",
            "    - name: idle\n      mode: Detached\n  sinks:",
        )],
        &expect![[r#"
            spec.stages[6] (line 80): no body: exactly one of index, upsert, count, unique, filter, set, produce, http, custom is needed
        "#]],
    );
    refused(
        &[(
            "  sinks:",
            "    - name: call\n      mode: Detached\n      http: {}\n  sinks:",
        )],
        &expect![[r#"
            spec.stages[6].http.method (line 82): missing, and required: Post or Put.
            spec.stages[6].http.url (line 82): missing, and required: Such as https://hooks:8443/leads.
        "#]],
    );
}

#[test]
fn texts_that_are_no_object() {
    refused_text(
        "",
        &expect![[r#"
        null where a mapping is needed
    "#]],
    );
    refused_text(
        "- 1",
        &expect![[r#"
        a list where a mapping is needed
    "#]],
    );
    refused_text(
        "a: [1",
        &expect![[r#"
            line 1: not readable as YAML: unclosed bracket '[' at line 1, column 4
        "#]],
    );
    refused_text(
        "a: 1\n---\nb: 2",
        &expect![[r#"
            line 1: not readable as YAML: multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options at line 3, column 1
        "#]],
    );
    refused_text(
        &" ".repeat(1_000_001),
        &expect![[r#"
            1000001 bytes of text: at most 1000000
        "#]],
    );
    refused(
        &[
            ("kind: EventPipeline", "kind: Deployment"),
            ("v1alpha1", "v1"),
        ],
        &expect![[r#"
            apiVersion (line 3): "penstock.dev/v1" is not legal: penstock.dev/v1alpha1
            kind (line 4): "Deployment" is not legal: EventPipeline
        "#]],
    );
}
