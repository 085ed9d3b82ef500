//! What a cluster does to pods: kills for memory, drained nodes.
//! Layer: shell

use super::{Notes, rollout::FLOW};
use crate::{
    cluster::{
        CheckError,
        ground::Ground,
        view,
        world::{SETTLE, World, hold},
    },
    oracle::Repeats,
};

/// A container whose memory cgroup is made too small from outside is killed; the status says so.
pub(super) fn oom_killed(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest();
    let (victim, said) = world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let pods = world.pods(&manifest)?;
        let pod = pods.first().ok_or_else(|| CheckError::broken("no pods"))?;
        let victim = view::name(pod).to_owned();
        world.disturb(2);
        strangle(world.site.ground, pod)?;
        let object = world.until("the kill in the status", SETTLE, || {
            let object = world.pipeline(&manifest)?;
            let told = view::text(&object, "/status/lastOOM/pod") == victim;
            Ok(if told {
                Ok(object)
            } else {
                Err(object["status"].to_string())
            })
        })?;
        let memory = view::condition(&object, "MemoryFits");
        let told = |c: &view::Condition| c.status == "False" && c.reason == "OOMKilled";
        hold!(memory.as_ref().is_some_and(told), || {
            view::conditions(&object)
        })?;
        Ok((victim, memory.map(|c| c.message).unwrap_or_default()))
    })?;
    hold!(said.contains(&victim), || {
        format!("the condition does not name the pod: {said}")
    })?;
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![
        said,
        format!("{records} records, none lost, none out of order"),
    ])
}

/// Lowers the limit of a pod's container to what it uses now, and less where the kernel takes it:
/// the next page that it touches ends it.
fn strangle(ground: &Ground, pod: &serde_json::Value) -> Result<(), CheckError> {
    let node = view::text(pod, "/spec/nodeName");
    let id = view::text(pod, "/status/containerStatuses/0/containerID");
    let id = id.trim_start_matches("containerd://");
    let script = format!(
        "set -eu
         for folder in $(find /sys/fs/cgroup -type d -name '*{id}*'); do
             if [ -e $folder/memory.max ]; then echo 8M >$folder/memory.max; exit; fi
             if [ -e $folder/memory.limit_in_bytes ]; then
                 for tries in $(seq 200); do
                     used=$(cat $folder/memory.usage_in_bytes)
                     echo $((used - used / 16)) >$folder/memory.limit_in_bytes 2>/dev/null ||
                         echo $used >$folder/memory.limit_in_bytes 2>/dev/null || true
                     [ -e $folder/cgroup.procs ] && [ -s $folder/cgroup.procs ] || exit 0
                 done
                 exit
             fi
         done
         echo no memory cgroup of {id} >&2; exit 1"
    );
    ground.in_node(node, &["bash", "-c", &script])?;
    Ok(())
}

/// `kubectl drain` of a worker: the budget holds a pod back, and nothing is lost.
pub(super) fn node_drain(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let manifest = world.manifest().with("/spec/pod/topologySpread", "Node");
    world.streaming(FLOW, |world| {
        world.apply(&manifest)?;
        world.await_ready(&manifest)?;
        let pods = world.pods(&manifest)?;
        let node = pods
            .first()
            .map(|pod| view::text(pod, "/spec/nodeName").to_owned());
        let node = node.ok_or_else(|| CheckError::broken("no pods"))?;
        world.disturb(4);
        let cordoned = Cordoned { world, node: &node };
        cordoned.drain()?;
        world.until("every pod elsewhere", SETTLE, || {
            let pods = world.pods(&manifest)?;
            let elsewhere = |pod: &&serde_json::Value| {
                view::is_ready(pod) && view::text(pod, "/spec/nodeName") != node
            };
            let ready = pods.iter().filter(elsewhere).count();
            Ok(if ready == 2 {
                Ok(())
            } else {
                Err(format!("{ready} of 2"))
            })
        })?;
        drop(cordoned);
        world.await_ready(&manifest)
    })?;
    let records = world.judge(Repeats::Rebalances)?;
    Ok(vec![format!(
        "{records} records, none lost, none out of order"
    )])
}

/// A node that takes no pods until dropped.
struct Cordoned<'a> {
    world: &'a World<'a>,
    node: &'a str,
}

impl Cordoned<'_> {
    fn drain(&self) -> Result<(), CheckError> {
        let arguments = [
            "drain",
            self.node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--timeout=120s",
        ];
        self.world.site.kubectl.run(&arguments)?;
        Ok(())
    }
}

impl Drop for Cordoned<'_> {
    fn drop(&mut self) {
        // The next scenario fails on its own when this did not work.
        let _ = self.world.site.kubectl.run(&["uncordon", self.node]);
    }
}
