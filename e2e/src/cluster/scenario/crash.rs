//! The node of the leading operator dies without a word, and comes back.
//! Layer: shell

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    Notes,
    rollout::{FLOW, holder},
};
use crate::{
    cluster::{
        CheckError,
        audit::{self, Call},
        ground::Ground,
        install,
        kubectl::Within,
        manifest::Manifest,
        view,
        world::{SETTLE, World, hold},
    },
    oracle::Repeats,
};

/// How often the replica that does not lead looks at the Lease: it sees the last renewal so late.
const LOOK: u64 = 4;
/// For the call that takes the Lease, on a machine whose cores the records use, too.
const MARGIN: u64 = 3;
/// Pods of the fleet after the edit, and of the operator.
const LARGER: usize = 3;
const REPLICAS: usize = 2;
/// Questions of a leader that woke after which it has seen who leads now.
const AWAKE: usize = 3;

/// Records flow all the while. The other replica leads in time and follows an edit; the old leader
/// wakes and writes nothing.
pub(super) fn node_crash(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest().with("/spec/pod/topologySpread", "Node");
    let larger = manifest.clone().with("/spec/replicas", LARGER);
    let mut notes = world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let operator = Operator::of(world);
        let old = operator.apart()?;
        let before = operator.lease()?;
        // The fleet's pod of that node goes, a third one comes, the first one is back.
        world.disturb(6);
        let frozen = Frozen::pause(world.site.ground, &old.node)?;
        let took = operator.taken_over(&before)?;
        let taken = operator.lease()?;
        let edited = edit(world, &larger)?;
        drop(frozen);
        operator.awake(&old, &taken)?;
        await_fleet(world, &larger)?;
        let refused = operator.wrote_nothing(&old, &taken)?;
        Ok(vec![took, edited, refused])
    })?;
    let records = world.judge(Repeats::Zombies)?;
    notes.push(format!(
        "{records} records, none lost, none out of order but late repeats of the pod that woke"
    ));
    Ok(notes)
}

/// A node that stands still until dropped.
struct Frozen<'a> {
    ground: &'a Ground,
    node: &'a str,
}

impl<'a> Frozen<'a> {
    fn pause(ground: &'a Ground, node: &'a str) -> Result<Self, CheckError> {
        ground.pause(node)?;
        Ok(Self { ground, node })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // The scenario fails on its own when this did not work.
        let _ = self.ground.unpause(self.node);
    }
}

/// A replica and its node.
struct Replica {
    pod: String,
    node: String,
}

/// The operator's replicas and their Lease.
struct Operator<'a> {
    world: &'a World<'a>,
    kubectl: Within,
}

impl<'a> Operator<'a> {
    fn of(world: &'a World<'a>) -> Self {
        let kubectl = world.site.kubectl.within(install::NAMESPACE);
        Self { world, kubectl }
    }

    fn lease(&self) -> Result<Value, CheckError> {
        let lease = self.kubectl.get("lease/penstock-operator")?;
        lease.ok_or_else(|| CheckError::broken("there is no Lease"))
    }

    fn replicas(&self) -> Result<Vec<Value>, CheckError> {
        let label = "app.kubernetes.io/name=penstock-operator";
        Ok(self.kubectl.list("pods", label)?)
    }

    /// The one that leads, once no other is on its node: the scheduler only prefers that, so one
    /// that is is sent away.
    fn apart(&self) -> Result<Replica, CheckError> {
        self.world.until("two replicas on two nodes", SETTLE, || {
            let leads = holder(&self.kubectl)?;
            let pods = self.replicas()?;
            let ready: Vec<_> = pods.iter().filter(|pod| view::is_ready(pod)).collect();
            let node = |pod: &Value| view::text(pod, "/spec/nodeName").to_owned();
            let own = ready.iter().find(|pod| view::name(pod) == leads);
            let other = ready.iter().find(|pod| view::name(pod) != leads);
            let (Some(own), Some(other)) = (own, other) else {
                return Ok(Err(format!("{} replicas are ready", ready.len())));
            };
            if node(own) == node(other) {
                self.kubectl.delete(&format!("pod/{}", view::name(other)))?;
                return Ok(Err("both are on one node".to_owned()));
            }
            let (pod, node) = (leads, node(own));
            Ok(Ok(Replica { pod, node }))
        })
    }

