//! A kubelet that runs nothing: it says of pods that no node takes what a node would say.
//! Layer: shell

use std::{
    io::{self, BufRead, BufReader},
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use super::{CheckError, ground::Ground};
use crate::services::search;

/// What it says of the pods of a namespace.
pub(crate) struct Kubelet {
    proxy: Child,
    address: String,
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
        let (proxy, address) = proxy(ground).map_err(said)?;
        Ok(Self {
            proxy,
            address,
            namespace: namespace.to_owned(),
            report: report.to_string(),
        })
    }

    /// Says it of every pod that waits; of how many.
    pub(crate) fn round(&self) -> Result<usize, CheckError> {
        let pods = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let waiting = format!("GET {pods}?fieldSelector=status.phase%3DPending");
        let answer = self.ask((&waiting, search::JSON), "")?;
        let waiting = answer["items"].as_array().cloned().unwrap_or_default();
        for pod in &waiting {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let line = format!("PATCH {pods}/{name}/status");
            let status = json!({ "status": self.status(pod) });
            self.ask((&line, MERGE), &status.to_string())?;
        }
        Ok(waiting.len())
    }

    /// Stores an object; `path` is that of its kind within the namespace.
    pub(crate) fn create(&self, path: &str, object: &str) -> Result<(), CheckError> {
        let line = format!("POST {path}");
        self.ask((&line, search::JSON), object).map(drop)
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

    fn ask(&self, (line, kind): (&str, &str), body: &str) -> Result<Value, CheckError> {
        let answer = search::ask_of(&self.address, (line, kind), body).map_err(said)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let done = head.lines().next().is_some_and(|line| line.contains(" 20"));
        if !done {
            return Err(CheckError::broken(format!("{line}: {answer}")));
        }
        serde_json::from_str(body).map_err(|error| said(error.into()))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        // It has ended already when this fails.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

const MERGE: &str = "application/merge-patch+json";

/// `kubectl proxy`, which speaks plain HTTP for us; it prints its address first.
fn proxy(ground: &Ground) -> io::Result<(Child, String)> {
    let mut command = ground.program("kubectl");
    command.args(["proxy", "--port=0"]).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let address = line.trim().rsplit(' ').next().unwrap_or_default();
    Ok((child, address.to_owned()))
}

fn said(error: io::Error) -> CheckError {
    CheckError::broken(format!("kubectl proxy: {error}"))
}
