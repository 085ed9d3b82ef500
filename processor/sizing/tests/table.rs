//! Golden tables: limits, partition counts, messages and brokers to plans; refusals as users read them.
//! Layer: test

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use penstock_sizing::{
    Bytes, CacheDemand, CacheKind, Codec, Demand, Pool, PurgeDecay, Refusal, SinkDemand, SinkKind,
    derive, smallest_limit,
};

fn quantity(text: &str) -> Bytes {
    text.parse().expect(text)
}

fn sink(name: &str, kind: SinkKind) -> SinkDemand {
    SinkDemand {
        name: name.to_owned(),
        kind,
        in_flight: 1,
    }
}

/// The pipeline of `crds/examples/storefront.yaml` on two cores.
fn storefront() -> Demand {
    Demand {
        partitions: 12,
        cores: 2,
        sinks: vec![
            sink("store", SinkKind::Embedded),
            sink("storefront-events.dead", SinkKind::Letters),
        ],
        caches: vec![CacheDemand {
            name: "visitors".to_owned(),
            kind: CacheKind::Fingerprint,
        }],
        ..Demand::default()
    }
}

fn small_messages() -> Demand {
    let quarter = quantity("256Ki");
    Demand {
        largest_message: quarter,
        largest_batch: quarter,
        ..storefront()
    }
}

/// The three databases of the stories behind three brokers.
fn production() -> Demand {
    Demand {
        partitions: 16,
        brokers: 3,
        codec: Codec::Lz4,
        compression_percent: 400,
        largest_batch: quantity("256Ki"),
        sinks: vec![
            sink("search", SinkKind::Elasticsearch),
            sink("store", SinkKind::Mongodb),
            sink("counters", SinkKind::Redis),
        ],
        ..storefront()
    }
}

const HEAD: &str = "limit    kafka  queue kB  fetch  disp.  records  window  active  workers  batch  caches   entries   spare";

fn row(name: &str, limit: Bytes, demand: &Demand) -> String {
    let plan = match derive(limit, demand) {
        Ok(plan) => plan,
        Err(Refusal::Infeasible(no)) => {
            return format!("{name:<6} refused, needs {}Mi", no.smallest_limit.0 >> 20);
        }
        Err(fault) => return format!("{name:<6} {fault}"),
    };
    let mib = |bytes: Bytes| format!("{}.{}", bytes.0 >> 20, ((bytes.0 & 0xF_FFFF) * 10) >> 20);
    format!(
        "{name:<6} {:>7} {:>9} {:>6} {:>6} {:>8} {:>7} {:>7} {:>8} {:>6} {:>7} {:>9} {:>7}",
        mib(plan.pools[Pool::Kafka]),
        plan.client.queued_max_messages_kbytes,
        Bytes(plan.client.fetch_max_bytes),
        mib(plan.pools[Pool::Dispatcher]),
        plan.dispatch.records,
        plan.dispatch.window,
        mib(plan.pools[Pool::Active]),
        plan.runtime.workers,
        plan.sinks
            .first()
            .map_or_else(|| "-".to_owned(), |sink| mib(sink.batch)),
        mib(plan.pools[Pool::Caches]),
        plan.caches.iter().map(|cache| cache.entries).sum::<u64>(),
        mib(plan.spare),
    )
}

fn by_limit(demand: &Demand, limits: &[&str]) -> String {
    let rows: Vec<_> = limits
        .iter()
        .map(|limit| row(limit, quantity(limit), demand))
        .collect();
    format!("{HEAD}\n{}\n", rows.join("\n"))
}

const LIMITS: [&str; 8] = [
    "64Mi", "128Mi", "256Mi", "512Mi", "1Gi", "2Gi", "4Gi", "8Gi",
];

fn check(actual: &str, expected: &Expect) {
    expected.assert_eq(actual);
}

