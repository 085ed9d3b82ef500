//! The shape of the verdict, and that each broken promise fails it.
//! Layer: test

use expect_test::expect;

use super::*;

fn measured() -> Measured {
    let usage = Usage {
        limit_bytes: 1 << 28,
        peak_bytes: 200_000_000,
        peak_anonymous_bytes: 150_000_000,
        oom_kills: 0,
        held_by: HeldBy::Cgroup,
    };
    Measured {
        produced: 1_000_000,
        finished: 1_000_000,
        repeat_bound: 3_000,
        usage,
        elapsed_ms: 50_000,
        cpu_ms: 61_230,
        kills: 3,
    }
}

fn findings() -> Findings {
    Findings {
        duplicates: 9_900,
        dead_lettered: 1_002,
        repeated: 40,
        ..Findings::default()
    }
}

#[test]
fn the_json_is_one_object_with_these_names() {
    let (verdict, broken) = judge(&measured(), &findings());
    assert!(broken.is_empty(), "{broken:?}");
    expect![[r#"{"records":{"produced":1000000,"finished":1000000,"duplicates":9900,"deadLettered":1002,"lost":0,"outOfOrder":0,"repeated":40,"repeatBound":3000},"sinks":{"totalsExact":true,"mismatches":0},"memory":{"limitBytes":268435456,"peakBytes":200000000,"peakFraction":0.745,"oomKills":0},"rate":{"recordsPerSecond":20000,"cpuSecondsPerMillion":61.23},"kills":3,"verdict":"pass"}"#]].assert_eq(&verdict.json());
}

#[test]
fn the_table_says_the_same() {
    let (verdict, broken) = judge(&measured(), &findings());
    expect![[r#"
        records produced      1000000
        finished              1000000
        duplicates            9900
        dead letters          1002
        lost                  0
        keys out of order     0
        repeated              40 (bound 3000)
        sink mismatches       0
        peak memory           195312 of 262144 KiB (0.745 of the limit; at most 146484 KiB without a file behind it)
        OOM kills             0
        records per second    20000
        CPU s per million     61.23
        kills                 3
        verdict               pass: every promise kept
    "#]]
    .assert_eq(&verdict.table(&broken));
}

#[test]
fn each_broken_promise_fails_the_run() {
    type Break = fn(&mut Measured, &mut Findings);
    let cases: [(&str, Break); 7] = [
        ("1 records lost", |_, f| f.lost = 1),
        ("1 keys out of order", |_, f| f.out_of_order = 1),
        ("1 rows differ", |_, f| f.mismatches = 1),
        ("3001 repeats, bound 3000", |_, f| f.repeated = 3_001),
        ("1 records not finished", |m, _| m.finished -= 1),
        ("1 OOM kills", |m, _| m.usage.oom_kills = 1),
        ("peak above 85 % of the limit", |m, _| {
            m.usage.peak_bytes = (1 << 28) / 100 * 86
        }),
    ];
    for (words, break_it) in cases {
        let (mut measured, mut findings) = (measured(), findings());
        break_it(&mut measured, &mut findings);
        let (verdict, broken) = judge(&measured, &findings);
        assert_eq!(
            (verdict.verdict, broken),
            (Outcome::Fail, vec![words.to_owned()])
        );
    }
}

#[test]
fn a_peak_without_cgroup_is_shown_and_not_judged() {
    let mut measured = measured();
    measured.usage.peak_bytes = 1 << 28;
    measured.usage.held_by = HeldBy::PlanOnly;
    assert_eq!(judge(&measured, &findings()).0.verdict, Outcome::Pass);
}
