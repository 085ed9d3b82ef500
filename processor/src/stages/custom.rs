//! `custom`: the stages of a user's own binary, by the name that a pipeline refers to.
//! Layer: core

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::stage::Stage;

/// Makes a stage from the `config` of the object.
type Factory = dyn Fn(Value) -> Result<Box<dyn Stage>, String> + Send + Sync;

/// The stages that a binary brings along.
#[derive(Clone, Default)]
pub struct Registry {
    factories: BTreeMap<String, Arc<Factory>>,
}

impl Registry {
    /// No stages beyond those of Penstock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage under a name, in place of an earlier one. `factory` is called once for each
    /// stage of a pipeline that refers to it, at start; its error is a lower-case fragment that
    /// says which part of the config is wrong and what would be legal.
    #[must_use]
    pub fn with<F>(mut self, name: &str, factory: F) -> Self
    where
        F: Fn(Value) -> Result<Box<dyn Stage>, String> + Send + Sync + 'static,
    {
        self.factories.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// Makes a stage; `None` when the name is unknown.
    pub(super) fn make(&self, name: &str, config: Value) -> Option<Result<Box<dyn Stage>, String>> {
        self.factories.get(name).map(|factory| factory(config))
    }
}
