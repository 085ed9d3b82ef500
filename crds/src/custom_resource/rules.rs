//! What fields must be to each other, as rules that the API server evaluates.
//! Layer: core
//!
//! Each is also judged in [`crate::validate`]; rules about earlier versions of the object are only
//! here, for only the API server has both.

use serde_json::{Value, json};

use super::{MEMORY_FLOOR, formats::push, structural::at};

/// One rule.
struct Rule {
    /// Node that it is about; `self` in the rule.
    at: &'static str,
    /// CEL; must be true.
    rule: &'static str,
    /// What the user is told.
    message: &'static str,
    /// Field below the node that is pointed at.
    field: Option<&'static str>,
}

impl Rule {
    const fn new(at: &'static str, rule: &'static str, message: &'static str) -> Self {
        Self {
            at,
            rule,
            message,
            field: None,
        }
    }

    const fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }
}

/// Adds every rule to its node.
pub(super) fn add(schema: &mut Value) {
    let parts = [
        &OBJECT[..],
        &SOURCE,
        &RESOURCES,
        &STAGES,
        &STAGE,
        &SINKS,
        &FLEET,
    ];
    for rule in parts.into_iter().flatten() {
        let one_line = |text: &str| {
            let words: Vec<_> = text.split_whitespace().collect();
            words.join(" ").replace("{floor}", MEMORY_FLOOR)
        };
        let node = at(schema, rule.at);
        push(node, &one_line(rule.rule), &one_line(rule.message));
        if let Some(field) = rule.field {
            let rules = node["x-kubernetes-validations"].as_array_mut();
            let last = rules.and_then(|rules| rules.last_mut());
            last.expect("it was just added")["fieldPath"] = json!(field);
        }
    }
}

const OBJECT: [Rule; 3] = [
    Rule::new(
        "",
        "self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')",
        "metadata.name must be 1 to 40 of a-z 0-9 -: the names of the pods are made from it",
    ),
    Rule::new(
        "spec",
        "(has(self.ordering) ? self.ordering : 'PerKey') == (has(oldSelf.ordering) ? oldSelf.ordering : 'PerKey')
         || (has(self.state) && self.state != 'Running')",
        "changes only while state is Paused or Drained: set state, wait for the condition Drained, then change it",
    )
    .field(".ordering"),
    Rule::new(
        "spec",
        "!has(self.ordering) || self.ordering != 'None'
         || self.stages.all(s, !has(s.upsert) || s.upsert.changes.all(c, !(c.operator in ['Inc', 'Push'])))",
        "Inc and Push with ordering None would count repeats twice: use Set, SetOnInsert, Min, Max, AddToSet or Unset, or another ordering",
    )
    .field(".stages"),
];

const SOURCE: [Rule; 6] = [
    Rule::new(
        "spec.source.consumerGroup",
        "self == oldSelf",
        "cannot be changed, the position in the topics would be lost: make a new pipeline with the new group",
    ),
    Rule::new(
        "spec.source",
        "!has(self.groupProtocol) || self.groupProtocol != 'Consumer' || !has(self.client) || !has(self.client.sessionTimeoutMillis)",
        "the broker sets it under groupProtocol Consumer: leave it out, or use Classic",
    )
    .field(".client.sessionTimeoutMillis"),
    Rule::new(
        "spec.source",
        "(has(self.groupProtocol) && self.groupProtocol == 'Consumer') || !has(self.client)
         || (has(self.client.pollIntervalMillis) ? self.client.pollIntervalMillis : 300000)
         >= (has(self.client.sessionTimeoutMillis) ? self.client.sessionTimeoutMillis : 45000)",
        "must not be below the session timeout: sessionTimeoutMillis, or 45000 when absent",
    )
    .field(".client.pollIntervalMillis"),
    Rule::new(
        "spec",
        "!has(self.failure) || !has(self.failure.deadLetterTopic)
         || !self.source.topics.exists(t, t.name == self.failure.deadLetterTopic)",
        "must not be a topic of the source: dead letters would come back",
    )
    .field(".failure.deadLetterTopic"),
    Rule::new(
        "spec.failure",
        "!has(self.onRecordError) || self.onRecordError != 'DeadLetterRecord' || has(self.deadLetterTopic)",
        "is required with onRecordError DeadLetterRecord: a topic",
    )
    .field(".deadLetterTopic"),
    Rule::new(
        "spec.failure.backoff",
        "(has(self.initialMillis) ? self.initialMillis : 200) <= (has(self.maxMillis) ? self.maxMillis : 30000)",
        "must not be above maxMillis, or 30000 when that is absent",
    )
    .field(".initialMillis"),
];

