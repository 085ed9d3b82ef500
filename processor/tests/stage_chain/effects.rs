//! What each stage asks of its port.
//! Layer: test

use expect_test::{Expect, expect};

use crate::ports::{Fake, chain, event_at, run, storefront, transcript};

const EVENT: &[u8] =
    br#"{"id":"e-1","shop":"shop-7","product":"p-1","sequence":3,"amountCents":1299,
"ad":{"campaign":"c-1","source":"mail"},"customer":{"email":"a@example.org"},"tags":["a","b"]}"#;

async fn check(stages: &str, expected: Expect) {
    expected.assert_eq(&transcript(stages, Some(b"visitor-1"), Some(EVENT)).await);
}

#[tokio::test]
async fn the_storefront_does_what_the_story_says() {
    let fake = Fake::default();
    let chain = chain(&storefront(), &fake, Default::default());
    let outcome = run(&chain, &mut event_at(42, Some(b"visitor-1"), Some(EVENT))).await;
    let asked = fake.with(|world| world.asked.join("\n"));
    expect![[r#"
        index: create events-2026-11-21/e-1 {"id":"e-1","shop":"shop-7","product":"p-1","sequence":3,"amountCents":1299,
        "ad":{"campaign":"c-1","source":"mail"},"customer":{"email":"a@example.org"},"tags":["a","b"]}
        attribution: upsert visits/visitor-1 Offset Document [SetOnInsert firstSeen=1795268700000, SetOnInsert firstEvent="e-1", Set lastSeen=1795268700000, Set lastSequence=3, Set campaign="c-1", Inc events=1]
        customer: upsert customers/visitor-1 Offset Nothing [Set email="a@example.org", Inc spentCents=1299, Inc orders=1]
        product-stats: count products/p-1 [("views", 1), ("revenueCents", 1299)]
        visitors: unique shop-7:2026-W47 visitor-1
        Completed"#]].assert_eq(&format!("{asked}\n{outcome:?}"));
}

#[tokio::test]
async fn a_lane_is_what_runs_without_a_queue_between() {
    let chain = chain(&storefront(), &Fake::default(), Default::default());
    let lanes: Vec<_> = chain
        .lanes()
        .iter()
        .map(|lane| {
            format!(
                "{:?} {:?}",
                lane.locality(),
                lane.stages().collect::<Vec<_>>()
            )
        })
        .collect();
    expect![[r#"
        Remote ["index", "ad-lead", "attribution"]
        Remote ["customer"]
        Remote ["product-stats"]
        Remote ["visitors"]"#]]
    .assert_eq(&lanes.join("\n"));
}

#[tokio::test]
async fn a_true_duplicate_finishes_early_and_a_redelivery_goes_on() {
    let fake = Fake::default();
    let chain = chain(&storefront(), &fake, Default::default());
    for offset in [42, 42, 43] {
        let outcome = run(&chain, &mut event_at(offset, Some(b"k"), Some(EVENT))).await;
        fake.with(|world| world.asked.push(format!("{outcome:?}")));
    }
    let stages: Vec<_> = fake.with(|world| {
        world
            .asked
            .iter()
            .map(|line| line.split(':').next().unwrap_or_default().to_owned())
            .collect()
    });
    expect!["index attribution customer product-stats visitors Completed index attribution customer product-stats visitors Completed index Finished(Duplicate)"].assert_eq(&stages.join(" "));
}

#[tokio::test]
async fn every_operator_reaches_the_sink_in_the_order_written() {
    check(
        r#"- name: all
  upsert:
    sink: store
    collection: visits
    id: record.key
    returning: visit
    changes:
      - {operator: Set, field: a, value: event.tags}
      - {operator: SetOnInsert, field: b, value: record.headers.trace}
      - {operator: Inc, field: c, value: "-2"}
      - {operator: Min, field: d, value: event.sequence}
      - {operator: Max, field: e, value: event.sequence * 2}
      - {operator: Push, field: f, value: event.ad}
      - {operator: AddToSet, field: g, value: '"x"'}
      - {operator: Unset, field: h}
      - {operator: Set, field: left-out, value: "1", when: has(event.nothing.at.all)}
- name: after
  set:
    fields:
      - {name: doubled, value: context.visit.d + 1}
      - {name: again, value: context.doubled}
- name: out
  produce:
    topic: out
    value: context"#,
        expect![[r#"
            all: upsert visits/visitor-1 Offset Document [Set a=["a","b"], SetOnInsert b="t-1", Inc c=-2, Min d=3, Max e=6, Push f={"campaign":"c-1","source":"mail"}, AddToSet g="x", Unset h=null]
            out: visitor-1 => {\"again\":4,\"doubled\":4,\"visit\":{\"a\":[\"a\",\"b\"],\"b\":\"t-1\",\"c\":-2,\"d\":3,\"e\":6,\"f\":{\"campaign\":\"c-1\",\"source\":\"mail\"},\"g\":\"x\",\"h\":null}} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=out]
            Completed"#]],
    )
    .await;
}

#[tokio::test]
async fn without_changes_or_amounts_nothing_is_asked() {
    check(
        r#"- name: none
  upsert:
    sink: store
    collection: visits
    id: record.key
    changes:
      - {operator: Set, field: a, value: "1", when: has(event.nothing)}
- name: none-either
  count:
    sink: store
    collection: counts
    id: event.product
    amounts:
      - {field: a, value: "1", when: event.sequence > 3}"#,
        expect!["Completed"],
    )
    .await;
}

#[tokio::test]
async fn a_filter_keeps_or_finishes() {
    let stages = |keep: &str| {
        format!(
            "- name: keep\n  filter:\n    keep: {keep}\n- name: out\n  produce:\n    topic: out"
        )
    };
    check(&stages("event.amountCents > 1000 && event.shop == \"shop-7\""), expect![[r#"
        out: visitor-1 => {\"id\":\"e-1\",\"shop\":\"shop-7\",\"product\":\"p-1\",\"sequence\":3,\"amountCents\":1299,\n\"ad\":{\"campaign\":\"c-1\",\"source\":\"mail\"},\"customer\":{\"email\":\"a@example.org\"},\"tags\":[\"a\",\"b\"]} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=out]
        Completed"#]]).await;
    check(&stages("has(event.refund)"), expect!["Finished(Filtered)"]).await;
}

#[tokio::test]
async fn produce_keeps_or_replaces_key_and_value() {
    check(
        r#"- name: as-it-is
  produce:
    topic: copy
- name: changed
  produce:
    topic: changed
    key: event.sequence
    value: '{"campaign": event.ad.campaign, "n": size(event.tags)}'
    headers:
      - {name: shop, value: event.shop}
- name: forget
  produce:
    topic: compacted
    value: "null""#,
        expect![[r#"
            copy: visitor-1 => {\"id\":\"e-1\",\"shop\":\"shop-7\",\"product\":\"p-1\",\"sequence\":3,\"amountCents\":1299,\n\"ad\":{\"campaign\":\"c-1\",\"source\":\"mail\"},\"customer\":{\"email\":\"a@example.org\"},\"tags\":[\"a\",\"b\"]} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=as-it-is]
            changed: 3 => {\"campaign\":\"c-1\",\"n\":2} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=changed, shop=shop-7]
            compacted: visitor-1 => null [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=forget]
            Completed"#]],
    )
    .await;
}

#[tokio::test]
async fn a_member_counts_once_in_its_window() {
    let stages = |window: &str| {
        format!(
            "- name: visitors\n  unique:\n    sink: store\n    set: event.shop\n    \
             member: record.key\n    window: {window}"
        )
    };
    for (window, expected) in [
        (
            "Hour",
            expect![[r#"
            visitors: unique shop-7:2026-11-21T13 visitor-1
            Completed"#]],
        ),
        (
            "Day",
            expect![[r#"
            visitors: unique shop-7:2026-11-21 visitor-1
            Completed"#]],
        ),
        (
            "Week",
            expect![[r#"
            visitors: unique shop-7:2026-W47 visitor-1
            Completed"#]],
        ),
        (
            "Month",
            expect![[r#"
            visitors: unique shop-7:2026-11 visitor-1
            Completed"#]],
        ),
    ] {
        check(&stages(window), expected).await;
    }
}
