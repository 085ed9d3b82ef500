//! One second of a trial: what the kernel counts, and what the processor says of itself.
//! Layer: core

use std::fmt::Write as _;

use serde_json::Value;

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Since the trial's start.
    pub(crate) millis: u64,
    /// Everything charged to the cgroup, bytes.
    pub(crate) usage: u64,
    /// Usage less inactive file pages, bytes.
    pub(crate) working_set: u64,
    /// Largest working set of this second, bytes.
    pub(crate) peak: u64,
    /// Bytes that no file stands behind.
    pub(crate) anonymous: u64,
    /// Processes killed.
    pub(crate) oom_kills: u64,
    /// Times that usage met the limit.
    pub(crate) limit_hits: u64,
    /// The limit in force, bytes.
    pub(crate) limit: u64,
    /// What `/status` said, if it answered.
    pub(crate) told: Option<Told>,
}

/// What the processor says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Records finished.
    pub(crate) finished: u64,
    /// Bytes charged to the dispatcher.
    pub(crate) dispatcher: u64,
    /// Its budget.
    pub(crate) dispatcher_planned: u64,
    /// Bytes reserved for parsed bodies.
    pub(crate) active: u64,
    /// Times that the governor acted.
    pub(crate) governor: u64,
    /// Limit that the plan was made for.
    pub(crate) planned_limit: u64,
    /// Resident bytes of the whole plan in use; 0 where the processor does not say.
    pub(crate) plan_peak: u64,
    /// Working set beyond what the ledger explains; negative is room.
    pub(crate) model_error: i64,
    /// Bytes that the pools hold; all of one that nobody counts.
    pub(crate) held: u64,
    /// Bytes that they may hold.
    pub(crate) planned: u64,
}

/// Reads `/status`; `None` while it is not one.
pub(crate) fn told(body: &[u8]) -> Option<Told> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let finished = json.get("finished")?.as_object()?;
    let memory = json.get("memory")?;
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or(0);
    let part = |name: &str, field: &str| {
        let parts = memory.get("parts").and_then(Value::as_array);
        let found = parts.and_then(|parts| parts.iter().find(|part| part["name"] == name));
        number(found.and_then(|part| part.get(field)))
    };
    let parts = memory.get("parts").and_then(Value::as_array);
    let sum = |fields: &[&str]| -> u64 {
        let of = |part: &Value| fields.iter().find_map(|field| part.get(field)?.as_u64());
        parts.into_iter().flatten().filter_map(of).sum()
    };
    Some(Told {
        finished: finished.values().filter_map(Value::as_u64).sum(),
        dispatcher: part("dispatcher", "heldBytes"),
        dispatcher_planned: number(json.pointer("/plan/dispatcherBytes")),
        active: part("active", "heldBytes"),
        governor: number(memory.get("governorActivations")),
        planned_limit: number(memory.get("limitBytes")),
        plan_peak: number(memory.get("planPeakBytes")),
        model_error: memory
            .get("modelErrorBytes")
            .and_then(Value::as_i64)
            .unwrap_or(0),
        held: sum(&["heldBytes", "plannedBytes"]),
        planned: sum(&["plannedBytes"]),
    })
}

/// Names of the columns of [`csv`].
pub(crate) const COLUMNS: &str = "millis,usage,working_set,peak,anonymous,oom_kills,limit_hits,\
    limit,finished,dispatcher,active,governor,planned_limit,model_error,held,planned";

/// Samples as a table for other tools.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let mut text = format!("{COLUMNS}\n");
    for s in samples {
        let told = s.told.unwrap_or_default();
        writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            s.millis,
            s.usage,
            s.working_set,
            s.peak,
            s.anonymous,
            s.oom_kills,
            s.limit_hits,
            s.limit,
            told.finished,
            told.dispatcher,
            told.active,
            told.governor,
            told.planned_limit,
            told.model_error,
            told.held,
            told.planned
        )
        .expect("a string takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_and_every_column_written() {
        let body = br#"{"finished": {"done": 3, "filtered": 4}, "plan": {"dispatcherBytes": 9},
            "memory": {"limitBytes": 7, "governorActivations": 1, "planPeakBytes": 6,
            "modelErrorBytes": -2, "parts": [
                {"name": "dispatcher", "heldBytes": 5, "plannedBytes": 8},
                {"name": "kafka", "plannedBytes": 3, "heldBytes": null}]}}"#;
        let told = told(body).expect("it is a status");
        let expected = Told {
            finished: 7,
            dispatcher: 5,
            dispatcher_planned: 9,
            active: 0,
            governor: 1,
            planned_limit: 7,
            plan_peak: 6,
            model_error: -2,
            held: 8,
            planned: 11,
        };
        assert_eq!(told, expected);
        let sample = Sample {
            told: Some(told),
            ..Sample::default()
        };
        let text = csv(&[sample]);
        let widths = text.lines().map(|line| line.split(',').count());
        assert_eq!(widths.collect::<Vec<_>>(), [16, 16]);
    }
}
