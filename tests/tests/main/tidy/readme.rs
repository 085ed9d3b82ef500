//! The tables of the README: ledger, stages and metrics, made from the code that they describe.
//! Layer: test

use penstock_crds::pipeline::{SinkKind, StageKind, ValidatedPipeline};
use penstock_processor::{
    metrics::METRICS,
    plan::{Facts, demand},
};
use penstock_sizing::{Bytes, derive};

const STOREFRONT: &str = include_str!("../../../../crds/examples/storefront.yaml");

/// A table's name in its marker, and what writes it.
type Table = (&'static str, fn() -> String);

const TABLES: [Table; 3] = [("ledger", ledger), ("stages", stages), ("metrics", metrics)];

/// The README with its tables written anew between their markers.
pub(super) fn written(readme: &str) -> String {
    TABLES
        .iter()
        .fold(readme.to_owned(), |text, (name, table)| {
            between(&text, name, &table())
        })
}

fn between(text: &str, name: &str, table: &str) -> String {
    let open = format!("<!-- {name}: written by the tests -->\n");
    let parts = text.split_once(&open).and_then(|(head, rest)| {
        let (_, tail) = rest.split_once("<!-- end -->")?;
        Some(format!("{head}{open}{table}<!-- end -->{tail}"))
    });
    // Without its markers the table is missing, and the text differs from this one.
    parts.unwrap_or_else(|| format!("{text}\n{open}{table}<!-- end -->\n"))
}

fn storefront() -> ValidatedPipeline {
    let parsed = penstock_crds::parse(STOREFRONT);
    parsed.expect("the example is valid").pipeline
}

fn ledger() -> String {
    let facts = Facts {
        partitions: Some(12),
        brokers: Some(1),
        cores: Some(2),
    };
    let demand = demand(&storefront(), &facts);
    let plan = |mib| derive(Bytes::mib(mib), &demand).expect("the example fits");
    let plans = [128, 256, 512].map(plan);
    let [small, middle, large] = plans.each_ref().map(|plan| plan.explain());
    let mut table =
        String::from("| part | 128Mi | 256Mi | 512Mi | at 256Mi |\n|---|--:|--:|--:|---|\n");
    for ((small, middle), large) in small.iter().zip(&middle).zip(&large) {
        let [s, m, l] = [small, middle, large].map(|line| line.bytes.approximate());
        table += &format!("| {} | {s} | {m} | {l} | {} |\n", middle.name, middle.how);
    }
    table
}

fn stages() -> String {
    let mut table = String::from("| stage | what it does | sinks |\n|---|---|---|\n");
    for kind in StageKind::ALL {
        let name = kind.field();
        let sinks = SinkKind::ALL.iter().filter(|sink| sink.serves(kind));
        let sinks: Vec<_> = sinks.map(|sink| format!("`{}`", sink.field())).collect();
        let what = description(name);
        table += &format!("| `{name}` | {what} | {} |\n", sinks.join(", "));
    }
    table
}

/// The first sentence about the stage in the object's schema.
fn description(stage: &str) -> String {
    let schema = penstock_crds::schema::object();
    let body = &schema["$defs"]["StageSpec"]["properties"][stage]["anyOf"][0]["$ref"];
    let pointer = body.as_str().expect("each stage has a body");
    let body = schema.pointer(pointer.trim_start_matches('#'));
    let text = body.and_then(|body| body["description"].as_str());
    text.expect("each body is described").replace('\n', " ")
}

fn metrics() -> String {
    let mut table = String::from("| metric | type | the question it answers |\n|---|---|---|\n");
    for metric in METRICS {
        table += &format!(
            "| `{}` | {} | {} |\n",
            metric.name, metric.kind, metric.question
        );
    }
    table
}

#[test]
fn a_table_is_put_between_its_markers() {
    let text = "a\n<!-- t: written by the tests -->\nold\n<!-- end -->\nb\n";
    let expected = "a\n<!-- t: written by the tests -->\nnew\n<!-- end -->\nb\n";
    assert_eq!(between(text, "t", "new\n"), expected);
    assert_ne!(between("a\n", "t", "new\n"), "a\n");
}
