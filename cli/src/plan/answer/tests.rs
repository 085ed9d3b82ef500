//! Plans, refusals and faults of the storefront pipeline.
//! Layer: test

use clap::Parser as _;
use expect_test::{Expect, expect};

use super::*;
use crate::arguments::{Arguments, Command};

const STOREFRONT: &str = include_str!("../../../../crds/examples/storefront.yaml");

fn answer_to(text: &str, flags: &[&str]) -> Answer {
    let line = ["penstock", "plan", "-f", "unused"].iter().chain(flags);
    let Command::Plan(arguments) = Arguments::try_parse_from(line).unwrap().command else {
        panic!("another command");
    };
    answer(text, &arguments)
}

fn check(answer: &Answer, expected: &Expect) {
    expected.assert_eq(&answer.to_string());
}

#[test]
fn the_storefront_fits_its_limit() {
    let answer = answer_to(STOREFRONT, &["--partitions", "6", "--brokers", "1"]);
    check(
        &answer,
        &expect![[r#"
            safety        38.4Mi  15.0 %  0.15 of the limit, 12Mi to 512Mi; never assigned
            fixed         27.3Mi  10.6 %  24Mi, 64Ki a thread, 512Ki a connection, 8Ki a partition
            kafka         32.3Mi  12.6 %  minimum 8.2Mi; queue 11566 kB, fetch 1Mi
            dispatcher    33.1Mi  12.9 %  minimum 3Mi; 21715 records in 31.8Mi, window 4096 a partition
            active        40.1Mi  15.6 %  minimum 16Mi; 48 workers share it by parsed size
            sinks         27.7Mi  10.8 %  minimum 9.6Mi; batches of 6.2Mi in 2 sinks
            caches        25.1Mi   9.8 %  minimum 1Mi; 1647356 entries
            bulk               0   0.0 %  borrows up to 54.3Mi from dispatcher and caches
            slack         31.7Mi  12.3 %  0.2 of all pools: fragmentation, pages not yet returned
            spare            113   0.0 %  every pool is at its cap, or rounding
            limit          256Mi 100.0 %"#]],
    );
    let json = answer.json();
    assert_eq!(json["plan"]["limitBytes"], 256 << 20);
    let parts = json["plan"]["ledger"].as_array().unwrap().iter();
    let sum: u64 = parts.map(|part| part["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum, 256 << 20);
}

#[test]
fn a_limit_too_small_names_field_legal_value_and_smallest_limit() {
    let answer = answer_to(STOREFRONT, &["--memory", "64Mi"]);
    check(
        &answer,
        &expect![
            "refused: resources.limits.memory=64Mi is too small: safety 12Mi + fixed 29.6Mi + 1.2 x (kafka 16.5Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 1Mi) = 97Mi; at 64Mi no source.maxMessageBytes would do; smallest limit for this: 101Mi"
        ],
    );
    let json = answer.json();
    assert_eq!(json["refusal"]["field"], "resources.limits.memory");
    let smallest = json["refusal"]["smallestLimitBytes"].as_u64().unwrap();
    let retry = answer_to(STOREFRONT, &["--memory", &smallest.to_string()]);
    assert!(matches!(retry, Answer::Plan(_)), "{retry}");
}

/// Story f: a cache of 1 GiB in a pod of 512 MiB.
#[test]
fn a_cache_larger_than_the_pod_is_refused_with_what_would_do() {
    let memory = "memory: 256Mi\n  memory:\n    overrides:\n      caches: 1Gi\n";
    let text = STOREFRONT.replace("memory: 256Mi\n", memory);
    let answer = answer_to(&text, &["--memory", "512Mi"]);
    check(
        &answer,
        &expect![
            "refused: memory.overrides.caches=1Gi does not fit limit 512Mi: safety 76.8Mi + fixed 29.6Mi + 1.2 x (kafka 16.5Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 1024Mi) = 1389.4Mi; at 512Mi at most 292.7Mi, with every other part at its minimum; smallest limit for this: 1545Mi"
        ],
    );
}

#[test]
fn faults_of_the_file_come_all_at_once() {
    let text = STOREFRONT.replace("sink: store\n        set:", "sink: elsewhere\n        set:");
    let text = text.replace("memory: 256Mi", "memory: lots");
    let answer = answer_to(&text, &[]);
    check(
        &answer,
        &expect![[r#"
        not valid:
        spec.resources.limits.memory (line 27): "lots" is not a quantity: a number and one of Ki Mi Gi Ti Pi Ei k M G T P E m u n or an exponent such as e6
        spec.stages[5].unique.sink (line 76): "elsewhere" is no sink: legal for unique: store"#]],
    );
    assert_eq!(answer.json()["faults"].as_array().unwrap().len(), 2);
}
