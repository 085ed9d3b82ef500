//! A model of the API server, good enough for what the operator asks of it.
//! Layer: test
//!
//! Versions, owners, server-side apply, merge patches, the status subresource, preconditions.

use std::collections::{BTreeMap, BTreeSet};

use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

/// Resource, namespace, name.
pub(crate) type Key = (String, String, String);

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operator dies before the API server hears of it.
    CrashBefore,
    /// The operator dies after the API server did it.
    CrashAfter,
    /// It is done, and nobody is told.
    ReplyLost,
    /// 409.
    Conflict,
    /// 429.
    Throttled,
    /// 500.
    Internal,
}

pub(crate) const FAULTS: [Fault; 6] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::ReplyLost,
    Fault::Conflict,
    Fault::Throttled,
    Fault::Internal,
];

/// The API server.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) objects: BTreeMap<Key, Value>,
    applied: BTreeMap<Key, Value>,
    version: u64,
    identities: u64,
    /// Writes, in the words of roles, in their order.
    pub(crate) writes: Vec<String>,
    /// Reads, in the words of roles, in their order.
    pub(crate) reads: Vec<String>,
    /// Writes that changed anything.
    pub(crate) effective: u64,
    /// Every right that was used.
    pub(crate) used: BTreeSet<(String, String, &'static str)>,
    /// The write, counted from 0, that something happens to.
    pub(crate) fault: Option<(usize, Fault)>,
    /// The operator is dead until somebody starts it again.
    pub(crate) dead: bool,
    /// Answers to writes of a resource, instead of doing them.
    pub(crate) refusals: BTreeMap<String, (u16, String)>,
}

/// An answer, or the connection broke.
pub(crate) type Answer = Option<(StatusCode, Value)>;

/// A request, taken apart.
struct Call {
    group: String,
    resource: String,
    namespace: String,
    name: Option<String>,
    subresource: Option<String>,
    query: BTreeMap<String, String>,
    body: Value,
}

impl Call {
    fn of(request: &Request<Vec<u8>>) -> Self {
        let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let (group, rest) = match path.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            other => unreachable!("no such path: {other:?}"),
        };
        let ["namespaces", namespace, resource, rest @ ..] = rest else {
            unreachable!("not in a namespace: {path:?}");
        };
        let query = request.uri().query().unwrap_or_default();
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(key, value)| (key.to_owned(), decoded(value)));
        Self {
            group: group.to_owned(),
            resource: (*resource).to_owned(),
            namespace: (*namespace).to_owned(),
            name: rest.first().map(|name| (*name).to_owned()),
            subresource: rest.get(1).map(|name| (*name).to_owned()),
            query: query.collect(),
            body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
        }
    }

    fn key(&self) -> Key {
        let name = self.body["metadata"]["name"].as_str().map(str::to_owned);
        let name = self.name.clone().or(name).expect("an object has a name");
        (self.resource.clone(), self.namespace.clone(), name)
    }

    /// The resource in the words of roles.
    fn resource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }
}

fn decoded(text: &str) -> String {
    text.replace("%2F", "/")
        .replace("%3D", "=")
        .replace("%2C", ",")
        .replace("%20", " ")
}

fn failure(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message,
    });
    Some((StatusCode::from_u16(code).expect("as set up"), status))
}

