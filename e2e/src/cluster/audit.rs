//! What Penstock's operators asked of the API server, by its audit log.
//! Layer: shell

use serde_json::Value;

use super::ground::{Ground, GroundError};

/// The older files first: a thousand pipelines fill more than one.
const READ: [&str; 3] = ["sh", "-c", "LC_ALL=C cat /var/log/kubernetes/audit*.log"];
const OPERATOR: &str = "system:serviceaccount:penstock-system:penstock";
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// One question of an operator that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The replica that asked.
    pub(crate) pod: String,
    /// Verb, group and resource.
    pub(crate) what: String,
    /// When the API server received it, in UTC to the microsecond: of two, the greater text is later.
    pub(crate) received: String,
    /// How it was answered, as HTTP has it.
    pub(crate) code: u64,
}

impl Call {
    /// Whether it asked for a change.
    pub(crate) fn is_write(&self) -> bool {
        WRITES
            .iter()
            .any(|verb| self.what.starts_with(&format!("{verb} ")))
    }

    fn read(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        let reference = &event["objectRef"];
        let watches = event["verb"] == "watch";
        // A watch is told twice; discovery names no object; the policy may tell of others.
        let told = event["stage"] == "ResponseComplete" || watches;
        if !told || reference.is_null() || event["user"]["username"] != OPERATOR {
            return None;
        }
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut resource = word(&reference["resource"]);
        if let Some(subresource) = reference["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        let (verb, group) = (word(&event["verb"]), word(&reference["apiGroup"]));
        Some(Self {
            pod: word(&event["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]),
            what: format!("{verb} {group}/{resource}"),
            received: word(&event["requestReceivedTimestamp"]),
            code: event["responseStatus"]["code"].as_u64().unwrap_or(0),
        })
    }
}

/// All since the cluster came up, in the order in which they were answered.
pub(crate) fn calls(ground: &Ground) -> Result<Vec<Call>, GroundError> {
    let log = ground.in_node(&Ground::control_plane(), &READ)?;
    Ok(log.lines().filter_map(Call::read).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "stage": "ResponseComplete", "verb": "update",
            "user": {"username": OPERATOR,
                "extra": {"authentication.kubernetes.io/pod-name": ["penstock-1"]}},
            "objectRef": {"resource": "leases", "apiGroup": "coordination.k8s.io"},
            "responseStatus": {"code": 409},
            "requestReceivedTimestamp": "2026-11-30T20:04:04.847166Z",
        })
    }

    #[test]
    fn a_call_tells_who_asked_for_what_and_how_it_was_answered() {
        let call = Call::read(&event().to_string()).unwrap();
        let expected = Call {
            pod: "penstock-1".to_owned(),
            what: "update coordination.k8s.io/leases".to_owned(),
            received: "2026-11-30T20:04:04.847166Z".to_owned(),
            code: 409,
        };
        assert_eq!(call, expected);
        assert!(call.is_write());
    }

    #[test]
    fn neither_others_nor_what_is_still_to_be_answered_counts() {
        let mut other = event();
        other["user"]["username"] = "system:admin".into();
        let mut begun = event();
        begun["stage"] = "ResponseStarted".into();
        let mut discovery = event();
        discovery["objectRef"] = Value::Null;
        for event in [other, begun, discovery] {
            assert_eq!(Call::read(&event.to_string()), None);
        }
        let mut status = event();
        status["verb"] = "get".into();
        status["objectRef"]["subresource"] = "status".into();
        let call = Call::read(&status.to_string()).unwrap();
        assert_eq!(call.what, "get coordination.k8s.io/leases/status");
        assert!(!call.is_write());
    }
}
