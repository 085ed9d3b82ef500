//! The pods that the watch shows, as far as anything is decided by them.
//! Layer: core
//!
//! It may be behind our own writes to pods, and that does no harm: a scout's name is the same for
//! the same try, a dismissal names an identity, and a state that was told already changes nothing,
//! so whatever is decided by an older roster was done before. A pod that changes in a way by which
//! something is decided leads to a reconcile; one that changes otherwise does not.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};

use crate::{
    names,
    observed::{Owner, PodFacts, ScoutFacts},
    recall::{self, Name},
    resource::EventPipeline,
    subject::Subject,
    wishes::State,
};

/// The namespace of a watch; nothing for the one watch on all.
pub type Watched = Option<String>;

/// The pods of one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crew {
    /// Those that process.
    pub fleet: Vec<PodFacts>,
    /// Those that try a connection, or tried it.
    pub scouts: Vec<ScoutFacts>,
}

/// Where a pod can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its pipeline.
    pub pipeline: String,
    /// Its address.
    pub ip: IpAddr,
}

/// Every pod that is ours.
#[derive(Debug, Default)]
pub struct Roster {
    /// By pipeline and by the pod's name.
    members: BTreeMap<(Name, String), Member>,
    /// The pipeline of each pod: a label can be changed.
    homes: HashMap<Name, Name>,
    /// What a watch that began anew has shown so far.
    arriving: HashMap<Watched, HashSet<Name>>,
    complete: HashSet<Watched>,
}

/// All of one pod by which anything is decided.
#[derive(Clone, Debug, PartialEq)]
enum Member {
    Processor(PodFacts, Option<IpAddr>),
    Scout(ScoutFacts, Vec<OwnerReference>),
}

impl Crew {
    /// From pods that were read.
    #[must_use]
    pub fn listed(pods: &[Pod], subject: &Subject) -> Self {
        let members: Vec<Member> = pods.iter().filter_map(Member::of).collect();
        Self::of(members.iter(), subject)
    }

    fn of<'a>(members: impl Iterator<Item = &'a Member>, subject: &Subject) -> Self {
        let mut crew = Self::default();
        for member in members {
            match member {
                Member::Processor(facts, _) => crew.fleet.push(facts.clone()),
                Member::Scout(facts, owners) if Owner::of(Some(owners), subject) == Owner::Ours => {
                    crew.scouts.push(facts.clone());
                }
                Member::Scout(..) => {}
            }
        }
        crew
    }
}

impl Member {
    fn of(pod: &Pod) -> Option<Self> {
        let metadata = &pod.metadata;
        match metadata.labels.as_ref()?.get(names::COMPONENT)?.as_str() {
            names::PROCESSOR => Some(Self::Processor(PodFacts::of(pod), running_at(pod))),
            // one that is going proves nothing any more
            names::SCOUT if metadata.deletion_timestamp.is_none() => {
                let owners = metadata.owner_references.clone().unwrap_or_default();
                Some(Self::Scout(ScoutFacts::of(pod), owners))
            }
            _ => None,
        }
    }
}

impl Roster {
    /// The pods of a pipeline; nothing while they must be read.
    ///
    /// A watch that has not shown everything yet says nothing. What is said of a pause or a drain is
    /// evidence by which a fleet is sent home, so then nobody looks at an older picture.
    #[must_use]
    pub fn crew(&self, object: &EventPipeline) -> Option<Crew> {
        let subject = Subject::of(object)?;
        let state = object.spec.state.as_deref();
        let runs = state.is_none_or(|state| state == State::Running.name());
        let everywhere = self.complete.contains(&None);
        let there = everywhere || self.complete.contains(&Some(subject.namespace.clone()));
        if !runs || !there {
            return None;
        }
        let pipeline = (subject.namespace.clone(), subject.name.clone());
        let first = (pipeline.clone(), String::new());
        let members = self.members.range(first..);
        let members = members.take_while(|((home, _), _)| *home == pipeline);
        Some(Crew::of(members.map(|(_, member)| member), &subject))
    }

