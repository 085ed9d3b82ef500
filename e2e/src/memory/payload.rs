//! What the soak produces: one shape of traffic each, as a function of seed and sequence number.
//! Layer: core

use std::io::Write;

use clap::ValueEnum;

use crate::workload::mix;

/// A shape of traffic by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Payload {
    /// 1 KiB, Zipf keys: the backlog of the figures.
    Kib,
    /// 100 bytes: the queue elements outweigh the values.
    Small,
    /// 1 KiB, and one in a thousand as large as the pipeline allows, up to 1 MiB.
    Large,
    /// 64 KiB of `[{"a":1},…]`: the form that costs most once parsed.
    Adversarial,
    /// zstd batches that decompress to a hundred times their size.
    Zstd,
    /// gzip batches, likewise.
    Gzip,
    /// 1 KiB over 256 partitions.
    Partitions,
    /// The only sink is locked for a minute under a backlog.
    Hang,
    /// Every record another visitor of a `unique` stage.
    Visitors,
    /// One key has every record.
    Hot,
    /// A burst, and a minute of nothing.
    Burst,
    /// Ordinary documents, from a sixteenth to half of the largest message, stored: what fills
    /// every pool of a plan.
    Documents,
}

/// What the processor's pipeline does with the records, and so where they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reads the body, produces every [`SAMPLE`]th record to the output topic.
    Forward,
    /// Counts each record in the embedded sink.
    Count,
    /// Adds each visitor to a set in the embedded sink.
    Visitors,
    /// Stores each record in the embedded sink.
    Store,
}

/// Every so many records carry a mark that the `produce` stage looks for.
pub(crate) const SAMPLE: u64 = 16;
/// Distinct keys, a power of two.
const KEY_BITS: u32 = 16;
/// Every so many records of [`Payload::Large`] are large.
const LARGE_EVERY: u64 = 1000;
/// Fields around a large value's filling.
const ENVELOPE: usize = 1024;

/// What the pipeline declares of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `codec`.
    pub(crate) codec: &'static str,
    /// `compressionPercent`.
    pub(crate) compression_percent: u32,
    /// `largestBatchBytes`.
    pub(crate) largest_batch: usize,
    /// `typicalValueBytes`.
    pub(crate) typical_value: usize,
    /// Partitions of the topic.
    pub(crate) partitions: u32,
}

/// One record, valid until the next.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Its key.
    pub(crate) key: Vec<u8>,
    /// Its partition.
    pub(crate) partition: u32,
    /// Its value.
    pub(crate) value: &'a [u8],
}

