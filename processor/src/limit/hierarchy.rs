//! Parses what the kernel says about control groups: which hierarchy, which directories, which numbers.
//! Layer: core

use std::path::{Path, PathBuf};

use penstock_sizing::Bytes;

/// Which control group hierarchy accounts for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The memory controller has a hierarchy of its own.
    V1,
    /// The unified hierarchy.
    V2,
}

impl Version {
    pub(super) fn limit_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.limit_in_bytes",
            Self::V2 => "memory.max",
        }
    }

    pub(super) fn usage_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.usage_in_bytes",
            Self::V2 => "memory.current",
        }
    }

    /// Where `oom_kill` is counted.
    pub(super) fn events_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.oom_control",
            Self::V2 => "memory.events",
        }
    }

    /// The field of `memory.stat` that, like usage, includes descendants.
    pub(super) fn inactive_file(self) -> &'static str {
        match self {
            Self::V1 => "total_inactive_file",
            Self::V2 => "inactive_file",
        }
    }
}

/// The groups that this process is charged to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// From the own group up to the root of the mount.
    pub(super) directories: Vec<PathBuf>,
}

/// Finds the hierarchy from `/proc/self/cgroup` and `/proc/self/mountinfo`. On a hybrid machine
/// the one that has the memory controller; `None` when it is not mounted here.
pub(super) fn find(groups: &str, mounts: &str) -> Option<Hierarchy> {
    let own = |version| {
        let group = groups.lines().find_map(|line| group(line, version))?;
        let mount = mounts.lines().find_map(|line| mount(line, version))?;
        Some(Hierarchy {
            version,
            directories: directories(group, &mount),
        })
    };
    own(Version::V1).or_else(|| own(Version::V2))
}

/// Path of the group in a line `id:controllers:path`.
fn group(line: &str, version: Version) -> Option<&str> {
    let mut parts = line.splitn(3, ':');
    let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let matches = match version {
        Version::V1 => controllers
            .split(',')
            .any(|controller| controller == "memory"),
        Version::V2 => id == "0" && controllers.is_empty(),
    };
    matches.then_some(path)
}

/// Where a hierarchy is mounted, and which of its groups is visible there as the root.
struct Mount {
    group: PathBuf,
    point: PathBuf,
}

/// `id parent major:minor root point options [tags] - type source options`.
fn mount(line: &str, version: Version) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (group, point) = (unescape(left.next()?), unescape(left.next()?));
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let matches = match version {
        Version::V1 => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
        Version::V2 => kind == "cgroup2",
    };
    matches.then(|| Mount {
        group: group.into(),
        point: point.into(),
    })
}

/// Without a control group namespace the path begins with the group that is mounted; with one it
/// is relative to it. A path outside the mount leaves its root, which the process is charged to.
fn directories(group: &str, mount: &Mount) -> Vec<PathBuf> {
    let group = Path::new(group);
    let inside = group
        .strip_prefix(&mount.group)
        .or_else(|_| group.strip_prefix("/"));
    let inside = inside
        .ok()
        .filter(|path| path.components().all(is_plain))
        .unwrap_or(Path::new(""));
    inside
        .ancestors()
        .map(|below| mount.point.join(below))
        .collect()
}

fn is_plain(component: std::path::Component<'_>) -> bool {
    matches!(component, std::path::Component::Normal(_))
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    // The backslash last, or its replacement could begin another escape.
    for (escape, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        plain = plain.replace(escape, character);
    }
    plain
}

/// A limit file: `None` is no limit. v1 says so with the largest number of whole pages.
pub(super) fn limit(text: &str) -> Result<Option<Bytes>, ()> {
    const UNLIMITED_V1: u64 = i64::MAX as u64 & !0xFFFF;
    match text.trim() {
        "max" => Ok(None),
        number => match number.parse().map_err(|_| ())? {
            // Pages are at most 64 KiB.
            unlimited if unlimited >= UNLIMITED_V1 => Ok(None),
            bytes => Ok(Some(Bytes(bytes))),
        },
    }
}

/// The number behind a name at the beginning of a line.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}
