//! Objects on their way into the cluster: prepared from a plan, or as the API server returned them.
//! Layer: core

use std::marker::PhantomData;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use crate::{
    kinds::Kind,
    observed::{Existing, Owner},
};

/// Built, and not yet known to the API server.
#[derive(Debug)]
pub struct Prepared;

/// As the API server returned them.
#[derive(Debug)]
pub struct Applied;

/// Everything of one pipeline.
#[derive(Debug)]
pub struct Objects<State> {
    children: Vec<Child>,
    pods: Pods,
    state: PhantomData<State>,
}

/// A child: its kind, its name and all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// All of it, with kind and version.
    pub body: Value,
}

/// What is done to pods directly. They are never changed otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pods {
    /// The scout that should be there.
    pub scout: Option<Box<Pod>>,
    /// Scouts that are no longer needed: name and identity.
    pub dismissed: Vec<(String, String)>,
    /// Pods that are told to read their settings again, and the state in them.
    pub told: Vec<(String, &'static str)>,
}

impl Objects<Prepared> {
    /// Objects in the order in which they are to be applied.
    #[must_use]
    pub fn prepared(children: Vec<Child>, pods: Pods) -> Self {
        Self {
            children,
            pods,
            state: PhantomData,
        }
    }

    /// What is to be done to pods.
    #[must_use]
    pub fn pods(&self) -> &Pods {
        &self.pods
    }
}

impl Objects<Applied> {
    /// What the API server returned: for what was applied now its answer, for the rest what was
    /// read.
    #[must_use]
    pub fn returned(children: Vec<Child>) -> Self {
        Self {
            children,
            pods: Pods::default(),
            state: PhantomData,
        }
    }

    /// What was read of ours and not changed.
    #[must_use]
    pub fn untouched<'a>(children: impl IntoIterator<Item = &'a Existing>) -> Self {
        let child = |child: &Existing| Child {
            kind: child.kind,
            name: child.name.clone(),
            body: child.body.clone(),
        };
        let ours = children
            .into_iter()
            .filter(|child| child.owner == Owner::Ours);
        Self::returned(ours.map(child).collect())
    }
}

impl<State> Objects<State> {
    /// The children in order.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// One child.
    #[must_use]
    pub fn child(&self, kind: Kind, name: &str) -> Option<&Child> {
        self.children
            .iter()
            .find(|child| child.kind == kind && child.name == name)
    }
}
