//! A kubelet that runs nothing: it says of pods that no node takes what a node would say.
//! Layer: shell

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};

use super::{CheckError, ground::Ground, proxy::Proxy};
use crate::http::Question;

const MERGE: &str = "application/merge-patch+json";
/// Questions at once, so that the operator waits for its own work and not for ours.
const LANES: usize = 8;

/// What it says of the pods of a namespace.
pub(crate) struct Kubelet {
    proxy: Proxy,
    namespace: String,
    report: String,
}

impl Kubelet {
    /// For the pods of a namespace; every scout of it reports the same.
    pub(crate) fn start(
        ground: &Ground,
        namespace: &str,
        report: &Value,
    ) -> Result<Self, CheckError> {
        Ok(Self {
            proxy: Proxy::start(ground)?,
            namespace: namespace.to_owned(),
            report: report.to_string(),
        })
    }

    /// Says it of every pod that waits; of how many.
    pub(crate) fn round(&self) -> Result<usize, CheckError> {
        let pods = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let waiting = self.list(&format!("{pods}?fieldSelector=status.phase%3DPending"))?;
        in_lanes(&waiting, |pod| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let line = format!("PATCH {pods}/{name}/status");
            let status = json!({ "status": self.status(pod) });
            self.proxy
                .ask(Question {
                    line: &line,
                    kind: MERGE,
                    body: &status.to_string(),
                })
                .map(drop)
        })?;
        Ok(waiting.len())
    }

    /// Stores objects; `path` is that of their kind within the namespace.
    pub(crate) fn create(&self, path: &str, objects: &[String]) -> Result<(), CheckError> {
        let line = format!("POST {path}");
        in_lanes(objects, |object| {
            self.proxy.ask(Question::json(&line, object)).map(drop)
        })
    }

    /// The objects of a kind.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<Value>, CheckError> {
        let line = format!("GET {path}");
        let mut answer = self.proxy.ask(Question::json(&line, ""))?;
        Ok(match answer["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    }

    fn status(&self, pod: &Value) -> Value {
        let scouts = &pod["metadata"]["labels"]["app.kubernetes.io/component"] == "scout";
        let (phase, state) = match scouts {
            true => (
                "Succeeded",
                json!({"terminated": {"exitCode": 0, "message": self.report,
                    "finishedAt": pod["metadata"]["creationTimestamp"]}}),
            ),
            false => (
                "Running",
                json!({"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}),
            ),
        };
        let container = json!({
            "name": pod["spec"]["containers"][0]["name"], "image": "none", "imageID": "none",
            "ready": !scouts, "restartCount": 0, "state": state,
        });
        let ready = if scouts { "False" } else { "True" };
        json!({"phase": phase, "containerStatuses": [container],
            "conditions": [{"type": "Ready", "status": ready}]})
    }
}

/// Each by one of the lanes; the first fault of a lane is the answer.
fn in_lanes<T: Sync>(
    all: &[T],
    each: impl Fn(&T) -> Result<(), CheckError> + Sync,
) -> Result<(), CheckError> {
    let next = AtomicUsize::new(0);
    let lane = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(one)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().try_for_each(|lane| {
            let ended = lane.join();
            ended.unwrap_or_else(|_| Err(CheckError::broken("a lane of the kubelet panicked")))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_and_a_fault_is_told() {
        let all: Vec<usize> = (0..100).collect();
        let sum = AtomicUsize::new(0);
        in_lanes(&all, |one| {
            sum.fetch_add(*one, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
        assert_eq!(sum.into_inner(), 4950);
        let fault = |one: &usize| match one {
            70 => Err(CheckError::broken("seventy")),
            _ => Ok(()),
        };
        let told = in_lanes(&all, fault).unwrap_err();
        assert_eq!(told.to_string(), "seventy");
    }
}
