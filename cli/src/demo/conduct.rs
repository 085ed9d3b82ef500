//! Conducts a run: broker, production, processor and observers beside each other, then the audit.
//! Layer: shell

mod scene;

use std::{io, path::PathBuf, time::Duration};

use penstock_crds::Faults;
use penstock_sizing::Refusal;

use self::scene::Scene;
use super::{
    broker::BrokerError,
    folder::Folder,
    pipeline::RewriteError,
    progress::Audience,
    sink::SinkError,
    supervise::SuperviseError,
    verdict::{self, Verdict},
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records to produce.
    pub records: u32,
    /// Distinct keys.
    pub keys: u32,
    /// Partitions of the source topic.
    pub partitions: u32,
    /// Memory limit of the processor, bytes.
    pub memory_bytes: u64,
    /// SIGKILLs.
    pub kills: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// A running broker; `None` starts the embedded one.
    pub bootstrap_servers: Option<String>,
    /// Who watches.
    pub audience: Audience,
    /// The program that is started as `… run -f FILE --status-address ADDRESS`.
    pub processor: PathBuf,
    /// Longest time without a new commit.
    pub patience: Duration,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something of this machine could not be had.
    #[error("failed to {what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] RewriteError),
    /// There is no plan for the limit.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The rewritten example is not valid.
    #[error("the rewritten example pipeline is not valid: {0}")]
    Faults(#[from] Faults),
    /// The processor, or one of the threads around it.
    #[error(transparent)]
    Processor(#[from] SuperviseError),
    /// The sink's file.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The run failed and left files.
    #[error("{source}\nfiles of the run: {folder}", folder = .folder.display())]
    Kept {
        /// Why it failed.
        source: Box<DemoError>,
        /// Where they are.
        folder: PathBuf,
    },
    /// The clock stands before 1970 or after the year 292,000,000.
    #[error("the system clock is out of range")]
    Clock,
}

/// What a run comes to.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// Each broken promise in words.
    pub broken: Vec<String>,
    /// What was weaker than asked, in words.
    pub notes: Vec<String>,
    /// The first few findings in words.
    pub examples: Vec<String>,
    /// What remains to be looked into; `None` after a pass.
    pub remains: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// When it could not be run to its end; a broken promise is no error but a verdict.
pub fn conduct(options: &Options) -> Result<Conclusion, DemoError> {
    let folder = Folder::create(options.seed).map_err(machine("create a folder for the run"))?;
    match conduct_in(&folder, options) {
        Ok(mut conclusion) if conclusion.broken.is_empty() => {
            folder
                .remove()
                .map_err(machine("remove the folder of the run"))?;
            conclusion.remains = None;
            Ok(conclusion)
        }
        Ok(conclusion) => Ok(conclusion),
        Err(error) => match folder.remove_unless_used() {
            Ok(Some(folder)) => Err(DemoError::Kept {
                source: Box::new(error),
                folder,
            }),
            _ => Err(error),
        },
    }
}

fn conduct_in(folder: &Folder, options: &Options) -> Result<Conclusion, DemoError> {
    let scene = Scene::set(options, folder)?;
    let played = scene.play(options)?;
    let findings = scene.audit(&played)?;
    let (verdict, broken) = verdict::judge(&scene.measured(&played), &findings);
    if broken.is_empty() {
        scene.clear_away()?;
    }
    let remains = Some(folder.path().to_owned());
    Ok(Conclusion {
        verdict,
        broken,
        notes: scene.notes,
        examples: findings.examples,
        remains,
    })
}

/// Names what was tried when the machine refused.
fn machine(what: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Machine { what, source }
}
