//! Quantities, ranges and times that cannot be.
//! Layer: test

use expect_test::{Expect, expect};

use super::refused;

fn memory(quantity: &str, expected: &Expect) {
    refused(
        &[("memory: 256Mi", &format!("memory: {quantity}"))],
        expected,
    );
}

#[test]
fn quantities() {
    memory(
        "256MiB",
        &expect![[r#"
        spec.resources.limits.memory (line 27): "256MiB" is not a quantity: a number and one of Ki Mi Gi Ti Pi Ei k M G T P E m u n or an exponent such as e6
    "#]],
    );
    memory(
        "'-1Mi'",
        &expect![[r#"
        spec.resources.limits.memory (line 27): "-1Mi" is negative: bytes are 0 or more
    "#]],
    );
    memory(
        "0",
        &expect![[r#"
        spec.resources.limits.memory (line 27): 0 is nothing: more than 0 is needed
    "#]],
    );
    memory(
        "8Ei",
        &expect![[r#"
        spec.resources.limits.memory (line 27): "8Ei" is above the largest quantity, 9223372036854775807
    "#]],
    );
    memory(
        "'1e40'",
        &expect![[r#"
            spec.resources.limits.memory (line 27): "1e40" is above the largest quantity, 9223372036854775807
        "#]],
    );
    memory(
        "''",
        &expect![[r#"
        spec.resources.limits.memory (line 27): "" is not a quantity: a number and one of Ki Mi Gi Ti Pi Ei k M G T P E m u n or an exponent such as e6
    "#]],
    );
    refused(
        &[("maxMessageBytes: 1Mi", "maxMessageBytes: 2Gi")],
        &expect![[r#"
            spec.source.maxMessageBytes (line 17): 2Gi is 2147483648 bytes: 1 to 1000000000 are legal
        "#]],
    );
}

#[test]
fn requests_and_limits() {
    let with = |requests: &str| format!("memory: 256Mi\n      cpu: 500m\n    requests: {requests}");
    refused(
        &[("memory: 256Mi", &with("{memory: 128Mi}"))],
        &expect![[r#"
            spec.resources.requests.memory (line 29): 128Mi differs from the limit 256Mi: leave it out, or equal
        "#]],
    );
    refused(
        &[("memory: 256Mi", &with("{memory: 268435456, cpu: 0.6}"))],
        &expect![[r#"
            spec.resources.requests.cpu (line 29): the number 0.6 where a quantity such as 256Mi is needed: quote it
        "#]],
    );
    refused(
        &[("memory: 256Mi", &with("{cpu: '2'}"))],
        &expect![[r#"
        spec.resources.requests.cpu (line 29): 2000m is above the limit of 500m
    "#]],
    );
}

#[test]
fn ranges() {
    refused(
        &[("maxAttempts: 5", "maxAttempts: 0")],
        &expect![[r#"
        spec.failure.maxAttempts (line 85): 0 is out of range: 1 to 100 is legal
    "#]],
    );
    refused(
        &[("compressionPercent: 100", "compressionPercent: 5")],
        &expect![[r#"
            spec.source.facts.compressionPercent (line 21): 5 is out of range: 100 to 100000 is legal
        "#]],
    );
    refused(
        &[("generation: 0", "generation: -1")],
        &expect![[r#"
        spec.source.generation (line 15): -1 is out of range: 0 to 9007199254740991 is legal
    "#]],
    );
    refused(
        &[("generation: 0", "generation: 18446744073709551615")],
        &expect![[r#"
            spec.source.generation (line 15): 18446744073709551615 is out of range: 0 to 9007199254740991 is legal
        "#]],
    );
    refused(
        &[("initialMillis: 200", "initialMillis: 60000")],
        &expect![[r#"
            spec.failure.backoff.initialMillis (line 87): 60000 is above maxMillis, 30000
        "#]],
    );
    let many: String = (0..65).map(|at| format!("{{name: t{at}}}, ")).collect();
    refused(
        &[(
            "topics:\n      - name: storefront-events",
            &format!("topics: [{many}]"),
        )],
        &expect![[r#"
            spec.source.topics (line 10): 65 entries: 1 to 64 are legal
        "#]],
    );
}

#[test]
fn times() {
    refused(
        &[(
            "start: Earliest",
            "start: {timestamp: 2026-02-29T00:00:00Z}",
        )],
        &expect![[r#"
            spec.source.start.timestamp (line 16): "2026-02-29T00:00:00Z" is not a UTC time since 1970 such as 2026-11-21T00:00:00Z
        "#]],
    );
    refused(
        &[("start: Earliest", "start: {timestamp: yesterday}")],
        &expect![[r#"
            spec.source.start.timestamp (line 16): "yesterday" is not a UTC time since 1970 such as 2026-11-21T00:00:00Z
        "#]],
    );
}

#[test]
fn client_tuning() {
    let tuned = |client: &str| format!("groupProtocol: Consumer\n    client: {client}");
    refused(
        &[(
            "groupProtocol: Consumer",
            &tuned("{sessionTimeoutMillis: 10000}"),
        )],
        &expect![[r#"
            spec.source.client.sessionTimeoutMillis (line 19): the broker sets it under groupProtocol Consumer: leave it out, or use Classic
        "#]],
    );
    refused(
        &[(
            "groupProtocol: Consumer",
            "client: {sessionTimeoutMillis: 10000, pollIntervalMillis: 9000}",
        )],
        &expect![[r#"
            spec.source.client.pollIntervalMillis (line 18): 9000 is below the session timeout of 10000
        "#]],
    );
    refused(
        &[(
            "groupProtocol: Consumer",
            &tuned("{queued.max.messages.kbytes: 5, rack: a b}"),
        )],
        &expect![[r#"
            spec.source.client.queued.max.messages.kbytes (line 19): unknown field: legal are commitIntervalMillis, drainMillis, fetchWaitMillis, pollIntervalMillis, rack, sessionTimeoutMillis
            spec.source.client.rack (line 19): "a b" is not a rack: 1 to 63 of a-z A-Z 0-9 . _ -
        "#]],
    );
}
