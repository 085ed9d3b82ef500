//! What the broker was given: sixteen bytes a record, found by partition and offset.
//! Layer: core

use super::generator::Draft;

/// Drafts by partition and offset; the topic is the demo's own, so offsets begin at 0 without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    partitions: Vec<Vec<Draft>>,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions: vec![Vec::new(); partitions as usize],
        }
    }

    /// Appends a record and says which offset it must get.
    ///
    /// # Panics
    /// When the partition is not one of the log's.
    pub fn append(&mut self, partition: u32, draft: Draft) -> i64 {
        let drafts = &mut self.partitions[partition as usize];
        drafts.push(draft);
        offset(drafts.len() - 1)
    }

    /// The record at an offset; `None` when nothing was produced there.
    #[must_use]
    pub fn get(&self, partition: i32, offset: i64) -> Option<&Draft> {
        let drafts = self.partitions.get(usize::try_from(partition).ok()?)?;
        drafts.get(usize::try_from(offset).ok()?)
    }

    /// The records of all partitions, by partition and then by offset.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i64, &Draft)> {
        (0..).zip(&self.partitions).flat_map(|(partition, drafts)| {
            (0..)
                .zip(drafts)
                .map(move |(offset, draft)| (partition, offset, draft))
        })
    }

    /// The offset behind the last record of each partition.
    #[must_use]
    pub fn ends(&self) -> Vec<i64> {
        self.partitions
            .iter()
            .map(|drafts| offset(drafts.len()))
            .collect()
    }

    /// Records in the log.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }

    /// Whether nothing was produced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).expect("a log of 2^63 records does not fit memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::generator::Kind;

    #[test]
    fn records_are_found_where_they_were_put() {
        let draft = |number| Draft {
            number,
            key: 1,
            sequence: 1,
            kind: Kind::Event,
        };
        let mut log = Log::new(2);
        assert_eq!(log.append(1, draft(4)), 0);
        assert_eq!(log.append(1, draft(5)), 1);
        assert_eq!((log.ends(), log.len()), (vec![0, 2], 2));
        assert_eq!(log.get(1, 1), Some(&draft(5)));
        assert_eq!(
            (log.get(0, 0), log.get(2, 0), log.get(-1, 0), log.get(1, -1)),
            (None, None, None, None)
        );
        assert_eq!(
            log.iter()
                .map(|(p, o, d)| (p, o, d.number))
                .collect::<Vec<_>>(),
            [(1, 0, 4), (1, 1, 5)]
        );
    }

    #[test]
    fn a_draft_is_sixteen_bytes() {
        assert_eq!(size_of::<Draft>(), 16);
    }
}
