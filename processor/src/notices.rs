//! What the processor's memory says to the user, as facts that the operator turns into conditions.
//! Layer: core

use penstock_sizing::{Bytes, same_plan};

use crate::{governor::Zone, law::Law, limit::Agreement, status::MemoryNotice};

/// Spare below this is rounding, not advice.
const WORTH_TELLING: Bytes = Bytes::mib(4);

/// Every notice, each true or false with its reason, in a fixed order.
#[must_use]
pub fn notices(law: &Law, zone: Zone) -> Vec<MemoryNotice> {
    vec![fits(law), mismatch(law), pressure(zone), spare(law)]
}

fn notice(condition: &str, holds: Holds, message: String) -> MemoryNotice {
    MemoryNotice {
        condition: condition.to_owned(),
        holds: holds == Holds::Yes,
        message,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
}

fn fits(law: &Law) -> MemoryNotice {
    let plan = law.plan();
    match law.refusal() {
        None => notice(
            "MemoryFits",
            Holds::Yes,
            format!("planned with {}", plan.limit),
        ),
        Some(refusal) => {
            let message = format!("still planned with {}: {refusal}", plan.limit);
            notice("MemoryFits", Holds::No, message)
        }
    }
}

fn mismatch(law: &Law) -> MemoryNotice {
    let agreement = law.agreement();
    let holds = match agreement {
        Agreement::Smaller { .. } | Agreement::Larger { .. } => Holds::Yes,
        Agreement::Same(_) | Agreement::Unlimited(_) => Holds::No,
    };
    let later = if law.refusal().is_some() {
        "; the law refuses that, so the last plan stays"
    } else if law.client_lags() {
        "; the kafka client keeps its buffers until it is built anew"
    } else {
        ""
    };
    notice("LimitMismatch", holds, format!("{agreement}{later}"))
}

fn pressure(zone: Zone) -> MemoryNotice {
    let (holds, message) = match zone {
        Zone::Open => (
            Holds::No,
            "the working set is below the governor's thresholds",
        ),
        Zone::Closed => (
            Holds::Yes,
            "the working set is near the limit: nothing is admitted",
        ),
        Zone::Stopped => (
            Holds::Yes,
            "the working set is at the limit: only completions and commits go on",
        ),
    };
    notice("MemoryPressure", holds, message.to_owned())
}

fn spare(law: &Law) -> MemoryNotice {
    let limit = law.plan().limit;
    let smaller = same_plan(limit, law.demand()).unwrap_or(limit);
    if limit.saturating_sub(smaller) >= WORTH_TELLING {
        let message = format!("{smaller} would give the same plan as {limit}");
        return notice("MemorySpare", Holds::Yes, message);
    }
    notice(
        "MemorySpare",
        Holds::No,
        format!("all of {limit} is planned"),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use penstock_sizing::{Demand, derive};

    use super::*;
    use crate::budgets;

    fn law(mib: u64) -> Law {
        let demand = Demand {
            partitions: 12,
            ..Demand::default()
        };
        let limit = Bytes::mib(mib);
        let plan = derive(limit, &demand).expect("the limit is enough");
        Law::new(demand, limit, Agreement::Same(limit), plan)
    }

    fn told(law: &Law, zone: Zone) -> String {
        let line = |n: &MemoryNotice| format!("{} {}: {}", n.condition, n.holds, n.message);
        notices(law, zone)
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_fitting_plan_has_nothing_to_complain_of() {
        expect![[r#"
            MemoryFits true: planned with 256Mi
            LimitMismatch false: memory limit 256Mi as in the settings
            MemoryPressure false: the working set is below the governor's thresholds
            MemorySpare false: all of 256Mi is planned"#]]
        .assert_eq(&told(&law(256), Zone::Open));
    }

    #[test]
    fn a_large_limit_names_the_smaller_one() {
        expect![[r#"
            MemoryFits true: planned with 8Gi
            LimitMismatch false: memory limit 8Gi as in the settings
            MemoryPressure false: the working set is below the governor's thresholds
            MemorySpare true: 1296Mi would give the same plan as 8Gi"#]]
        .assert_eq(&told(&law(8192), Zone::Open));
    }

    #[test]
    fn a_limit_that_shrank_too_far_is_told_with_its_cause() {
        let mut law = law(256);
        let running = budgets::client(&law.plan().client);
        assert!(law.look(Some(Bytes::mib(32)), running).is_none());
        expect![[r#"
            MemoryFits false: still planned with 256Mi: resources.limits.memory=32Mi is too small: safety 12Mi + fixed 26Mi + 1.2 x (kafka 8.2Mi + dispatcher 3Mi + active 16Mi + sinks 0 + caches 0) = 70.8Mi; at 32Mi no source.maxMessageBytes would do; smallest limit for this: 71Mi
            LimitMismatch true: memory limit 32Mi enforced, smaller than 256Mi in the settings; planning with 32Mi; the law refuses that, so the last plan stays
            MemoryPressure true: the working set is at the limit: only completions and commits go on
            MemorySpare false: all of 256Mi is planned"#]].assert_eq(&told(&law, Zone::Stopped));
    }
}
