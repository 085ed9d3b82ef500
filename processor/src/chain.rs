//! Runs one event through one lane of a pipeline.
//! Layer: shell

pub mod active;
pub mod lane;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use penstock_crds::pipeline::ValidatedPipeline;

use self::{
    active::{ActiveBudget, Reservation},
    lane::{Entry, Lane, LaneId, Locality},
};
use crate::{
    event::Event,
    failure::Failure,
    stage::{Finish, Needs, StageError, StageResult, Step, Verdict},
    stages::{self, BuildFault, Ports},
};

/// Local stages never wait; theirs is a deadline that does not come, so that no clock is read.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The stages of a pipeline, ready to run. Shared by all workers.
pub struct Chain {
    lanes: Vec<Lane>,
    active: ActiveBudget,
    never: Instant,
}

/// What came of a visit.
#[derive(Debug)]
pub enum LaneOutcome {
    /// The event goes on in the queue of this lane.
    Handover(LaneId),
    /// All stages are done.
    Completed,
    /// A stage finished the event early; no further lane is visited.
    Finished(Finish),
    /// A stage failed. What was done before it is harmless to repeat.
    Failed(Failure),
}

impl Chain {
    /// Makes the stages of a pipeline; `active_bytes` is what the plan grants to parsed bodies.
    ///
    /// # Errors
    /// Every stage that cannot be made.
    pub fn build(
        pipeline: &ValidatedPipeline,
        ports: &Ports,
        active_bytes: u64,
    ) -> Result<Self, Vec<BuildFault>> {
        let lanes = stages::build(pipeline, ports)?;
        Ok(Self {
            lanes,
            active: ActiveBudget::new(active_bytes),
            never: Instant::now() + NEVER,
        })
    }

    /// The lanes in order: inline first, then one for each detached stage.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The budget of parsed bodies.
    #[must_use]
    pub fn active(&self) -> &ActiveBudget {
        &self.active
    }

    /// Runs the stages of one lane. Allocates nothing itself unless a stage waits.
    ///
    /// When it returns the event holds no parsed body, only the record and the context. After a
    /// failure, or when the future was dropped, the event can be run again: it begins with the
    /// stage that did not end, so that what is done is not asked of the sinks once more.
    pub async fn run(&self, lane: LaneId, event: &mut Event) -> LaneOutcome {
        let mut visit = Visit {
            chain: self,
            lane: &self.lanes[lane.index()],
            reservation: None,
        };
        // A stage of a user's that panics must cost its record, not the worker.
        let outcome = AssertUnwindSafe(visit.stages(event)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Err(visit.panicked(event)));
        event.drop_body();
        match outcome {
            Ok(Verdict::Finish(finish)) => LaneOutcome::Finished(finish),
            Ok(Verdict::Continue) => {
                event.set_done(0);
                self.behind(lane)
            }
            Err(failure) => LaneOutcome::Failed(failure),
        }
    }

    fn behind(&self, lane: LaneId) -> LaneOutcome {
        let next = LaneId(lane.0 + 1);
        if next.index() < self.lanes.len() {
            LaneOutcome::Handover(next)
        } else {
            LaneOutcome::Completed
        }
    }
}

/// One event in one lane. Dropping it returns the reservation, after the body is gone.
struct Visit<'a> {
    chain: &'a Chain,
    lane: &'a Lane,
    reservation: Option<Reservation<'a>>,
}

impl Visit<'_> {
    async fn stages(&mut self, event: &mut Event) -> Result<Verdict, Failure> {
        for (index, entry) in self.lane.entries().iter().enumerate().skip(event.done()) {
            event.set_done(index);
            match self.stage(entry, event).await {
                Ok(Verdict::Continue) => {}
                Ok(finish) => return Ok(finish),
                Err(error) => {
                    return Err(Failure {
                        stage: Arc::clone(&entry.name),
                        error,
                    });
                }
            }
        }
        Ok(Verdict::Continue)
    }

    fn panicked(&self, event: &Event) -> Failure {
        let entry = &self.lane.entries()[event.done()];
        let reason = "the stage panicked".to_owned();
        Failure {
            stage: Arc::clone(&entry.name),
            error: StageError::Record { reason },
        }
    }

    async fn stage(&mut self, entry: &Entry, event: &mut Event) -> StageResult {
        if let Some(when) = &entry.when {
            if when.reads_body() {
                self.reserve(event).await?;
            }
            if !when.condition(event)? {
                return Ok(Verdict::Continue);
            }
        }
        if entry.stage.needs() == Needs::Body {
            self.reserve(event).await?;
        }
        match entry.stage.run(event, self.deadline(entry)) {
            Step::Ready(result) => result,
            Step::Pending(result) => tokio::time::timeout(entry.deadline, result)
                .await
                .unwrap_or_else(|_| Err(late(entry))),
        }
    }

    /// Reserves the estimated size of the body once for the visit.
    async fn reserve(&mut self, event: &Event) -> Result<(), StageError> {
        if self.reservation.is_none() {
            let mut bytes = event.estimated_bytes();
            if self.lane.interprets() {
                bytes += event.interpreted_bytes();
            }
            self.reservation = Some(self.chain.active.reserve(bytes).await?);
        }
        Ok(())
    }

    fn deadline(&self, entry: &Entry) -> Instant {
        match entry.locality {
            Locality::Local => self.chain.never,
            Locality::Remote => tokio::time::Instant::now().into_std() + entry.deadline,
        }
    }
}

fn late(entry: &Entry) -> StageError {
    StageError::Sink {
        sink: Arc::clone(&entry.blame),
        reason: format!("no answer within {:?}", entry.deadline),
    }
}
