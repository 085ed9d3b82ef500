//! Starts Elasticsearch and OpenSearch, which are cousins: settings, user, readiness.
//! Layer: shell

use std::{fs, io, net::SocketAddrV4, os::unix::fs::chown, path::Path, process::Command};

use super::{ServiceError, Store, copy_folder, free_port, install};
use crate::{
    child,
    http::{self, Question},
};

const SETTINGS: &str = include_str!("../../search/settings.yml");
const HEAP: &str = "-Xms512m -Xmx512m";

/// They refuse to run as root; this is nobody.
const NOBODY: u32 = 65_534;

/// The command that starts it, its folder prepared.
pub(super) fn command(
    store: Store,
    folder: &Path,
    place: SocketAddrV4,
) -> Result<Command, ServiceError> {
    let (home, java, name, prefix) = match store {
        Store::Opensearch => (
            install::opensearch()?,
            install::jdk()?,
            "opensearch",
            "OPENSEARCH",
        ),
        _ => (
            install::elasticsearch()?,
            install::java_home()?,
            "elasticsearch",
            "ES",
        ),
    };
    let settings = folder.join("config");
    copy_folder(&home.join("config"), &settings)?;
    let file = settings.join(format!("{name}.yml"));
    write_settings(store, folder, &file, place)?;
    drop_options(&settings.join("jvm.options"))?;
    // The home keeps no state, but it is looked for there.
    fs::create_dir_all(home.join("plugins"))?;
    fs::create_dir_all(home.join("logs"))?;
    let mut command = child::command(child_program(folder)?);
    if rustix::process::geteuid().is_root() {
        let nobody = NOBODY.to_string();
        command.args([
            "--reuid",
            &nobody,
            "--regid",
            &nobody,
            "--clear-groups",
            "--",
        ]);
    }
    command.arg(home.join("bin").join(name)).current_dir(folder);
    command.env(format!("{prefix}_JAVA_HOME"), java);
    command.env(format!("{prefix}_PATH_CONF"), settings);
    command.env(format!("{prefix}_JAVA_OPTS"), HEAP);
    command.env(format!("{prefix}_TMPDIR"), folder.join("tmp"));
    command.env("HOME", folder).env("LANG", "C.UTF-8");
    Ok(command)
}

/// Gives the folder away and names the program that becomes somebody else, when we are root.
fn child_program(folder: &Path) -> Result<&'static str, ServiceError> {
    fs::create_dir_all(folder.join("tmp"))?;
    if !rustix::process::geteuid().is_root() {
        return Ok("env");
    }
    give_away(folder)?;
    Ok("setpriv")
}

fn give_away(path: &Path) -> io::Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}

fn write_settings(
    store: Store,
    folder: &Path,
    file: &Path,
    place: SocketAddrV4,
) -> Result<(), ServiceError> {
    let mut text = SETTINGS
        .replace("${HOST}", &place.ip().to_string())
        .replace("${PORT}", &place.port().to_string())
        .replace("${TRANSPORT_PORT}", &free_port()?.to_string())
        .replace("${FOLDER}", &folder.display().to_string());
    if store == Store::Elasticsearch {
        text.push_str("xpack.security.enabled: false\n");
    }
    Ok(fs::write(file, text)?)
}

/// Options without which it starts: a module that the Java of the package registry does not have,
/// and a log of collections below its home, where it may not write.
const DROPPED: [&str; 2] = ["jdk.incubator.vector", "logs/gc.log"];

fn drop_options(file: &Path) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    let is_kept = |line: &&str| !DROPPED.iter().any(|dropped| line.contains(dropped));
    let kept: Vec<_> = text.lines().filter(is_kept).collect();
    fs::write(file, kept.join("\n") + "\n")
}

/// Whether the cluster has formed.
pub(super) fn answers(address: &str) -> io::Result<bool> {
    let health = http::ask(address, Question::json("GET /_cluster/health", ""))?;
    Ok(health.status == 200 && !health.body.contains("\"status\":\"red\""))
}
