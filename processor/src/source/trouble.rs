//! What clients and brokers complain about: told once, forgotten when things go well again.
//! Layer: core

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The client repeats a lasting complaint every 30 s; one that was not repeated twice is over.
const OVER: Duration = Duration::from_secs(60);

/// What a complaint is about, the most telling kind last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something else.
    Other,
    /// No broker answers: name, port, network, or another protocol than the listener's.
    Unreachable,
    /// A topic that the brokers do not know.
    UnknownTopic,
    /// The brokers know who asks and do not allow it.
    Forbidden,
    /// The other side's certificate, or ours, is refused.
    Tls,
    /// User name, password or mechanism are refused.
    Authentication,
    /// The client will not work again.
    Fatal,
}

/// A complaint of the client or of a broker, without payload and without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What it is about.
    pub kind: Kind,
    /// In the client's words.
    pub text: String,
}

/// The complaint that holds now.
#[derive(Debug, Default)]
pub struct Troubles {
    now: Option<(Complaint, Instant)>,
    told: BTreeSet<Kind>,
}

impl Troubles {
    /// Takes a complaint; true when one of its kind was not told since things last went well. A
    /// less telling one does not hide what it follows from.
    pub fn hear(&mut self, complaint: Complaint, at: Instant) -> bool {
        let first = self.told.insert(complaint.kind);
        let weaker = self
            .current(at)
            .is_some_and(|current| current.kind > complaint.kind);
        if !weaker {
            self.now = Some((complaint, at));
        }
        first
    }

    /// What is wrong now.
    #[must_use]
    pub fn current(&self, at: Instant) -> Option<&Complaint> {
        let (complaint, heard) = self.now.as_ref()?;
        (at.saturating_duration_since(*heard) < OVER).then_some(complaint)
    }

    /// A broker did as it was asked. True when something was wrong before.
    pub fn over(&mut self) -> bool {
        self.told.clear();
        self.now.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(kind: Kind) -> Complaint {
        Complaint {
            kind,
            text: format!("{kind:?}"),
        }
    }

    #[test]
    fn each_kind_is_told_once_until_things_go_well() {
        let (mut troubles, now) = (Troubles::default(), Instant::now());
        assert!(troubles.hear(complaint(Kind::Authentication), now));
        assert!(troubles.hear(complaint(Kind::Unreachable), now));
        assert!(!troubles.hear(complaint(Kind::Authentication), now));
        assert!(troubles.over() && !troubles.over());
        assert_eq!(troubles.current(now), None);
        assert!(troubles.hear(complaint(Kind::Authentication), now));
    }

    #[test]
    fn the_cause_is_not_hidden_by_what_follows_from_it() {
        let (mut troubles, now) = (Troubles::default(), Instant::now());
        troubles.hear(complaint(Kind::Authentication), now);
        troubles.hear(complaint(Kind::Unreachable), now);
        let current = troubles.current(now).map(|complaint| complaint.kind);
        assert_eq!(current, Some(Kind::Authentication));
        assert_eq!(troubles.current(now + OVER), None, "it is long over");
        troubles.hear(complaint(Kind::Unreachable), now + OVER);
        let current = troubles.current(now + OVER).map(|complaint| complaint.kind);
        assert_eq!(current, Some(Kind::Unreachable));
    }
}
