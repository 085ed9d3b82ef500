//! What one scenario works with: a namespace, topics, a feed, pipelines, and the books at the end.
//! Layer: shell

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{CheckError, Site, install, kubectl::Within, manifest::Manifest, view};
use crate::{
    feed::{Feed, FeedError},
    ledger::Ledger,
    names::Names,
    observe,
    oracle::{self, Allowance, Repeats},
    status,
    topics::{self, Watch},
    wait::{self, Waited},
    workload::Workload,
};

/// Partitions of every input topic.
pub(crate) const PARTITIONS: u32 = 12;
/// How long the cluster may take for one thing: a pod to start, an object to settle.
pub(crate) const SETTLE: Duration = Duration::from_secs(180);
/// Between two questions to the API server.
pub(crate) const PAUSE: Duration = Duration::from_millis(400);
/// Between two looks at a topic.
const GLANCE: Duration = Duration::from_millis(20);
const KEYS: u32 = 5_000;

/// One scenario's world. The namespace goes with it.
pub(crate) struct World<'a> {
    /// Where scenarios run.
    pub(crate) site: &'a Site<'a>,
    /// The client of the scenario's namespace.
    pub(crate) kubectl: Within,
    /// Topics and group.
    pub(crate) names: Names,
    /// What is fed.
    pub(crate) workload: Workload,
    watch: Watch,
    feed: Option<Feed>,
    laid: u32,
    window: Cell<u64>,
    disturbances: Cell<u64>,
}

impl<'a> World<'a> {
    /// Fresh topics and a fresh namespace with restricted Pod Security.
    pub(crate) fn new(site: &'a Site<'a>, scenario: &str) -> Result<Self, CheckError> {
        let run = format!("{:x}-{}", site.seed, std::process::id());
        let names = Names::new(scenario, &run);
        let bootstrap = site.broker.bootstrap();
        topics::create(bootstrap, &names, PARTITIONS)?;
        let namespace = format!("e2e-{scenario}-{}", std::process::id());
        let manifest = install::restricted(&namespace);
        site.kubectl.feed(&["apply", "-f", "-"], &manifest)?;
        let workload = Workload {
            seed: site.seed,
            keys: KEYS,
            partitions: PARTITIONS,
        };
        Ok(Self {
            site,
            kubectl: site.kubectl.within(&namespace),
            watch: Watch::new(bootstrap, &names, PARTITIONS)?,
            feed: Some(Feed::new(bootstrap, &names.input, workload)?),
            names,
            workload,
            laid: 0,
            window: Cell::new(0),
            disturbances: Cell::new(0),
        })
    }

