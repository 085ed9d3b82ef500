//! What a changed settings file asks of a running processor: it follows `state` and nothing else.
//! Layer: core

use std::time::Instant;

use penstock_crds::pipeline::{State, ValidatedPipeline};

/// How the settings file compares with what is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The file and what runs agree.
    Followed,
    /// More than `state` has changed: that holds from the next start.
    RestartNeeded,
    /// The file cannot be read or used: the last good state holds.
    Refused(String),
}

/// The state in force, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What the object asks for.
    pub state: State,
    /// Since when nothing else is admitted than this state allows.
    pub since: Instant,
}

/// Remembers what runs, to compare each new reading with it.
#[derive(Debug)]
pub struct Control {
    started: ValidatedPipeline,
    in_force: InForce,
    standing: Standing,
}

impl Control {
    /// The pipeline as it was read for the start.
    #[must_use]
    pub fn new(started: ValidatedPipeline, now: Instant) -> Self {
        let state = started.state;
        Self {
            started,
            in_force: InForce { state, since: now },
            standing: Standing::Followed,
        }
    }

    /// Compares a new reading; the state to change to, if it is another one.
    pub fn read(&mut self, reading: Result<ValidatedPipeline, String>) -> Option<State> {
        let new = match reading {
            Ok(new) => new,
            Err(fault) => {
                self.standing = Standing::Refused(fault);
                return None;
            }
        };
        let state = new.state;
        let mut former = new;
        former.state = self.started.state;
        self.standing = match former == self.started {
            true => Standing::Followed,
            false => Standing::RestartNeeded,
        };
        (state != self.in_force.state).then_some(state)
    }

    /// The change was carried out at this moment.
    pub fn entered(&mut self, state: State, now: Instant) {
        self.in_force = InForce { state, since: now };
    }

    /// The state in force.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.in_force
    }

    /// How the file compares with what is in force.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = include_str!("../../crds/examples/storefront.yaml");

    fn pipeline(state: State, text: &str) -> ValidatedPipeline {
        let parsed = penstock_crds::parse(text).expect("a valid object");
        let mut pipeline = parsed.pipeline;
        pipeline.state = state;
        pipeline
    }

    #[test]
    fn only_the_state_is_followed() {
        let mut control = Control::new(pipeline(State::Running, OBJECT), Instant::now());
        assert_eq!(control.read(Ok(pipeline(State::Running, OBJECT))), None);
        let paused = control.read(Ok(pipeline(State::Paused, OBJECT)));
        assert_eq!(
            (paused, control.standing()),
            (Some(State::Paused), &Standing::Followed)
        );
        control.entered(State::Paused, Instant::now());
        let other = OBJECT.replace("consumerGroup: ", "consumerGroup: another-");
        assert_eq!(control.read(Ok(pipeline(State::Paused, &other))), None);
        assert_eq!(control.standing(), &Standing::RestartNeeded);
        let drained = control.read(Ok(pipeline(State::Drained, &other)));
        assert_eq!(drained, Some(State::Drained), "also when more has changed");
    }

    #[test]
    fn a_refused_file_changes_nothing_until_it_is_mended() {
        let mut control = Control::new(pipeline(State::Paused, OBJECT), Instant::now());
        assert_eq!(control.read(Err("line 3: no".to_owned())), None);
        assert_eq!(
            control.standing(),
            &Standing::Refused("line 3: no".to_owned())
        );
        assert_eq!(control.in_force().state, State::Paused);
        assert_eq!(
            control.read(Ok(pipeline(State::Running, OBJECT))),
            Some(State::Running)
        );
        assert_eq!(control.standing(), &Standing::Followed);
    }
}
