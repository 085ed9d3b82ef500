//! What the fleet's pods said of themselves, and when a new word is worth a reconcile.
//! Layer: core

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

/// What each pod said last, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetReading {
    /// By pod.
    pub pods: BTreeMap<String, PodReading>,
}

/// What one pod said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodReading {
    /// When it was asked.
    pub at: Timestamp,
    /// The state that it has read from its settings.
    pub state: String,
    /// Whether nothing is in flight and everything finished is covered by an acknowledged commit.
    pub settled: bool,
    /// Partitions that it holds.
    pub partitions: u32,
    /// Records admitted and not finished.
    pub in_flight: u64,
    /// Records finished since its start.
    pub finished: u64,
    /// Records behind; `None` when a partition's is not known.
    pub lag: Option<u64>,
    /// Seconds that they need.
    pub lag_seconds: Option<u64>,
    /// Sinks that do not answer, with the last error.
    pub broken_sinks: Vec<(String, String)>,
}

impl FleetReading {
    /// Records behind, over all pods; `None` when one is not known or nobody said anything.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        sum(self.pods.values().map(|pod| pod.lag))
    }

    /// Seconds until the slowest pod has caught up.
    #[must_use]
    pub fn lag_seconds(&self) -> Option<u64> {
        self.pods.values().filter_map(|pod| pod.lag_seconds).max()
    }

    /// Partitions that are held by any pod.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.pods.values().map(|pod| pod.partitions).sum()
    }

    /// The first sink that does not answer, with the last error.
    #[must_use]
    pub fn broken_sink(&self) -> Option<&(String, String)> {
        self.pods.values().find_map(|pod| pod.broken_sinks.first())
    }

    /// Whether this reading says anything that a status would show otherwise than `before`.
    #[must_use]
    pub fn is_news(&self, before: &Self) -> bool {
        let told = |reading: &Self| {
            let pods = reading.pods.iter().map(|(name, pod)| {
                let broken: Vec<String> = pod
                    .broken_sinks
                    .iter()
                    .map(|(name, _)| name.clone())
                    .collect();
                (
                    name.clone(),
                    pod.state.clone(),
                    pod.settled,
                    pod.partitions,
                    broken,
                )
            });
            (
                pods.collect::<Vec<_>>(),
                reading.lag().map(rounded),
                reading.lag_seconds().map(rounded),
            )
        };
        told(self) != told(before)
    }
}

fn sum(mut values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = values.next()??;
    values.try_fold(first, |sum, value| Some(sum + value?))
}

/// To two digits, so that a status does not change with every record.
#[must_use]
pub fn rounded(value: u64) -> u64 {
    let mut unit = 1;
    while value / unit >= 100 {
        unit *= 10;
    }
    value / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(lag: u64) -> FleetReading {
        let pod = PodReading {
            at: Timestamp::UNIX_EPOCH,
            state: "Running".to_owned(),
            settled: false,
            partitions: 3,
            in_flight: 9,
            finished: 1,
            lag: Some(lag),
            lag_seconds: None,
            broken_sinks: Vec::new(),
        };
        FleetReading {
            pods: BTreeMap::from([("a".to_owned(), pod)]),
        }
    }

    #[test]
    fn small_changes_are_no_news() {
        assert!(!reading(120_300).is_news(&reading(120_900)));
        assert!(reading(120_300).is_news(&reading(130_000)));
        let mut settled = reading(120_300);
        settled.pods.get_mut("a").unwrap().settled = true;
        assert!(settled.is_news(&reading(120_300)));
        let mut later = reading(120_300);
        later.pods.get_mut("a").unwrap().finished = 500;
        assert!(!later.is_news(&reading(120_300)));
    }

    #[test]
    fn numbers_keep_two_digits() {
        assert_eq!(
            [0, 7, 99, 100, 123, 999, 120_345].map(rounded),
            [0, 7, 99, 100, 120, 990, 120_000]
        );
    }

    #[test]
    fn the_lag_is_unknown_while_one_pod_does_not_know() {
        let mut both = reading(5);
        let mut other = both.pods["a"].clone();
        assert_eq!(both.lag(), Some(5));
        other.lag = None;
        both.pods.insert("b".to_owned(), other);
        assert_eq!(both.lag(), None);
        assert_eq!(FleetReading::default().lag(), None);
    }
}
