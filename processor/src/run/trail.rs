//! Keeps the breadcrumb up to date while the processor runs, and takes it away at a clean end.
//! Layer: shell

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{breadcrumb, http::Observed as _, observe::Observatory};

/// Where the breadcrumb lies; nowhere outside a pod.
pub(super) struct Trail {
    file: Option<PathBuf>,
    failed: AtomicBool,
}

impl Trail {
    /// A file that is not there is not made: in a pod the kubelet has made it.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file: file.filter(|file| file.exists()),
            failed: AtomicBool::new(false),
        }
    }

    /// Writes what is being read now; call once a second.
    pub(super) fn leave(&self, observatory: &Observatory) {
        self.write(&breadcrumb::write(&observatory.status()));
    }

    /// The end was a clean one, or the error log says more.
    pub(super) fn erase(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        let Some(file) = &self.file else { return };
        if let Err(error) = fs::write(file, text)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, file = %file.display(), "cannot leave a breadcrumb");
        }
    }
}
