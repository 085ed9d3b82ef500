//! What a change of each field does: whether it is reloaded, rolls the pods, or is refused.
//! Layer: core
//!
//! Total over the fields of the schema, by the longest prefix; a test holds it against the schema.

/// What a change of a field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Running pods take it over; none is replaced.
    Reload,
    /// Only the operator acts on it; no pod is replaced.
    Operate,
    /// Every pod is replaced, one at a time.
    Roll,
    /// A scout tries source and sinks with it, then every pod is replaced, one at a time.
    ScoutAndRoll,
    /// Pods are replaced, but the API server takes it only while the state is not Running.
    RollWhenPaused,
    /// The API server refuses it.
    Refuse,
}

impl Change {
    /// For the table in the documentation.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Reload => "running pods take it over",
            Self::Operate => "the operator acts on it; no pod is replaced",
            Self::Roll => "pods are replaced, one at a time",
            Self::ScoutAndRoll => {
                "a scout tries it, then pods are replaced, one at a time; the fleet stays as it is \
                 when the scout fails"
            }
            Self::RollWhenPaused => {
                "refused while `state` is Running; else pods are replaced, one at a time"
            }
            Self::Refuse => "refused: make a new pipeline",
        }
    }
}

/// Fields below `spec` and what their change does; the longest prefix of a field counts.
pub const FIELDS: [(&str, Change); 18] = [
    ("state", Change::Reload),
    ("source", Change::ScoutAndRoll),
    ("source.consumerGroup", Change::Refuse),
    ("ordering", Change::RollWhenPaused),
    ("resources", Change::Roll),
    ("memory", Change::Roll),
    ("stages", Change::Roll),
    ("sinks", Change::ScoutAndRoll),
    ("failure", Change::Roll),
    ("drain", Change::Roll),
    ("replicas", Change::Operate),
    ("autoscaling", Change::Operate),
    ("rollout.progressDeadlineSeconds", Change::Operate),
    ("rollout.restartToken", Change::ScoutAndRoll),
    ("rollout", Change::Operate),
    ("disruptionBudget", Change::Operate),
    ("pod", Change::Roll),
    ("image", Change::ScoutAndRoll),
];

/// What a change of a field does; the path is below `spec`, list entries as `[]`.
#[must_use]
pub fn of(field: &str) -> Option<Change> {
    let covers = |prefix: &str| {
        let rest = field.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let found = FIELDS.iter().filter(|(prefix, _)| covers(prefix));
    found
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, change)| *change)
}
