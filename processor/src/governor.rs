//! The second line of memory: closes gates when the kernel's own count comes near the limit.
//! Layer: core
//!
//! The ledger is the guarantee; a fully used plan peaks at 0.85 of the limit. What is seen here is
//! model error, so every activation is counted and a test run must show none.

use penstock_sizing::Bytes;

/// What may go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// Everything.
    #[default]
    Open,
    /// No admission: gates are closed and freed pages returned.
    Closed,
    /// Only completions and commits.
    Stopped,
}

/// Thresholds in thousandths of the limit. Gates open again below a fully used plan's peak, so
/// that they do not flutter.
const CLOSE: u64 = 900;
const STOP: u64 = 950;
const REOPEN: u64 = 800;

/// Remembers the zone between samples.
#[derive(Debug, Default)]
pub struct Governor {
    zone: Zone,
    activations: u64,
}

impl Governor {
    /// Judges a sample; the new zone when it changed.
    pub fn sample(&mut self, working_set: Bytes, limit: Bytes) -> Option<Zone> {
        let used = working_set.0.saturating_mul(1000) / limit.0.max(1);
        let zone = match self.zone {
            _ if used >= STOP => Zone::Stopped,
            _ if used < REOPEN => Zone::Open,
            Zone::Open if used < CLOSE => Zone::Open,
            Zone::Stopped if used >= CLOSE => Zone::Stopped,
            Zone::Open | Zone::Closed | Zone::Stopped => Zone::Closed,
        };
        if zone == self.zone {
            return None;
        }
        self.activations += u64::from(self.zone == Zone::Open);
        self.zone = zone;
        Some(zone)
    }

    /// The zone now.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Times that it left [`Zone::Open`].
    #[must_use]
    pub fn activations(&self) -> u64 {
        self.activations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(permille: &[u64]) -> (Vec<Zone>, u64) {
        let mut governor = Governor::default();
        let zones = permille
            .iter()
            .map(|used| {
                governor.sample(Bytes(*used), Bytes(1000));
                governor.zone()
            })
            .collect();
        (zones, governor.activations())
    }

    #[test]
    fn a_fully_used_plan_is_left_alone() {
        assert_eq!(zones(&[850, 899, 100]), (vec![Zone::Open; 3], 0));
    }

    #[test]
    fn gates_close_stop_and_open_again_with_hysteresis() {
        use Zone::{Closed, Open, Stopped};
        let (seen, activations) = zones(&[900, 950, 910, 890, 800, 799, 960, 10]);
        let expected = [
            Closed, Stopped, Stopped, Closed, Closed, Open, Stopped, Open,
        ];
        assert_eq!((seen, activations), (expected.to_vec(), 2));
    }
}
