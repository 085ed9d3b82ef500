//! What a look at a sink before it is used may find.
//! Layer: core

/// A setting of a reachable sink that makes a promise weaker than it reads. The sink is used all
/// the same; whoever runs it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness {
    /// The setting, as its documentation names it.
    pub setting: String,
    /// What it is.
    pub found: String,
    /// What may happen because of it; a lower-case fragment.
    pub consequence: &'static str,
}
