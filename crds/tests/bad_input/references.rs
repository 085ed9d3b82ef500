//! Sinks, topics, ids and names that do not fit together.
//! Layer: test

use expect_test::expect;

use super::refused;

const VISITS: &str =
    "id: record.key\n        changes:\n          - {operator: SetOnInsert, field: firstSeen";

#[test]
fn sinks() {
    refused(
        &[("sink: store\n        set:", "sink: shop\n        set:")],
        &expect![[r#"
            spec.stages[5].unique.sink (line 76): "shop" is no sink: legal for unique: store
        "#]],
    );
    refused(
        &[
            (
                "  sinks:",
                "  sinks:\n    - {name: search, elasticsearch: {urls: [\"https://es:9200\"]}}",
            ),
            ("sink: store\n        set:", "sink: search\n        set:"),
        ],
        &expect![[r#"
            spec.stages[5].unique.sink (line 76): the sink search is elasticsearch, which serves no unique: legal for unique: store
        "#]],
    );
    refused(
        &[(
            "      embedded:\n        path: storefront.db",
            "      redis: {}",
        )],
        &expect![[r#"
            spec.stages[0].index.sink (line 31): the sink store is redis, which serves no index: no declared sink serves index
            spec.stages[2].upsert.sink (line 42): the sink store is redis, which serves no upsert: no declared sink serves upsert
            spec.stages[3].upsert.sink (line 57): the sink store is redis, which serves no upsert: no declared sink serves upsert
            spec.stages[4].count.flush (line 66): missing, and required with a redis sink: where the counters are kept, such as {sink: NAME}
            spec.sinks[0].redis.address (line 82): missing, and required: host:port.
        "#]],
    );
    refused(
        &[("  sinks:", "  sinks:\n    - {name: other}")],
        &expect![[r#"
            spec.sinks[0] (line 81): no kind: exactly one of elasticsearch, mongodb, redis, embedded is needed
        "#]],
    );
    refused(
        &[(
            "  sinks:",
            "  sinks:\n    - {name: store, embedded: {path: a.db}}",
        )],
        &expect![[r#"
            spec.sinks[1].name (line 82): a sink named store is already there
        "#]],
    );
    refused(
        &[(
            "  sinks:",
            "  sinks:\n    - {name: twin, embedded: {path: storefront.db}}",
        )],
        &expect![[r#"
            spec.sinks[1].embedded.path (line 84): another sink uses the same file: give it a file of its own
        "#]],
    );
    refused(
        &[("path: storefront.db", "path: ../../etc/cron.d/x")],
        &expect![[r#"
            spec.sinks[0].embedded.path (line 83): "../../etc/cron.d/x" is not a file: 1 to 4096 bytes, without .. and not a directory, such as store.db
        "#]],
    );
}

#[test]
fn increments_without_a_guard() {
    refused(
        &[(VISITS, &VISITS.replace("record.key", "event.shop"))],
        &expect![[r#"
            spec.stages[2].upsert.changes[5].operator (line 51): Inc under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.key
        "#]],
    );
    refused(
        &[("ordering: PerKey", "ordering: None")],
        &expect![[r#"
        spec.stages[2].upsert.changes[5].operator (line 51): Inc with ordering None would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or another ordering
        spec.stages[3].upsert.changes[1].operator (line 62): Inc with ordering None would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or another ordering
        spec.stages[3].upsert.changes[2].operator (line 63): Inc with ordering None would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or another ordering
    "#]],
    );
    refused(
        &[("    key: Record", "    key: {header: tenant}")],
        &expect![[r#"
            spec.stages[2].upsert.changes[5].operator (line 51): Inc under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.headers["tenant"]
            spec.stages[3].upsert.changes[1].operator (line 62): Inc under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.headers["tenant"]
            spec.stages[3].upsert.changes[2].operator (line 63): Inc under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.headers["tenant"]
        "#]],
    );
    refused(
        &[
            (VISITS, &VISITS.replace("record.key", "'\"all\"'")),
            (
                "operator: Inc, field: events",
                "operator: Push, field: events",
            ),
        ],
        &expect![[r#"
            spec.stages[2].upsert.changes[5].operator (line 51): Push under an id that is not the pipeline's key would count repeats twice: legal are Set, SetOnInsert, Min, Max, AddToSet and Unset, or the id record.key
        "#]],
    );
}

#[test]
fn topics() {
    refused(
        &[(
            "deadLetterTopic: storefront-events.dead",
            "deadLetterTopic: storefront-events",
        )],
        &expect![[r#"
            spec.failure.deadLetterTopic (line 90): storefront-events is a topic of the source: dead letters would come back
        "#]],
    );
    refused(
        &[("    deadLetterTopic: storefront-events.dead\n", "")],
        &expect![[r#"
            spec.failure.deadLetterTopic (line 84): missing, and required with onRecordError DeadLetterRecord: a topic
        "#]],
    );
    refused(
        &[("topics:\n      - name: storefront-events", "topics: []")],
        &expect![[r#"
            spec.source.topics (line 10): 0 entries: 1 to 64 are legal
        "#]],
    );
    refused(
        &[(
            "      - name: storefront-events\n",
            "      - name: storefront-events\n      - name: storefront-events\n      - name: a b\n",
        )],
        &expect![[r#"
            spec.source.topics[1].name (line 12): the topic storefront-events is listed twice
            spec.source.topics[2].name (line 13): "a b" is not a topic name: 1 to 249 of a-z A-Z 0-9 . _ -, and neither . nor ..
        "#]],
    );
    let produce = "    - name: copy\n      mode: Detached\n      produce:\n        topic: storefront-events\n        headers: [{name: penstock-offset, value: event.id}]\n  sinks:";
    refused(
        &[("  sinks:", produce)],
        &expect![[r#"
        spec.stages[6].produce.topic (line 83): storefront-events is a topic of the source: a loop
        spec.stages[6].produce.headers[0].name (line 84): names that start with penstock- carry the provenance: another name
    "#]],
    );
}

#[test]
fn names() {
    refused(
        &[("name: ad-lead", "name: attribution")],
        &expect![[r#"
        spec.stages[2].name (line 40): a stage named attribution is already there
    "#]],
    );
    refused(
        &[("name: ad-lead", "name: Ad_Lead")],
        &expect![[r#"
        spec.stages[1].name (line 34): "Ad_Lead" is not a stage name: 1 to 40 of a-z 0-9 -, starting and ending with a letter or digit
    "#]],
    );
    refused(
        &[("consumerGroup: storefront", "consumerGroup: store front")],
        &expect![[r#"
            spec.source.consumerGroup (line 12): "store front" is not a consumer group: 1 to 249 of a-z A-Z 0-9 . _ -
        "#]],
    );
    refused(
        &[("[localhost:9092]", "[localhost, kafka:0]")],
        &expect![[r#"
            spec.source.bootstrapServers[0] (line 9): "localhost" is not a bootstrap server: host:port with a port of 1 to 65535, such as kafka:9092
            spec.source.bootstrapServers[1] (line 9): "kafka:0" is not a bootstrap server: host:port with a port of 1 to 65535, such as kafka:9092
        "#]],
    );
    refused(
        &[("collection: visits", "collection: Visits")],
        &expect![[r#"
            spec.stages[2].upsert.collection (line 43): "Visits" is not a collection name: 1 to 100 of a-z 0-9 _ -, starting with a letter
        "#]],
    );
    refused(
        &[("field: firstSeen", "field: $first.seen")],
        &expect![[r#"
            spec.stages[2].upsert.changes[0].field (line 46): "$first.seen" is not a field name: 1 to 200 of a-z A-Z 0-9 _ - with single dots between, not starting with a digit
        "#]],
    );
    refused(
        &[("- name: adLead", "- name: ad-lead")],
        &expect![[r#"
        spec.stages[1].set.fields[0].name (line 38): "ad-lead" is not a context field name: 1 to 64 of a-z A-Z 0-9 _, not starting with a digit
    "#]],
    );
    refused(
        &[("index: events-{yyyy-MM-dd}", "index: events-{yyyy-mm-dd}")],
        &expect![[r#"
            spec.stages[0].index.index (line 32): "events-{yyyy-mm-dd}" has {yyyy-mm-dd}: legal inside braces are yyyy, MM, dd, HH and . _ - between them
        "#]],
    );
    refused(
        &[("index: events-{yyyy-MM-dd}", "index: events-{yyyy")],
        &expect![[r#"
            spec.stages[0].index.index (line 32): "events-{yyyy" has an unmatched brace: write dates as {yyyy-MM-dd}
        "#]],
    );
    refused(
        &[("index: events-{yyyy-MM-dd}", "index: Events")],
        &expect![[r#"
            spec.stages[0].index.index (line 32): "Events" is not an index name: 1 to 100 of a-z 0-9 . _ -, starting with a letter
        "#]],
    );
}

#[test]
fn order_of_stages_and_changes() {
    refused(
        &[(
            "      mode: Detached\n      unique:",
            "      mode: Inline\n      unique:",
        )],
        &expect![[r#"
            spec.stages[5].mode (line 74): Inline behind the Detached stage customer: move it before, or make it Detached
        "#]],
    );
    refused(
        &[("field: lastSequence", "field: lastSeen")],
        &expect![[r#"
            spec.stages[2].upsert.changes[3].field (line 49): lastSeen is changed twice: give one a condition
        "#]],
    );
    refused(
        &[("field: revenueCents", "field: views")],
        &expect![[r#"
        spec.stages[4].count.amounts[1].field (line 72): views is counted twice: add the amounts in one expression
    "#]],
    );
    refused(
        &[(
            "operator: SetOnInsert, field: firstEvent",
            "operator: Unset, field: firstEvent",
        )],
        &expect![[r#"
            spec.stages[2].upsert.changes[1].value (line 47): "event.id" with Unset, which takes none: leave it out
        "#]],
    );
    refused(
        &[("field: firstEvent, value: event.id", "field: firstEvent")],
        &expect![[r#"
            spec.stages[2].upsert.changes[1].value (line 47): missing, and required with SetOnInsert: CEL
        "#]],
    );
}
