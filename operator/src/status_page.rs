//! Reads a pod's `/status`, as far as the operator needs it: a pod of another release is read too.
//! Layer: core

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::readings::PodReading;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    control: Control,
    finished: Finished,
    partitions: Vec<Partition>,
    sinks: Vec<Sink>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Control {
    state: String,
    settled: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Finished {
    done: u64,
    filtered: u64,
    duplicates: u64,
    dead_lettered: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partition {
    held: u64,
    lag_records: Option<u64>,
    lag_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sink {
    name: String,
    breaker: String,
    last_error: Option<String>,
}

/// Reads the page.
///
/// # Errors
/// When it is not the JSON that a processor writes.
pub fn read(text: &[u8], at: Timestamp) -> Result<PodReading, serde_json::Error> {
    let page: Page = serde_json::from_slice(text)?;
    let Finished {
        done,
        filtered,
        duplicates,
        dead_lettered,
    } = page.finished;
    let lag = page
        .partitions
        .iter()
        .map(|partition| partition.lag_records);
    let lag = lag
        .sum::<Option<u64>>()
        .filter(|_| !page.partitions.is_empty());
    let broken = page.sinks.into_iter().filter(|sink| sink.breaker == "Open");
    Ok(PodReading {
        at,
        state: page.control.state,
        settled: page.control.settled,
        partitions: u32::try_from(page.partitions.len()).unwrap_or(u32::MAX),
        in_flight: page.partitions.iter().map(|partition| partition.held).sum(),
        finished: done + filtered + duplicates + dead_lettered,
        lag,
        lag_seconds: page
            .partitions
            .iter()
            .filter_map(|partition| partition.lag_seconds)
            .max(),
        broken_sinks: broken
            .map(|sink| (sink.name, sink.last_error.unwrap_or_default()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_read_and_the_rest_is_not_missed() {
        let page = br#"{
            "pipeline": "p", "control": {"state": "Drained", "settled": true, "new": 1},
            "finished": {"done": 5, "deadLettered": 1},
            "partitions": [{"topic": "t", "held": 2, "lagRecords": 10, "lagSeconds": 3},
                           {"held": 1, "lagRecords": 5, "lagSeconds": 9}],
            "sinks": [{"name": "es", "breaker": "Open", "lastError": "refused"},
                      {"name": "db", "breaker": "Closed"}]
        }"#;
        let read = read(page, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((read.state.as_str(), read.settled), ("Drained", true));
        assert_eq!((read.partitions, read.in_flight, read.finished), (2, 3, 6));
        assert_eq!((read.lag, read.lag_seconds), (Some(15), Some(9)));
        assert_eq!(read.broken_sinks, [("es".to_owned(), "refused".to_owned())]);
    }

    #[test]
    fn an_unknown_lag_is_not_taken_for_none() {
        let page = br#"{"partitions": [{"lagRecords": 1}, {"lagRecords": null}]}"#;
        assert_eq!(read(page, Timestamp::UNIX_EPOCH).unwrap().lag, None);
        assert_eq!(read(b"{}", Timestamp::UNIX_EPOCH).unwrap().lag, None);
        assert!(read(b"<html>", Timestamp::UNIX_EPOCH).is_err());
    }
}
