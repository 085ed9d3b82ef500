//! A drain that a record holds up which its stage can never finish.
//! Layer: shell

use std::time::Duration;

use serde_json::{Value, json};

use super::Notes;
use crate::{
    cluster::{
        CheckError,
        manifest::Manifest,
        view,
        world::{PAUSE, SETTLE, World, hold},
    },
    oracle::Repeats,
    wait,
};

const RECORDS: u32 = 6_000;
/// The record in the middle; none repeats its event.
const SEQUENCE: u32 = RECORDS / 2;
/// As short as the kind takes, for a drain that ends unfinished.
const HASTY: u32 = 5;
/// Longer than anything here takes, for one that waits.
const PATIENT: u32 = 600;
/// How long a drain that waits is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// The record that blocks its key, and where it stands.
struct Poison {
    partition: u32,
    offset: u64,
    /// It and the later records of its key.
    held: u64,
}

/// Drained in vain until the deadline; drained again, and mended while that waits.
pub(super) fn blocked_drain(world: &mut World<'_>) -> Result<Notes, CheckError> {
    world.lay(RECORDS)?;
    let world = &*world;
    let poison = Poison::find(world);
    let hasty = blocking(world, HASTY);
    blocks(world, &hasty, &poison)?;
    let said = ends_unfinished(world, &hasty, &poison)?;
    let patient = blocking(world, PATIENT);
    let holder = blocks(world, &patient, &poison)?;
    let waits = waits(world, &patient, (&poison, &holder))?;
    let mended = timed(world.manifest(), PATIENT);
    completes(world, &mended)?;
    // Each of three fleets came and went, the second one pod by pod.
    world.disturb(14);
    world.apply(&mended)?;
    world.await_ready(&mended)?;
    let records = world.judge(Repeats::Rebalances)?;
    let Poison {
        partition,
        offset,
        held,
    } = poison;
    Ok(vec![
        format!(
            "partition {partition}, offset {offset} and {} of its key",
            held - 1
        ),
        format!("after {HASTY} s: {said}"),
        format!("with {PATIENT} s: {waits}; mended, and drained"),
        format!("{records} records, none lost, none out of order"),
    ])
}

impl Poison {
    fn find(world: &World<'_>) -> Self {
        let event = |sequence| world.workload.event(sequence);
        let own = event(SEQUENCE);
        let before = (0..SEQUENCE).filter(|s| event(*s).partition == own.partition);
        let held = (SEQUENCE..RECORDS).filter(|s| event(*s).key == own.key);
        Self {
            partition: own.partition,
            offset: before.count() as u64,
            held: held.count() as u64,
        }
    }

    /// Whether a pod says that it holds the record, where it stands, and that its key waits.
    fn is_told(&self, page: &Value) -> bool {
        let troubles = page["troubles"].as_array();
        let mut troubles = troubles.into_iter().flatten();
        let named =
            troubles.any(|one| one["partition"] == self.partition && one["offset"] == self.offset);
        let own = self.told(page);
        named
            && own.is_some_and(|own| {
                own["blockedKeys"] == 1
                    && own["held"] == self.held
                    && own["watermark"] == self.offset
            })
    }

    /// What a pod tells of the partition, when the pod holds it.
    fn told<'a>(&self, page: &'a Value) -> Option<&'a Value> {
        let all = page["partitions"].as_array()?;
        all.iter().find(|own| own["partition"] == self.partition)
    }
}

/// The copying pipeline behind a filter that no event fails but one, whose id is no number.
fn blocking(world: &World<'_>, drain: u32) -> Manifest {
    let keep = format!("event.sequence != {SEQUENCE} || int(event.id) > 0");
    let manifest = world.manifest().with(
        "/spec/stages",
        json!([
            {"name": "sieve", "filter": {"keep": keep}},
            {"name": "forward", "produce": {"topic": world.names.output}},
        ]),
    );
    let manifest = manifest
        .with("/spec/failure/onRecordError", "Block")
        .with("/spec/failure/deadLetterTopic", Value::Null);
    timed(manifest, drain)
}

fn timed(manifest: Manifest, drain: u32) -> Manifest {
    manifest.with("/spec/drain/timeoutSeconds", drain)
}

fn drained(manifest: &Manifest) -> Manifest {
    manifest.clone().with("/spec/state", "Drained")
}

