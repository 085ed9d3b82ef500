//! The limit that the API server refuses is one that no pipeline fits.
//! Layer: test

use penstock_crds::{custom_resource::MEMORY_FLOOR, parse, quantity::Quantity};
use penstock_demand::{Facts, demand};
use penstock_sizing::smallest_limit;

/// The smallest pipeline that can be written: nothing is sent anywhere, records are tiny.
const SMALLEST: &str = "
apiVersion: penstock.dev/v1alpha1
kind: EventPipeline
metadata: {name: smallest}
spec:
  source:
    bootstrapServers: ['kafka:9092']
    topics: [{name: t}]
    consumerGroup: g
    maxMessageBytes: 1Ki
    facts: {largestBatchBytes: 1Ki, compressionPercent: 100, codec: None, typicalValueBytes: TYPICAL}
  resources: {limits: {memory: 1Gi}}
  stages: [{name: drop, filter: {keep: record.offset < 0}}]
";

#[test]
fn no_pipeline_fits_below_the_floor() {
    let facts = Facts {
        partitions: Some(1),
        brokers: Some(1),
        cores: Some(1),
    };
    let needed = ["1", "1Ki", "64Ki", "1Mi", "1000M"].map(|typical| {
        let text = SMALLEST.replace("TYPICAL", typical);
        let pipeline = parse(&text).expect("the object is valid").pipeline;
        smallest_limit(&demand(&pipeline, &facts)).expect("some limit would do")
    });
    let smallest = needed.into_iter().min().expect("there are some");
    let floor = Quantity::parse(MEMORY_FLOOR).expect("a quantity").bytes();
    assert!(
        floor <= smallest.get(),
        "{MEMORY_FLOOR} is refused, {smallest} would do"
    );
    assert!(
        floor * 2 > smallest.get(),
        "{smallest} is needed, {MEMORY_FLOOR} says little"
    );
}
