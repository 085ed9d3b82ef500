//! How far production may run ahead of the group's commits.
//! Layer: core
//!
//! The embedded broker keeps at most 5 MiB and 100,000 batches of a partition and forgets the rest,
//! whether or not it was read. So what is not yet committed stays well below that.

use std::collections::VecDeque;

/// What may be outstanding on one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of records that are not covered by a commit.
    pub bytes: u64,
    /// Records that are not covered by a commit.
    pub records: usize,
}

impl Limits {
    /// For the embedded broker: with a batch of 256 KiB that the oldest record may share and one
    /// of 1 MiB on the way, 3 MiB stay below its 5 MiB.
    pub const EMBEDDED: Self = Self {
        bytes: 3 << 20,
        records: 50_000,
    };
}

/// Bytes that the log spends on a record besides value and key, headers at their largest.
pub const RECORD_OVERHEAD: u64 = 128;

/// Whether a record may be produced now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Now,
    /// Only after a further commit.
    AfterCommit,
}

/// What is outstanding on each partition.
#[derive(Clone, Debug)]
pub struct Pacing {
    limits: Limits,
    partitions: Vec<Outstanding>,
}

#[derive(Clone, Debug, Default)]
struct Outstanding {
    /// Size of each record from `committed` on; as many entries as `Limits::records` at most.
    sizes: VecDeque<u64>,
    bytes: u64,
    committed: i64,
}

impl Pacing {
    /// Nothing is outstanding.
    #[must_use]
    pub fn new(partitions: u32, limits: Limits) -> Self {
        Self {
            limits,
            partitions: vec![Outstanding::default(); partitions as usize],
        }
    }

    /// Whether a record of `size` bytes may follow on a partition. An empty partition takes any.
    ///
    /// # Panics
    /// When the partition is not one of those it was made for.
    #[must_use]
    pub fn admission(&self, partition: u32, size: u64) -> Admission {
        let outstanding = &self.partitions[partition as usize];
        let fits = outstanding.bytes + size <= self.limits.bytes
            && outstanding.sizes.len() < self.limits.records;
        if fits || outstanding.sizes.is_empty() {
            Admission::Now
        } else {
            Admission::AfterCommit
        }
    }

    /// A record was produced.
    ///
    /// # Panics
    /// When the partition is not one of those it was made for.
    pub fn produced(&mut self, partition: u32, size: u64) {
        let outstanding = &mut self.partitions[partition as usize];
        outstanding.sizes.push_back(size);
        outstanding.bytes += size;
    }

    /// The group has committed `offset`: all before it need not be kept. Going back is ignored.
    ///
    /// # Panics
    /// When the partition is not one of those it was made for.
    pub fn committed(&mut self, partition: u32, offset: i64) {
        let outstanding = &mut self.partitions[partition as usize];
        while outstanding.committed < offset {
            let Some(size) = outstanding.sizes.pop_front() else {
                break;
            };
            outstanding.bytes -= size;
            outstanding.committed += 1;
        }
    }

    /// Bytes outstanding on a partition.
    ///
    /// # Panics
    /// When the partition is not one of those it was made for.
    #[must_use]
    pub fn outstanding_bytes(&self, partition: u32) -> u64 {
        self.partitions[partition as usize].bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_records_are_bounded_until_a_commit() {
        let mut pacing = Pacing::new(
            2,
            Limits {
                bytes: 100,
                records: 3,
            },
        );
        pacing.produced(0, 60);
        assert_eq!(pacing.admission(0, 40), Admission::Now);
        assert_eq!(pacing.admission(0, 41), Admission::AfterCommit);
        assert_eq!(pacing.admission(1, 41), Admission::Now);
        pacing.produced(0, 1);
        pacing.produced(0, 1);
        assert_eq!(pacing.admission(0, 1), Admission::AfterCommit);
        pacing.committed(0, 1);
        assert_eq!(pacing.admission(0, 98), Admission::Now);
        assert_eq!(pacing.outstanding_bytes(0), 2);
    }

    #[test]
    fn an_empty_partition_takes_any_record() {
        let mut pacing = Pacing::new(
            1,
            Limits {
                bytes: 100,
                records: 3,
            },
        );
        assert_eq!(pacing.admission(0, 1_000), Admission::Now);
        pacing.produced(0, 1_000);
        assert_eq!(pacing.admission(0, 0), Admission::AfterCommit);
    }

    #[test]
    fn commits_ahead_and_back_are_harmless() {
        let mut pacing = Pacing::new(
            1,
            Limits {
                bytes: 100,
                records: 3,
            },
        );
        pacing.produced(0, 10);
        pacing.committed(0, 5);
        pacing.produced(0, 10);
        pacing.committed(0, 1);
        assert_eq!(pacing.outstanding_bytes(0), 10);
        pacing.committed(0, 2);
        assert_eq!(pacing.outstanding_bytes(0), 0);
    }
}
