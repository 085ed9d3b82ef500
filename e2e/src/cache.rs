//! Where what is downloaded is kept: outside of every checkout, by version.
//! Layer: shell

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// `$XDG_CACHE_HOME/penstock`, or below the home folder, or the system's temporary folder.
pub(crate) fn own() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    base.or_else(home)
        .unwrap_or_else(env::temp_dir)
        .join("penstock")
}

/// As [`own`], but where the user that programs run as can read it, when that is not root.
pub(crate) fn shared() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/cache/penstock")
    } else {
        own()
    }
}

/// The folder, made by `fill` when it is not there. It is filled beside its place and renamed, so
/// that a broken download is never taken for a whole one.
pub(crate) fn once<E: From<io::Error>>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent)?;
    let work = TempDir::new_in(parent)?;
    let filled = work.path().join("filled");
    fs::create_dir(&filled)?;
    fill(&filled)?;
    match fs::rename(&filled, folder) {
        // Another run was quicker; both hold the same.
        Err(_) if folder.is_dir() => Ok(()),
        done => Ok(done?),
    }
}
