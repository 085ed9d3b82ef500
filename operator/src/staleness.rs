//! Whether what a watch shows of a pipeline is older than what we wrote into it ourselves.
//! Layer: core
//!
//! A reconcile of such an object would read everything once more, decide by a status that we have
//! replaced, and have its own write refused. It waits for the watch instead, and never for ever: a
//! new object of the same name has another uid, every later version ends the wait, and so does
//! [`LONGEST`], for a cluster that was restored from a backup counts its versions anew.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// When to look again although the watch brought nothing.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// After this time the watch is right, whatever it shows.
pub const LONGEST: SignedDuration = SignedDuration::from_secs(10);

/// Our last write into a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The object's identity.
    pub uid: String,
    /// The version that the write made of it.
    pub version: String,
    /// When.
    pub at: Timestamp,
}

/// Whether to wait until the watch shows what we wrote.
#[must_use]
pub fn waits(shown: (&str, &str), written: &Written, now: Timestamp) -> bool {
    let (uid, version) = shown;
    let recent = now.duration_since(written.at) < LONGEST;
    uid == written.uid && recent && is_older(version, &written.version)
}

/// Versions of one object count up (KEP-5504). Where they are no numbers nothing is known.
fn is_older(version: &str, than: &str) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    let both = number(version).zip(number(than));
    both.is_some_and(|(version, than)| version < than)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(version: &str) -> Written {
        Written {
            uid: "a".to_owned(),
            version: version.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn only_an_older_version_of_the_same_object_is_waited_for() {
        let waits = |uid, version| waits((uid, version), &written("10"), at(0));
        assert!(
            waits("a", "9"),
            "nine is older than ten, though not as text"
        );
        assert!(!waits("a", "10"), "our own write has come");
        assert!(!waits("a", "11"), "so has a later one of somebody else");
        assert!(!waits("b", "9"), "a new object of the same name");
    }

    #[test]
    fn versions_that_are_no_numbers_are_not_waited_for() {
        assert!(!waits(("a", "v9"), &written("10"), at(0)));
        assert!(!waits(("a", "9"), &written("v10"), at(0)));
        assert!(!waits(("a", ""), &written("10"), at(0)));
    }

    #[test]
    fn nothing_is_waited_for_for_ever() {
        assert!(waits(("a", "9"), &written("10"), at(9)));
        assert!(!waits(("a", "9"), &written("10"), at(10)));
    }
}
