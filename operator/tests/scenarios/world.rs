//! A small cluster around the model.
//! Layer: test
//!
//! The objects of users, the Deployment's controller, kubelets, and an operator that can die and
//! start again.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use hyper::{Request, Response};
use k8s_openapi::jiff::Timestamp;
use kube::{Client, client::Body, runtime::watcher::Event};
use penstock_operator::{
    api::Cluster,
    kinds::Kind,
    leadership::Leadership,
    names,
    observed::Rival,
    pods::take,
    readings::{FleetReading, PodReading},
    reconcile::{Context, Error, observe::Surroundings, reconcile, validate::Policy},
    resource::EventPipeline,
    roster::Roster,
};
use serde_json::{Value, json};

use crate::model::{Key, Model};

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const NAME: &str = "orders";

/// How a scout ends.
pub(crate) const USABLE: &str = r#"{"brokers":3,"partitions":12,
    "topics":[{"name":"orders","id":"AAAA","partitions":12}],"sinks":[{"name":"store","usable":true}]}"#;

/// The cluster.
pub(crate) struct World {
    model: Arc<Mutex<Model>>,
    pub(crate) context: Context,
    /// How soon the watch on pods shows what was done.
    pub(crate) delivery: Delivery,
    /// The pods as their watch shows them.
    pub(crate) roster: Mutex<Roster>,
    pub(crate) now: Timestamp,
    /// Exit code and message of every scout.
    pub(crate) scout: (i32, String),
    /// Whether pods of the fleet get ready.
    pub(crate) kubelet: Kubelet,
    /// Other pipelines of the group.
    pub(crate) rivals: Vec<Rival>,
    /// What the pods say; nothing while `None`.
    pub(crate) reading: Option<PodReading>,
}

/// How soon a watch shows what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Before the next reconcile.
    Prompt,
    /// After the next one, which decides by an older picture.
    Late,
}

/// What becomes of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kubelet {
    /// They run and are ready.
    Runs,
    /// Nothing happens to them.
    Stopped,
}

/// The client of a model.
pub(crate) fn client(model: Arc<Mutex<Model>>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let model = Arc::clone(&model);
        async move {
            let query = request.uri().query().unwrap_or_default();
            if query.contains("watch=true") {
                // nothing happens after the list that a watch begins with
                return std::future::pending().await;
            }
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?.to_vec();
            let answer = model
                .lock()
                .expect("as set up")
                .answer(&Request::from_parts(parts, body));
            let (code, body) = answer.ok_or("the connection broke")?;
            let body = Body::from(serde_json::to_vec(&body)?);
            let answer = Response::builder().status(code).body(body)?;
            Ok::<_, tower::BoxError>(answer)
        }
    });
    Client::new(service, NAMESPACE)
}

impl World {
    pub(crate) fn new() -> Self {
        let model = Arc::new(Mutex::new(Model::default()));
        let policy = Policy {
            processor_image: "penstock/processor:1".to_owned(),
            allowed_image_prefixes: vec!["registry.example/".to_owned()],
        };
        let cluster = Cluster::new(client(Arc::clone(&model)), Leadership::sole());
        Self {
            model,
            context: Context {
                cluster,
                policy,
                instance: "operator-0".to_owned(),
                memory: Arc::default(),
            },
            delivery: Delivery::Prompt,
            roster: Mutex::default(),
            now: "2026-11-25T12:00:00Z".parse().expect("as set up"),
            scout: (0, USABLE.to_owned()),
            kubelet: Kubelet::Runs,
            rivals: Vec::new(),
            reading: None,
        }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("as set up")
    }

    /// Writes the object as a user does.
    pub(crate) fn write(&self, spec: Value) {
        let key = pipeline_key();
        let mut object = self.model().objects.get(&key).cloned().unwrap_or_else(|| {
            json!({
                "apiVersion": "penstock.dev/v1alpha1", "kind": "EventPipeline",
                "metadata": {"name": NAME, "namespace": NAMESPACE},
            })
        });
        object["spec"] = spec;
        self.model().put_by_others(key, object);
    }

    /// Changes a field of the spec as a user does.
    pub(crate) fn edit(&self, pointer: &str, value: Value) {
        let mut spec = self.pipeline()["spec"].clone();
        let (parent, field) = pointer.rsplit_once('/').expect("as set up");
        let parent = spec.pointer_mut(parent).expect("the parent is there");
        parent[field] = value;
        self.write(spec);
    }

    pub(crate) fn pipeline(&self) -> Value {
        self.model().objects[&pipeline_key()].clone()
    }

    pub(crate) fn object(&self, resource: &str, name: &str) -> Option<Value> {
        let key = (resource.to_owned(), NAMESPACE.to_owned(), name.to_owned());
        self.model().objects.get(&key).cloned()
    }

