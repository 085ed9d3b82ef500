//! What a user reads off objects: conditions, counts, names, versions.
//! Layer: core

use serde_json::Value;

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// One word for programs.
    pub(crate) reason: String,
    /// A sentence for people.
    pub(crate) message: String,
}

/// The condition of a type, if the object has it.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<Condition> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|c| c["type"] == kind)?;
    let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some(Condition {
        status: field("status"),
        reason: field("reason"),
        message: field("message"),
    })
}

/// Whether a condition is `True` and the status is about the newest generation.
pub(crate) fn holds(object: &Value, kind: &str) -> bool {
    is_observed(object) && condition(object, kind).is_some_and(|c| c.status == "True")
}

/// Whether the status is about the newest generation of the object.
pub(crate) fn is_observed(object: &Value) -> bool {
    let newest = object.pointer("/metadata/generation");
    newest.is_some() && object.pointer("/status/observedGeneration") == newest
}

/// All conditions in one line, for a person who looks into a failure.
pub(crate) fn conditions(object: &Value) -> String {
    let none = Vec::new();
    let all = object.pointer("/status/conditions");
    let all = all.and_then(Value::as_array).unwrap_or(&none);
    let one = |c: &Value| {
        let field = |name: &str| c[name].as_str().unwrap_or_default().to_owned();
        let (kind, status) = (field("type"), field("status"));
        format!("{kind}={status} {}: {}", field("reason"), field("message"))
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// A text field by its path; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or("")
}

/// A count by its path; 0 when there is none.
pub(crate) fn count(object: &Value, path: &str) -> u64 {
    object.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// The object's name.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Whether a pod serves.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True") && !is_leaving(pod)
}

/// Whether an object is being deleted.
pub(crate) fn is_leaving(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_holds_only_of_the_newest_generation() {
        let mut object = json!({
            "metadata": {"generation": 2},
            "status": {
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Running", "message": "m"}],
            },
        });
        assert!(!holds(&object, "Ready"));
        object["status"]["observedGeneration"] = 2.into();
        assert!(holds(&object, "Ready"));
        assert!(!holds(&object, "Stalled"));
        assert_eq!(conditions(&object), "Ready=True Running: m");
        assert!(!holds(&json!({}), "Ready"));
    }

    #[test]
    fn a_pod_that_leaves_is_not_ready() {
        let mut pod = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert!(is_ready(&pod));
        pod["metadata"]["deletionTimestamp"] = "now".into();
        assert!(!is_ready(&pod));
    }
}
