//! What a process says at its end where `kubectl describe` shows it: the termination log.
//! Layer: shell

use std::{
    error::Error,
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

/// Kubernetes keeps so many bytes.
const KEPT: usize = 4096;

/// Replaces the content of the termination log. Kubernetes makes the file; without it nobody
/// listens, and nothing is written.
///
/// # Errors
/// When a file that is there cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).truncate(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let end = (0..=text.len().min(KEPT))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    file.write_all(&text.as_bytes()[..end.unwrap_or(0)])
}

/// An error and its causes in one line.
#[must_use]
pub fn line(error: &dyn Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_log_that_is_there_is_written_and_no_more_than_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("termination-log");
        write(&log, "nobody listens").expect("no log is no error");
        assert!(!log.exists());
        fs::write(&log, "an older and longer end").expect("a file");
        write(&log, "the end").expect("a log");
        assert_eq!(fs::read_to_string(&log).expect("a log"), "the end");
        write(&log, &"ö".repeat(KEPT)).expect("a log");
        assert_eq!(fs::read(&log).expect("a log").len(), KEPT);
    }
}