    /// Status, reason and message of a condition.
    pub(crate) fn condition(&self, kind: &str) -> Option<(String, String, String)> {
        let pipeline = self.pipeline();
        let conditions = pipeline["status"]["conditions"].as_array()?.clone();
        let found = conditions.iter().find(|found| found["type"] == kind)?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason"), text("message")))
    }

    /// Reasons of all events, in the order of their making.
    pub(crate) fn events(&self) -> Vec<String> {
        let model = self.model();
        let events = model
            .objects
            .iter()
            .filter(|((resource, ..), _)| resource == "events");
        let version = |event: &Value| {
            let version = event["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default();
            version.parse::<u64>().unwrap_or_default()
        };
        let mut events: Vec<(u64, String)> = events
            .map(|(_, event)| {
                (
                    version(event),
                    event["reason"].as_str().expect("as set up").to_owned(),
                )
            })
            .collect();
        events.sort();
        events.into_iter().map(|(_, reason)| reason).collect()
    }

    /// One reconcile of the object as it is now; answers when it asks to be repeated.
    pub(crate) async fn reconcile(&self) -> Result<Option<Duration>, Error> {
        let Some(object) = self.model().objects.get(&pipeline_key()).cloned() else {
            return Ok(None);
        };
        let object: EventPipeline = serde_json::from_value(object).expect("an object");
        if self.delivery == Delivery::Prompt {
            self.watch();
            return self.reconcile_as_seen(&object).await;
        }
        self.watch_children();
        let now = self.model().objects.clone();
        let ended = self.reconcile_as_seen(&object).await;
        self.watch_pods(&now);
        ended
    }

    /// The watches show everything as it is now.
    pub(crate) fn watch(&self) {
        self.watch_children();
        let now = self.model().objects.clone();
        self.watch_pods(&now);
    }

    fn watch_children(&self) {
        for kind in Kind::ALL {
            let resource = kind.identity()[3];
            let model = self.model();
            let ours = model.objects.iter().filter(|((shown, ..), object)| {
                let manager = &object["metadata"]["labels"]["app.kubernetes.io/managed-by"];
                shown == resource && *manager == names::CONTROLLER
            });
            let mut there = HashSet::new();
            for ((_, namespace, name), object) in ours {
                let metadata = object["metadata"].clone();
                let metadata = serde_json::from_value(metadata).expect("as set up");
                self.context.memory.show(kind, &metadata);
                there.insert((namespace.clone(), name.clone()));
            }
            self.context.memory.show_only(kind, None, &there);
        }
    }

    fn watch_pods(&self, objects: &BTreeMap<Key, Value>) {
        let mut roster = self.roster.lock().expect("as set up");
        let pods = objects.iter();
        let pods = pods.filter(|((resource, ..), _)| resource == "pods");
        take(&mut roster, &None, Event::Init);
        for (_, pod) in pods {
            let pod = serde_json::from_value(pod.clone()).expect("a pod");
            take(&mut roster, &None, Event::InitApply(pod));
        }
        take(&mut roster, &None, Event::InitDone);
    }

    /// One reconcile of the object as the watch showed it.
    pub(crate) async fn reconcile_as_seen(
        &self,
        object: &EventPipeline,
    ) -> Result<Option<Duration>, Error> {
        let pods = self.reading.iter().flat_map(|reading| {
            self.pods().into_values().map(|pod| {
                let name = pod["metadata"]["name"]
                    .as_str()
                    .expect("as set up")
                    .to_owned();
                (name, reading.clone())
            })
        });
        let surroundings = Surroundings {
            now: self.now,
            crew: self.roster.lock().expect("as set up").crew(object),
            reading: FleetReading {
                pods: pods.collect(),
            },
            rivals: self.rivals.clone(),
        };
        reconcile(&self.context, object, surroundings).await
    }

    /// Reconciles while anything changes. A dead operator is started again.
    pub(crate) async fn settle(&self) {
        let mut rests = match self.delivery {
            Delivery::Prompt => 1,
            Delivery::Late => 3,
        };
        for _ in 0..40 {
            let before = self.counts();
            let ended = self.reconcile().await;
            // The world stands still while the operator is at fault, so that runs can be compared.
            let moved = if ended.is_ok() {
                self.step()
            } else {
                Moved::Nothing
            };
            if std::mem::take(&mut self.model().dead) {
                self.context.memory.begin();
                *self.roster.lock().expect("as set up") = Roster::default();
            }
            let after = self.counts();
            if before == after && moved == Moved::Nothing && ended.is_ok() {
                rests -= 1;
            }
            if rests == 0 {
                return;
            }
        }
        let model = self.model();
        unreachable!(
            "never at rest; last writes: {:?}",
            model.writes.iter().rev().take(8).collect::<Vec<_>>()
        );
    }

    fn counts(&self) -> (u64, usize) {
        let model = self.model();
        (model.effective, model.writes.len())
    }

    /// What the rest of the cluster does meanwhile.
    pub(crate) fn step(&self) -> Moved {
        let before = self.model().objects.clone();
        self.deployments();
        self.scouts();
        if before == self.model().objects {
            Moved::Nothing
        } else {
            Moved::Something
        }
    }

    /// Pods of the fleet.
    pub(crate) fn pods(&self) -> BTreeMap<Key, Value> {
        self.with_component("processor")
    }

    pub(crate) fn with_component(&self, component: &str) -> BTreeMap<Key, Value> {
        let model = self.model();
        let pods = model.objects.iter().filter(|((resource, ..), pod)| {
            resource == "pods"
                && pod["metadata"]["labels"]["app.kubernetes.io/component"] == component
        });
        pods.map(|(key, pod)| (key.clone(), pod.clone())).collect()
    }

    fn deployments(&self) {
        let name = format!("{NAME}-processor");
        let Some(mut deployment) = self.object("deployments", &name) else {
            return;
        };
        let wanted = deployment["spec"]["replicas"].as_i64().expect("as set up");
        let template = deployment["spec"]["template"].clone();
        let pods = self.pods();
        for (key, pod) in &pods {
            let position: i64 = key
                .2
                .rsplit('-')
                .next()
                .expect("as set up")
                .parse()
                .expect("as set up");
            let labels = &template["metadata"]["labels"];
            let old = pod["metadata"]["labels"] != *labels;
            if old || position >= wanted {
                self.model().objects.remove(key);
            }
        }
        for position in 0..wanted {
            let name = format!("{name}-{position}");
            if self.object("pods", &name).is_none() {
                let mut pod = template.clone();
                pod["metadata"]["name"] = name.clone().into();
                if self.kubelet == Kubelet::Runs {
                    pod["status"] = json!({"phase": "Running", "podIP": "10.0.0.1",
                        "containerStatuses": [running(0)]});
                }
                let key = ("pods".to_owned(), NAMESPACE.to_owned(), name);
                self.model().put_by_others(key, pod);
            }
        }
        let ready = if self.kubelet == Kubelet::Runs {
            wanted
        } else {
            0
        };
        deployment["status"] = json!({
            "observedGeneration": deployment["metadata"]["generation"], "replicas": wanted,
            "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready,
        });
        let key = ("deployments".to_owned(), NAMESPACE.to_owned(), name);
        self.model().put_by_others(key, deployment);
    }

    fn scouts(&self) {
        if self.kubelet == Kubelet::Stopped {
            return;
        }
        for (key, mut pod) in self.with_component("scout") {
            if pod["status"].is_null() {
                // it is seen before it ends, as in a cluster
                pod["status"] = json!({"phase": "Running", "containerStatuses": [running(0)]});
                self.model().put_by_others(key, pod);
                continue;
            }
            if pod["status"]["phase"] != "Running" {
                continue;
            }
            let (code, message) = &self.scout;
            pod["status"] = json!({"phase": "Succeeded", "containerStatuses": [{
                "name": "processor", "image": "i", "imageID": "i", "ready": false,
                "restartCount": 0, "state": {"terminated": {
                    "exitCode": code, "message": message, "finishedAt": self.now.to_string(),
                }},
            }]});
            self.model().put_by_others(key, pod);
        }
    }
}

/// Whether anything moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Something,
    Nothing,
}

