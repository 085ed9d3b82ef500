//! Starts Elasticsearch and OpenSearch, which are cousins: settings, user, readiness.
//! Layer: shell

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::chown,
    path::Path,
    process::Command,
    time::Duration,
};

use super::{ServiceError, Store, copy_folder, free_port, install};
use crate::child;

const SETTINGS: &str = include_str!("../../search/settings.yml");
const HEAP: &str = "-Xms512m -Xmx512m";

/// They refuse to run as root; this is nobody.
const NOBODY: u32 = 65_534;

/// The command that starts it, its folder prepared.
pub(super) fn command(store: Store, folder: &Path, port: u16) -> Result<Command, ServiceError> {
    let (home, java, name, prefix) = match store {
        Store::Opensearch => (install::opensearch()?, install::jdk()?, "opensearch", "OPENSEARCH"),
        _ => (install::elasticsearch()?, install::java_home()?, "elasticsearch", "ES"),
    };
    let settings = folder.join("config");
    copy_folder(&home.join("config"), &settings)?;
    write_settings(store, folder, &settings.join(format!("{name}.yml")), port)?;
    drop_option(&settings.join("jvm.options"))?;
    // The home keeps no state, but it is looked for there.
    fs::create_dir_all(home.join("plugins"))?;
    fs::create_dir_all(home.join("logs"))?;
    let mut command = child::command(child_program(folder)?);
    if rustix::process::geteuid().is_root() {
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--"]);
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

fn write_settings(store: Store, folder: &Path, file: &Path, port: u16) -> Result<(), ServiceError> {
    let mut text = SETTINGS
        .replace("${PORT}", &port.to_string())
        .replace("${TRANSPORT_PORT}", &free_port()?.to_string())
        .replace("${FOLDER}", &folder.display().to_string());
    if store == Store::Elasticsearch {
        text.push_str("xpack.security.enabled: false\n");
    }
    Ok(fs::write(file, text)?)
}

/// A module that the Java of the package registry does not have.
fn drop_option(file: &Path) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    let kept = text.lines().filter(|line| !line.contains("jdk.incubator.vector"));
    fs::write(file, kept.collect::<Vec<_>>().join("\n") + "\n")
}

/// Whether the cluster has formed.
pub(super) fn answers(port: u16) -> io::Result<bool> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET /_cluster/health HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains(" 200 ") && !answer.contains("\"status\":\"red\""))
}
