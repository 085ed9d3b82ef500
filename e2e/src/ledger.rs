//! What was produced, by partition and offset: the side of the books that the processor never sees.
//! Layer: core

use crate::workload::{Event, Workload};

/// No earlier record of the key.
pub(crate) const NONE: u32 = u32::MAX;

/// The input topic as it must stand in the log. Eight bytes a record.
#[derive(Debug)]
pub(crate) struct Ledger {
    workload: Workload,
    partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    /// Sequence number at each offset.
    sequence: Vec<u32>,
    /// Offset of the record before it with the same key, or [`NONE`].
    previous: Vec<u32>,
}

impl Ledger {
    /// The first `records` events of a workload, each appended to its partition.
    pub(crate) fn new(workload: Workload, records: u32) -> Self {
        let mut partitions = vec![Partition::default(); workload.partitions as usize];
        let mut last = vec![NONE; workload.keys as usize];
        for sequence in 0..records {
            let event = workload.event(sequence);
            let partition = &mut partitions[event.partition as usize];
            let offset = u32::try_from(partition.sequence.len()).expect("records fit 32 bits");
            let before = std::mem::replace(&mut last[event.key as usize], offset);
            partition.sequence.push(sequence);
            partition.previous.push(before);
        }
        Self {
            workload,
            partitions,
        }
    }

    /// The workload behind it.
    pub(crate) fn workload(&self) -> Workload {
        self.workload
    }

    /// All records.
    pub(crate) fn records(&self) -> u64 {
        self.partitions
            .iter()
            .map(|p| p.sequence.len() as u64)
            .sum()
    }

    /// Records of each partition, which is its high watermark.
    pub(crate) fn lengths(&self) -> Vec<u64> {
        self.partitions
            .iter()
            .map(|p| p.sequence.len() as u64)
            .collect()
    }

    /// The event at a position, if something was produced there.
    pub(crate) fn event(&self, partition: u32, offset: u64) -> Option<Event> {
        let partition = self.partitions.get(partition as usize)?;
        let sequence = partition.sequence.get(usize::try_from(offset).ok()?)?;
        Some(self.workload.event(*sequence))
    }

    /// Offset of the record of the same key before this one, or [`NONE`].
    ///
    /// # Panics
    /// When nothing was produced there.
    pub(crate) fn previous(&self, partition: u32, offset: u32) -> u32 {
        self.partitions[partition as usize].previous[offset as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_links_the_records_of_a_key() {
        let ledger = Ledger::new(
            Workload {
                seed: 1,
                keys: 10,
                partitions: 3,
            },
            300,
        );
        assert_eq!(ledger.records(), 300);
        for (partition, length) in (0..).zip(ledger.lengths()) {
            for offset in 0..u32::try_from(length).unwrap() {
                let key = ledger.event(partition, offset.into()).unwrap().key;
                let same = |o: &u32| ledger.event(partition, u64::from(*o)).unwrap().key == key;
                let expected = (0..offset).rev().find(same).unwrap_or(NONE);
                assert_eq!(ledger.previous(partition, offset), expected);
            }
        }
    }
}