const RESOURCES: [Rule; 4] = [
    Rule::new(
        "spec.resources.limits",
        "has(self.memory)",
        "is required: every size is derived from it; such as 256Mi",
    )
    .field(".memory"),
    Rule::new(
        "spec.resources.limits.memory",
        "!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('{floor}')) >= 0",
        "must be {floor} or more: no pipeline fits below; penstock plan says how much this one needs",
    ),
    Rule::new(
        "spec.resources",
        "!has(self.requests) || !has(self.requests.memory) || !has(self.limits.memory)
         || !isQuantity(string(self.requests.memory)) || !isQuantity(string(self.limits.memory))
         || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) == 0",
        "must equal the limit: leave it out",
    )
    .field(".requests.memory"),
    Rule::new(
        "spec.resources",
        "!has(self.requests) || !has(self.requests.cpu) || !has(self.limits.cpu)
         || !isQuantity(string(self.requests.cpu)) || !isQuantity(string(self.limits.cpu))
         || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0",
        "must not be above the limit",
    )
    .field(".requests.cpu"),
];

/// A stage's sink must be declared and of a kind that serves it.
const STAGES: [Rule; 8] = [
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.index) || (has(self.sinks) && self.sinks.exists(k, k.name == s.index.sink
         && (has(k.elasticsearch) || has(k.mongodb) || has(k.embedded)))))",
        "index.sink must name a sink that is elasticsearch, mongodb or embedded",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.upsert) || (has(self.sinks) && self.sinks.exists(k, k.name == s.upsert.sink
         && (has(k.mongodb) || has(k.embedded)))))",
        "upsert.sink must name a sink that is mongodb or embedded",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.count) || (has(self.sinks) && self.sinks.exists(k, k.name == s.count.sink
         && (has(k.redis) || has(k.embedded)))))",
        "count.sink must name a sink that is redis or embedded",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.unique) || (has(self.sinks) && self.sinks.exists(k, k.name == s.unique.sink
         && (has(k.redis) || has(k.embedded)))))",
        "unique.sink must name a sink that is redis or embedded",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.count) || !has(s.count.flush) || (has(self.sinks)
         && self.sinks.exists(k, k.name == s.count.flush.sink && (has(k.elasticsearch) || has(k.mongodb)))))",
        "count.flush.sink must name a sink that is elasticsearch or mongodb",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.count) || !has(self.sinks)
         || self.sinks.all(k, k.name != s.count.sink || (has(k.redis) ? has(s.count.flush) : !has(s.count.flush))))",
        "count.flush is required with a redis sink, and must be left out with any other",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.map(s, has(s.mode) && s.mode == 'Detached' ? 1 : 0).isSorted()",
        "an Inline stage stands behind a Detached one: move it before, or make it Detached",
    )
    .field(".stages"),
    Rule::new(
        "spec",
        "self.stages.all(s, !has(s.produce) || !self.source.topics.exists(t, t.name == s.produce.topic))",
        "produce.topic must not be a topic of the source: a loop",
    )
    .field(".stages"),
];

const STAGE: [Rule; 8] = [
    Rule::new(
        "spec.stages[]",
        "[has(self.index), has(self.upsert), has(self.count), has(self.unique), has(self.filter), has(self.set),
         has(self.produce), has(self.http), has(self.custom)].filter(own, own).size() == 1",
        "exactly one of index, upsert, count, unique, filter, set, produce, http, custom is needed",
    ),
    Rule::new(
        "spec.stages[]",
        "!has(self.archive)",
        "this version has no archive",
    )
    .field(".archive"),
    Rule::new(
        "spec.stages[].upsert.changes[]",
        "self.operator == 'Unset' ? !has(self.value) : has(self.value)",
        "is required, unless the operator is Unset, which takes none",
    )
    .field(".value"),
    Rule::new(
        "spec.stages[].upsert",
        "self.changes.filter(c, !has(c.when)).map(c, c.field).all(f,
         self.changes.filter(c, !has(c.when) && c.field == f).size() == 1)",
        "a field is changed twice: give one a condition",
    )
    .field(".changes"),
    Rule::new(
        "spec.stages[].produce.headers[]",
        "!self.name.startsWith('penstock-')",
        "names that start with penstock- carry the provenance: another name",
    )
    .field(".name"),
    Rule::new(
        "spec.stages[].http.headers[]",
        "self.name.lowerAscii() != 'authorization'",
        "a credential does not belong into the object: use secretRef",
    )
    .field(".name"),
    Rule::new(
        "spec.stages[].http.headers[]",
        "!(self.name.lowerAscii() in ['connection', 'content-length', 'expect', 'host', 'idempotency-key', 'te',
         'transfer-encoding', 'upgrade']) && !self.name.lowerAscii().startsWith('penstock-')",
        "is set by the stage itself: another name",
    )
    .field(".name"),
    Rule::new(
        "spec.stages[].index.index",
        "self.matches(r'^[a-z]')",
        "must be an index name: 1 to 100 of a-z 0-9 . _ -, starting with a letter, dates as {yyyy-MM-dd}",
    ),
];