impl Payload {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kib => "kib",
            Self::Small => "small",
            Self::Large => "large",
            Self::Adversarial => "adversarial",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Partitions => "partitions",
            Self::Hang => "hang",
            Self::Visitors => "visitors",
            Self::Hot => "hot",
            Self::Burst => "burst",
            Self::Documents => "documents",
        }
    }

    /// What is done with its records.
    pub(crate) fn work(self) -> Work {
        match self {
            Self::Hang => Work::Count,
            Self::Visitors => Work::Visitors,
            Self::Documents => Work::Store,
            _ => Work::Forward,
        }
    }

    /// Records of a run of 10 million of [`Payload::Kib`]; costly shapes have fewer.
    pub(crate) fn records(self, kib: u64) -> u64 {
        match self {
            Self::Kib => kib,
            Self::Small => kib * 2,
            Self::Visitors => kib / 2,
            Self::Adversarial => (kib / 200).max(1000),
            Self::Documents => (kib / 500).max(2000),
            Self::Large | Self::Hang => kib / 10,
            Self::Zstd | Self::Gzip | Self::Partitions | Self::Hot | Self::Burst => kib / 5,
        }
    }

    /// The topic as the pipeline declares it.
    pub(crate) fn facts(self, largest: usize) -> Facts {
        let plain = Facts {
            codec: "None",
            compression_percent: 100,
            largest_batch: self.batch_bytes().max(largest + ENVELOPE),
            typical_value: self.value_bytes(),
            partitions: 12,
        };
        let hundredfold = |codec| Facts {
            codec,
            compression_percent: 10_000,
            largest_batch: 16 << 10,
            ..plain
        };
        match self {
            Self::Zstd => hundredfold("Zstd"),
            Self::Gzip => hundredfold("Gzip"),
            Self::Partitions => Facts {
                partitions: 256,
                ..plain
            },
            Self::Documents => Facts {
                typical_value: largest / 4,
                ..plain
            },
            _ => plain,
        }
    }

    /// `maxMessageBytes` at a limit: a pod of 64 MiB is honest with 256 KiB.
    pub(crate) fn largest(self, limit: u64) -> usize {
        match self {
            Self::Zstd | Self::Gzip => 64 << 10,
            _ if limit <= 64 << 20 => 256 << 10,
            _ => 1 << 20,
        }
    }

    /// The producer's `compression.codec`.
    pub(crate) fn codec(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            _ => "none",
        }
    }

    /// The producer's `batch.size`: uncompressed bytes of a batch.
    pub(crate) fn batch_bytes(self) -> usize {
        match self {
            Self::Zstd | Self::Gzip => 1 << 20,
            _ => 256 << 10,
        }
    }

    fn value_bytes(self) -> usize {
        match self {
            Self::Small => 100,
            Self::Adversarial => 64 << 10,
            Self::Zstd | Self::Gzip => 4 << 10,
            _ => 1 << 10,
        }
    }

    /// Records among the first `records` that the `produce` stage takes.
    pub(crate) fn samples(records: u64) -> u64 {
        records.div_ceil(SAMPLE)
    }

    /// Writes the record of a sequence number over `value`.
    pub(crate) fn record<'a>(
        self,
        seed: u64,
        sequence: u64,
        largest: usize,
        value: &'a mut Vec<u8>,
    ) -> Record<'a> {
        let dice = mix(seed ^ mix(sequence));
        let key = match self {
            Self::Hot => 0,
            _ => zipf(dice),
        };
        let partitions = u64::from(self.facts(largest).partitions);
        let size = match self {
            // Not the very first, so that a short run begins like a long one.
            Self::Large if sequence % LARGE_EVERY == LARGE_EVERY / 2 => largest - ENVELOPE,
            Self::Documents => document_bytes(mix(dice), largest),
            _ => self.value_bytes(),
        };
        value.clear();
        self.write(sequence, size, value);
        Record {
            key: format!("k-{key}").into_bytes(),
            partition: u32::try_from(mix(key) % partitions).expect("partitions fit 32 bits"),
            value,
        }
    }

    fn write(self, sequence: u64, size: usize, value: &mut Vec<u8>) {
        let sample = if sequence.is_multiple_of(SAMPLE) {
            r#","sample":true"#
        } else {
            ""
        };
        let head = format!(r#"{{"id":"e-{sequence}","group":"g-0"{sample},"#);
        value.extend_from_slice(head.as_bytes());
        if self == Self::Adversarial {
            value.extend_from_slice(br#""pad":["#);
            while value.len() + 12 < size {
                value.extend_from_slice(br#"{"a":1},"#);
            }
            value.extend_from_slice(br#"{"a":1}]}"#);
            return;
        }
        if self == Self::Documents {
            lines(mix(sequence), size, value);
            return;
        }
        value.extend_from_slice(br#""pad":""#);
        let pad = size.saturating_sub(value.len() + 2);
        match self {
            Self::Zstd | Self::Gzip => {
                // With its fields about a hundredth of the value.
                noise(mix(sequence), pad.min(48), value);
                value.resize(value.len() + pad.saturating_sub(48), b'x');
            }
            // Not compressible, should a broker be set to compress.
            _ => noise(mix(sequence), pad, value),
        }
        write!(value, "\"}}").expect("a vector takes every write");
    }
}

/// Evenly from a sixteenth to half of the largest message.
fn document_bytes(dice: u64, largest: usize) -> usize {
    let (least, most) = (largest / 16, largest / 2);
    let spread = u64::try_from(most - least).unwrap_or(u64::MAX).max(1);
    least + usize::try_from(dice % spread).unwrap_or(0)
}

/// The lines of an order, as shops write them.
fn lines(mut state: u64, size: usize, value: &mut Vec<u8>) {
    value.extend_from_slice(br#""lines":["#);
    let mut separator = "";
    while value.len() + 100 < size {
        state = mix(state);
        let (count, cents) = (state % 9 + 1, state >> 8 & 0xF_FFFF);
        write!(
            value,
            r#"{separator}{{"sku":"S-{:08x}","count":{count},"price":{{"cents":{cents},"currency":"EUR"}}}}"#,
            state >> 32
        )
        .expect("a vector takes every write");
        separator = ",";
    }
    value.extend_from_slice(b"]}");
}

/// Zipf's law with exponent 1: the octave of the rank is uniform, and the rank within its octave.
fn zipf(dice: u64) -> u64 {
    let octave = 1_u64 << (dice % u64::from(KEY_BITS));
    octave + (dice >> 32) % octave
}

/// Printable bytes that follow no pattern.
fn noise(mut state: u64, length: usize, value: &mut Vec<u8>) {
    let end = value.len() + length;
    while value.len() < end {
        state = mix(state);
        let letters = state.to_le_bytes().map(|byte| b'a' + byte % 16);
        let room = (end - value.len()).min(letters.len());
        value.extend_from_slice(&letters[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_json_of_its_size_and_marks_its_samples() {
        let mut value = Vec::new();
        for payload in Payload::value_variants() {
            let samples = (0..200)
                .filter(|&sequence| {
                    let record = payload.record(7, sequence, 256 << 10, &mut value);
                    let json: serde_json::Value =
                        serde_json::from_slice(record.value).expect("it is JSON");
                    assert!(record.value.len() <= 256 << 10, "{payload:?}");
                    json.get("sample").is_some()
                })
                .count();
            assert_eq!(samples as u64, Payload::samples(200), "{payload:?}");
        }
    }

    #[test]
    fn one_in_a_thousand_is_large() {
        let mut value = Vec::new();
        let large = (0..10_000)
            .filter(|&s| Payload::Large.record(7, s, 1 << 20, &mut value).value.len() > 1 << 19)
            .count();
        assert_eq!(large, 10);
    }

    #[test]
    fn keys_follow_zipfs_law() {
        let share = |below: u64| (0..100_000).filter(|&s| zipf(mix(s)) < below).count();
        // Rank 1 alone has a sixteenth, ranks below 2^8 half of all records.
        assert!((5_500..7_000).contains(&share(2)), "{}", share(2));
        assert!((48_000..52_000).contains(&share(256)), "{}", share(256));
    }
}