    /// Where the processors that run can be asked, each with its namespace and name.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Name, Address)> {
        let members = self.members.iter();
        let running = members.filter_map(|((home, pod), member)| match member {
            Member::Processor(_, Some(ip)) => {
                let (namespace, pipeline) = home.clone();
                Some(((namespace, pod.clone()), Address { pipeline, ip: *ip }))
            }
            Member::Processor(_, None) | Member::Scout(..) => None,
        });
        running.collect()
    }

    /// A watch begins anew; what it showed before counts until it has shown everything.
    pub fn begin(&mut self, watched: &Watched) {
        self.arriving.insert(watched.clone(), HashSet::new());
    }

    /// A watch that began anew shows a pod; answers the pipeline for which it is news.
    pub fn arrive(&mut self, watched: &Watched, pod: &Pod) -> Option<Name> {
        let arriving = self.arriving.entry(watched.clone()).or_default();
        arriving.insert(recall::name(&pod.metadata));
        self.show(pod)
    }

    /// A watch that began anew has shown everything; answers the pipelines whose pods have gone.
    pub fn complete(&mut self, watched: &Watched) -> Vec<Name> {
        let arrived = self.arriving.remove(watched).unwrap_or_default();
        let theirs = |pod: &&Name| watched.as_ref().is_none_or(|one| *one == pod.0);
        let pods = self.homes.keys().filter(theirs);
        let gone: Vec<Name> = pods
            .filter(|pod| !arrived.contains(*pod))
            .cloned()
            .collect();
        self.complete.insert(watched.clone());
        let gone = gone.iter().filter_map(|pod| self.remove(pod));
        gone.map(|(home, _)| home).collect()
    }

    /// The watch shows a pod; answers the pipeline for which it is news.
    pub fn show(&mut self, pod: &Pod) -> Option<Name> {
        let name = recall::name(&pod.metadata);
        let before = self.remove(&name);
        let after = pipeline(pod).zip(Member::of(pod));
        if let Some((home, member)) = after.clone() {
            self.members.insert((home.clone(), name.1.clone()), member);
            self.homes.insert(name, home);
        }
        if before == after {
            return None;
        }
        after.or(before).map(|(home, _)| home)
    }

    /// The watch shows that a pod has gone; answers its pipeline.
    pub fn hide(&mut self, pod: &Pod) -> Option<Name> {
        self.remove(&recall::name(&pod.metadata))
            .map(|(home, _)| home)
    }

    fn remove(&mut self, pod: &Name) -> Option<(Name, Member)> {
        let home = self.homes.remove(pod)?;
        let member = self.members.remove(&(home.clone(), pod.1.clone()))?;
        Some((home, member))
    }
}

fn pipeline(pod: &Pod) -> Option<Name> {
    let name = pod.metadata.labels.as_ref()?.get(names::PIPELINE)?;
    Some((pod.metadata.namespace.clone()?, name.clone()))
}

