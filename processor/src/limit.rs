//! Reads this process's memory limit, working set and OOM kills from its control group, v1 or v2.
//! Layer: shell
//!
//! The environment and the downward API go stale after a resize, so nothing else is asked.

mod agreement;
mod hierarchy;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use penstock_sizing::Bytes;

pub use agreement::Agreement;
pub use hierarchy::Version;

use hierarchy::{Hierarchy, field, limit};

/// Why the control group could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// A file that the kernel always has.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file with another content than the kernel documents.
    #[error("{path} holds {text:?}, expected {expected}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Its first line.
        text: String,
        /// What the kernel documents.
        expected: &'static str,
    },
}

/// The control group whose limit binds this process: its own or an ancestor's.
#[derive(Clone, Debug)]
pub struct MemoryGroup {
    root: PathBuf,
    hierarchy: Option<Hierarchy>,
}

/// Memory of this process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Smallest limit from the own group up to the root; `None` when none of them has one.
    pub limit: Option<Bytes>,
    /// Usage minus inactive file pages, as the kubelet counts, of the group with that limit.
    /// Without a limit: resident bytes of this process, since its group may be the whole machine.
    pub working_set: Bytes,
    /// Processes of that group that the kernel killed for want of memory; zero without a limit.
    pub oom_kills: u64,
}

impl MemoryGroup {
    /// Finds the control group of this process; `root` is `/`, or a fixture's directory.
    ///
    /// # Errors
    /// When `/proc/self/cgroup` or `/proc/self/mountinfo` cannot be read.
    pub fn find(root: &Path) -> Result<Self, LimitError> {
        let groups = read(&root.join("proc/self/cgroup"))?;
        let mounts = read(&root.join("proc/self/mountinfo"))?;
        Ok(Self {
            root: root.to_owned(),
            hierarchy: hierarchy::find(&groups, &mounts),
        })
    }

    /// Which hierarchy accounts for memory; `None` when no mounted one does.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.hierarchy.as_ref().map(|hierarchy| hierarchy.version)
    }

    /// Reads limit, working set and OOM kills. Cheap enough for four times a second.
    ///
    /// # Errors
    /// When a file of the group cannot be read or holds something unexpected.
    pub fn read(&self) -> Result<Reading, LimitError> {
        match &self.hierarchy {
            Some(hierarchy) => match self.binding(hierarchy)? {
                Some((directory, limit)) => within(hierarchy.version, &directory, limit),
                None => self.unlimited(),
            },
            None => self.unlimited(),
        }
    }

    /// The group with the smallest limit; the innermost of equals, which is charged first.
    fn binding(&self, hierarchy: &Hierarchy) -> Result<Option<(PathBuf, Bytes)>, LimitError> {
        let mut smallest: Option<(PathBuf, Bytes)> = None;
        for directory in &hierarchy.directories {
            let directory = self
                .root
                .join(directory.strip_prefix("/").unwrap_or(directory));
            let path = directory.join(hierarchy.version.limit_file());
            // The root group of v2 has no limit file, and ancestors may be outside the namespace.
            let Some(text) = read_if_there(&path)? else {
                continue;
            };
            let expected = "a number of bytes or max";
            let found = limit(&text).map_err(|()| content(&path, &text, expected))?;
            match (found, &smallest) {
                (Some(new), Some((_, old))) if new >= *old => {}
                (Some(new), _) => smallest = Some((directory, new)),
                (None, _) => {}
            }
        }
        Ok(smallest)
    }

    fn unlimited(&self) -> Result<Reading, LimitError> {
        let path = self.root.join("proc/self/status");
        let text = read(&path)?;
        let kib = field(&text, "VmRSS:").ok_or_else(|| content(&path, &text, "a line VmRSS:"))?;
        Ok(Reading {
            limit: None,
            working_set: Bytes::kib(kib),
            oom_kills: 0,
        })
    }
}

fn within(version: Version, directory: &Path, limit: Bytes) -> Result<Reading, LimitError> {
    let number = |file: &str, name: &str| {
        let path = directory.join(file);
        let text = read(&path)?;
        // Usage files hold the number alone.
        let found = if name.is_empty() {
            text.trim().parse().ok()
        } else {
            field(&text, name)
        };
        found.ok_or_else(|| content(&path, &text, "a number of bytes in that field"))
    };
    let usage = Bytes(number(version.usage_file(), "")?);
    let inactive = Bytes(number("memory.stat", version.inactive_file())?);
    let oom_kills = number(version.events_file(), "oom_kill")?;
    Ok(Reading {
        limit: Some(limit),
        working_set: usage.saturating_sub(inactive),
        oom_kills,
    })
}

fn read(path: &Path) -> Result<String, LimitError> {
    fs::read_to_string(path).map_err(|source| LimitError::Read {
        path: path.to_owned(),
        source,
    })
}

fn read_if_there(path: &Path) -> Result<Option<String>, LimitError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LimitError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn content(path: &Path, text: &str, expected: &'static str) -> LimitError {
    let text = text.lines().next().unwrap_or_default().to_owned();
    LimitError::Content {
        path: path.to_owned(),
        text,
        expected,
    }
}

#[cfg(test)]
mod tests;
