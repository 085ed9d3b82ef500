//! The answer of `penstock plan` for a text and the arguments beside it.
//! Layer: core

use std::fmt;

use penstock_crds::{Faults, parse};
use penstock_demand::{Facts, demand};
use penstock_sizing::{Bytes, Plan, Refusal, derive};
use serde_json::{Value, json};

use crate::arguments::PlanArguments;

/// A plan, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// The pipeline fits.
    Plan(Box<Plan>),
    /// It does not fit the limit.
    Refusal(Refusal),
    /// It is not valid to begin with.
    Faults(Faults),
}

/// Plans the pipeline of a text.
pub(super) fn answer(text: &str, arguments: &PlanArguments) -> Answer {
    let pipeline = match parse(text) {
        Ok(parsed) => parsed.pipeline,
        Err(faults) => return Answer::Faults(faults),
    };
    let facts = Facts {
        partitions: arguments.partitions,
        brokers: arguments.brokers,
        cores: None,
    };
    let declared = Bytes(pipeline.resources.memory_limit.bytes());
    match derive(
        arguments.memory.unwrap_or(declared),
        &demand(&pipeline, &facts),
    ) {
        Ok(plan) => Answer::Plan(Box::new(plan)),
        Err(refusal) => Answer::Refusal(refusal),
    }
}

impl Answer {
    /// One JSON object: `plan`, `refusal` or `faults`.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Plan(plan) => json!({ "plan": plan_json(plan) }),
            Self::Refusal(refusal) => json!({ "refusal": refusal_json(refusal) }),
            Self::Faults(faults) => {
                let faults = faults.as_slice().iter().map(|fault| {
                    json!({ "path": fault.path, "line": fault.line, "message": fault.message })
                });
                json!({ "faults": faults.collect::<Value>() })
            }
        }
    }
}

/// For people; a refusal names field, largest legal value and smallest limit by itself.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(plan) => plan.fmt(f),
            Self::Refusal(refusal) => write!(f, "refused: {refusal}"),
            Self::Faults(faults) => write!(f, "not valid:\n{faults}"),
        }
    }
}

fn plan_json(plan: &Plan) -> Value {
    let ledger = plan.explain().into_iter().map(|line| {
        json!({
            "part": line.name,
            "bytes": line.bytes.get(),
            "perMille": line.per_mille,
            "how": line.how,
        })
    });
    json!({
        "limitBytes": plan.limit.get(),
        "peakBytes": plan.peak().get(),
        "ledger": ledger.collect::<Value>(),
        "windowRecords": plan.dispatch.window,
        "workers": plan.runtime.workers,
        "detachedWorkers": plan.runtime.detached_workers,
    })
}

fn refusal_json(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::Demand(fault) => json!({
            "field": fault.field,
            "value": fault.value,
            "legal": fault.legal,
            "message": refusal.to_string(),
        }),
        Refusal::Infeasible(shortfall) => json!({
            "field": shortfall.field,
            "valueBytes": shortfall.value.get(),
            "largestLegalBytes": shortfall.largest_legal.map(Bytes::get),
            "smallestLimitBytes": shortfall.smallest_limit.get(),
            "message": refusal.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests;
