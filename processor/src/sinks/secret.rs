//! A Secret as it is mounted: a folder with a file for each key. Read again as it changes.
//! Layer: shell
//!
//! The files are small and in memory, so they are read where they are needed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::SinkError;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Longest value, bytes; a Secret as a whole may have 1 MiB.
const LONGEST: u64 = 1 << 20;

/// The folder of one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret(PathBuf);

impl Secret {
    /// The Secret `name` below the folder of all Secrets.
    #[must_use]
    pub fn of(secrets: &Path, name: &str) -> Self {
        Self(secrets.join(name))
    }

    /// The file of a key, for those who read it themselves.
    #[must_use]
    pub fn file(&self, key: &str) -> PathBuf {
        self.0.join(key)
    }

    /// The value of a key without the line break at its end; `None` when there is no such key.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when the file cannot be read, or is no text.
    pub fn text(&self, key: &str) -> Result<Option<String>, SinkError> {
        let Some(bytes) = self.bytes(key)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| self.fault(key, "is not UTF-8"))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The value of a key as it is.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when the file cannot be read.
    pub fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, SinkError> {
        let file = self.file(key);
        match fs::metadata(&file) {
            Ok(found) if found.len() > LONGEST => {
                let reason = format!("has {} bytes, legal are {LONGEST}", found.len());
                Err(self.fault(key, &reason))
            }
            Ok(_) => fs::read(&file)
                .map(Some)
                .map_err(|error| self.fault(key, &error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault(key, &error.to_string())),
        }
    }

    /// As [`Secret::text`], for a key that has to be there.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when it is not, too.
    pub fn required(&self, key: &str) -> Result<String, SinkError> {
        let text = self.text(key)?;
        text.ok_or_else(|| self.fault(key, "is missing"))
    }

    fn fault(&self, key: &str, what: &str) -> SinkError {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        let reason = format!("key {key} of secret {name} {what}");
        SinkError::Unavailable { reason }
    }
}

/// When the files were looked at last.
#[derive(Debug)]
pub(super) struct Watch(Instant);

impl Watch {
    pub(super) fn begin(now: Instant) -> Self {
        Self(now)
    }

    /// Whether it is time to look again; it is looked at then.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.0) >= LOOK;
        if due {
            self.0 = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_file_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("store")).expect("a folder");
        fs::write(folder.path().join("store/password"), "p w\n").expect("a file");
        let secret = Secret::of(folder.path(), "store");
        assert_eq!(
            secret.text("password").expect("text"),
            Some("p w".to_owned())
        );
        assert_eq!(secret.text("username").expect("none"), None);
        let error = secret.required("username").expect_err("none").to_string();
        assert_eq!(
            error,
            "sink unavailable: key username of secret store is missing"
        );
        fs::write(folder.path().join("store/password"), [0xff]).expect("a file");
        assert!(secret.text("password").is_err());
    }
}
