//! A worker: takes a record, walks it through its lane, and settles what came of it.
//! Layer: shell

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    chain::{Chain, LaneOutcome, lane::LaneId},
    clock::Clock,
    dispatch::{
        engine::Blame,
        pool::{Job, Next, Outcome, TURN, Worker},
    },
    failure::{
        self, Directive, Failure, LetterDirective, Policy,
        dead_letter::{self, Content},
    },
    metrics::{self, Counters, Ended},
    publish::{PRODUCER, Publisher},
    sinks::{SinkError, outages::Outages},
    stage::Finish,
    troubles::Troubles,
    work::Work,
};

/// What every worker needs; shared by all of them.
pub struct Workshop {
    /// The stages.
    pub chain: Chain,
    /// What failures are judged by.
    pub policy: Policy,
    /// The dead-letter topic and who writes to it; `None` without a topic.
    pub letters: Option<(Arc<str>, Arc<dyn Publisher>)>,
    /// When a sink that failed may be tried again.
    pub outages: Outages,
    /// Outcomes.
    pub counters: Arc<Counters>,
    /// What went wrong lately, for the status.
    pub troubles: Arc<Troubles>,
    /// Time.
    pub clock: Clock,
}

/// Works until the dispatcher closes.
pub async fn serve(shop: Arc<Workshop>, mut worker: Worker<Work>) {
    let mut ended = Vec::with_capacity(TURN as usize);
    while worker.next().await == Next::Turn {
        let (start, mut inline) = (Instant::now(), 0);
        while let Some(job) = worker.pop() {
            let seat = job.seat;
            inline += u64::from(job.lane == 0);
            let outcome = shop.work(job, &mut ended).await;
            worker.settle(seat, outcome);
        }
        // One look at the clock for the whole turn.
        shop.counters.finished(&ended, shop.clock.unix_ms());
        ended.clear();
        if inline > 0 {
            let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            shop.counters.served(inline, micros);
        }
    }
    worker.finish();
}

impl Workshop {
    async fn work(&self, job: Job<Work>, ended: &mut Vec<Ended>) -> Outcome<Work> {
        let Job {
            lane,
            attempts,
            payload: mut work,
            ..
        } = job;
        work.raise_floor();
        let outcome = match work.refusal() {
            Some(failure) => LaneOutcome::Failed(failure),
            None => self.chain.run(LaneId::new(lane), work.event_mut()).await,
        };
        match outcome {
            LaneOutcome::Handover(_) => Outcome::Advance(work),
            LaneOutcome::Completed => finish(&work, metrics::Outcome::Done, ended),
            LaneOutcome::Finished(Finish::Filtered) => {
                finish(&work, metrics::Outcome::Filtered, ended)
            }
            LaneOutcome::Finished(Finish::Duplicate) => {
                finish(&work, metrics::Outcome::Duplicate, ended)
            }
            LaneOutcome::Failed(failure) => self.fail((work, failure), attempts, ended).await,
        }
    }

    async fn fail(
        &self,
        (work, failure): (Work, Failure),
        attempts: u16,
        ended: &mut Vec<Ended>,
    ) -> Outcome<Work> {
        let attempts = u32::from(attempts) + 1;
        match failure::decide(&failure, attempts, &self.policy, rand::random()) {
            Directive::Retry { after } => {
                self.troubles.note(&work, &failure);
                self.park(work, after, Blame::Record)
            }
            Directive::ParkBehindSink { sink } => self.park_behind(work, &sink),
            Directive::DeadLetter { .. } => self.bury((work, failure), attempts, ended).await,
            Directive::Block { .. } => self.block(work, &failure),
        }
    }

    fn park(&self, payload: Work, after: Duration, blame: Blame) -> Outcome<Work> {
        self.counters.failed(blame);
        Outcome::Park {
            payload,
            until: self.clock.tick_after(after),
            blame,
        }
    }

    fn park_behind(&self, work: Work, sink: &str) -> Outcome<Work> {
        let wait = self.outages.wait(sink, rand::random());
        self.park(work, wait, Blame::Sink)
    }

    fn block(&self, work: Work, failure: &Failure) -> Outcome<Work> {
        self.counters.failed(Blame::Record);
        self.troubles.note(&work, failure);
        Outcome::Block(work)
    }

    /// Writes the dead letter; only its acknowledgement finishes the record.
    async fn bury(
        &self,
        (work, failure): (Work, Failure),
        attempts: u32,
        ended: &mut Vec<Ended>,
    ) -> Outcome<Work> {
        let mut content = work.letter_content();
        loop {
            let Err(error) = self.write_letter(&work, &failure, attempts, content).await else {
                self.troubles.note(&work, &failure);
                return finish(&work, metrics::Outcome::DeadLettered, ended);
            };
            match failure::decide_letter(&error, content) {
                LetterDirective::ByReference => content = Content::Reference,
                LetterDirective::ParkBehindProducer => return self.park_behind(work, PRODUCER),
                LetterDirective::Block => return self.block(work, &failure),
            }
        }
    }

    async fn write_letter(
        &self,
        work: &Work,
        failure: &Failure,
        attempts: u32,
        content: Content,
    ) -> Result<(), SinkError> {
        let (topic, publisher) = self
            .letters
            .as_ref()
            .expect("validation asks for a topic beside DeadLetterRecord");
        let letter = dead_letter::letter(topic, work.event(), failure, attempts, content);
        publisher.produce(letter).await
    }
}

/// The record's end is counted with the turn.
fn finish(work: &Work, outcome: metrics::Outcome, ended: &mut Vec<Ended>) -> Outcome<Work> {
    ended.push(Ended {
        outcome,
        timestamp_ms: work.event().record().timestamp_ms(),
    });
    Outcome::Complete
}
