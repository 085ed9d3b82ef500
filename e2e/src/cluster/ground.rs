//! The kind cluster under the scenarios: brought up by the recipe, deleted at the end.
//! Layer: shell

use std::{
    env, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::kubectl::Kubectl;

/// Name of the cluster, so that a run finds one that was kept.
const NAME: &str = "penstock-e2e";

/// Why there is no cluster, or nothing in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroundError {
    #[error("start {program}")]
    Start { program: String, source: io::Error },
    #[error("{program} failed: {output}")]
    Failed { program: String, output: String },
    #[error("the recipe printed no {what}: {output}")]
    Answer { what: &'static str, output: String },
    #[error("prepare {what}")]
    Prepare {
        what: &'static str,
        source: io::Error,
    },
}

/// What to do with the cluster at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Deleted, and the daemon ended if it was started here.
    Delete,
    /// Left for a person, and for the next run.
    Keep,
}

/// A running cluster.
pub(crate) struct Ground {
    kubeconfig: PathBuf,
    programs: PathBuf,
    docker: String,
    keep: Keep,
    /// Image that Penstock's images are built on.
    pub(crate) base: String,
    /// This host as pods see it.
    pub(crate) gateway: Ipv4Addr,
}

impl Ground {
    /// Brings the cluster up, or takes the one that was kept.
    pub(crate) fn up(node_image: Option<&str>, keep: Keep) -> Result<Self, GroundError> {
        let kubeconfig = cache().join("kubeconfig-e2e");
        let mut up = recipe("up.sh");
        up.arg(NAME).arg(&kubeconfig).args(node_image);
        let answer = run(&mut up)?;
        let field = |what: &'static str| {
            let lines = answer.lines();
            let mut found = lines.filter_map(|line| line.strip_prefix(what)?.strip_prefix('='));
            found.next().ok_or_else(|| GroundError::Answer {
                what,
                output: answer.clone(),
            })
        };
        let address = field("gateway")?.parse();
        Ok(Self {
            programs: field("programs")?.into(),
            docker: field("docker")?.to_owned(),
            base: field("base")?.to_owned(),
            gateway: address.map_err(|_| GroundError::Answer {
                what: "gateway address",
                output: answer.clone(),
            })?,
            kubeconfig,
            keep,
        })
    }

    /// The client of the cluster.
    pub(crate) fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.programs.join("kubectl"), &self.kubeconfig)
    }

    /// What a person sets to reach the cluster with kubectl, kind and docker.
    pub(crate) fn environment(&self) -> String {
        let (kubeconfig, programs) = (self.kubeconfig.display(), self.programs.display());
        let docker = match self.docker.as_str() {
            "" => String::new(),
            host => format!("export DOCKER_HOST={host}\n"),
        };
        format!("export KUBECONFIG={kubeconfig}\nexport PATH={programs}:$PATH\n{docker}")
    }

    /// A program of the recipe, or of the system, that speaks to this cluster and its daemon.
    pub(crate) fn program(&self, name: &str) -> Command {
        let own = self.programs.join(name);
        let mut command = Command::new(if own.exists() { own } else { name.into() });
        command.env("KUBECONFIG", &self.kubeconfig);
        if !self.docker.is_empty() {
            command.env("DOCKER_HOST", &self.docker);
        }
        command
    }

    /// Takes images of the daemon into every node.
    pub(crate) fn load(&self, images: &[&str]) -> Result<(), GroundError> {
        let mut load = self.program("kind");
        load.args(["load", "docker-image", "--name", NAME])
            .args(images);
        run(&mut load).map(drop)
    }

    /// Runs a command line inside a node: a container whose name begins with the cluster's.
    pub(crate) fn in_node(&self, node: &str, command: &[&str]) -> Result<String, GroundError> {
        let mut exec = self.program("docker");
        exec.args(["exec", node]).args(command);
        run(&mut exec)
    }

    /// Stops everything in a node at once, as a host that hangs does: no goodbye, no reset.
    pub(crate) fn pause(&self, node: &str) -> Result<(), GroundError> {
        run(self.program("docker").args(["pause", node])).map(drop)
    }

    /// Lets it go on.
    pub(crate) fn unpause(&self, node: &str) -> Result<(), GroundError> {
        run(self.program("docker").args(["unpause", node])).map(drop)
    }

    /// The node that runs the API server.
    pub(crate) fn control_plane() -> String {
        format!("{NAME}-control-plane")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.keep == Keep::Delete {
            // Nothing is left to do with an error, and the script prints it.
            let _ = recipe("down.sh").arg(NAME).arg(&self.kubeconfig).status();
        }
    }
}

/// Builds the client programs alone and returns their folder.
pub(crate) fn helm() -> Result<PathBuf, GroundError> {
    let folder = run(recipe("tools.sh").arg("helm"))?;
    Ok(Path::new(folder.trim()).join("helm"))
}

/// A script of the recipe.
fn recipe(script: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
    let mut command = Command::new(folder.join(script));
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// Runs a command and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, GroundError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let Output {
        status,
        stdout,
        stderr,
    } = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(GroundError::Start { program, source }),
    };
    let output = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(output);
    }
    let output = format!("{}{}", output, String::from_utf8_lossy(&stderr));
    Err(GroundError::Failed { program, output })
}

/// `$XDG_CACHE_HOME/penstock`, or below the home folder, as the recipe has it.
fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = base.or_else(home).unwrap_or_else(env::temp_dir);
    base.join("penstock")
}