#[test]
fn storefront_by_limit() {
    check(
        &by_limit(&storefront(), &LIMITS),
        &expect![[r#"
            limit    kafka  queue kB  fetch  disp.  records  window  active  workers  batch  caches   entries   spare
            64Mi   refused, needs 86Mi
            128Mi     14.2      3660    1Mi   10.5     5982    4096    21.9       96    2.3     6.9    458381     0.0
            256Mi     32.3     11562    1Mi   33.1    21456    4096    40.1       96    6.2    25.1   1646767     0.0
            512Mi     68.6     27366    1Mi   78.5    52403    4096    76.3       96   14.0    61.3   4023539     0.0
            1Gi      128.0     53240    1Mi  193.8    65536    4096   168.6       96   15.0   153.6  10071771     0.0
            2Gi      128.0     53240    1Mi  256.0    65536    4096   500.2       96   15.0   485.2  31803903     0.0
            4Gi      128.0     53240    1Mi  256.0    65536    4096   512.0       96   15.0  2009.5 131699711     0.0
            8Gi      128.0     53240    1Mi  256.0    65536    4096   512.0       96   15.0  5422.9 355395924     0.0
        "#]],
    );
}

#[test]
fn small_messages_by_limit() {
    check(
        &by_limit(&small_messages(), &["48Mi", "64Mi", "96Mi", "128Mi"]),
        &expect![[r#"
            limit    kafka  queue kB  fetch  disp.  records  window  active  workers  batch  caches   entries   spare
            48Mi   refused, needs 57Mi
            64Mi       5.0       588  512Ki    2.3     1275    1124     5.2       96    0.5     2.2    146989     0.0
            96Mi      10.0      1833    1Mi    8.4     5113    4096    10.1       96    1.5     7.1    470301     0.0
            128Mi     14.5      3808    1Mi   14.1     8982    4096    14.7       96    2.5    11.7    767397     0.0
        "#]],
    );
}

#[test]
fn production_by_limit() {
    check(
        &by_limit(&production(), &LIMITS),
        &expect![[r#"
        limit    kafka  queue kB  fetch  disp.  records  window  active  workers  batch  caches   entries   spare
        64Mi   refused, needs 106Mi
        128Mi     21.1      2467  256Ki    7.0     3803    2148    19.2      128    1.3     4.2    278977     0.0
        256Mi     39.2      6652  512Ki   29.7    18952    4096    37.3      128    2.9    22.3   1467363     0.0
        512Mi     75.5     15020    1Mi   75.0    49899    4096    73.6      128    6.0    58.6   3844136     0.0
        1Gi      128.0     37893    1Mi  172.0    65536    4096   151.2      128   12.7   136.2   8926124     0.0
        2Gi      128.0     37893    1Mi  256.0    65536    4096   462.1      128   15.0   447.1  29302442     0.0
        4Gi      128.0     37893    1Mi  256.0    65536    4096   512.0      128   15.0  1933.2 126696788     0.0
        8Gi      128.0     37893    1Mi  256.0    65536    4096   512.0      128   15.0  5346.5 350393002     0.0
    "#]],
    );
}

#[test]
fn purge_decay_by_limit() {
    let at_once = Demand {
        purge_decay: PurgeDecay::Immediate,
        ..production()
    };
    check(
        &by_limit(&at_once, &["128Mi", "256Mi", "512Mi"]),
        &expect![[r#"
            limit    kafka  queue kB  fetch  disp.  records  window  active  workers  batch  caches   entries   spare
            128Mi     15.3      4451  256Ki    8.8     4869    3062    20.6      128    1.5     5.6    372596     0.0
            256Mi     33.5      6468    1Mi   31.5    20171    4096    38.8      128    3.0    23.8   1560982     0.0
            512Mi     69.7     32808    1Mi   76.8    51118    4096    75.0      128    6.1    60.0   3937754     0.0
        "#]],
    );
}

#[test]
fn storefront_by_partitions_at_512_mebibytes() {
    let rows = [1, 3, 12, 48, 256, 1024].map(|partitions| {
        row(
            &partitions.to_string(),
            quantity("512Mi"),
            &Demand {
                partitions,
                ..storefront()
            },
        )
    });
    check(
        &format!("{HEAD}\n{}\n", rows.join("\n")),
        &expect![[r#"
            limit    kafka  queue kB  fetch  disp.  records  window  active  workers  batch  caches   entries   spare
            1         68.6     27373    1Mi   78.5    52879    4096    76.4        8   14.0    61.4   4024619     0.0
            3         68.6     27372    1Mi   78.5    52793    4096    76.4       24   14.0    61.4   4024423     0.0
            12        68.6     27366    1Mi   78.5    52403    4096    76.3       96   14.0    61.3   4023539     0.0
            48        68.5     27343    1Mi   78.4    50845    4096    76.3      128   14.0    61.3   4020007     0.0
            256       68.2     27207    1Mi   78.2    46192    2465    76.0      128   13.9    61.0   3999596     0.0
            1024      67.1     26706    1Mi   77.6    45334     652    74.8      128   13.7    59.8   3924228     0.0
        "#]],
    );
}

#[test]
fn smallest_limits_by_largest_message_and_brokers() {
    let mut table = "message   brokers 1    3    6   12\n".to_owned();
    for message in ["64Ki", "256Ki", "512Ki", "1Mi", "2Mi", "5Mi", "10Mi"] {
        let limits = [1, 3, 6, 12].map(|brokers| {
            let largest = quantity(message);
            let demand = Demand {
                brokers,
                largest_message: largest,
                largest_batch: largest,
                ..storefront()
            };
            let smallest = smallest_limit(&demand).expect("in range");
            format!("{:>5}", smallest.0 >> 20)
        });
        writeln!(table, "{message:<12} {}", limits.concat()).expect("a string takes it");
    }
    check(
        &table,
        &expect![[r#"
        message   brokers 1    3    6   12
        64Ki            52   55   59   67
        256Ki           57   62   69   84
        512Ki           66   73   85  110
        1Mi             86  101  122  165
        2Mi            132  158  197  275
        5Mi            268  329  421  605
        10Mi           495  615  795 1155
    "#]],
    );
}

/// Story f: 1 GiB of cache in a pod of 512 MiB, and the 500 MB that were thought to cure it.
#[test]
fn the_cache_of_the_story_is_refused() {
    let mut texts = String::new();
    for cache in ["1Gi", "500M"] {
        let mut demand = storefront();
        demand.overrides[Pool::Caches] = Some(quantity(cache));
        let refusal = derive(quantity("512Mi"), &demand).expect_err(cache);
        writeln!(texts, "{refusal}").expect("a string takes it");
        let Refusal::Infeasible(shortfall) = refusal else {
            panic!("infeasible")
        };
        assert!(derive(shortfall.smallest_limit, &demand).is_ok());
    }
    check(
        &texts,
        &expect![[r#"
        memory.overrides.caches=1Gi does not fit limit 512Mi: safety 76.8Mi + fixed 27.4Mi + 1.2 x (kafka 8.2Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 1024Mi) = 1377.2Mi; at 512Mi at most 302.9Mi, with every other part at its minimum; smallest limit for this: 1530Mi
        memory.overrides.caches=500000000 does not fit limit 512Mi: safety 76.8Mi + fixed 27.4Mi + 1.2 x (kafka 8.2Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 476.8Mi) = 720.6Mi; at 512Mi at most 302.9Mi, with every other part at its minimum; smallest limit for this: 758Mi
    "#]],
    );
}

#[test]
fn refusals_name_field_value_and_what_is_legal() {
    let mut two = storefront();
    two.overrides[Pool::Kafka] = Some(quantity("400Mi"));
    two.overrides[Pool::Caches] = Some(quantity("500Mi"));
    let mut below = storefront();
    below.overrides[Pool::Dispatcher] = Some(quantity("1Mi"));
    let mut unused = Demand::default();
    unused.overrides[Pool::Caches] = Some(quantity("16Mi"));
    let cases = [
        ("64Mi", storefront()),
        ("16Mi", storefront()),
        ("512Mi", two),
        ("512Mi", below),
        ("512Mi", unused),
        (
            "512Mi",
            Demand {
                partitions: 0,
                ..storefront()
            },
        ),
        (
            "512Mi",
            Demand {
                compression_percent: 50,
                ..storefront()
            },
        ),
    ];
    let texts = cases
        .map(|(limit, demand)| {
            derive(quantity(limit), &demand)
                .expect_err(limit)
                .to_string()
        })
        .join("\n");
    check(
        &texts,
        &expect![[r#"
            resources.limits.memory=64Mi is too small: safety 12Mi + fixed 27.4Mi + 1.2 x (kafka 8.2Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 1Mi) = 84.8Mi; at 64Mi source.maxMessageBytes could be at most 322.3Ki; smallest limit for this: 86Mi
            resources.limits.memory=16Mi is too small: safety 12Mi + fixed 27.4Mi + 1.2 x (kafka 8.2Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 1Mi) = 84.8Mi; at 16Mi no source.maxMessageBytes would do; smallest limit for this: 86Mi
            memory.overrides.caches=500Mi does not fit limit 512Mi: safety 76.8Mi + fixed 27.4Mi + 1.2 x (kafka 400Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 500Mi) = 1218.5Mi; at 512Mi none while the other overrides stand; smallest limit for this: 1344Mi
            memory.overrides.dispatcher=1Mi is out of range; legal: 3171840 to 1Pi
            memory.overrides.caches=16Mi is out of range; legal: none, because nothing here uses caches
            partitions=0 is out of range; legal: 1 to 100000
            source.facts.compressionPercent=50 is out of range; legal: 100 to 100000"#]],
    );
}

#[test]
fn the_explanation_of_the_storefront() {
    let plan = derive(quantity("256Mi"), &storefront()).expect("it fits");
    check(
        &plan.to_string(),
        &expect![[r#"
            safety        38.4Mi  15.0 %  0.15 of the limit, 12Mi to 512Mi; never assigned
            fixed         27.4Mi  10.7 %  24Mi, 64Ki a thread, 512Ki a connection, 8Ki a partition
            kafka         32.3Mi  12.6 %  minimum 8.2Mi; queue 11562 kB, fetch 1Mi
            dispatcher    33.1Mi  12.9 %  minimum 3Mi; 21456 records in 31.4Mi, window 4096 a partition
            active        40.1Mi  15.6 %  minimum 16Mi; 96 workers share it by parsed size
            sinks         27.6Mi  10.8 %  minimum 9.6Mi; batches of 6.2Mi in 2 sinks
            caches        25.1Mi   9.8 %  minimum 1Mi; 1646767 entries
            bulk               0   0.0 %  borrows up to 54.2Mi from dispatcher and caches
            slack         31.6Mi  12.3 %  0.2 of all pools: fragmentation, pages not yet returned
            spare            108   0.0 %  every pool is at its cap, or rounding
            limit          256Mi 100.0 %"#]],
    );
}

/// The README shows the very tables that these tests compute; `UPDATE_EXPECT=1` writes them.
#[test]
fn the_readme_is_in_step() {
    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    const TABLES: &str = "## One plan";
    const FENCE: &str = "```text\n";
    let before = std::fs::read_to_string(README).expect("the README is there");
    let plan = derive(quantity("256Mi"), &storefront())
        .expect("it fits")
        .to_string();
    let tables = [
        plan,
        by_limit(&storefront(), &LIMITS),
        by_limit(&production(), &LIMITS),
    ];
    let (mut after, shown) = before
        .split_once(TABLES)
        .map(|(head, shown)| (format!("{head}{TABLES}"), shown))
        .expect("the README has that heading");
    let mut parts = shown.split(FENCE);
    after.push_str(parts.next().expect("a text has a first part"));
    let mut tables = tables.iter().map(|table| table.trim_end());
    for part in parts {
        let (_, rest) = part.split_once("```").expect("every fence is closed");
        let table = tables.next().expect("the README has no other table");
        let _ = write!(after, "{FENCE}{table}\n```{rest}");
    }
    assert_eq!(tables.next(), None, "the README lacks a table");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(README, after).expect("the README is ours");
    } else {
        assert_eq!(before, after, "run this test with UPDATE_EXPECT=1");
    }
}
