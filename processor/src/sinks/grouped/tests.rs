//! The queue in front of a store that is busy, picky, slow or gone.
//! Layer: test

use futures::future::join_all;

use std::time::Duration;

use super::*;
use crate::{
    record::{Position, TopicId, TopicPartition},
    sinks::Provenance,
};

fn effect(offset: i64, id: &str, bytes: usize) -> Effect {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    let provenance = Provenance {
        generation: 0,
        topic: Arc::from("t"),
        position: Position { partition, offset },
        floor: 0,
    };
    let action = Action::Create {
        index: "events".to_owned(),
        id: id.to_owned(),
        document: vec![b' '; bytes],
    };
    Effect {
        stage: Arc::from("index"),
        provenance,
        action,
    }
}

fn offset(effect: &Effect) -> i64 {
    effect.provenance.position.offset
}

fn settings() -> GroupedSettings {
    GroupedSettings {
        queue_effects: 64,
        queue_bytes: 1 << 20,
        group: GroupLimits {
            effects: 8,
            bytes: 64 << 10,
            linger: Duration::from_millis(2),
        },
    }
}

fn deadline() -> Instant {
    now() + Duration::from_secs(30)
}

/// A store as a function of the group.
struct Store<F>(F);

impl<F: FnMut(&[Effect]) -> Written + Send + 'static> GroupWriter for Store<F> {
    fn write<'a>(&'a mut self, group: &'a [Effect], _: Instant) -> BoxFuture<'a, Written> {
        let written = self.0(group);
        Box::pin(async { written })
    }
}

fn applied(effects: usize) -> Written {
    let verdict = || Verdict::Answer(Ok(Reply::Applied));
    Written::Each(std::iter::repeat_with(verdict).take(effects).collect())
}

/// Offsets of every group that a store saw.
type Seen = Arc<parking_lot::Mutex<Vec<Vec<i64>>>>;

fn note(seen: &Seen, group: &[Effect]) {
    seen.lock().push(group.iter().map(offset).collect());
}

#[tokio::test(start_paused = true)]
async fn a_busy_store_gets_only_what_it_put_off_once_more_and_later() {
    let (seen, started) = (Seen::default(), now());
    let store = {
        let seen = Arc::clone(&seen);
        Store(move |group: &[Effect]| {
            note(&seen, group);
            let first = seen.lock().len() == 1;
            let verdict = |effect: &Effect| match first && offset(effect) % 2 == 0 {
                true => Verdict::Again("busy"),
                false => Verdict::Answer(Ok(Reply::Applied)),
            };
            Written::Each(group.iter().map(verdict).collect())
        })
    };
    let sink = Grouped::start(settings(), store);
    let all = (0..4).map(|n| sink.submit(effect(n, &n.to_string(), 10), deadline()));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(*seen.lock(), [vec![0, 1, 2, 3], vec![0, 2]]);
    assert!(now() - started >= Duration::from_millis(50));
    assert_eq!(sink.health().put_off, 2);
    assert_eq!(sink.health().queue_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_busy_is_unavailable_before_the_deadline() {
    let store = Store(|group: &[Effect]| {
        Written::Each(group.iter().map(|_| Verdict::Again("too busy")).collect())
    });
    let sink = Grouped::start(settings(), store);
    let deadline = now() + Duration::from_secs(3);
    let outcome = sink.submit(effect(0, "a", 10), deadline).await;
    let reason = outcome.expect_err("busy").to_string();
    assert_eq!(reason, "sink unavailable: too busy");
    assert!(now() < deadline);
}

#[tokio::test(start_paused = true)]
async fn only_the_effect_to_blame_is_refused_and_the_rest_is_written_in_parts() {
    let written = Seen::default();
    let store = {
        let written = Arc::clone(&written);
        Store(move |group: &[Effect]| {
            if group.iter().any(|effect| offset(effect) == 5) {
                return Written::Refused(Refusal::Content("bad id".to_owned()));
            }
            note(&written, group);
            applied(group.len())
        })
    };
    let sink = Grouped::start(settings(), store);
    let all = (0..8).map(|n| sink.submit(effect(n, &n.to_string(), 10), deadline()));
    for (n, outcome) in join_all(all).await.into_iter().enumerate() {
        match outcome {
            Ok(reply) => assert_eq!((reply, n == 5), (Reply::Applied, false)),
            Err(error) => {
                assert_eq!(error.to_string(), "sink rejected the record: bad id");
                assert_eq!(n, 5);
            }
        }
    }
    assert_eq!(*written.lock(), [vec![0, 1, 2, 3], vec![4], vec![6, 7]]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_halved_and_the_next_ones_are_smaller() {
    let written = Seen::default();
    let store = {
        let written = Arc::clone(&written);
        Store(move |group: &[Effect]| {
            if group.iter().map(weight).sum::<usize>() > 10_000 {
                return Written::Refused(Refusal::TooLarge);
            }
            note(&written, group);
            applied(group.len())
        })
    };
    let sink = Grouped::start(settings(), store);
    let wave = |first: i64| {
        let all =
            (first..first + 8).map(|n| sink.submit(effect(n, &n.to_string(), 2000), deadline()));
        join_all(all)
    };
    assert!(wave(0).await.iter().all(Result::is_ok));
    let refused = sink.health().refused;
    assert!(wave(8).await.iter().all(Result::is_ok));
    assert_eq!(sink.health().refused, refused, "the limit is known by now");
    let alone = sink.submit(effect(99, "99", 20_000), deadline()).await;
    let reason = alone.expect_err("no half of one record").to_string();
    assert!(
        reason.ends_with("larger than the store takes at once"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn effects_of_one_document_go_one_after_the_other() {
    let seen = Seen::default();
    let store = {
        let seen = Arc::clone(&seen);
        Store(move |group: &[Effect]| {
            note(&seen, group);
            applied(group.len())
        })
    };
    let sink = Grouped::start(settings(), store);
    let all = [(0, "a"), (1, "b"), (2, "a"), (3, "a")];
    let all = all.map(|(n, id)| sink.submit(effect(n, id, 10), deadline()));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(*seen.lock(), [vec![0, 1], vec![2], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn whoever_gave_up_is_not_written_and_costs_nothing() {
    let seen = Seen::default();
    let store = {
        let seen = Arc::clone(&seen);
        Store(move |group: &[Effect]| {
            note(&seen, group);
            applied(group.len())
        })
    };
    let sink = Grouped::start(settings(), store);
    for n in 0..50 {
        // The task has had no turn yet.
        let submitted = sink.submit(effect(n, "a", 10), deadline());
        drop(futures::FutureExt::now_or_never(submitted));
    }
    let kept = sink.submit(effect(99, "a", 10), deadline()).await;
    assert_eq!(kept.expect("taken"), Reply::Applied);
    assert_eq!(*seen.lock(), [vec![99]]);
    let late = sink.submit(effect(100, "a", 10), now()).await;
    assert!(late.is_err());
    assert_eq!(sink.health().queue_bytes, 0);
}
