//! How much heap a JSON text will need once parsed, known from one scan before parsing.
//! Layer: core
//!
//! The parsed form (see [`body`](super::body)) is one array of 16-byte nodes, one per value and one
//! per object key, plus the text of strings that contain escapes. Both can be counted beforehand:
//!
//! - a container with `n` members holds `n - 1` commas and one opening, so values
//!   ≤ 1 + commas + openings, exactly so when no container is empty;
//! - each key is followed by a colon, so keys ≤ colons;
//! - punctuation inside strings only adds to the count.
//!
//! The node array is reserved at that size, so the estimate is a bound by construction.

use super::body::Node;

/// What a text may cost to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Upper bound of values and keys.
    pub(super) nodes: usize,
    /// Bytes of the strings that contain an escape, as written.
    pub(super) escaped: usize,
    /// The longest of those, bytes as written.
    pub(super) longest_escaped: usize,
}

/// What an allocation may occupy beyond what was asked for: allocator classes are at most a quarter
/// apart (jemalloc, four classes per doubling).
const CLASS_SLACK_DIVISOR: usize = 4;

impl Estimate {
    /// Scans a text. Total for any bytes; broken JSON is estimated as far as it looks like JSON.
    #[must_use]
    pub fn scan(text: &[u8]) -> Self {
        let counts = Counts::of(text);
        let (escaped, longest_escaped) = if counts.backslashes == 0 {
            (0, 0)
        } else {
            escaped_strings(text)
        };
        let nodes = 1 + counts.commas + counts.openings + counts.colons;
        Self {
            nodes: nodes.min(text.len() + 1),
            escaped,
            longest_escaped,
        }
    }

    /// Upper bound in bytes of the heap held while and after parsing.
    ///
    /// `nodes · 16`, the escaped strings, three times the longest of those for the parser's scratch
    /// buffer (which grows by doubling, old and new at once), each with the allocator's slack.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let nodes = with_slack(self.nodes * size_of::<Node>());
        let strings = with_slack(self.escaped) + with_slack(3 * self.longest_escaped);
        (nodes + strings) as u64
    }

    /// Upper bound in bytes of the same text as values of the CEL interpreter, for the lanes that
    /// use it. Text is borrowed. A list element is a pointer of 16 bytes to a box of at most 64; a
    /// map entry costs at most two buckets of 49 bytes beside its box, for two nodes; the smallest
    /// map, of four buckets, is 272 bytes, for at least three nodes.
    #[must_use]
    pub fn interpreted_bytes(&self) -> u64 {
        with_slack(self.nodes * CEL_BYTES_PER_NODE) as u64
    }
}

/// See [`Estimate::interpreted_bytes`].
const CEL_BYTES_PER_NODE: usize = 112;

fn with_slack(bytes: usize) -> usize {
    bytes + bytes / CLASS_SLACK_DIVISOR
}

#[derive(Default)]
struct Counts {
    commas: usize,
    openings: usize,
    colons: usize,
    backslashes: usize,
}

/// Bytes counted in one-byte lanes before they could overflow; lets the compiler use wide vectors.
const BLOCK: usize = 255;

impl Counts {
    fn of(text: &[u8]) -> Self {
        let mut sum = Self::default();
        for block in text.chunks(BLOCK) {
            let (mut commas, mut openings, mut colons, mut backslashes) = (0u8, 0u8, 0u8, 0u8);
            for &byte in block {
                commas += u8::from(byte == b',');
                // '[' is 0x5b and '{' is 0x7b: one bit apart.
                openings += u8::from(byte | 0x20 == b'{');
                colons += u8::from(byte == b':');
                backslashes += u8::from(byte == b'\\');
            }
            sum.commas += usize::from(commas);
            sum.openings += usize::from(openings);
            sum.colons += usize::from(colons);
            sum.backslashes += usize::from(backslashes);
        }
        sum
    }
}

/// Sum and maximum of the lengths of strings with escapes, in the order a parser meets them.
fn escaped_strings(text: &[u8]) -> (usize, usize) {
    let (mut sum, mut longest) = (0, 0);
    let mut at = 0;
    while let Some(open) = text[at..].iter().position(|&byte| byte == b'"') {
        let start = at + open + 1;
        let (end, has_escape) = string_end(text, start);
        if has_escape {
            sum += end - start;
            longest = longest.max(end - start);
        }
        at = (end + 1).min(text.len());
    }
    (sum, longest)
}

/// Index of the closing quote, or the end of an unterminated text.
fn string_end(text: &[u8], start: usize) -> (usize, bool) {
    let mut has_escape = false;
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'"' => return (at, has_escape),
            b'\\' => {
                has_escape = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    (text.len(), has_escape)
}