/// Runs until everything is out but what the record holds up; the pod that holds it. The commit
/// stands at the record, and its pod says so.
fn blocks(world: &World<'_>, manifest: &Manifest, poison: &Poison) -> Result<String, CheckError> {
    world.apply(manifest)?;
    world.await_ready(manifest)?;
    world.await_produced(u64::from(RECORDS) - poison.held, SETTLE)?;
    world.until("the blocked record in the pages", SETTLE, || {
        let mut said = Vec::new();
        for pod in world.pods(manifest)? {
            let page = world.page(view::name(&pod))?;
            let Some(own) = poison.told(&page) else {
                continue;
            };
            let stands =
                poison.is_told(&page) && world.committed_of(poison.partition)? == poison.offset;
            if stands {
                return Ok(Ok(view::name(&pod).to_owned()));
            }
            said.push(own.to_string());
        }
        Ok(Err(said.join("; ")))
    })
}

/// Watches a drain until its condition has a reason; on no look may it claim to be done.
fn until_said(
    world: &World<'_>,
    manifest: &Manifest,
    reason: &str,
) -> Result<(Value, view::Condition), CheckError> {
    world.until(reason, SETTLE, || {
        let object = world.pipeline(manifest)?;
        not_drained(&object)?;
        let said = view::condition(&object, "Drained");
        let said = said.filter(|c| c.reason == reason && view::is_observed(&object));
        Ok(match said {
            Some(said) => Ok((object, said)),
            None => Err(view::conditions(&object)),
        })
    })
}

fn not_drained(object: &Value) -> Result<(), CheckError> {
    let claimed = object["status"]["drain"]["outcome"] == "Complete";
    hold!(!claimed && !view::holds(object, "Drained"), || {
        format!("it claims to be drained: {}", object["status"])
    })
}

/// At the deadline the fleet goes home and the status tells what it left.
fn ends_unfinished(
    world: &World<'_>,
    manifest: &Manifest,
    poison: &Poison,
) -> Result<String, CheckError> {
    world.apply(&drained(manifest))?;
    let (object, said) = until_said(world, manifest, "DrainDeadlineExceeded")?;
    let drain = &object["status"]["drain"];
    let left = drain["pods"].as_array().into_iter().flatten();
    let left: u64 = left.map(|pod| view::count(pod, "/inFlightRecords")).sum();
    hold!(
        drain["outcome"] == "DeadlineExceeded" && left == poison.held,
        || {
            format!(
                "{} records are held up, status.drain is {drain}",
                poison.held
            )
        }
    )?;
    world.await_holds(manifest, "Stalled", SETTLE)?;
    no_pods(world, manifest)?;
    not_drained(&world.pipeline(manifest)?)?;
    let committed = world.committed_of(poison.partition)?;
    hold!(committed == poison.offset, || {
        format!(
            "{committed} is committed, the blocked record is at {}",
            poison.offset
        )
    })?;
    Ok(said.message)
}

/// A drain with time waits, and names the pod that it waits for and no other.
fn waits(
    world: &World<'_>,
    manifest: &Manifest,
    (poison, holder): (&Poison, &str),
) -> Result<String, CheckError> {
    world.apply(&drained(manifest))?;
    let said = world.until("evidence of the other pod", SETTLE, || {
        let (object, said) = until_said(world, manifest, "Draining")?;
        let drain = &object["status"]["drain"];
        let finished = drain["pods"].as_array().map_or(0, Vec::len);
        let names = said.message.ends_with(&format!("waiting for {holder}"));
        let waits = drain["outcome"] == "Draining" && finished == 1 && names;
        Ok(if waits {
            Ok(said.message)
        } else {
            Err(format!("{}, status.drain is {drain}", said.message))
        })
    })?;
    wait::until(WATCHED, PAUSE, || -> Result<_, CheckError> {
        not_drained(&world.pipeline(manifest)?).map(|()| None::<()>)
    })?;
    let page = world.page(holder)?;
    hold!(
        poison.is_told(&page) && page["control"]["settled"] == false,
        || { format!("{holder} says {page}") }
    )?;
    Ok(said)
}

/// Without the cause, the drain that was waiting ends: its pods are replaced, and the new ones
/// take nothing.
fn completes(world: &World<'_>, mended: &Manifest) -> Result<(), CheckError> {
    let before = world.produced()?;
    world.apply(&drained(mended))?;
    let object = world.await_holds(mended, "Drained", SETTLE)?;
    let drain = &object["status"]["drain"];
    let none = Vec::new();
    let pods = drain["pods"].as_array().unwrap_or(&none);
    let settled = |pod: &Value| pod["inFlightRecords"] == 0;
    // Pods of both revisions may be there at the end.
    let all = pods.len() >= 2 && pods.iter().all(settled);
    hold!(drain["outcome"] == "Complete" && all, || {
        format!("status.drain is {drain}")
    })?;
    no_pods(world, mended)?;
    let after = world.produced()?;
    hold!(before == after, || {
        format!("{} records came out while drained", after - before)
    })
}

fn no_pods(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    world.until("no pods", SETTLE, || {
        let left = world.pods(manifest)?.len();
        Ok(if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} pods"))
        })
    })
}
