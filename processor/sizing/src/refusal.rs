//! Why there is no plan: the field, the ledger, the largest legal value and the smallest limit.
//! Layer: core

use std::fmt;

use crate::{
    bytes::Bytes,
    demand::Demand,
    ledger::{self, Ledger},
    pool::{PerPool, Pool},
};

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A field is out of range at any limit.
    Demand(Fault),
    /// Minimums and overrides do not fit this limit.
    Infeasible(Box<Shortfall>),
}

/// A field that no limit would cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field.
    pub field: &'static str,
    /// What it holds.
    pub value: String,
    /// What would be legal.
    pub legal: String,
}

/// A limit that is too small, or an override that is too large for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Path of the field to change: an override, or the limit itself.
    pub field: &'static str,
    /// What it holds.
    pub value: Bytes,
    /// The limit.
    pub limit: Bytes,
    /// S at this limit.
    pub safety: Bytes,
    /// F.
    pub fixed: Bytes,
    /// What every pool requires: its override, else its minimum.
    pub required: PerPool<Bytes>,
    /// The largest legal value of the override, all other requirements kept. For a limit that is
    /// too small, the largest `source.maxMessageBytes` that would fit it.
    pub largest_legal: Option<Bytes>,
    /// The smallest limit, in whole MiB, that fits everything as it stands.
    pub smallest_limit: Bytes,
}

/// Path of the limit.
pub(crate) const LIMIT: &str = "resources.limits.memory";

impl Refusal {
    /// Path of the field to change.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Demand(fault) => fault.field,
            Self::Infeasible(shortfall) => shortfall.field,
        }
    }
}

impl Fault {
    pub(crate) fn new(field: &'static str, value: String, legal: String) -> Self {
        Self {
            field,
            value,
            legal,
        }
    }
}

/// Finds whom to blame and what would be legal.
pub(crate) fn shortfall(limit: Bytes, demand: &Demand, ledger: &Ledger) -> Shortfall {
    let required = ledger.required();
    let budget = ledger.budget(limit).unwrap_or_default();
    let minimums_fit = ledger::total(&ledger.minimums).is_some_and(|sum| sum <= budget);
    let excess = |pool: &Pool| required[*pool].saturating_sub(ledger.minimums[*pool]);
    let largest = Pool::ALL.into_iter().max_by_key(excess);
    let (field, value, largest_legal) = match largest.filter(|_| minimums_fit) {
        Some(pool) => {
            let mut others = required;
            others[pool] = Bytes::ZERO;
            let room = ledger::total(&others).and_then(|sum| budget.checked_sub(sum));
            let legal = room.filter(|room| *room >= ledger.minimums[pool]);
            (pool.field(), required[pool], legal)
        }
        None => (LIMIT, limit, largest_message(limit, demand)),
    };
    Shortfall {
        field,
        value,
        limit,
        safety: ledger::safety(limit),
        fixed: ledger.fixed,
        required,
        largest_legal,
        smallest_limit: ledger.smallest_limit(),
    }
}

/// The largest message for which the limit would do; everything else as it is.
fn largest_message(limit: Bytes, demand: &Demand) -> Option<Bytes> {
    let fits = |bytes: u64| {
        let smaller = Demand {
            largest_message: Bytes(bytes),
            ..demand.clone()
        };
        Ledger::of(&smaller).is_ok_and(|ledger| ledger.share(limit).is_some())
    };
    let (mut low, mut high) = (0, demand.largest_message.0);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle
        } else {
            high = middle - 1
        }
    }
    (low > 0).then_some(Bytes(low))
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Demand(fault)
    }
}

impl From<Shortfall> for Refusal {
    fn from(shortfall: Shortfall) -> Self {
        Self::Infeasible(Box::new(shortfall))
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demand(fault) => fault.fmt(f),
            Self::Infeasible(shortfall) => shortfall.fmt(f),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}={} is out of range; legal: {}",
            self.field, self.value, self.legal
        )
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            value,
            limit,
            ..
        } = self;
        match *field {
            LIMIT => write!(f, "{field}={value} is too small: ")?,
            _ => write!(f, "{field}={value} does not fit limit {limit}: ")?,
        }
        self.write_sum(f)?;
        match (*field, self.largest_legal.map(Bytes::approximate)) {
            (LIMIT, Some(message)) => {
                write!(
                    f,
                    "; at {limit} source.maxMessageBytes could be at most {message}"
                )?;
            }
            (LIMIT, None) => write!(f, "; at {limit} no source.maxMessageBytes would do")?,
            (_, Some(most)) => {
                write!(
                    f,
                    "; at {limit} at most {most}, with every other part at its minimum"
                )?;
            }
            (_, None) => write!(f, "; at {limit} none while the other overrides stand")?,
        }
        write!(
            f,
            "; smallest limit for this: {}",
            in_mebibytes(self.smallest_limit)
        )
    }
}

impl Shortfall {
    fn write_sum(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (safety, fixed) = (self.safety.approximate(), self.fixed.approximate());
        write!(f, "safety {safety} + fixed {fixed} + 1.2 x (")?;
        for (position, pool) in Pool::ALL.into_iter().enumerate() {
            let plus = if position == 0 { "" } else { " + " };
            write!(
                f,
                "{plus}{} {}",
                pool.name(),
                self.required[pool].approximate()
            )?;
        }
        let resident = ledger::total(&self.required).map(ledger::resident);
        let sum = resident
            .and_then(|bytes| bytes.checked_add(self.safety)?.checked_add(self.fixed))
            .unwrap_or(Bytes(u64::MAX));
        write!(f, ") = {}", sum.approximate())
    }
}

/// Smallest limits are compared with one another, so all of them in one unit.
fn in_mebibytes(bytes: Bytes) -> String {
    format!("{}Mi", bytes.0 >> 20)
}
