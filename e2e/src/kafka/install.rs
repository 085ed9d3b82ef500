//! Fetches the broker's jars from Maven Central into a cache outside the checkout, once a version.
//! Layer: shell

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{BrokerError, prepare};
use crate::cache;

/// Keys the cache; a test holds it to the version in the POM.
const VERSION: &str = "4.3.1";
const POM: &str = include_str!("../../kafka/pom.xml");
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// The folder with the jars.
pub(super) fn libraries() -> Result<PathBuf, BrokerError> {
    let folder = cache::own().join(format!("kafka-{VERSION}"));
    cache::once(&folder, fetch)?;
    Ok(folder)
}

fn fetch(into: &Path) -> Result<(), BrokerError> {
    fs::write(into.join("pom.xml"), POM).map_err(prepare("pom.xml"))?;
    let run = Command::new("mvn")
        .args(["-q", "-B", COPY, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", into.display()))
        .current_dir(into)
        .output();
    let output = run.map_err(|e| BrokerError::Install {
        what: format!("start mvn: {e}"),
    })?;
    if !output.status.success() {
        let what = String::from_utf8_lossy(&output.stdout).into_owned();
        return Err(BrokerError::Install { what });
    }
    Ok(())
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
