//! What a pod that is killed leaves behind: which offsets it was about to read, in its termination log.
//! Layer: core
//!
//! A batch that decompresses to more than the pod has room for kills it inside the client, before
//! any code of ours sees a record. The kubelet reads the termination log also then, so it is written
//! while all is well, once a second, and emptied by a clean end.

use std::fmt::Write as _;

use crate::status::{PartitionStatus, Status};

/// The kubelet keeps so many bytes.
pub const MOST_BYTES: usize = 4096;
/// Kept for the sentence and the count of what is left out.
const RESERVE: usize = 256;

/// The text; at most [`MOST_BYTES`].
#[must_use]
pub fn write(status: &Status) -> String {
    let memory = &status.memory;
    let mut text = format!(
        "killed or ended without a word; a second before at most the working set was {} of {} \
         bytes. Being read, as topic/partition@offset:",
        memory.working_set_bytes.unwrap_or(0),
        memory.limit_bytes
    );
    let reading = status.partitions.iter().filter(|p| is_behind(p));
    let mut left_out = 0;
    for partition in reading {
        let offset = match partition.position {
            // Nothing of it was admitted yet: where the group begins.
            ..0 => "start".to_owned(),
            position => position.to_string(),
        };
        let entry = format!(" {}/{}@{offset}", partition.topic, partition.partition);
        if text.len() + entry.len() + RESERVE > MOST_BYTES {
            left_out += 1;
        } else {
            text.push_str(&entry);
        }
    }
    if left_out > 0 {
        write!(text, " and {left_out} more").expect("a string takes every write");
    }
    text.push_str(
        ". If it repeats at one offset, a batch there decompresses to more than the pod holds: \
         compression.type=uncompressed on the topic prevents that\n",
    );
    text
}

/// Whether the client may be fetching: there is more in the log, or nobody knows yet.
fn is_behind(partition: &PartitionStatus) -> bool {
    partition.lag_records.is_none_or(|lag| lag > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32, lag: Option<u64>) -> PartitionStatus {
        PartitionStatus {
            topic: "orders".to_owned(),
            partition: number,
            position: 40 + i64::from(number),
            lag_records: lag,
            ..PartitionStatus::default()
        }
    }

    #[test]
    fn partitions_with_more_to_read_are_named() {
        let status = Status {
            partitions: vec![
                partition(0, Some(7)),
                partition(1, Some(0)),
                partition(2, None),
            ],
            ..Status::default()
        };
        let text = write(&status);
        assert!(text.contains("offset: orders/0@40 orders/2@42."), "{text}");
        assert!(text.contains("compression.type=uncompressed"));
    }

    #[test]
    fn a_partition_of_which_nothing_came_is_told_as_such() {
        let fresh = PartitionStatus {
            position: -1,
            ..partition(3, None)
        };
        let status = Status {
            partitions: vec![fresh],
            ..Status::default()
        };
        assert!(write(&status).contains(" orders/3@start."));
    }

    #[test]
    fn many_partitions_fit_into_what_the_kubelet_keeps() {
        let partitions = (0..1000).map(|n| partition(n, None)).collect();
        let status = Status {
            partitions,
            ..Status::default()
        };
        let text = write(&status);
        assert!(text.len() <= MOST_BYTES, "{}", text.len());
        assert!(text.contains(" more. If"), "{text}");
    }
}