/// The address of a pod whose container runs.
fn running_at(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.as_ref()?;
    let runs = containers.iter().any(|container| {
        let state = container.state.as_ref();
        state.is_some_and(|state| state.running.is_some())
    });
    runs.then(|| status.pod_ip.as_ref()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ALL: Watched = None;

    fn pod(name: &str, component: &str, more: &Value) -> Pod {
        let mut pod = json!({"metadata": {"namespace": "shop", "name": name, "labels": {
            names::COMPONENT: component, names::PIPELINE: "orders"}}});
        for (field, value) in more.as_object().unwrap() {
            pod[field] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    fn running(name: &str) -> Pod {
        let status = json!({"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{
            "name": names::CONTAINER, "image": "i", "imageID": "i", "ready": true,
            "restartCount": 0, "state": {"running": {}}}]});
        pod(name, names::PROCESSOR, &json!({"status": status}))
    }

    fn object(name: &str, state: &str) -> EventPipeline {
        let metadata = json!({"namespace": "shop", "name": name, "uid": "p", "generation": 1,
            "resourceVersion": "1"});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"state": state}})).unwrap()
    }

    fn orders() -> Name {
        ("shop".to_owned(), "orders".to_owned())
    }

    fn fleet(roster: &Roster) -> Option<Vec<String>> {
        let crew = roster.crew(&object("orders", "Running"))?;
        Some(crew.fleet.into_iter().map(|pod| pod.name).collect())
    }

    #[test]
    fn nothing_is_said_before_everything_was_shown() {
        let mut roster = Roster::default();
        roster.begin(&ALL);
        assert_eq!(roster.arrive(&ALL, &running("a")), Some(orders()));
        assert_eq!(fleet(&roster), None);
        assert_eq!(roster.complete(&ALL), Vec::<Name>::new());
        assert_eq!(fleet(&roster), Some(vec!["a".to_owned()]));
        let of_others = roster.crew(&object("order", "Running"));
        assert_eq!(of_others, Some(Crew::default()), "a name that begins alike");
    }

    #[test]
    fn a_watch_on_another_namespace_says_nothing_of_this_one() {
        let mut roster = Roster::default();
        let (here, elsewhere) = (Some("shop".to_owned()), Some("other".to_owned()));
        roster.show(&running("a"));
        roster.complete(&elsewhere);
        assert_eq!(fleet(&roster), None);
        roster.begin(&here);
        roster.arrive(&here, &running("a"));
        roster.complete(&here);
        assert_eq!(roster.complete(&elsewhere), Vec::<Name>::new());
        assert_eq!(fleet(&roster), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn a_pause_and_a_drain_are_not_judged_by_it() {
        let mut roster = Roster::default();
        roster.complete(&ALL);
        for (state, said) in [("Running", true), ("Paused", false), ("Drained", false)] {
            let crew = roster.crew(&object("orders", state));
            assert_eq!(crew.is_some(), said, "{state}");
        }
    }

    #[test]
    fn only_what_is_decided_by_is_news() {
        let mut roster = Roster::default();
        assert_eq!(roster.show(&running("a")), Some(orders()));
        let mut same = running("a");
        same.metadata.resource_version = Some("9".to_owned());
        assert_eq!(roster.show(&same), None);
        let stopped = pod("a", names::PROCESSOR, &json!({}));
        assert_eq!(roster.show(&stopped), Some(orders()));
        assert_eq!(roster.hide(&stopped), Some(orders()));
        assert_eq!(roster.hide(&stopped), None);
        let stranger = pod("b", "web", &json!({}));
        assert_eq!(roster.show(&stranger), None);
    }

    #[test]
    fn what_a_watch_that_began_anew_shows_no_longer_has_gone() {
        let mut roster = Roster::default();
        roster.complete(&ALL);
        roster.show(&running("a"));
        roster.show(&running("b"));
        roster.begin(&ALL);
        assert_eq!(roster.arrive(&ALL, &running("b")), None, "it is as it was");
        let both = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(fleet(&roster), both, "until everything was shown");
        assert_eq!(roster.complete(&ALL), [orders()]);
        assert_eq!(fleet(&roster), Some(vec!["b".to_owned()]));
    }

    #[test]
    fn a_pod_that_gets_another_label_leaves_its_pipeline() {
        let mut roster = Roster::default();
        roster.complete(&ALL);
        roster.show(&running("a"));
        let mut moved = running("a");
        let labels = moved.metadata.labels.as_mut().unwrap();
        labels.remove(names::PIPELINE);
        assert_eq!(roster.show(&moved), Some(orders()));
        assert_eq!(fleet(&roster), Some(Vec::new()));
        assert!(roster.addresses().is_empty());
    }

    #[test]
    fn only_processors_that_run_are_asked() {
        let mut roster = Roster::default();
        roster.show(&running("a"));
        roster.show(&pod("b", names::PROCESSOR, &json!({})));
        roster.show(&pod("c", names::SCOUT, &json!({})));
        let address = Address {
            pipeline: "orders".to_owned(),
            ip: "10.0.0.1".parse().unwrap(),
        };
        let name = ("shop".to_owned(), "a".to_owned());
        assert_eq!(roster.addresses(), [(name, address)]);
    }

    #[test]
    fn scouts_of_another_object_and_those_that_go_are_none_of_ours() {
        let mut roster = Roster::default();
        roster.complete(&ALL);
        for (name, uid, going) in [("a", "p", false), ("b", "q", false), ("c", "p", true)] {
            let mut scout = pod(name, names::SCOUT, &json!({}));
            scout.metadata.owner_references = Some(vec![OwnerReference {
                controller: Some(true),
                uid: uid.to_owned(),
                ..OwnerReference::default()
            }]);
            if going {
                scout.metadata.deletion_timestamp =
                    Some(serde_json::from_value(json!("2026-11-25T12:00:00Z")).unwrap());
            }
            roster.show(&scout);
        }
        let crew = roster.crew(&object("orders", "Running")).unwrap();
        let names: Vec<&str> = crew
            .scouts
            .iter()
            .map(|scout| scout.name.as_str())
            .collect();
        assert_eq!(names, ["a"]);
    }
}
