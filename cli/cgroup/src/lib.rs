//! A memory cgroup of exactly one limit, made for one process and read from outside; versions 1 and 2.
//! Layer: shell

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A cgroup made for this run; removed when dropped, which needs its processes to have ended.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn limit_file(self) -> &'static str {
        match self {
            Self::One => "memory.limit_in_bytes",
            Self::Two => "memory.max",
        }
    }
}

const ROOT: &str = "/sys/fs/cgroup";

impl Cgroup {
    /// Makes a cgroup of that name below the one of this process, or beside it where version 2 allows no
    /// children here.
    ///
    /// # Errors
    /// When the machine has no memory controller that may be used.
    pub fn create(name: &str, limit_bytes: u64) -> io::Result<Self> {
        let membership = fs::read_to_string("/proc/self/cgroup")?;
        let mut refusal = io::Error::new(io::ErrorKind::Unsupported, "no memory controller");
        for (parent, version) in parents(&membership) {
            match Self::below(parent.join(name), version, limit_bytes) {
                Ok(cgroup) => return Ok(cgroup),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn below(folder: PathBuf, version: Version, limit_bytes: u64) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        // from here on dropping removes the folder
        let cgroup = Self { folder, version };
        cgroup.set_limit(limit_bytes)?;
        if version == Version::Two {
            // without swap an excess shows as an OOM kill; absent where swap is not accounted
            let _ = fs::write(cgroup.folder.join("memory.swap.max"), "0");
        }
        Ok(cgroup)
    }

    /// The file that takes the id of a process to hold.
    #[must_use]
    pub fn processes_file(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Usage without inactive file pages, bytes: what the kubelet judges a pod by.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn working_set(&self) -> io::Result<u64> {
        let inactive = match self.version {
            Version::One => "total_inactive_file",
            Version::Two => "inactive_file",
        };
        let inactive = self.field("memory.stat", inactive)?;
        Ok(self.usage()?.saturating_sub(inactive))
    }

    /// Bytes that no file stands behind: heap, stacks, allocator.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn anonymous(&self) -> io::Result<u64> {
        self.field(
            "memory.stat",
            match self.version {
                Version::One => "total_rss",
                Version::Two => "anon",
            },
        )
    }

    /// Times the kernel killed a process of the cgroup.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn oom_kills(&self) -> io::Result<u64> {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        self.field(file, "oom_kill")
    }

    /// Everything that is charged to the cgroup, file pages included, bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn usage(&self) -> io::Result<u64> {
        self.number(match self.version {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        })
    }

    /// Times that usage met the limit and the kernel had to reclaim pages first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn limit_hits(&self) -> io::Result<u64> {
        match self.version {
            Version::One => self.number("memory.failcnt"),
            Version::Two => self.field("memory.events", "max"),
        }
    }

    /// Changes the limit of a cgroup at work, as a resize of a pod does.
    ///
    /// # Errors
    /// When the kernel refuses: version 1 does so when it cannot reclaim down to the new limit.
    pub fn set_limit(&self, limit_bytes: u64) -> io::Result<()> {
        let file = self.folder.join(self.version.limit_file());
        fs::write(file, limit_bytes.to_string())
    }

    fn number(&self, file: &str) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join(file))?;
        text.trim().parse().map_err(io::Error::other)
    }

    fn field(&self, file: &str, name: &str) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join(file))?;
        field(&text, name).ok_or_else(|| io::Error::other(format!("{file} has no {name}")))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            let folder = self.folder.display();
            // nothing is left to do where standard error is closed
            let _ = writeln!(io::stderr(), "failed to remove cgroup {folder}: {error}");
        }
    }
}

/// Reads `name 123` from lines of such pairs.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Folders that a cgroup may be made in, from the text of `/proc/self/cgroup`; the best first.
fn parents(membership: &str) -> Vec<(PathBuf, Version)> {
    let mut parents = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|name| name == "memory") {
            let root = Path::new(ROOT).join("memory");
            parents.extend([(root.join(path), Version::One), (root, Version::One)]);
        } else if controllers.is_empty() {
            let own = Path::new(ROOT).join(path);
            parents.push((own.clone(), Version::Two));
            if let Some(parent) = own.parent().filter(|_| !path.is_empty()) {
                parents.push((parent.to_owned(), Version::Two));
            }
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found() {
        let one = parents("5:devices:/\n4:cpu,memory:/box/a\n0::/\n");
        let expected = [
            ("/sys/fs/cgroup/memory/box/a", Version::One),
            ("/sys/fs/cgroup/memory", Version::One),
            ("/sys/fs/cgroup/", Version::Two),
        ];
        assert_eq!(
            one,
            expected.map(|(path, version)| (PathBuf::from(path), version))
        );
        let two = parents("0::/user.slice/session-1.scope\n");
        let expected = [
            ("/sys/fs/cgroup/user.slice/session-1.scope", Version::Two),
            ("/sys/fs/cgroup/user.slice", Version::Two),
        ];
        assert_eq!(
            two,
            expected.map(|(path, version)| (PathBuf::from(path), version))
        );
    }

    #[test]
    fn fields_are_read_by_their_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(
            (field(text, "oom_kill"), field(text, "oom")),
            (Some(3), None)
        );
    }
}