impl Model {
    /// Answers a request; `None` when the connection broke.
    pub(crate) fn answer(&mut self, request: &Request<Vec<u8>>) -> Answer {
        if self.dead {
            return None;
        }
        let call = Call::of(request);
        if request.method() == Method::GET {
            let verb = if call.name.is_some() { "get" } else { "list" };
            self.reads.push(format!("{verb} {}", call.resource()));
            return self.read(&call);
        }
        let number = self.writes.len();
        let verb = if request.method() == Method::POST {
            "create"
        } else if request.method() == Method::PUT {
            "update"
        } else if request.method() == Method::DELETE {
            "delete"
        } else {
            "patch"
        };
        self.writes.push(format!("{verb} {}", call.resource()));
        self.uses(&call, verb);
        if let Some((code, message)) = self.refusals.get(&call.resource()) {
            return failure(*code, "Forbidden", &message.clone());
        }
        let fault = self
            .fault
            .filter(|(at, _)| *at == number)
            .map(|(_, fault)| fault);
        match fault {
            Some(Fault::CrashBefore) => {
                self.dead = true;
                return None;
            }
            Some(Fault::Conflict) => return failure(409, "Conflict", "injected"),
            Some(Fault::Throttled) => return failure(429, "TooManyRequests", "injected"),
            Some(Fault::Internal) => return failure(500, "InternalError", "injected"),
            Some(Fault::CrashAfter | Fault::ReplyLost) | None => {}
        }
        let apply = request
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "application/apply-patch+yaml");
        let answer = match (verb, apply) {
            ("create", _) => self.create(&call),
            ("update", _) => self.replace(&call),
            ("delete", _) => self.delete(&call),
            (_, true) => self.apply(&call),
            (_, false) => self.merge(&call),
        };
        match fault {
            Some(Fault::CrashAfter) => {
                self.dead = true;
                None
            }
            Some(Fault::ReplyLost) => None,
            _ => answer,
        }
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> usize {
        self.reads.len() + self.writes.len()
    }

    fn uses(&mut self, call: &Call, verb: &'static str) {
        self.used
            .insert((call.group.clone(), call.resource(), verb));
    }

    fn read(&mut self, call: &Call) -> Answer {
        if call.name.is_some() {
            self.uses(call, "get");
            return match self.objects.get(&call.key()) {
                Some(object) => Some((StatusCode::OK, object.clone())),
                None => failure(404, "NotFound", "not found"),
            };
        }
        self.uses(call, "list");
        let selector = call.query.get("labelSelector").cloned().unwrap_or_default();
        let wanted: Vec<(&str, &str)> = selector
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let items: Vec<Value> = self
            .objects
            .iter()
            .filter(|((resource, namespace, _), object)| {
                let labels = &object["metadata"]["labels"];
                *resource == call.resource
                    && *namespace == call.namespace
                    && wanted
                        .iter()
                        .all(|(key, value)| labels[*key].as_str() == Some(*value))
            })
            .map(|(_, object)| object.clone())
            .collect();
        Some((
            StatusCode::OK,
            json!({"metadata": {"resourceVersion": "1"}, "items": items}),
        ))
    }

    fn create(&mut self, call: &Call) -> Answer {
        let key = call.key();
        if self.objects.contains_key(&key) {
            return failure(409, "AlreadyExists", &format!("{key:?}"));
        }
        let stored = self.put(key, call.body.clone());
        Some((StatusCode::CREATED, stored))
    }

    fn replace(&mut self, call: &Call) -> Answer {
        let key = call.key();
        let Some(before) = self.objects.get(&key) else {
            return failure(404, "NotFound", "not found");
        };
        if let Some(conflict) = stale(before, &call.body) {
            return conflict;
        }
        let stored = self.put(key, call.body.clone());
        Some((StatusCode::OK, stored))
    }

    fn delete(&mut self, call: &Call) -> Answer {
        let key = call.key();
        let Some(before) = self.objects.get(&key) else {
            return failure(404, "NotFound", "not found");
        };
        let wanted = &call.body["preconditions"]["uid"];
        assert!(
            wanted.is_string(),
            "a delete without a precondition: {key:?}"
        );
        if *wanted != before["metadata"]["uid"] {
            return failure(409, "Conflict", "another uid");
        }
        self.objects.remove(&key);
        self.applied.remove(&key);
        self.effective += 1;
        let done = json!({"kind": "Status", "apiVersion": "v1", "status": "Success"});
        Some((StatusCode::OK, done))
    }

    fn merge(&mut self, call: &Call) -> Answer {
        let key = call.key();
        let Some(before) = self.objects.get(&key).cloned() else {
            return failure(404, "NotFound", "not found");
        };
        if let Some(conflict) = stale(&before, &call.body) {
            return conflict;
        }
        let mut after = before.clone();
        if call.subresource.as_deref() == Some("status") {
            merge(&mut after["status"], &call.body["status"]);
        } else {
            let mut change = call.body.clone();
            if let Some(fields) = change.as_object_mut() {
                fields.remove("status");
            }
            merge(&mut after, &change);
        }
        let stored = self.put(key, after);
        Some((StatusCode::OK, stored))
    }

