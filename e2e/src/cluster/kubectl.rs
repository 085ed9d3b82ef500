//! kubectl as a typed client: apply, get, patch, delete, and what the API server said to it.
//! Layer: shell

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

const ANSWER: &str = "--request-timeout=30s";

/// Why the API server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubectlError {
    #[error("start kubectl")]
    Start(#[source] io::Error),
    #[error("kubectl {what}: {output}")]
    Failed { what: String, output: String },
    #[error("kubectl {what} printed no JSON")]
    Json {
        what: String,
        source: serde_json::Error,
    },
}

/// A client of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

/// The same client in one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    kubectl: Kubectl,
    namespace: String,
}

impl Kubectl {
    /// The recipe's kubectl with the recipe's kubeconfig.
    pub(crate) fn new(program: &Path, kubeconfig: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// The client of a namespace.
    pub(crate) fn within(&self, namespace: &str) -> Within {
        Within {
            kubectl: self.clone(),
            namespace: namespace.to_owned(),
        }
    }

    /// Runs kubectl and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, KubectlError> {
        self.feed(arguments, "")
    }

    /// Runs kubectl with `input` on standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Result<String, KubectlError> {
        let mut child = Command::new(&self.program)
            .env("KUBECONFIG", &self.kubeconfig)
            .arg(ANSWER)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(KubectlError::Start)?;
        // It reads all of its input before it prints; one that ended early says why on its own.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(KubectlError::Start)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(KubectlError::Failed {
            what: arguments.join(" "),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Runs kubectl and reads its output as JSON; nothing printed is `None`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Option<Value>, KubectlError> {
        let text = self.run(arguments)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let json = serde_json::from_str(&text);
        json.map(Some).map_err(|source| KubectlError::Json {
            what: arguments.join(" "),
            source,
        })
    }
}

impl Within {
    /// The namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs kubectl in the namespace.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, KubectlError> {
        self.kubectl.run(&self.arguments(arguments))
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["-n", self.namespace.as_str()], arguments].concat()
    }

    /// `kubectl apply`, as a user does it.
    pub(crate) fn apply(&self, manifest: &str) -> Result<String, KubectlError> {
        let arguments = self.arguments(&["apply", "-f", "-"]);
        self.kubectl.feed(&arguments, manifest)
    }

    /// What the API server says against a manifest; `None` when it takes it. Nothing is stored.
    pub(crate) fn refusal(&self, manifest: &str) -> Result<Option<String>, KubectlError> {
        self.said("create", manifest)
    }

    /// What the API server says against the change of an object that is stored.
    ///
    /// A patch, as a user's: a replacement would carry the version that kubectl read just before,
    /// and be refused as a conflict when the operator wrote in between.
    pub(crate) fn change_refusal(&self, manifest: &str) -> Result<Option<String>, KubectlError> {
        self.said("apply", manifest)
    }

    fn said(&self, verb: &str, manifest: &str) -> Result<Option<String>, KubectlError> {
        let arguments = self.arguments(&[verb, "--dry-run=server", "-f", "-"]);
        match self.kubectl.feed(&arguments, manifest) {
            Ok(_) => Ok(None),
            Err(KubectlError::Failed { output, .. }) => Ok(Some(output)),
            Err(error) => Err(error),
        }
    }

    /// One object, named `kind/name`; `None` when it is not there.
    pub(crate) fn get(&self, object: &str) -> Result<Option<Value>, KubectlError> {
        let arguments = ["get", object, "--ignore-not-found", "-o", "json"];
        self.kubectl.json(&self.arguments(&arguments))
    }

    /// The objects of a kind that match a label selector.
    pub(crate) fn list(&self, kind: &str, selector: &str) -> Result<Vec<Value>, KubectlError> {
        let arguments = ["get", kind, "-l", selector, "-o", "json"];
        items(self.kubectl.json(&self.arguments(&arguments))?)
    }

    /// A merge patch.
    pub(crate) fn patch(&self, object: &str, patch: &Value) -> Result<(), KubectlError> {
        let patch = patch.to_string();
        self.run(&["patch", object, "--type=merge", "-p", &patch])
            .map(drop)
    }

    /// Asks for the deletion and does not wait for it.
    pub(crate) fn delete(&self, object: &str) -> Result<(), KubectlError> {
        self.run(&["delete", object, "--wait=false"]).map(drop)
    }

    /// Ends a pod as a crashed node does: at once.
    pub(crate) fn kill(&self, pod: &str) -> Result<(), KubectlError> {
        let arguments = ["delete", "pod", pod, "--grace-period=0", "--force"];
        self.run(&arguments).map(drop)
    }

    /// A page of a pod, through the API server.
    pub(crate) fn page(&self, pod: &str, path: &str) -> Result<String, KubectlError> {
        let namespace = &self.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:8080/proxy{path}");
        self.kubectl.run(&["get", "--raw", &path])
    }
}

fn items(list: Option<Value>) -> Result<Vec<Value>, KubectlError> {
    let items = list.and_then(|mut list| list.get_mut("items").map(Value::take));
    Ok(match items {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    })
}
