//! Looks at the settings file again and tells of every text that is new.
//! Layer: shell

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use penstock_crds::pipeline::ValidatedPipeline;

/// How the pipeline is read from a text; the same way as for the start.
pub type Parse = Box<dyn Fn(&str) -> Result<ValidatedPipeline, String> + Send>;

/// A file that a pipeline was read from. Kubernetes replaces a mounted one as a whole; a file that
/// is seen half-written is refused and seen again.
pub struct SettingsFile {
    path: PathBuf,
    parse: Parse,
    last: Result<String, io::ErrorKind>,
}

impl SettingsFile {
    /// The file and the text that the processor started with.
    #[must_use]
    pub fn new(path: &Path, text: String, parse: Parse) -> Self {
        Self {
            path: path.to_owned(),
            parse,
            last: Ok(text),
        }
    }

    /// The pipeline in the file, or why there is none; `None` when the file is as it was.
    pub fn look(&mut self) -> Option<Result<ValidatedPipeline, String>> {
        let read = fs::read_to_string(&self.path);
        let text = read.as_ref().map_err(io::Error::kind);
        if text == self.last.as_ref().map_err(|kind| *kind) {
            return None;
        }
        let reading = match &read {
            Ok(text) => (self.parse)(text),
            Err(error) => Err(format!("cannot read {}: {error}", self.path.display())),
        };
        self.last = read.map_err(|error| error.kind());
        Some(reading)
    }
}
