//! Builds the two images from the repository's Dockerfiles and takes them into the nodes.
//! Layer: shell

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::ground::{self, Ground, GroundError};

/// What was built: the tags, which are the images' own digests, so that a change rolls pods and
/// nothing else does.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// Of `penstock-processor`.
    pub(crate) processor: String,
    /// Of `penstock-operator`.
    pub(crate) operator: String,
}

/// Builds the programs (unless a folder with both is given), their images, and loads them.
pub(crate) fn build(
    ground: &Ground,
    programs: Option<&Path>,
    scratch: &Path,
) -> Result<Images, GroundError> {
    let programs = match programs {
        Some(folder) => folder.to_owned(),
        None => compile()?,
    };
    let contexts = scratch.join("image");
    let image = |name: &str| {
        image(
            ground,
            name,
            &context(&programs, name, &contexts.join(name))?,
        )
    };
    let images = Images {
        processor: image("processor")?,
        operator: image("operator")?,
    };
    let references = [
        format!("penstock-processor:{}", images.processor),
        format!("penstock-operator:{}", images.operator),
    ];
    ground.load(&references.each_ref().map(String::as_str))?;
    Ok(images)
}

/// Builds one image and returns its tag.
fn image(ground: &Ground, name: &str, context: &Path) -> Result<String, GroundError> {
    let file = repository()
        .join("images")
        .join(format!("{name}.Dockerfile"));
    let mut build = ground.program("docker");
    // The classic builder is part of every daemon.
    build.env("DOCKER_BUILDKIT", "0");
    build.args(["build", "-q", "--target", "prebuilt", "--build-arg"]);
    build.arg(format!("RUNTIME_BASE={}", ground.base));
    let digest = ground::run(build.arg("-f").arg(file).arg(context))?;
    let digest = digest.trim().trim_start_matches("sha256:");
    let tag = digest.get(..12).unwrap_or(digest).to_owned();
    let mut name_it = ground.program("docker");
    name_it.args(["tag", digest, &format!("penstock-{name}:{tag}")]);
    ground::run(&mut name_it)?;
    Ok(tag)
}

/// Compiles both with optimizations; nothing happens when they are up to date.
fn compile() -> Result<PathBuf, GroundError> {
    // One by one: together they would have each other's features, and what is built for the other
    // suites would be built again.
    for package in ["penstock-processor", "penstock-operator"] {
        let mut build = crate::build::cargo();
        build.args([
            "build",
            "--release",
            "--quiet",
            "--bins",
            "--package",
            package,
        ]);
        ground::run(build.current_dir(repository()))?;
    }
    let own = env::current_exe().map_err(|source| GroundError::Prepare {
        what: "the path of this program",
        source,
    })?;
    let target = own.ancestors().nth(2).unwrap_or(Path::new("target"));
    Ok(target.join("release"))
}

/// A folder with the program, without debug information, and the script that packs it.
fn context(programs: &Path, name: &str, folder: &Path) -> Result<PathBuf, GroundError> {
    let prepare = |source| GroundError::Prepare {
        what: "the context of an image",
        source,
    };
    fs::create_dir_all(folder).map_err(prepare)?;
    let script = repository().join("images").join("collect.sh");
    fs::copy(script, folder.join("collect.sh")).map_err(prepare)?;
    let program = format!("penstock-{name}");
    let mut strip = Command::new("strip");
    strip
        .arg("--strip-debug")
        .arg("-o")
        .arg(folder.join(&program));
    ground::run(strip.arg(programs.join(&program)))?;
    Ok(folder.to_owned())
}

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}