/// A container that runs after so many restarts.
pub(crate) fn running(restarts: i32) -> Value {
    json!({"name": "processor", "image": "i", "imageID": "i", "ready": true,
        "restartCount": restarts, "state": {"running": {"startedAt": "2026-11-25T12:00:00Z"}}})
}

pub(crate) fn pipeline_key() -> Key {
    (
        "eventpipelines".to_owned(),
        NAMESPACE.to_owned(),
        NAME.to_owned(),
    )
}

/// A small pipeline.
pub(crate) fn spec() -> Value {
    json!({
        "replicas": 2,
        "source": {
            "bootstrapServers": ["kafka:9092"], "topics": [{"name": "orders"}],
            "consumerGroup": "shop.orders", "key": "Record",
        },
        "resources": {"limits": {"memory": "256Mi"}},
        "stages": [{"name": "copy", "produce": {"topic": "copies"}}],
    })
}

/// What a pod says when all is well.
pub(crate) fn reading(state: &str) -> PodReading {
    PodReading {
        at: "2026-11-25T12:00:00Z".parse().expect("as set up"),
        state: state.to_owned(),
        settled: state != "Running",
        partitions: 6,
        in_flight: 0,
        finished: 1000,
        lag: Some(500),
        lag_seconds: Some(2),
        broken_sinks: Vec::new(),
    }
}