    /// Fields that this manager applied before and applies no longer go; the rest stays.
    fn apply(&mut self, call: &Call) -> Answer {
        assert!(
            call.query.contains_key("fieldManager"),
            "applied without a manager"
        );
        let key = call.key();
        let before = self.objects.get(&key).cloned();
        let mut wished = call.body.clone();
        match &before {
            Some(before) => {
                if let Some(conflict) = stale(before, &wished) {
                    return conflict;
                }
            }
            None if wished["metadata"]["uid"].is_string() => {
                return failure(409, "Conflict", "there is none of this uid");
            }
            None => self.uses(call, "create"),
        }
        for field in ["uid", "resourceVersion"] {
            if let Some(metadata) = wished["metadata"].as_object_mut() {
                metadata.remove(field);
            }
        }
        let mut after = before.unwrap_or_else(|| json!({}));
        if let Some(last) = self.applied.get(&key) {
            remove_absent(&mut after, last, &wished);
        }
        overlay(&mut after, &wished);
        defaults(&key.0, &mut after);
        self.applied.insert(key.clone(), wished);
        let stored = self.put(key, after);
        Some((StatusCode::OK, stored))
    }

    /// Stores an object with its version and generation; one that is the same stays as it is.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.objects.get(&key).cloned();
        if let Some(before) = &before {
            for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
                object["metadata"][field] = before["metadata"][field].clone();
            }
            if object == *before {
                return object;
            }
        } else {
            self.identities += 1;
            object["metadata"]["uid"] = format!("uid-{}", self.identities).into();
            object["metadata"]["creationTimestamp"] = "2026-11-25T12:00:00Z".into();
            object["metadata"]["generation"] = 0.into();
            object["metadata"]["namespace"] = key.1.clone().into();
        }
        if before
            .as_ref()
            .is_none_or(|before| before["spec"] != object["spec"])
        {
            let generation = object["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default();
            object["metadata"]["generation"] = (generation + 1).into();
        }
        self.version += 1;
        self.effective += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key, object.clone());
        object
    }

    /// Stores what somebody else than the operator wrote; it counts for nothing.
    pub(crate) fn put_by_others(&mut self, key: Key, object: Value) {
        let effective = self.effective;
        self.put(key, object);
        self.effective = effective;
    }
}

/// What the API server adds to what it is given.
fn defaults(resource: &str, object: &mut Value) {
    match resource {
        "deployments" => {
            let spec = &mut object["spec"]["template"]["spec"];
            spec["dnsPolicy"] = "ClusterFirst".into();
            spec["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
            spec["containers"][0]["readinessProbe"]["httpGet"]["scheme"] = "HTTP".into();
        }
        "services" => {
            object["spec"]["clusterIPs"] = json!(["None"]);
            object["spec"]["type"] = "ClusterIP".into();
        }
        _ => {}
    }
}

fn stale(before: &Value, change: &Value) -> Option<Answer> {
    for field in ["uid", "resourceVersion"] {
        let wanted = &change["metadata"][field];
        if wanted.is_string() && *wanted != before["metadata"][field] {
            return Some(failure(409, "Conflict", &format!("another {field}")));
        }
    }
    None
}

/// RFC 7386.
fn merge(target: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        *target = change.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let fields = target.as_object_mut().expect("made an object above");
    for (name, change) in change {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Lists of the same length are merged by position, others replaced.
fn overlay(target: &mut Value, wished: &Value) {
    match (target, wished) {
        (Value::Object(target), Value::Object(wished)) => {
            for (name, wished) in wished {
                overlay(target.entry(name.clone()).or_insert(Value::Null), wished);
            }
        }
        (Value::Array(target), Value::Array(wished)) if target.len() == wished.len() => {
            target
                .iter_mut()
                .zip(wished)
                .for_each(|(target, wished)| overlay(target, wished));
        }
        (target, wished) => *target = wished.clone(),
    }
}

fn remove_absent(target: &mut Value, last: &Value, wished: &Value) {
    let (Value::Object(target), Value::Object(last)) = (target, last) else {
        return;
    };
    for (name, last) in last {
        match wished.get(name) {
            None => {
                target.remove(name);
            }
            Some(wished) => {
                if let Some(target) = target.get_mut(name) {
                    remove_absent(target, last, wished);
                }
            }
        }
    }
}
