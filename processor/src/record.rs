//! A Kafka record as owned bytes: value, key and headers side by side in one allocation.
//! Layer: core

use std::fmt;

/// Index of a topic in the pipeline's `source.topics`, so that a position is a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u16);

/// A partition of one of the pipeline's topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Which of the pipeline's topics.
    pub topic: TopicId,
    /// Kafka's partition number, never negative.
    pub partition: i32,
}

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The partition that holds the record.
    pub partition: TopicPartition,
    /// Kafka's offset.
    pub offset: i64,
}

/// One assignment of a partition to this process; rises with every assignment and is never used
/// twice in a process, so that what belongs to an earlier one can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// How far a partition is finished, and so what may be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The partition.
    pub partition: TopicPartition,
    /// The assignment that it holds for.
    pub epoch: Epoch,
    /// First offset that is not finished; the next one to read.
    pub offset: i64,
}

/// The borrowed parts that a [`Record`] is copied from.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The key; `None` is Kafka's null key, which differs from an empty one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in log order; a header's value may be null.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since the epoch; negative when the log has none.
    pub timestamp_ms: i64,
}

/// One record, owned; the client's fetch buffer is free once this exists.
pub struct Record {
    position: Position,
    timestamp_ms: i64,
    key: Span,
    value: Span,
    header_count: u32,
    bytes: Box<[u8]>,
}

/// Length of a part; `None` is null.
type Span = Option<u32>;

/// Null marker of a header value in the encoded form.
const NULL: u32 = u32::MAX;

impl Record {
    /// Copies the parts into one allocation: value, key, then each header as
    /// `name length, value length, name, value` with little-endian `u32` lengths.
    ///
    /// # Panics
    /// When a part is 4 GiB or longer, which the client's `message.max.bytes` (at most 1 GB) rules out.
    #[must_use]
    pub fn copy(position: Position, parts: &Parts<'_>) -> Self {
        let mut bytes = Vec::with_capacity(Self::encoded_len(parts));
        bytes.extend_from_slice(parts.value.unwrap_or_default());
        bytes.extend_from_slice(parts.key.unwrap_or_default());
        for (name, value) in parts.headers {
            bytes.extend_from_slice(&length(name.len()).to_le_bytes());
            bytes.extend_from_slice(&value.map_or(NULL, |v| length(v.len())).to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value.unwrap_or_default());
        }
        Self {
            position,
            timestamp_ms: parts.timestamp_ms,
            key: parts.key.map(|k| length(k.len())),
            value: parts.value.map(|v| length(v.len())),
            header_count: length(parts.headers.len()),
            bytes: bytes.into_boxed_slice(),
        }
    }

    /// Bytes that [`Record::copy`] allocates for these parts; what the ledger is charged by.
    #[must_use]
    pub fn encoded_len(parts: &Parts<'_>) -> usize {
        let headers: usize = parts
            .headers
            .iter()
            .map(|(n, v)| 8 + n.len() + v.map_or(0, <[u8]>::len))
            .sum();
        parts.value.map_or(0, <[u8]>::len) + parts.key.map_or(0, <[u8]>::len) + headers
    }

    /// Where the record stands in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Milliseconds since the epoch; negative when the log has none.
    #[must_use]
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// The value; `None` is a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.map(|length| &self.bytes[..length as usize])
    }

    /// The key; `None` is Kafka's null key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        let start = self.value.unwrap_or(0) as usize;
        self.key
            .map(|length| &self.bytes[start..start + length as usize])
    }

    /// Headers in log order.
    pub fn headers(&self) -> Headers<'_> {
        let start = self.value.unwrap_or(0) as usize + self.key.unwrap_or(0) as usize;
        Headers {
            rest: &self.bytes[start..],
            left: self.header_count,
        }
    }

    /// The first header of that name, if its value is not null.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .find(|(n, _)| *n == name)
            .and_then(|(_, value)| value)
    }

    /// Bytes of the allocation.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.bytes.len()
    }
}

/// No payload in a log, so none in `Debug` either.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("position", &self.position)
            .field("payload_len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Iterates over a record's headers without allocating.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name_len = self.take_length() as usize;
        let value_len = self.take_length();
        let name = std::str::from_utf8(self.take(name_len)).expect("names were copied from str");
        let value = (value_len != NULL).then(|| self.take(value_len as usize));
        Some((name, value))
    }
}

impl<'a> Headers<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        head
    }

    fn take_length(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four bytes were taken"))
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("Kafka caps a record at 1 GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        let partition = TopicPartition {
            topic: TopicId(0),
            partition: 3,
        };
        Position {
            partition,
            offset: 42,
        }
    }

    #[test]
    fn parts_come_back_as_they_went_in() {
        let headers = [
            ("trace", Some(&b"abc"[..])),
            ("empty", Some(&b""[..])),
            ("null", None),
        ];
        let parts = Parts {
            key: Some(b"k"),
            value: Some(b"value"),
            headers: &headers,
            timestamp_ms: 7,
        };
        let record = Record::copy(position(), &parts);
        assert_eq!(record.key(), Some(&b"k"[..]));
        assert_eq!(record.value(), Some(&b"value"[..]));
        assert_eq!(record.headers().collect::<Vec<_>>(), headers);
        assert_eq!(record.header("trace"), Some(&b"abc"[..]));
        assert_eq!(record.payload_len(), Record::encoded_len(&parts));
    }

    #[test]
    fn null_and_empty_stay_apart() {
        let parts = Parts {
            key: None,
            value: None,
            headers: &[],
            timestamp_ms: -1,
        };
        let record = Record::copy(position(), &parts);
        assert_eq!(
            (record.key(), record.value(), record.headers().count()),
            (None, None, 0)
        );
        let parts = Parts {
            key: Some(b""),
            value: Some(b""),
            ..parts
        };
        let record = Record::copy(position(), &parts);
        assert_eq!(
            (record.key(), record.value()),
            (Some(&b""[..]), Some(&b""[..]))
        );
    }
}
