//! One reconcile, as a sentence: observe, validate, plan, build, apply, status, report.
//! Layer: shell
//!
//! ```text
//! observe ─▶ validate ─▶ plan ─▶ build ─▶ apply ─▶ status ─▶ report
//!  shell       core      core    core     shell     core     shell
//! ```

pub mod apply;
pub mod build;
pub mod observe;
pub mod plan;
pub mod report;
pub mod retry;
pub mod status;
pub mod validate;

use std::{sync::Arc, time::Duration};

use self::{
    apply::ApplyError,
    observe::Surroundings,
    plan::Course,
    status::{Situation, earliest, status},
    validate::Policy,
};
use crate::{
    api::Cluster,
    call::CallError,
    memory::Memory,
    objects::{Objects, Prepared},
    observed::Observed,
    obstacle::Obstacle,
    resource::EventPipeline,
    subject::Subject,
};

/// What every reconcile works with.
#[derive(Clone)]
pub struct Context {
    /// Calls to the API server.
    pub cluster: Cluster,
    /// What objects are judged by.
    pub policy: Policy,
    /// This replica, in events.
    pub instance: String,
    /// What is remembered of our own calls.
    pub memory: Arc<Memory>,
}

/// Why a reconcile did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an object that the API server sent.
    #[error("the object has no name, namespace, uid or version")]
    NoIdentity,
    /// Reading failed.
    #[error("failed to observe")]
    Observe(#[source] CallError),
    /// Writing failed.
    #[error("failed to apply")]
    Apply(#[source] ApplyError),
    /// Telling failed.
    #[error("failed to report")]
    Report(#[source] CallError),
    /// A bug of ours, caught so that it harms no other pipeline.
    #[error("panicked")]
    Panicked,
}

/// Brings one pipeline a step nearer to what its object asks for; answers when to look again
/// although nothing told us.
///
/// # Errors
/// When a call failed. What was written stays; the next reconcile goes on from there.
pub async fn reconcile(
    context: &Context,
    object: &EventPipeline,
    surroundings: Surroundings,
) -> Result<Option<Duration>, Error> {
    let subject = Subject::of(object).ok_or(Error::NoIdentity)?;
    if object.metadata.deletion_timestamp.is_some() {
        // Owner references take the children along; there is nothing else to clean up.
        return Ok(None);
    }
    let (cluster, before) = (&context.cluster, object.status.as_ref());
    let Decision {
        observed,
        course,
        prepared,
    } = decide_seeing(context, object, &subject, surroundings).await?;
    if let Course::Initialise { replicas } = course {
        let version = apply::initialise(cluster, &subject, replicas)
            .await
            .map_err(Error::Apply)?;
        context.memory.wrote(&subject, version, observed.now);
        return Ok(None);
    }
    let applied = apply::apply(context, &subject, &prepared, &observed).await;
    if applied.is_err() {
        context.memory.forget(&subject);
    }
    let refused = applied.as_ref().err().and_then(refusal);
    let (objects, failure) = match (applied, &refused) {
        (Ok(objects), _) => (objects, None),
        (Err(error), Some(_)) => (Objects::untouched(&observed.children), Some(error)),
        (Err(error), None) => return Err(Error::Apply(error)),
    };
    let situation = Situation {
        subject: &subject,
        course: &course,
        observed: &observed,
        objects: &objects,
        refused: refused.as_ref(),
        before,
    };
    let (after, later) = status(&situation);
    let told = report::report(
        cluster,
        &subject,
        (before, &after),
        (observed.now, &context.instance),
    );
    let version = told.await.map_err(Error::Report)?;
    context.memory.wrote(&subject, version, observed.now);
    failure.map_or_else(
        || Ok(earliest(later, plan::again(&course))),
        |error| Err(Error::Apply(error)),
    )
}

/// What was seen, and what follows from it.
struct Decision {
    observed: Observed,
    course: Course,
    prepared: Objects<Prepared>,
}

impl Decision {
    fn creates_blindly(&self) -> bool {
        let mut children = self.prepared.children().iter();
        children.any(|child| self.observed.is_believed_absent(child.kind, &child.name))
    }
}

/// Decides, once more when objects would be created under names that nobody has looked at: somebody
/// else's object may have come by them meanwhile.
async fn decide_seeing(
    context: &Context,
    object: &EventPipeline,
    subject: &Subject,
    surroundings: Surroundings,
) -> Result<Decision, Error> {
    let decision = decide(context, object, subject, surroundings.clone()).await?;
    if !decision.creates_blindly() {
        return Ok(decision);
    }
    context.memory.forget_absent(subject);
    decide(context, object, subject, surroundings).await
}

async fn decide(
    context: &Context,
    object: &EventPipeline,
    subject: &Subject,
    surroundings: Surroundings,
) -> Result<Decision, Error> {
    let observed = observe::observe(context, subject, surroundings)
        .await
        .map_err(Error::Observe)?;
    let verdict = validate::validate(object, &context.policy);
    let course = plan::plan(subject, verdict, &observed, object.status.as_ref());
    let prepared = build::build(subject, &course, &observed);
    Ok(Decision {
        observed,
        course,
        prepared,
    })
}

/// What the API server refuses for good is said in the status, in its own words.
fn refusal(error: &ApplyError) -> Option<Obstacle> {
    match &error.source {
        CallError::Refused(message) => Some(Obstacle::Refused {
            what: error.what.clone(),
            message: message.clone(),
        }),
        CallError::Deadline
        | CallError::NotLeading
        | CallError::Conflict(_)
        | CallError::Exists(_)
        | CallError::NotFound
        | CallError::Unavailable(_)
        | CallError::Unexpected(_) => None,
    }
}
