//! What is wrong with an object: every fault with the path of its field.
//! Layer: core

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field, such as `spec.stages[2].upsert.changes[0].value`; empty for the whole text.
    pub path: String,
    /// Line of the text in which the field stands, one-based, when it came from a text.
    pub line: Option<u64>,
    /// Names the value and what would be legal; a lower-case fragment.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.line) {
            ("", None) => {}
            ("", Some(line)) => write!(f, "line {line}: ")?,
            (path, None) => write!(f, "{path}: ")?,
            (path, Some(line)) => write!(f, "{path} (line {line}): ")?,
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, at least one fault, by line and path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

/// Gathers faults while everything is looked at.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    faults: Vec<Fault>,
}

impl Collector {
    /// Adds a fault.
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        let fault = Fault {
            path: path.into(),
            line: None,
            message: message.to_string(),
        };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Keeps the value or adds its error.
    pub(crate) fn keep<T, E: fmt::Display>(
        &mut self,
        path: impl Into<String>,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(path, error)).ok()
    }

    /// Whether a fault was found at or below this path.
    pub(crate) fn touches(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| {
            let below = fault.path.strip_prefix(path);
            below.is_some_and(|below| below.is_empty() || below.starts_with(['.', '[']))
        })
    }

    /// The value if nothing was wrong, else the faults with their lines, sorted by them.
    ///
    /// # Panics
    /// When there is neither a value nor a fault; that would be a hole in the validation.
    pub(crate) fn finish<T>(
        mut self,
        value: Option<T>,
        line: impl Fn(&str) -> Option<u64>,
    ) -> Result<T, Faults> {
        if self.faults.is_empty() {
            return Ok(value.expect("what is left out has a fault that says why"));
        }
        for fault in &mut self.faults {
            fault.line = line(&fault.path);
        }
        self.faults
            .sort_by(|a, b| (a.line, &a.path).cmp(&(b.line, &b.path)));
        Err(Faults(self.faults))
    }
}
