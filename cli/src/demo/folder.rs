//! The folder of a run: kept when the run failed, so that it can be looked into.
//! Layer: shell

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
};

/// A folder in the system's place for temporary files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder; its name holds the process id and `seed`.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(seed: u64) -> io::Result<Self> {
        let path = env::temp_dir().join(format!("penstock-demo-{}-{seed}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with all it holds.
    ///
    /// # Errors
    /// When a file in it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}
