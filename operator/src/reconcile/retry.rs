//! What follows an error, and how long to wait.
//! Layer: core

use std::time::Duration;

use super::Error;
use crate::{call::CallError, hash};

/// What follows an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Look again at once: the world is newer than what was decided by.
    Again,
    /// Try again, ever more slowly.
    BackOff,
    /// Nothing until something changes.
    Await,
}

/// The directive of each error.
#[must_use]
pub fn directive(error: &Error) -> Directive {
    match error {
        Error::NoIdentity => Directive::Await,
        Error::Panicked => Directive::BackOff,
        Error::Observe(call) | Error::Report(call) => of(call),
        Error::Apply(error) => of(&error.source),
    }
}

fn of(call: &CallError) -> Directive {
    match call {
        // another replica leads and does it
        CallError::NotLeading => Directive::Await,
        CallError::Conflict(_) | CallError::Exists(_) | CallError::NotFound => Directive::Again,
        CallError::Deadline
        | CallError::Refused(_)
        | CallError::Unavailable(_)
        | CallError::Unexpected(_) => Directive::BackOff,
    }
}

/// Pause before repeat number `attempt`, from 0: one second, doubled up to `longest`, less up to a
/// fifth by which pipelines differ, so that they do not all come back together.
#[must_use]
pub fn delay(attempt: u32, key: &str, longest: Duration) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(attempt.min(16)));
    let whole = doubled.min(longest);
    let spread = u32::try_from(hash::number(key) % 200).unwrap_or_default();
    whole - whole / 1000 * spread
}

/// Longest pause after an error of the API server.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Longest pause between two scouts of one connection.
pub const LONGEST_BETWEEN_SCOUTS: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        let seconds = |attempt| delay(attempt, "a", LONGEST).as_secs_f64();
        assert!((0.8..=1.0).contains(&seconds(0)));
        assert!((6.4..=8.0).contains(&seconds(3)));
        assert!((48.0..=60.0).contains(&seconds(9)) && seconds(9) == seconds(u32::MAX));
        assert_ne!(delay(5, "a", LONGEST), delay(5, "b", LONGEST));
    }
}
