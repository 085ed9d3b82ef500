//! Settings files of the tests, written as the operator writes them.
//! Layer: test

use std::path::Path;

use penstock_crds::settings::{Observed, ProcessorSettings};
use rusqlite::Connection;

use crate::broker::{Broker, TOPIC};

pub(crate) const GROUP: &str = "line";

/// Every kind of effect; the filter's expression needs the interpreter, and so does the mapping.
pub(crate) const STAGES: &str = "
    - {name: shape, filter: {keep: 'size(event.id) > 0'}}
    - {name: index, index: {sink: store, index: events, id: event.id}}
    - name: visits
      upsert:
        sink: store
        collection: visits
        id: string(event.user)
        changes: [{operator: Set, field: last, value: event.id}]
    - name: views
      mode: Detached
      count: {sink: store, collection: products, id: event.product, amounts: [{field: views, value: '1'}]}
";

/// What a test changes.
pub(crate) struct Setting<'a> {
    pub(crate) stages: &'a str,
    pub(crate) failure: &'a str,
    pub(crate) memory: &'a str,
    pub(crate) overrides: &'a str,
    pub(crate) partitions: u32,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self {
            stages: STAGES,
            failure: "onRecordError: DeadLetterRecord, deadLetterTopic: events.dead",
            memory: "256Mi",
            overrides: "active: 16Mi, window: 200",
            partitions: 1,
        }
    }
}

impl Setting<'_> {
    /// The file's text for this broker.
    pub(crate) fn text(&self, broker: &Broker) -> String {
        let Self {
            stages,
            failure,
            memory,
            overrides,
            partitions,
        } = self;
        let bootstrap = &broker.bootstrap;
        let object = format!(
            "apiVersion: penstock.dev/v1alpha1
kind: EventPipeline
metadata: {{name: line}}
spec:
  source:
    bootstrapServers: ['{bootstrap}']
    topics: [{{name: {TOPIC}}}]
    consumerGroup: {GROUP}
    maxMessageBytes: 1Mi
    groupProtocol: Consumer
    facts: {{largestBatchBytes: 2Mi, codec: None}}
    client: {{commitIntervalMillis: 100}}
  resources: {{limits: {{memory: {memory}}}}}
  memory: {{overrides: {{{overrides}}}}}
  stages:{stages}
  sinks: [{{name: store, embedded: {{path: store.db}}}}]
  failure: {{{failure}}}
  drain: {{timeoutSeconds: 20}}
"
        );
        let parsed = penstock_crds::parse(&object).expect("a valid object");
        let limit = parsed.pipeline.resources.memory_limit.bytes();
        let observed = Observed {
            partitions: Some(*partitions),
            brokers: Some(1),
        };
        ProcessorSettings::new(&parsed.object, observed, limit).to_text()
    }
}

/// One number from the embedded sink's file.
pub(crate) fn sink(folder: &Path, query: &str) -> i64 {
    let file = Connection::open(folder.join("store.db")).expect("the sink's file");
    let number = file.query_row(query, [], |row| row.get(0));
    number.expect(query)
}

/// A legal event.
pub(crate) fn event(id: &str) -> String {
    format!(r#"{{"id":"{id}","user":"u-{id}","product":"p"}}"#)
}
