//! Builds the processor under test and finds it beside this program.
//! Layer: shell

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::fleet::Program;

/// Why there is no processor to test.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("find this program's own file")]
    Own(#[source] io::Error),
    #[error("find {}", path.display())]
    Missing { path: PathBuf, source: io::Error },
    #[error("start cargo")]
    Start(#[source] io::Error),
    #[error("cargo build --release --package penstock-cli failed")]
    Failed,
}

/// Builds `penstock` (nothing happens when it is up to date).
pub(crate) fn penstock() -> Result<Program, BuildError> {
    build(&[])?;
    given(&built()?)
}

/// Builds `penstock` with the C library's allocator and puts it beside the other one.
pub(crate) fn penstock_glibc() -> Result<Program, BuildError> {
    build(&["--no-default-features"])?;
    let (built, kept) = (built()?, scratch()?.join("penstock-glibc"));
    let copied = scratch().and_then(|folder| {
        let copy = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(&built, &kept));
        copy.map_err(|source| BuildError::Missing {
            path: built,
            source,
        })
    });
    copied.and_then(|_| given(&kept))
}

fn built() -> Result<PathBuf, BuildError> {
    Ok(target()?.join("release").join("penstock"))
}

/// Cargo, as if it was not started below another cargo: build scripts that look at the variables of
/// the outer one would run again, and all that depends on them be compiled again, at each change
/// between the two.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let of_package = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    command
}

fn build(more: &[&str]) -> Result<(), BuildError> {
    let status = cargo()
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "penstock-cli",
            "--bin",
            "penstock",
        ])
        .args(more)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .status()
        .map_err(BuildError::Start)?;
    if !status.success() {
        return Err(BuildError::Failed);
    }
    Ok(())
}

/// A processor that was built elsewhere.
pub(crate) fn given(file: &Path) -> Result<Program, BuildError> {
    let found = file.canonicalize();
    let path = found.map_err(|source| BuildError::Missing {
        path: file.to_owned(),
        source,
    })?;
    Ok(Program {
        path: path.into(),
        leading: Vec::new(),
    })
}

/// Where scenarios keep their files: below the target directory, so that nothing of a run that
/// was killed is left anywhere else.
pub(crate) fn scratch() -> Result<PathBuf, BuildError> {
    Ok(target()?.join("e2e"))
}

/// This program's own file.
pub(crate) fn this_program() -> Result<OsString, BuildError> {
    Ok(env::current_exe().map_err(BuildError::Own)?.into())
}

/// The target directory: this program lies in its `release` or `debug`.
fn target() -> Result<PathBuf, BuildError> {
    let own = env::current_exe().map_err(BuildError::Own)?;
    Ok(own
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("target"))
        .to_owned())
}