const SINKS: [Rule; 5] = [
    Rule::new(
        "spec.sinks[]",
        "[has(self.elasticsearch), has(self.mongodb), has(self.redis), has(self.embedded)].filter(own, own).size() == 1",
        "exactly one of elasticsearch, mongodb, redis, embedded is needed",
    ),
    Rule::new(
        "spec.sinks[].elasticsearch",
        "!has(self.tls) || self.urls.all(u, u.startsWith('https://'))",
        "must be https:// beside tls",
    )
    .field(".urls"),
    Rule::new(
        "spec.sinks[].mongodb",
        "!has(self.authSource) || has(self.secretRef)",
        "without secretRef there is no user to look for: leave it out",
    )
    .field(".authSource"),
    Rule::new(
        "spec.sinks[].embedded.path",
        "!self.split('/').exists(part, part == '..') && !self.endsWith('/')",
        "must be a file, without .., such as store.db",
    ),
    Rule::new(
        "spec",
        "!has(self.sinks) || self.sinks.all(a, !has(a.embedded)
         || self.sinks.filter(b, has(b.embedded) && b.embedded.path == a.embedded.path).size() == 1)",
        "two embedded sinks use the same file: give each a file of its own",
    )
    .field(".sinks"),
];

const FLEET: [Rule; 13] = [
    Rule::new(
        "spec.autoscaling",
        "!has(self.mode) || self.mode in ['Off', 'External']",
        "this version has no Advise and no Builtin: Off or External",
    )
    .field(".mode"),
    Rule::new(
        "spec.autoscaling",
        "!has(self.maxReplicas) || (has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
        "must not be above maxReplicas",
    )
    .field(".minReplicas"),
    Rule::new(
        "spec",
        "!has(self.replicas) || self.replicas <= 1 || !has(self.sinks) || !self.sinks.exists(k, has(k.embedded))",
        "must be at most 1 with an embedded sink: each pod would have a file of its own",
    )
    .field(".replicas"),
    Rule::new(
        "spec",
        "!has(self.autoscaling) || !has(self.autoscaling.mode) || self.autoscaling.mode != 'External' || !has(self.sinks)
         || !self.sinks.exists(k, has(k.embedded))
         || (has(self.autoscaling.maxReplicas) && self.autoscaling.maxReplicas <= 1)",
        "must be 1 with External and an embedded sink: it is a file in one pod",
    )
    .field(".autoscaling.maxReplicas"),
    Rule::new(
        "spec",
        "(has(self.drain) && has(self.drain.timeoutSeconds) ? self.drain.timeoutSeconds : 60)
         <= (has(self.rollout) && has(self.rollout.progressDeadlineSeconds) ? self.rollout.progressDeadlineSeconds : 600)",
        "must not be above rollout.progressDeadlineSeconds, or 600 when that is absent",
    )
    .field(".drain.timeoutSeconds"),
    Rule::new(
        "spec.pod.labels",
        "self.all(k, !k.startsWith('penstock.dev/') && !k.startsWith('app.kubernetes.io/'))",
        "keys under penstock.dev/ and app.kubernetes.io/ are the operator's",
    ),
    Rule::new(
        "spec.pod.annotations",
        "self.all(k, !k.startsWith('penstock.dev/'))",
        "keys under penstock.dev/ are the operator's",
    ),
    Rule::new(
        "spec.pod.labels",
        "self.all(k, k.size() <= 317 && k.matches(r'^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$')
         && self[k].matches(r'^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$'))",
        "keys and values must be those of labels: an optional DNS prefix and /, then letters, digits and . _ -",
    ),
    Rule::new(
        "spec.pod.annotations",
        "self.all(k, k.size() <= 317 && k.matches(r'^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",
        "keys must be those of annotations: an optional DNS prefix and /, then letters, digits and . _ -",
    ),
    Rule::new(
        "spec.pod.nodeSelector",
        "self.all(k, k.size() <= 317 && k.matches(r'^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$')
         && self[k].matches(r'^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$'))",
        "keys and values must be those of labels: an optional DNS prefix and /, then letters, digits and . _ -",
    ),
    Rule::new(
        "spec.pod.tolerations[]",
        "has(self.operator) && self.operator == 'Exists' ? !has(self.value) || self.value == '' : has(self.key)",
        "operator Equal needs a key, and Exists takes no value",
    ),
    Rule::new(
        "spec.pod.tolerations[]",
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "only effect NoExecute ends after a time: leave it out",
    )
    .field(".tolerationSeconds"),
    Rule::new(
        "spec.pod.tolerations[]",
        "(!has(self.key) || self.key.matches(r'^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))
         && (!has(self.value) || self.value.matches(r'^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$'))",
        "key and value must be those of a taint: an optional DNS prefix and /, then letters, digits and . _ -",
    ),
];
