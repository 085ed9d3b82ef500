//! Which children need not be read again.
//! Layer: core
//!
//! What was last read or written of a child is as good as a read while the watch shows that very
//! version: the watch tells of every later one, and that leads to a reconcile which reads. What the
//! watch does not show (it selects our labels, so nothing of others) was never there, or cannot be
//! trusted: absence is remembered only to be told, and nothing may be created by it.

use std::collections::{HashMap, HashSet};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::{SignedDuration, Timestamp},
};

use crate::{
    kinds::Kind,
    observed::{Existing, Owner},
    subject::Subject,
};

/// Namespace and name.
pub type Name = (String, String);
type Place = (Kind, Name);

/// A watch that lost an event is believed for so long.
pub const LONGEST: SignedDuration = SignedDuration::from_mins(30);
/// Bytes of everything that is kept; what does not fit is read each time.
const MOST: usize = 16 << 20;

/// What the watches showed, and what was read or written.
#[derive(Debug, Default)]
pub struct Recall {
    shown: HashMap<Place, Version>,
    known: HashMap<Place, Known>,
    bytes: usize,
}

/// Identity and version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    uid: Box<str>,
    version: Box<str>,
}

#[derive(Debug)]
struct Known {
    /// Identity of the pipeline: a child of ours is not one of the next pipeline of this name.
    pipeline: String,
    at: Timestamp,
    kept: Option<Kept>,
}

/// A child of ours, as text: a tree would be many times as large.
#[derive(Debug)]
struct Kept {
    version: Version,
    body: Box<str>,
}

/// What is remembered under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Recalled {
    /// This very child.
    There(Existing),
    /// Nothing, when it was last read.
    Absent,
}

/// Whether an event of a watch tells something that no reconcile has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Worth a reconcile.
    Yes,
    /// What we wrote or read ourselves.
    No,
}

impl Recall {
    /// The watch shows a child.
    pub fn show(&mut self, kind: Kind, metadata: &ObjectMeta) -> News {
        let place = (kind, name(metadata));
        let version = Version::new(
            metadata.uid.as_deref().unwrap_or_default(),
            metadata.resource_version.as_deref().unwrap_or_default(),
        );
        let kept = self.known.get(&place).and_then(|known| known.kept.as_ref());
        let same = kept.is_some_and(|kept| kept.version == version);
        self.shown.insert(place, version);
        if same { News::No } else { News::Yes }
    }

    /// The watch shows that a child has gone.
    pub fn hide(&mut self, kind: Kind, metadata: &ObjectMeta) {
        self.shown.remove(&(kind, name(metadata)));
    }

    /// A watch that began anew has shown everything of its namespaces.
    pub fn show_only(&mut self, kind: Kind, namespace: Option<&str>, there: &HashSet<Name>) {
        self.shown.retain(|(shown, name), _| {
            let of_others = *shown != kind || namespace.is_some_and(|one| one != name.0);
            of_others || there.contains(name)
        });
    }

    /// What needs not be read.
    #[must_use]
    pub fn recall(
        &self,
        subject: &Subject,
        child: (Kind, &str),
        now: Timestamp,
    ) -> Option<Recalled> {
        let place = place(subject, child);
        let known = self.known.get(&place)?;
        let recent = now.duration_since(known.at) < LONGEST;
        if known.pipeline != subject.uid || !recent {
            return None;
        }
        match (&known.kept, self.shown.get(&place)) {
            (None, None) => Some(Recalled::Absent),
            (Some(kept), Some(shown)) if kept.version == *shown => {
                Some(Recalled::There(kept.existing(child)?))
            }
            _ => None,
        }
    }

    /// Keeps a child as it was read, or as the API server returned it.
    pub fn keep(&mut self, subject: &Subject, existing: &Existing, at: Timestamp) {
        let child = (existing.kind, existing.name.as_str());
        let kept = Kept {
            version: Version::new(&existing.uid, &existing.version),
            body: existing.body.to_string().into(),
        };
        self.remove(&place(subject, child));
        if existing.owner == Owner::Ours && self.bytes + kept.body.len() <= MOST {
            self.insert(subject, child, (Some(kept), at));
        }
    }

    /// Keeps that there was nothing.
    pub fn keep_absent(&mut self, subject: &Subject, child: (Kind, &str), at: Timestamp) {
        self.remove(&place(subject, child));
        self.insert(subject, child, (None, at));
    }

    /// Forgets where there was nothing, so that it is looked for again.
    pub fn forget_absent(&mut self, subject: &Subject) {
        self.known.retain(|(_, name), known| {
            known.kept.is_some() || known.pipeline != subject.uid || name.0 != subject.namespace
        });
    }

    /// Forgets pipelines, but these.
    pub fn forget_unless(&mut self, stays: impl Fn(&str) -> bool) {
        self.known.retain(|_, known| stays(&known.pipeline));
        let kept = self.known.values().filter_map(|known| known.kept.as_ref());
        self.bytes = kept.map(|kept| kept.body.len()).sum();
    }

    fn insert(&mut self, subject: &Subject, child: (Kind, &str), what: (Option<Kept>, Timestamp)) {
        let (kept, at) = what;
        self.bytes += kept.as_ref().map_or(0, |kept| kept.body.len());
        let pipeline = subject.uid.clone();
        let known = Known { pipeline, at, kept };
        self.known.insert(place(subject, child), known);
    }

