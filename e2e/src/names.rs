//! Names of one scenario's topics and group; fresh in each run.
//! Layer: core

/// Names of one scenario's topics and group.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// What the processors read.
    pub(crate) input: String,
    /// What they produce to; one partition, so that its log is one order of all effects.
    pub(crate) output: String,
    /// Where no record may end.
    pub(crate) dead: String,
    /// Their consumer group.
    pub(crate) group: String,
}

impl Names {
    /// Fresh names.
    pub(crate) fn new(scenario: &str, run: &str) -> Self {
        let base = format!("e2e-{scenario}-{run}");
        Self {
            input: format!("{base}-in"),
            output: format!("{base}-out"),
            dead: format!("{base}-dead"),
            group: base,
        }
    }
}
