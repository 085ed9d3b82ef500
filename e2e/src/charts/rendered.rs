//! What charts render: rules that every shape must keep, and the same without helm's marks.
//! Layer: core

use serde_json::Value;

/// Lines that say that helm keeps the object; `kubectl apply` does not.
const MARKS: [&str; 2] = ["helm.sh/chart:", "app.kubernetes.io/managed-by: Helm"];

/// Faults of a chart's output.
pub(crate) fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut deployments = 0;
    for document in documents(text) {
        let object: Value = match serde_saphyr::from_str(document) {
            Ok(object) => object,
            Err(error) => {
                faults.push(format!("no YAML: {error}: {document}"));
                continue;
            }
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        if name.is_empty() || kind.is_empty() {
            faults.push(format!("an object without kind or name: {document}"));
        }
        if kind == "Deployment" {
            deployments += 1;
            faults.extend(pod(&object["spec"]["template"]["spec"]));
        }
        if document.contains("secrets\"") || document.contains("- secrets") {
            faults.push(format!("{kind} {name} has a right on secrets"));
        }
    }
    if deployments != 1 {
        faults.push(format!("{deployments} Deployments"));
    }
    faults
}

/// What restricted Pod Security asks of the operator's pod, and the limits of it.
fn pod(pod: &Value) -> Vec<String> {
    let wanted = [
        ("/securityContext/runAsNonRoot", Value::Bool(true)),
        (
            "/securityContext/seccompProfile/type",
            "RuntimeDefault".into(),
        ),
        (
            "/containers/0/securityContext/allowPrivilegeEscalation",
            Value::Bool(false),
        ),
        (
            "/containers/0/securityContext/readOnlyRootFilesystem",
            Value::Bool(true),
        ),
        (
            "/containers/0/securityContext/capabilities/drop/0",
            "ALL".into(),
        ),
    ];
    let mut faults: Vec<String> = wanted
        .iter()
        .filter(|(path, value)| pod.pointer(path) != Some(value))
        .map(|(path, value)| format!("the pod's {path} is not {value}"))
        .collect();
    let memory = |kind| pod.pointer(&format!("/containers/0/resources/{kind}/memory"));
    if memory("limits").is_none() || memory("limits") != memory("requests") {
        faults.push("the pod's memory request is not its limit".to_owned());
    }
    faults
}

fn documents(text: &str) -> impl Iterator<Item = &str> {
    let has_content = |document: &&str| {
        document
            .lines()
            .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
    };
    text.split("\n---\n")
        .map(|d| d.trim_start_matches("---\n"))
        .filter(has_content)
}

/// Everything in one file, the namespace first, without helm's marks.
pub(crate) fn plain(namespace: &str, outputs: &[&str]) -> String {
    let mut text = format!(
        "# Written by `cargo e2e charts --write` from the charts; do not edit.\n\
         apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels:\n    \
         pod-security.kubernetes.io/enforce: restricted\n"
    );
    for document in outputs.iter().flat_map(|output| documents(output)) {
        text.push_str("---\n");
        for line in document.lines() {
            let marked = MARKS.iter().any(|mark| line.trim_start().starts_with(mark));
            if !marked && !line.starts_with("# Source:") && !line.trim().is_empty() {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          resources: {limits: {memory: 1Mi}, requests: {memory: 1Mi}}
";

    fn deployment(pod: &str) -> String {
        format!(
            "---\n# Source: x\nkind: Deployment\nmetadata: {{name: x}}\nspec:\n  template:{pod}"
        )
    }

    #[test]
    fn faults_of_a_pod_are_found() {
        assert_eq!(faults(&deployment(POD)), [""; 0]);
        assert_eq!(faults(&deployment(&POD.replace("[ALL]", "[]"))).len(), 1);
        assert_eq!(
            faults(&deployment(
                &POD.replace("limits: {memory: 1Mi}", "limits: {}")
            ))
            .len(),
            1
        );
        assert_eq!(
            faults("kind: Service\nmetadata: {name: x}\n"),
            ["0 Deployments"]
        );
    }

    #[test]
    fn marks_of_helm_go() {
        let output = "---\n# Source: c/x.yaml\nkind: X\nmetadata:\n  labels:\n    \
                      helm.sh/chart: c-1\n    a: b\n\n";
        let plain = plain("n", &[output]);
        assert!(
            plain.ends_with("---\nkind: X\nmetadata:\n  labels:\n    a: b\n"),
            "{plain}"
        );
    }
}