    fn remove(&mut self, place: &Place) {
        let known = self.known.remove(place).and_then(|known| known.kept);
        self.bytes -= known.map_or(0, |kept| kept.body.len());
    }
}

impl Version {
    fn new(uid: &str, version: &str) -> Self {
        Self {
            uid: uid.into(),
            version: version.into(),
        }
    }
}

impl Kept {
    fn existing(&self, (kind, name): (Kind, &str)) -> Option<Existing> {
        Some(Existing {
            kind,
            name: name.to_owned(),
            uid: self.version.uid.as_ref().to_owned(),
            version: self.version.version.as_ref().to_owned(),
            owner: Owner::Ours,
            body: serde_json::from_str(&self.body).ok()?,
        })
    }
}

/// Namespace and name of an object.
#[must_use]
pub fn name(metadata: &ObjectMeta) -> Name {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

fn place(subject: &Subject, (kind, name): (Kind, &str)) -> Place {
    (kind, (subject.namespace.clone(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subject(uid: &str) -> Subject {
        Subject {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
            uid: uid.to_owned(),
            ..Subject::default()
        }
    }

    fn existing(version: &str, owner: Owner) -> Existing {
        Existing {
            kind: Kind::Service,
            name: "a".to_owned(),
            uid: "1".to_owned(),
            version: version.to_owned(),
            owner,
            body: json!({"spec": version}),
        }
    }

    fn shown(version: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some("shop".to_owned()),
            name: Some("a".to_owned()),
            uid: Some("1".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    const A: (Kind, &str) = (Kind::Service, "a");
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn only_the_version_that_the_watch_shows_is_recalled() {
        let (mut recall, one) = (Recall::default(), subject("p"));
        recall.keep(&one, &existing("2", Owner::Ours), NOW);
        assert_eq!(recall.recall(&one, A, NOW), None, "the watch shows nothing");
        assert_eq!(recall.show(A.0, &shown("1")), News::Yes);
        assert_eq!(recall.recall(&one, A, NOW), None, "it is behind our write");
        assert_eq!(recall.show(A.0, &shown("2")), News::No);
        let there = Some(Recalled::There(existing("2", Owner::Ours)));
        assert_eq!(recall.recall(&one, A, NOW), there);
        assert_eq!(
            recall.recall(&subject("q"), A, NOW),
            None,
            "another pipeline"
        );
        assert_eq!(recall.recall(&one, A, NOW + LONGEST), None, "too long ago");
        assert_eq!(recall.show(A.0, &shown("3")), News::Yes);
        assert_eq!(recall.recall(&one, A, NOW), None, "somebody changed it");
        recall.show(A.0, &shown("2"));
        recall.hide(A.0, &shown("4"));
        assert_eq!(recall.recall(&one, A, NOW), None, "it has gone");
    }

    #[test]
    fn what_is_not_ours_is_never_kept() {
        for owner in [Owner::Foreign, Owner::Former] {
            let (mut recall, one) = (Recall::default(), subject("p"));
            recall.keep(&one, &existing("1", Owner::Ours), NOW);
            recall.keep(&one, &existing("2", owner), NOW);
            recall.show(A.0, &shown("2"));
            assert_eq!(recall.recall(&one, A, NOW), None);
            assert_eq!(recall.bytes, 0);
        }
    }

    #[test]
    fn absence_is_forgotten_by_itself() {
        let (mut recall, one) = (Recall::default(), subject("p"));
        recall.keep_absent(&one, A, NOW);
        assert_eq!(recall.recall(&one, A, NOW), Some(Recalled::Absent));
        recall.forget_absent(&one);
        assert_eq!(recall.recall(&one, A, NOW), None);
        recall.keep_absent(&one, A, NOW);
        recall.show(A.0, &shown("1"));
        assert_eq!(recall.recall(&one, A, NOW), None, "it has come");
    }

    #[test]
    fn a_watch_that_begins_anew_hides_what_it_shows_no_longer() {
        let (mut recall, one) = (Recall::default(), subject("p"));
        recall.keep(&one, &existing("2", Owner::Ours), NOW);
        recall.show(A.0, &shown("2"));
        recall.show_only(Kind::Deployment, None, &HashSet::new());
        recall.show_only(A.0, Some("other"), &HashSet::new());
        assert!(recall.recall(&one, A, NOW).is_some(), "other watches");
        recall.show_only(A.0, Some("shop"), &HashSet::new());
        assert_eq!(recall.recall(&one, A, NOW), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_counted() {
        let (mut recall, one) = (Recall::default(), subject("p"));
        let mut large = existing("1", Owner::Ours);
        large.body = "x".repeat(MOST).into();
        recall.keep(&one, &large, NOW);
        assert_eq!((recall.bytes, recall.known.len()), (0, 0));
        for version in ["1", "2"] {
            recall.keep(&one, &existing(version, Owner::Ours), NOW);
        }
        assert_eq!(recall.bytes, r#"{"spec":"2"}"#.len());
        recall.forget_unless(|pipeline| pipeline != "p");
        assert_eq!((recall.bytes, recall.known.len()), (0, 0));
    }
}