    /// The pipeline that copies the input to the output.
    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::new(self.site.broker.bootstrap(), &self.names)
    }

    /// Appends the next `records` to the input.
    pub(crate) fn lay(&mut self, records: u32) -> Result<(), CheckError> {
        let next = self.laid + records;
        let feed = self.feed.as_mut().ok_or(FeedError::Ended)?;
        feed.lay(self.laid..next)?;
        self.laid = next;
        Ok(())
    }

    /// Appends `per_second` records a second while `during` runs.
    pub(crate) fn streaming<T>(
        &mut self,
        per_second: u32,
        during: impl FnOnce(&Self) -> Result<T, CheckError>,
    ) -> Result<T, CheckError> {
        let stream = self.feed.take().ok_or(FeedError::Ended)?.stream(per_second);
        let done = during(self);
        self.laid = stream.stop()?;
        done
    }

    /// `kubectl apply`.
    pub(crate) fn apply(&self, manifest: &Manifest) -> Result<(), CheckError> {
        self.kubectl.apply(&manifest.text())?;
        Ok(())
    }

    /// The pipeline as it is now.
    pub(crate) fn pipeline(&self, manifest: &Manifest) -> Result<Value, CheckError> {
        self.object(&manifest.object())
    }

    /// An object that must be there, named `kind/name`.
    pub(crate) fn object(&self, object: &str) -> Result<Value, CheckError> {
        let found = self.kubectl.get(object)?;
        found.ok_or_else(|| CheckError::broken(format!("{object} is not there")))
    }

    /// The pipeline's pods.
    pub(crate) fn pods(&self, manifest: &Manifest) -> Result<Vec<Value>, CheckError> {
        let name = manifest.name();
        let selector =
            format!("penstock.dev/pipeline={name},app.kubernetes.io/component=processor");
        Ok(self.kubectl.list("pods", &selector)?)
    }

    /// Asks until `probe` answers; what it says meanwhile is the failure's text.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        probe: impl FnMut() -> Result<Result<T, String>, CheckError>,
    ) -> Result<T, CheckError> {
        until(what, limit, PAUSE, probe)
    }

    /// Waits until a condition is `True` for the newest generation.
    pub(crate) fn await_holds(
        &self,
        manifest: &Manifest,
        kind: &str,
        limit: Duration,
    ) -> Result<Value, CheckError> {
        self.until(&format!("{} {kind}", manifest.object()), limit, || {
            let now = self.pipeline(manifest)?;
            if view::holds(&now, kind) {
                return Ok(Ok(now));
            }
            Ok(Err(view::conditions(&now)))
        })
    }

    /// Waits until the fleet is as declared, and notes its window.
    pub(crate) fn await_ready(&self, manifest: &Manifest) -> Result<Value, CheckError> {
        let ready = self.await_holds(manifest, "Ready", SETTLE)?;
        for pod in self
            .pods(manifest)?
            .iter()
            .filter(|pod| view::is_ready(pod))
        {
            self.note_window(view::name(pod))?;
        }
        Ok(ready)
    }

    /// Waits until `ready` counts as many of the namespace's pipelines as there must be.
    pub(crate) fn await_all(
        &self,
        count: u32,
        limit: Duration,
        mut ready: impl FnMut(&[Value]) -> usize,
    ) -> Result<(), CheckError> {
        let count = count as usize;
        until("every pipeline", limit, Duration::from_secs(1), || {
            let objects = self.kubectl.list("eventpipelines", "")?;
            let ready = ready(&objects);
            let all = objects.len() == count && ready == count;
            Ok(if all {
                Ok(())
            } else {
                Err(format!("{ready} of {count}"))
            })
        })
    }

    /// Another topic, of so many partitions; empty.
    pub(crate) fn wide_topic(&self, partitions: u32) -> Result<String, CheckError> {
        let names = Names::new(
            "wide",
            &format!("{}-{}", self.site.seed, std::process::id()),
        );
        topics::create(self.site.broker.bootstrap(), &names, partitions)?;
        Ok(names.input)
    }

    /// The status page of a pod.
    pub(crate) fn page(&self, pod: &str) -> Result<Value, CheckError> {
        let text = self.kubectl.page(pod, "/status")?;
        serde_json::from_str(&text)
            .map_err(|_| CheckError::broken(format!("{pod}: /status is no JSON: {text}")))
    }

    fn note_window(&self, pod: &str) -> Result<(), CheckError> {
        let page = self.kubectl.page(pod, "/status")?;
        if let Some(status) = status::parse(page.as_bytes()) {
            self.window.set(self.window.get().max(status.window));
        }
        Ok(())
    }

    /// Notes that partitions may change owners now.
    pub(crate) fn disturb(&self, times: u64) {
        self.disturbances.set(self.disturbances.get() + times);
    }

    /// Records that came out so far, repeats included.
    pub(crate) fn produced(&self) -> Result<u64, CheckError> {
        Ok(self.watch.produced()?)
    }

    /// Records that the group has committed.
    pub(crate) fn committed(&self) -> Result<u64, CheckError> {
        Ok(self.watch.committed()?.iter().sum())
    }

    /// The group's commit of one partition.
    pub(crate) fn committed_of(&self, partition: u32) -> Result<u64, CheckError> {
        let commits = self.watch.committed()?;
        Ok(commits.get(partition as usize).copied().unwrap_or(0))
    }

    /// What a person would ask for after a failure, while it is still there: pods, and of those that
    /// are not ready their page, last words and events.
    pub(crate) fn witness(&self) -> Vec<String> {
        let ask = |arguments: &[&str]| {
            self.kubectl
                .run(arguments)
                .unwrap_or_else(|error| error.to_string())
        };
        let mut said = vec![ask(&["get", "pods", "-o", "wide"])];
        let pods = self.kubectl.list("pods", "").unwrap_or_default();
        for pod in pods.iter().filter(|pod| !view::is_ready(pod)) {
            let name = view::name(pod);
            let page = self.kubectl.page(name, "/status");
            let page = page.unwrap_or_else(|error| error.to_string());
            said.push(format!("{name}: {page}"));
            said.push(ask(&["logs", name, "--tail=20"]));
            let about = format!("--field-selector=involvedObject.name={name}");
            said.push(ask(&["get", "events", &about]));
        }
        said
    }

    /// Waits until so many records have come out, and tells how long that took.
    pub(crate) fn await_produced(
        &self,
        target: u64,
        limit: Duration,
    ) -> Result<Duration, CheckError> {
        let started = Instant::now();
        until(&format!("{target} records out"), limit, GLANCE, || {
            let produced = self.produced()?;
            if produced >= target {
                return Ok(Ok(started.elapsed()));
            }
            Ok(Err(format!("{produced} records are out")))
        })
    }

    /// Waits until everything laid is committed.
    pub(crate) fn await_committed(&self, limit: Duration) -> Result<(), CheckError> {
        let expected = self.watch.input()?;
        self.until("every record committed", limit, || {
            let commits = self.watch.committed()?;
            if commits == expected {
                return Ok(Ok(()));
            }
            let (at, all) = (commits.iter().sum::<u64>(), expected.iter().sum::<u64>());
            Ok(Err(format!("{at} of {all} are committed")))
        })
    }

    /// Waits for every commit, then holds what came out against what was laid.
    pub(crate) fn judge(&self, repeats: Repeats) -> Result<u64, CheckError> {
        self.await_committed(SETTLE)?;
        let ledger = Ledger::new(self.workload, self.laid);
        let dead = self.watch.dead_letters()?;
        hold!(dead == 0, || format!("{dead} dead letters"))?;
        let produced = self.watch.produced()?;
        let bootstrap = self.site.broker.bootstrap();
        let findings = observe::output(bootstrap, &self.names.output, produced, &ledger)?;
        let allowance = Allowance {
            repeats,
            disturbances: self.disturbances.get(),
            window: self.window.get(),
            incarnations: Vec::new(),
        };
        let broken = oracle::judge(&findings, &allowance);
        hold!(broken.is_empty(), || {
            let broken = broken.iter().map(ToString::to_string);
            let said: Vec<String> = broken.chain(findings.examples.clone()).collect();
            said.join("; ")
        })?;
        Ok(ledger.records())
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        let namespace = self.kubectl.namespace();
        // Pipelines first, so that their pods still end as told; the cluster goes next anyway.
        let _ = self
            .kubectl
            .run(&["delete", "eventpipelines", "--all", "--wait=false"]);
        let delete = ["delete", "namespace", namespace, "--wait=false"];
        let _ = self.site.kubectl.run(&delete);
    }
}

/// Fails with a sentence about what a user was promised and did not see.
macro_rules! hold {
    ($condition:expr, $said:expr $(,)?) => {
        if $condition {
            Ok(())
        } else {
            Err($crate::cluster::CheckError::Broken($said()))
        }
    };
}
pub(crate) use hold;

fn until<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut probe: impl FnMut() -> Result<Result<T, String>, CheckError>,
) -> Result<T, CheckError> {
    let mut said = String::new();
    let waited = wait::until(limit, pause, || -> Result<_, CheckError> {
        match probe()? {
            Ok(answer) => Ok(Some(answer)),
            Err(not_yet) => {
                said = not_yet;
                Ok(None)
            }
        }
    })?;
    match waited {
        Waited::Met(answer) => Ok(answer),
        Waited::TimedOut => Err(CheckError::Broken(format!(
            "{what}: not within {} s; {said}",
            limit.as_secs()
        ))),
    }
}
