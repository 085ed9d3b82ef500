//! The storefront on real stores: a fleet whose processors are killed, and what the stores hold then.
//! Layer: shell

use serde_json::Value;

use super::{Notes, states};
use crate::{
    cluster::{
        CheckError,
        manifest::Manifest,
        view,
        world::{SETTLE, World, hold},
    },
    services::{self, Store},
    sinks::{
        books::{self, Books, Sets},
        ground::Places,
    },
    topics::Watch,
};

/// Of the pipeline and all that it stores; the scenario has topics of its own name.
const NAME: &str = "shop";
const STORES: [Store; 3] = [Store::Elasticsearch, Store::Mongodb, Store::Redis];

/// Two replicas, all stages, SIGKILL of every processor of a node, drained at the end.
pub(super) fn storefront(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let site = world.site;
    let services = services::start_all(site.ground.gateway, &STORES)?;
    let [search, mongodb, redis] = services.as_slice() else {
        unreachable!("one for each store");
    };
    let places = Places {
        search,
        mongodb,
        redis,
    };
    let (records, kills) = site.length.pick((8_000, 2), (60_000, 6));
    let bootstrap = site.broker.bootstrap();
    let books = Books::lay((bootstrap, NAME), site.seed, records)?;
    let text = books.pipeline(&places.doors(bootstrap));
    let manifest = Manifest::read(&text);
    world.apply(&manifest)?;
    let weak = told_weaknesses(&world.await_ready(&manifest)?)?;
    let watch = books.watch()?;
    for kill in 1..=kills {
        await_committed(world, &watch, books.records() * kill / (kills + 1))?;
        kill_processors(world, &manifest)?;
    }
    await_committed(world, &watch, books.records())?;
    world.await_ready(&manifest)?;
    // What was counted is flushed before the pods go.
    states::state(world, &manifest, "Drained")?;
    world.await_holds(&manifest, "Drained", SETTLE)?;
    let findings = books.audit(&places, Sets::Exact)?;
    let broken = books::broken(&findings);
    hold!(broken.is_empty(), || {
        [broken, findings.examples.clone()].concat().join("; ")
    })?;
    Ok(vec![
        format!(
            "{} records, {kills} times SIGKILL on a node: every document, counter and set as the \
             reference",
            books.records()
        ),
        weak,
    ])
}

/// This Redis keeps no log of its writes, and the condition says what that costs.
fn told_weaknesses(object: &Value) -> Result<String, CheckError> {
    let said = view::condition(object, "SinksReady");
    let told = said.filter(|c| c.reason == "WeakDurability" && c.message.contains("appendonly"));
    told.map(|condition| condition.message)
        .ok_or_else(|| CheckError::Broken(view::conditions(object)))
}

fn await_committed(world: &World<'_>, watch: &Watch, target: u64) -> Result<(), CheckError> {
    world.until(&format!("{target} records committed"), 3 * SETTLE, || {
        let committed: u64 = watch.committed()?.iter().sum();
        Ok(if committed >= target {
            Ok(())
        } else {
            Err(format!("{committed} are"))
        })
    })
}

/// On the node of the first pod; the containers start again.
fn kill_processors(world: &World<'_>, manifest: &Manifest) -> Result<(), CheckError> {
    let pods = world.pods(manifest)?;
    let pod = pods.first().ok_or_else(|| CheckError::broken("no pods"))?;
    let node = view::text(pod, "/spec/nodeName");
    world.site.ground.in_node(node, &["bash", "-c", KILL])?;
    Ok(())
}

/// The kernel keeps fifteen characters of a name.
const KILL: &str = "for folder in /proc/[0-9]*; do
    read -r name <$folder/comm 2>/dev/null || continue
    [ \"$name\" != penstock-proces ] || kill -9 ${folder#/proc/}
done";
