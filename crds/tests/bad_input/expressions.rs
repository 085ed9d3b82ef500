//! CEL that does not parse, names what does not exist, or would cost too much.
//! Layer: test

use expect_test::{Expect, expect};

use super::refused;

fn keep(expression: &str, expected: &Expect) {
    let stage = format!("  stages:\n    - {{name: keep, filter: {{keep: '{expression}'}}}}");
    refused(&[("  stages:", &stage)], expected);
}

#[test]
fn syntax() {
    keep(
        "event.a ==",
        &expect![[r#"
            spec.stages[0].filter.keep (line 29): "event.a ==" does not parse as CEL at column 11: it ends too early
        "#]],
    );
    keep(
        "event.a = 1",
        &expect![[r#"
            spec.stages[0].filter.keep (line 29): "event.a = 1" does not parse as CEL at column 9: token recognition error at: '= '
        "#]],
    );
    keep(
        "   ",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): an empty expression: write a field such as event.id, a literal, or CEL
    "#]],
    );
    keep(
        "has(event)",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "has(event)" does not parse as CEL at column 5: invalid argument to has() macro
    "#]],
    );
}

#[test]
fn unknown_names() {
    keep(
        "events.a == 1",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "events.a == 1" names the unknown variable events: legal are event, record and context
    "#]],
    );
    keep(
        "event.items.exists(x, y.price > 1)",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "event.items.exists(x, y.price > 1)" names the unknown variable y: legal are event, record and context
    "#]],
    );
    keep(
        "now() > 5",
        &expect![[r#"
            spec.stages[0].filter.keep (line 29): "now() > 5" calls the unknown function now: legal are all, bool, bytes, contains, double, duration, dyn, endsWith, exists, exists_one, filter, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getFullYear, getHours, getMilliseconds, getMinutes, getMonth, getSeconds, has, int, map, size, startsWith, string, timestamp, type, uint
        "#]],
    );
    keep(
        "event.name.upper() == \"A\"",
        &expect![[r#"
            spec.stages[0].filter.keep (line 29): "event.name.upper() == \"A\"" calls the unknown function upper: legal are all, bool, bytes, contains, double, duration, dyn, endsWith, exists, exists_one, filter, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getFullYear, getHours, getMilliseconds, getMinutes, getMonth, getSeconds, has, int, map, size, startsWith, string, timestamp, type, uint
        "#]],
    );
    keep(
        "record.ofset > 5",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "record.ofset > 5" names record.ofset, which does not exist: legal are key, topic, partition, offset, timestamp, headers
    "#]],
    );
    keep(
        "record.key.length > 5",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "record.key.length > 5" names record.key.length, which does not exist: legal are key, topic, partition, offset, timestamp, headers
    "#]],
    );
    keep(
        "has(record.value)",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "has(record.value)" names record.value, which does not exist: legal are key, topic, partition, offset, timestamp, headers
    "#]],
    );
    keep(
        "Money{amount: 5}.amount > 1",
        &expect![[r#"
            spec.stages[0].filter.keep (line 29): "Money{amount: 5}.amount > 1" calls the unknown function Money: legal are all, bool, bytes, contains, double, duration, dyn, endsWith, exists, exists_one, filter, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getFullYear, getHours, getMilliseconds, getMinutes, getMonth, getSeconds, has, int, map, size, startsWith, string, timestamp, type, uint
        "#]],
    );
}

#[test]
fn context_that_no_stage_sets() {
    keep(
        "has(context.adLead)",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): context.adLead is set by no earlier stage: none is set before it
    "#]],
    );
    refused(
        &[(
            "value: context.adLead.campaign",
            "value: context.lead.campaign",
        )],
        &expect![[r#"
            spec.stages[2].upsert.changes[4].value (line 50): context.lead is set by no earlier stage: adLead
        "#]],
    );
}

#[test]
fn literals_where_conditions_and_integers_belong() {
    keep(
        "1",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): 1 is neither true nor false: a condition is needed
    "#]],
    );
    refused(
        &[(
            "field: events, value: \"1\"",
            "field: events, value: \"\\\"1\\\"\"",
        )],
        &expect![[r#"
            spec.stages[2].upsert.changes[5].value (line 51): "1" is text: an integer is needed
        "#]],
    );
}

#[test]
fn cost() {
    let long = format!("event.a == \"{}\"", "x".repeat(2048));
    keep(
        &long,
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): an expression of 2061 bytes: at most 2048 are legal
    "#]],
    );
    keep(
        "event.a.all(x, x.all(y, y.all(z, z > 1)))",
        &expect![[r#"
        spec.stages[0].filter.keep (line 29): "event.a.all(x, x.all(y, y.all(z, z > 1)))" nests 3 macros: at most 2 are legal
    "#]],
    );
    keep(
        &format!("{}event.a{}", "(".repeat(200), ")".repeat(200)),
        &expect![[r#"
            spec.stages[0].filter.keep (line 29): "(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("… does not parse as CEL at column 97: nested too deeply
        "#]],
    );
}
