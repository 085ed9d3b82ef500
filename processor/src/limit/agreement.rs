//! Compares the limit that the settings were made for with the one that the kernel enforces.
//! Layer: core

use std::fmt;

use penstock_sizing::Bytes;

/// How the limit of the settings and that of the control group stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Equal, but for the kernel's rounding to pages.
    Same(Bytes),
    /// The kernel enforces less, for example a LimitRange or a limit of the whole pod.
    Smaller {
        /// Limit of the settings.
        settings: Bytes,
        /// Limit of the control group.
        enforced: Bytes,
    },
    /// The kernel enforces more, for example after a resize.
    Larger {
        /// Limit of the settings.
        settings: Bytes,
        /// Limit of the control group.
        enforced: Bytes,
    },
    /// The kernel enforces nothing.
    Unlimited(Bytes),
}

impl Agreement {
    /// Compares; `enforced` is `None` when no control group has a limit.
    #[must_use]
    pub fn of(settings: Bytes, enforced: Option<Bytes>) -> Self {
        // v1 rounds a limit down to pages of at most 64 KiB.
        const PAGE: u64 = 64 << 10;
        match enforced {
            None => Self::Unlimited(settings),
            Some(enforced) if enforced.0.abs_diff(settings.0) < PAGE => {
                Self::Same(enforced.min(settings))
            }
            Some(enforced) if enforced < settings => Self::Smaller { settings, enforced },
            Some(enforced) => Self::Larger { settings, enforced },
        }
    }

    /// The limit to plan with: what is enforced, where anything is.
    #[must_use]
    pub fn limit(self) -> Bytes {
        match self {
            Self::Same(limit) | Self::Unlimited(limit) => limit,
            Self::Smaller { enforced, .. } | Self::Larger { enforced, .. } => enforced,
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(limit) => write!(f, "memory limit {limit} as in the settings"),
            Self::Smaller { settings, enforced } => write!(
                f,
                "memory limit {enforced} enforced, smaller than {settings} in the settings; \
                 planning with {enforced}"
            ),
            Self::Larger { settings, enforced } => write!(
                f,
                "memory limit {enforced} enforced, larger than {settings} in the settings; \
                 planning with {enforced}"
            ),
            Self::Unlimited(settings) => write!(
                f,
                "no memory limit enforced; planning with {settings} of the settings, \
                 which nothing holds other processes to"
            ),
        }
    }
}
