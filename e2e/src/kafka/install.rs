//! Fetches the broker's jars from Maven Central into a cache outside the checkout, once a version.
//! Layer: shell

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{BrokerError, prepare};

/// Keys the cache; a test holds it to the version in the POM.
const VERSION: &str = "4.3.1";
const POM: &str = include_str!("../../kafka/pom.xml");
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// The folder with the jars.
pub(super) fn libraries() -> Result<PathBuf, BrokerError> {
    let folder = cache().join(format!("kafka-{VERSION}"));
    if !folder.is_dir() {
        fetch(&folder)?;
    }
    Ok(folder)
}

/// `$XDG_CACHE_HOME/penstock`, or below the home folder, or the system's temporary folder.
fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    base.or_else(home)
        .unwrap_or_else(env::temp_dir)
        .join("penstock")
}

/// Resolves beside the target and renames, so that a broken download is never taken for a whole one.
fn fetch(folder: &Path) -> Result<(), BrokerError> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(prepare("cache folder"))?;
    let work = TempDir::new_in(parent).map_err(prepare("cache folder"))?;
    fs::write(work.path().join("pom.xml"), POM).map_err(prepare("pom.xml"))?;
    let jars = work.path().join("libs");
    let run = Command::new("mvn")
        .args(["-q", "-B", COPY, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .current_dir(work.path())
        .output();
    let output = run.map_err(|e| BrokerError::Install {
        what: format!("start mvn: {e}"),
    })?;
    if !output.status.success() {
        let what = String::from_utf8_lossy(&output.stdout).into_owned();
        return Err(BrokerError::Install { what });
    }
    keep(&jars, folder).map_err(prepare("cache folder"))
}

/// Another run may have been quicker; both hold the same jars.
fn keep(jars: &Path, folder: &Path) -> io::Result<()> {
    match fs::rename(jars, folder) {
        Err(_) if folder.is_dir() => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_keyed_by_the_version_of_the_pom() {
        assert!(POM.contains(&format!(
            "<artifactId>kafka_2.13</artifactId><version>{VERSION}<"
        )));
    }
}
