//! The few facts that scenarios need from a processor's `/status`.
//! Layer: core

use serde_json::Value;

/// What a processor says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Partitions assigned now.
    pub(crate) partitions: u64,
    /// Records per partition between acknowledged commit and admission.
    pub(crate) window: u64,
    /// What clients and brokers complain about now.
    pub(crate) trouble: Option<String>,
    /// Assignments and revocations answered.
    pub(crate) rebalances: u64,
}

/// Reads the JSON; `None` while it does not name both.
pub(crate) fn parse(body: &[u8]) -> Option<Status> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let assigned = json.get("partitions").or_else(|| json.get("assignment"));
    let partitions = assigned?.as_array()?.len() as u64;
    let window = json.pointer("/plan/windowRecords")?.as_u64()?;
    let trouble = json.pointer("/source/trouble").and_then(Value::as_str);
    let rebalances = json.pointer("/source/rebalances").and_then(Value::as_u64);
    Some(Status {
        partitions,
        window,
        trouble: trouble.map(str::to_owned),
        rebalances: rebalances.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_and_assignment_are_read() {
        let body = br#"{"partitions": [{"partition": 3}], "plan": {"windowRecords": 512}}"#;
        assert_eq!(
            parse(body),
            Some(Status {
                partitions: 1,
                window: 512,
                trouble: None,
                rebalances: 0,
            })
        );
        assert_eq!(parse(b"{}"), None);
    }
}
