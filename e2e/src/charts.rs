//! `cargo e2e charts`: a real helm lints and renders the charts; the plain manifests are held to them.
//! Layer: shell

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::cluster::{GroundError, helm, repository};

mod rendered;

const NAMESPACE: &str = "penstock-system";
const PLAIN: &str = "deploy/penstock.yaml";
/// The definition, and the copy of it in its chart: helm reads nothing outside a chart.
const DEFINITION: [&str; 2] = [
    "crds/eventpipelines.yaml",
    "charts/penstock-crds/files/eventpipelines.yaml",
];
const CHARTS: [&str; 2] = ["penstock-crds", "penstock"];
/// Values of shapes other than the default; a line each on helm's command line.
const SHAPES: [&[&str]; 4] = [
    &[],
    &["scope=Namespaces", "namespaces={shop,billing}"],
    &[
        "podMonitor.enabled=true",
        "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "allowedImagePrefixes={registry.example/shop/}",
        "imagePullSecrets[0].name=pull",
        "priorityClassName=system-cluster-critical",
        "nodeSelector.disk=ssd",
        "podLabels.team=streams",
        "podAnnotations.note=x",
        "tolerations[0].operator=Exists",
        "serviceAccount.annotations.note=x",
        "serviceAccount.name=other",
    ],
    &[
        "replicas=1",
        "aggregateRoles=false",
        "networkPolicy.enabled=false",
        "podDisruptionBudget=false",
    ],
];
/// Values that must be refused, and the word by which the refusal names them.
const REFUSED: [(&str, &str); 9] = [
    ("replicas=-1", "replicas"),
    ("replicas=many", "replicas"),
    ("scope=Galaxy", "scope"),
    ("scope=Namespaces", "namespaces"),
    ("namespaces={shop}", "namespaces"),
    ("image.digest=sha256:12", "digest"),
    ("resources.memory=lots", "memory"),
    ("maxConcurrentReconciles=0", "maxConcurrentReconciles"),
    ("replicaCount=2", "replicaCount"),
];

/// Arguments of `cargo e2e charts`.
#[derive(clap::Args)]
pub(crate) struct ChartsArguments {
    /// Writes the plain manifests anew instead of comparing them.
    #[arg(long)]
    write: bool,
}

/// Why the charts could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartsError {
    #[error(transparent)]
    Helm(#[from] GroundError),
    #[error("start helm")]
    Start(#[source] io::Error),
    #[error("{path}")]
    File { path: String, source: io::Error },
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

/// What helm said, and whether it agreed.
struct Answer {
    agreed: bool,
    text: String,
}

struct Helm(PathBuf);

/// Lints, renders, refuses, compares.
pub(crate) fn run(arguments: &ChartsArguments) -> Result<ExitCode, ChartsError> {
    let helm = Helm(helm()?);
    let what = match arguments.write {
        true => Plain::Write,
        false => Plain::Compare,
    };
    let mut faults: Vec<_> = definition(what)?.into_iter().collect();
    for chart in CHARTS {
        let lint = helm.ask(&["lint", "--strict", "--quiet"], chart, &[])?;
        faults.extend((!lint.agreed).then_some(lint.text));
    }
    for values in SHAPES {
        let answer = helm.template("penstock", values)?;
        faults.extend(match answer.agreed {
            true => rendered::faults(&answer.text),
            false => vec![answer.text],
        });
    }
    for (value, word) in REFUSED {
        let answer = helm.template("penstock", &[value])?;
        let named = !answer.agreed && answer.text.contains(word);
        faults.extend((!named).then(|| format!("--set {value} was not refused by name")));
    }
    faults.extend(plain(&helm, what)?);
    let mut text = io::stdout();
    for fault in &faults {
        writeln!(text, "{fault}").map_err(ChartsError::Output)?;
    }
    let (shapes, refused) = (SHAPES.len(), REFUSED.len());
    let faulty = faults.len();
    writeln!(
        text,
        "{shapes} shapes rendered, {refused} bad values tried, {faulty} faults"
    )
    .map_err(ChartsError::Output)?;
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Helm {
    fn ask(&self, words: &[&str], chart: &str, values: &[&str]) -> Result<Answer, ChartsError> {
        let mut command = Command::new(&self.0);
        command
            .args(words)
            .arg(repository().join("charts").join(chart));
        for value in values {
            command.args(["--set", value]);
        }
        let output = command.output().map_err(ChartsError::Start)?;
        let agreed = output.status.success();
        let bytes = if agreed {
            output.stdout
        } else {
            [output.stdout, output.stderr].concat()
        };
        Ok(Answer {
            agreed,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    fn template(&self, chart: &str, values: &[&str]) -> Result<Answer, ChartsError> {
        // PodMonitor is rendered whether or not a cluster knows it.
        self.ask(
            &["template", "--namespace", NAMESPACE, chart],
            chart,
            values,
        )
    }
}

/// What is done with files that follow from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Compare,
    Write,
}

/// The chart's definition is the generated one.
fn definition(what: Plain) -> Result<Option<String>, ChartsError> {
    let [generated, copy] = DEFINITION.map(|path| (path, repository().join(path)));
    let named = |path: &str| {
        let path = path.to_owned();
        |source| ChartsError::File { path, source }
    };
    let expected = fs::read_to_string(&generated.1).map_err(named(generated.0))?;
    if what == Plain::Write {
        fs::write(&copy.1, expected).map_err(named(copy.0))?;
        return Ok(None);
    }
    let found = fs::read_to_string(&copy.1).map_err(named(copy.0))?;
    let fault = || {
        format!(
            "{} is not {}: cargo e2e charts --write",
            copy.0, generated.0
        )
    };
    Ok((found != expected).then(fault))
}

/// The manifests for `kubectl apply -f`, which are what the charts give.
fn plain(helm: &Helm, what: Plain) -> Result<Option<String>, ChartsError> {
    let kind = helm.template("penstock-crds", &["keep=false"])?;
    let operator = helm.template("penstock", &[])?;
    let expected = rendered::plain(NAMESPACE, &[&kind.text, &operator.text]);
    let path: &Path = &repository().join(PLAIN);
    let named = |source| ChartsError::File {
        path: PLAIN.to_owned(),
        source,
    };
    if what == Plain::Write {
        fs::write(path, expected).map_err(named)?;
        return Ok(None);
    }
    let found = fs::read_to_string(path).map_err(named)?;
    let fault = || format!("{PLAIN} is out of step with the charts: cargo e2e charts --write");
    Ok((found != expected).then(fault))
}
