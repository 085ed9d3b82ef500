//! Index names with dates of the record in them: `events-{yyyy-MM-dd}`.
//! Layer: core

use std::{fmt, fmt::Write as _, sync::Arc};

use crate::{civil::Civil, names::shown};

/// An index name, parsed; the date parts are those of the record's timestamp in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPattern {
    text: Arc<str>,
    segments: Box<[Segment]>,
}

/// A piece of an index name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Copied as it is.
    Text(Box<str>),
    /// `yyyy`: the year, four digits.
    Year,
    /// `MM`: the month, two digits.
    Month,
    /// `dd`: the day of the month, two digits.
    Day,
    /// `HH`: the hour, two digits.
    Hour,
}

/// A text that is no index name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexPatternFault {
    /// A brace without its partner.
    #[error("{} has an unmatched brace: write dates as {{yyyy-MM-dd}}", shown(.0))]
    Brace(String),
    /// Something else than a date inside braces.
    #[error(
        "{} has {{{part}}}: legal inside braces are yyyy, MM, dd, HH and . _ - between them",
        shown(text)
    )]
    Part {
        /// The whole name.
        text: String,
        /// What stood between the braces.
        part: String,
    },
    /// Not an index name that Elasticsearch and SQL would take.
    #[error("{} is not an index name: 1 to {max} of a-z 0-9 . _ -, starting with a letter", shown(text), max = IndexPattern::MAX)]
    Name {
        /// The whole name.
        text: String,
    },
}

impl IndexPattern {
    /// Longest pattern, bytes.
    pub const MAX: usize = 100;

    /// Parses an index name.
    ///
    /// # Errors
    /// Names the text and what would be legal.
    pub fn parse(text: &str) -> Result<Self, IndexPatternFault> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(open);
            let date = after
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'));
            let (date, after) = date.ok_or_else(|| IndexPatternFault::Brace(text.to_owned()))?;
            push_text(&mut segments, before);
            push_date(&mut segments, date).ok_or_else(|| IndexPatternFault::Part {
                text: text.to_owned(),
                part: date.to_owned(),
            })?;
            rest = after;
        }
        push_text(&mut segments, rest);
        let pattern = Self {
            text: Arc::from(text),
            segments: segments.into(),
        };
        if pattern.is_name() {
            Ok(pattern)
        } else {
            Err(IndexPatternFault::Name {
                text: text.to_owned(),
            })
        }
    }

    fn is_name(&self) -> bool {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let texts = self.segments.iter().all(|segment| match segment {
            Segment::Text(text) => text.chars().all(legal),
            _ => true,
        });
        let first = self.text.starts_with(|c: char| c.is_ascii_lowercase());
        texts && first && self.text.len() <= Self::MAX
    }

    /// The pattern as the user wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pieces in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The index of a record with this timestamp, milliseconds since the epoch. A record without
    /// one (negative) goes to the epoch's first day, so that a repeat finds the same index.
    #[must_use]
    pub fn resolve(&self, timestamp_ms: i64) -> String {
        let mut name = String::with_capacity(self.text.len());
        self.resolve_into(timestamp_ms, &mut name);
        name
    }

    /// As [`IndexPattern::resolve`], appended to a buffer that the caller reuses.
    pub fn resolve_into(&self, timestamp_ms: i64, name: &mut String) {
        let date = Civil::from_timestamp_ms(timestamp_ms.max(0));
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => {
                    name.push_str(text);
                    Ok(())
                }
                Segment::Year => write!(name, "{:04}", date.year),
                Segment::Month => write!(name, "{:02}", date.month),
                Segment::Day => write!(name, "{:02}", date.day),
                Segment::Hour => write!(name, "{:02}", date.hour),
            }
            .expect("writing to a String cannot fail");
        }
    }
}

impl fmt::Display for IndexPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn push_text(segments: &mut Vec<Segment>, text: &str) {
    match segments.last_mut() {
        _ if text.is_empty() => {}
        Some(Segment::Text(last)) => *last = format!("{last}{text}").into(),
        _ => segments.push(Segment::Text(text.into())),
    }
}

/// Appends the parts of a date; `None` when something else stands there.
fn push_date(segments: &mut Vec<Segment>, date: &str) -> Option<()> {
    const PARTS: [(&str, Segment); 4] = [
        ("yyyy", Segment::Year),
        ("MM", Segment::Month),
        ("dd", Segment::Day),
        ("HH", Segment::Hour),
    ];
    let mut rest = date;
    let mut parts = 0;
    while let Some(first) = rest.chars().next() {
        if let Some((name, part)) = PARTS.iter().find(|(name, _)| rest.starts_with(name)) {
            segments.push(part.clone());
            rest = &rest[name.len()..];
            parts += 1;
        } else if "._-".contains(first) {
            push_text(segments, &rest[..1]);
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    (parts > 0).then_some(())
}

#[cfg(test)]
mod tests;
