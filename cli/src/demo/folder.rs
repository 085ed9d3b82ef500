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
    name: String,
}

impl Folder {
    /// Makes the folder; its name holds the process id and `seed`.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(seed: u64) -> io::Result<Self> {
        let name = format!("penstock-demo-{}-{seed}", process::id());
        let path = env::temp_dir().join(&name);
        fs::create_dir(&path)?;
        Ok(Self { path, name })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, which no other run on this machine has now.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the processor's words go.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("processor.log")
    }

    /// Removes it unless a processor was started, whose words may explain a failure.
    ///
    /// # Errors
    /// When a file in it cannot be removed.
    pub fn remove_unless_used(self) -> io::Result<Option<PathBuf>> {
        if self.log().exists() {
            return Ok(Some(self.path));
        }
        self.remove().map(|()| None)
    }

    /// Removes it with all it holds.
    ///
    /// # Errors
    /// When a file in it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}