    /// Waits until the other one leads: at the latest when the Lease has run out after a look of
    /// its own.
    fn taken_over(&self, before: &Value) -> Result<String, CheckError> {
        let lasts = view::count(before, "/spec/leaseDurationSeconds");
        let bound = Duration::from_secs(lasts + LOOK + MARGIN);
        let died = Instant::now();
        let old = view::text(before, "/spec/holderIdentity");
        self.world.until("another leader", bound, || {
            let now = holder(&self.kubectl)?;
            Ok(if now == old || now.is_empty() {
                Err(format!("{now} holds the Lease"))
            } else {
                Ok(())
            })
        })?;
        Ok(format!(
            "leader's node dead to the next leader: {:.1} s (at most {} s)",
            died.elapsed().as_secs_f64(),
            bound.as_secs()
        ))
    }

    /// What the old leader asked since the Lease was taken, which is since it woke.
    fn late(&self, old: &Replica, taken: &Value) -> Result<Vec<Call>, CheckError> {
        let since = view::text(taken, "/spec/acquireTime");
        let mut calls = audit::calls(self.world.site.ground)?;
        calls.retain(|call| call.pod == old.pod && call.received.as_str() > since);
        Ok(calls)
    }

    /// Waits until the old leader has looked around, and both replicas are ready.
    fn awake(&self, old: &Replica, taken: &Value) -> Result<(), CheckError> {
        self.world.until("the old leader awake", SETTLE, || {
            let asked = self.late(old, taken)?.len();
            let pods = self.replicas()?;
            let ready = pods.iter().filter(|pod| view::is_ready(pod)).count();
            Ok(if asked >= AWAKE && ready == REPLICAS {
                Ok(())
            } else {
                Err(format!(
                    "it asked {asked} times, {ready} replicas are ready"
                ))
            })
        })
    }

    /// The Lease changed hands once, and since then no write of the old leader was done. One that
    /// was on its way when the node died may have come, and been refused for its version.
    fn wrote_nothing(&self, old: &Replica, taken: &Value) -> Result<String, CheckError> {
        let now = self.lease()?;
        for field in ["holderIdentity", "leaseTransitions", "acquireTime"] {
            hold!(now["spec"][field] == taken["spec"][field], || {
                format!("the Lease was {taken} and is {now}")
            })?;
        }
        let (writes, reads): (Vec<_>, Vec<_>) =
            self.late(old, taken)?.into_iter().partition(Call::is_write);
        let (done, refused): (Vec<_>, Vec<_>) =
            writes.into_iter().partition(|call| call.code < 300);
        hold!(done.is_empty(), || {
            format!("the old leader wrote under {taken}: {done:?}")
        })?;
        Ok(format!(
            "the old leader woke, read {} times, and wrote nothing ({} writes refused)",
            reads.len(),
            refused.len()
        ))
    }
}

/// One more pod, while a node is dead: made, ready, and records come out.
fn edit(world: &World<'_>, larger: &Manifest) -> Result<String, CheckError> {
    let started = Instant::now();
    world.apply(larger)?;
    world.until("the edit in the fleet", SETTLE, || {
        let object = world.pipeline(larger)?;
        let desired = view::count(&object, "/status/desiredReplicas");
        let done = view::is_observed(&object) && desired == LARGER as u64;
        // The pod of the dead node may still count as ready.
        let pods = world.pods(larger)?;
        Ok(if done && pods.len() == LARGER {
            Ok(())
        } else {
            Err(view::conditions(&object))
        })
    })?;
    let took = started.elapsed();
    let before = world.produced()?;
    world.await_produced(before + u64::from(FLOW) * 3, SETTLE)?;
    Ok(format!(
        "an edit under the next leader: in the fleet after {:.1} s",
        took.as_secs_f64()
    ))
}

/// Waits until every pod serves again and the status says so.
fn await_fleet(world: &World<'_>, larger: &Manifest) -> Result<(), CheckError> {
    world.until("the whole fleet", SETTLE, || {
        let object = world.pipeline(larger)?;
        let pods = world.pods(larger)?;
        let ready = pods.iter().filter(|pod| view::is_ready(pod)).count();
        let told = view::count(&object, "/status/readyReplicas");
        let all = ready == LARGER && told == LARGER as u64;
        Ok(if all && view::holds(&object, "Ready") {
            Ok(())
        } else {
            Err(format!(
                "{ready} of {LARGER}: {}",
                view::conditions(&object)
            ))
        })
    })
}
