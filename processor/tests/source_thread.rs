//! The source thread against a fake intake: nothing lost, nothing twice, commits where they belong.
//! Layer: test
//!
//! Runs on librdkafka's mock cluster, or against the broker that `PENSTOCK_TEST_BROKER` names;
//! `PENSTOCK_TEST_CYCLES` sets how often a second member joins and leaves.

#![expect(
    clippy::print_stdout,
    reason = "the cycles' figures are part of the evidence"
)]

#[path = "source_queues/cluster.rs"]
mod cluster;
#[path = "source_thread/fake.rs"]
mod fake;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use cluster::{Cluster, PATIENCE};
use fake::{Fake, partition};
use penstock_processor::{
    law::Rebuild,
    source::{
        Source,
        client::Closed,
        facts::{Gear, SourceFacts},
        intake::HeldReason,
        security::Security,
        settings::{ClientLimits, ClientTuning, GroupProtocol, SourceSettings, Start},
    },
};
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

const PARTITIONS: i32 = 4;

/// Defines the test once for each group protocol.
macro_rules! both_protocols {
    ($($name:ident: $body:ident;)*) => {
        mod classic {
            $(#[test] fn $name() { super::$body(super::GroupProtocol::Classic); })*
        }
        mod consumer {
            $(#[test] fn $name() { super::$body(super::GroupProtocol::Consumer); })*
        }
    };
}

both_protocols! {
    a_stop_commits_and_the_next_start_goes_on: stop_and_go_on;
    a_client_too_large_for_the_pod_is_built_anew: smaller_client;
    a_full_partition_is_paused_alone: full_partition;
    a_revoke_waits_for_running_records_but_not_for_ever: stuck_revoke;
    members_that_come_and_go_lose_nothing: cycles;
}

fn settings(cluster: &Cluster, topic: &str, protocol: GroupProtocol) -> SourceSettings {
    SourceSettings {
        bootstrap: cluster.bootstrap.clone(),
        security: Security::default(),
        group: topic.to_owned(),
        topics: vec![topic.to_owned()],
        protocol,
        start: Start::Earliest,
        max_message_bytes: 1000,
        limits: ClientLimits {
            queued_max_messages_kbytes: 2000,
            fetch_max_bytes: 1_048_576,
            max_partition_fetch_bytes: 1_048_576,
            message_max_bytes: 1_048_576,
            receive_message_max_bytes: 4_000_000,
            fetch_queue_backoff_ms: 4,
            queued_min_messages: 100_000,
            socket_send_buffer_bytes: 65_536,
            socket_receive_buffer_bytes: 262_144,
        },
        tuning: ClientTuning {
            session_timeout: Duration::from_secs(6),
            ..ClientTuning::default()
        },
        commit_interval: Duration::from_millis(200),
        drain_deadline: Duration::from_secs(1),
    }
}

fn start(settings: SourceSettings, fake: &Fake) -> Source {
    Source::start(settings, Box::new(fake.clone())).expect("a source")
}

fn stop(source: Source) {
    source.stop(Duration::from_secs(10));
    assert_eq!(source.join().expect("no panic"), Closed::Clean);
}

/// Polls, because a condition of another thread is waited for; the deadline is the failure.
fn until(what: &str, sources: &[&Source], mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        let facts: Vec<SourceFacts> = sources.iter().map(|source| source.facts()).collect();
        assert!(Instant::now() < deadline, "waiting for {what}: {facts:#?}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

fn assert_no_faults(source: &Source) {
    let faults = source.facts().faults;
    assert_eq!(
        (faults.on_main_queue, faults.unowned, faults.backwards),
        (0, 0, 0),
        "{faults:?}"
    );
    assert_eq!(
        (faults.refused, faults.silent, faults.rebuilds),
        (0, 0, 0),
        "{faults:?}"
    );
}

fn stop_and_go_on(protocol: GroupProtocol) {
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 500, 100);
    let settings = settings(&cluster, &topic, protocol);
    let first = Fake::default();
    let source = start(settings.clone(), &first);
    until("all records", &[&source], || first.taken() == 2000);
    until("a commit", &[&source], || {
        first.acknowledged(0) == Some(500)
    });
    assert_no_faults(&source);
    stop(source);
    cluster.fill(&topic, PARTITIONS, 10, 100);
    let second = Fake::default();
    let source = start(settings, &second);
    until("the new records", &[&source], || second.taken() == 40);
    assert_eq!(second.committed_at_assign(0), Some(500));
    assert_eq!(second.offsets(0), (500..510).collect::<Vec<_>>());
    assert_no_faults(&source);
    stop(source);
}

fn smaller_client(protocol: GroupProtocol) {
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 500, 100);
    let settings = settings(&cluster, &topic, protocol);
    let smaller = ClientLimits {
        queued_max_messages_kbytes: 500,
        ..settings.limits
    };
    let fake = Fake::default();
    let source = start(settings.clone(), &fake);
    until("all records", &[&source], || fake.taken() == 2000);
    source.resize(smaller, Rebuild::Later);
    until("a commit", &[&source], || fake.acknowledged(0) == Some(500));
    assert_eq!(source.facts().limits, settings.limits);
    source.resize(smaller, Rebuild::Now);
    until("the new client", &[&source], || {
        source.facts().limits == smaller
    });
    cluster.fill(&topic, PARTITIONS, 10, 100);
    until("the new records", &[&source], || {
        fake.acknowledged(0) == Some(510)
    });
    assert!(fake.taken() >= 2040, "{} taken", fake.taken());
    stop(source);
}

fn full_partition(protocol: GroupProtocol) {
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 5000, 100);
    let fake = Fake::default();
    fake.limit(1, 7);
    let source = start(settings(&cluster, &topic, protocol), &fake);
    until("the other partitions", &[&source], || {
        fake.taken() == 3 * 5000 + 7
    });
    let paused = |source: &Source| {
        let facts = source.facts();
        facts
            .partitions
            .iter()
            .any(|p| p.partition == partition(1) && p.gear == Gear::Paused)
    };
    until("the pause to show", &[&source], || paused(&source));
    assert_eq!(source.facts().pauses, 1);
    fake.unlimit(1);
    until("the paused records", &[&source], || {
        fake.taken() == 4 * 5000
    });
    assert_eq!(fake.offsets(1), (0..5000).collect::<Vec<_>>());
    assert_no_faults(&source);
    stop(source);
}

fn stuck_revoke(protocol: GroupProtocol) {
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 100, 100);
    let settings = settings(&cluster, &topic, protocol);
    let old = Fake::default();
    let first = start(settings.clone(), &old);
    // Committed before the other comes: a commit in the middle of a rebalance may be refused.
    until("all commits", &[&first], || {
        (0..PARTITIONS).all(|p| old.acknowledged(p) == Some(100))
    });
    old.set_running(1);
    let new = Fake::default();
    let second = start(settings, &new);
    until("two each", &[&first, &second], || {
        old.owned() == 2 && new.owned() == 2
    });
    until("the commits", &[&first], || new.assigned_committed() == 2);
    assert!(
        old.revoke_waits() > 0,
        "the revoke did not wait for running records"
    );
    old.set_running(0);
    assert_no_faults(&first);
    assert_no_faults(&second);
    stop(second);
    until("the partitions back", &[&first], || old.owned() == 4);
    stop(first);
}

fn cycles(protocol: GroupProtocol) {
    let count = env::var("PENSTOCK_TEST_CYCLES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2);
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    let settings = settings(&cluster, &topic, protocol);
    let shared = Fake::default();
    let old = shared.member();
    let first = start(settings.clone(), &old);
    until("all partitions", &[&first], || old.owned() == 4);
    let mut produced = 0;
    for cycle in 0..count {
        let new = shared.member();
        let second = start(settings.clone(), &new);
        while !(old.owned() == 2 && new.owned() == 2) {
            cluster.fill(&topic, PARTITIONS, 20, 100);
            produced += 20;
            assert!(
                produced < 100_000,
                "cycle {cycle}: no second owner: {:#?}",
                first.facts()
            );
            thread::park_timeout(Duration::from_millis(20));
        }
        assert_no_faults(&second);
        stop(second);
        until("the partitions back", &[&first], || old.owned() == 4);
    }
    let end = i64::from(produced);
    until("every record", &[&first], || {
        (0..PARTITIONS).all(|p| shared.last(p) == Some(end - 1))
    });
    for p in 0..PARTITIONS {
        assert_eq!(
            shared.distinct(p),
            usize::try_from(end).expect("positive"),
            "partition {p} lost"
        );
    }
    assert_eq!(
        shared.backwards(),
        0,
        "a record came again within one assignment"
    );
    println!(
        "{count} cycles, {} records, {} repeats",
        4 * produced,
        shared.repeats()
    );
    assert_no_faults(&first);
    stop(first);
}

#[test]
fn a_closed_gate_holds_everything_and_oversize_is_handed_over_by_reference() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    cluster.fill(&topic, 1, 3, 100);
    cluster.fill(&topic, 1, 1, 5000);
    cluster.fill(&topic, 1, 3, 100);
    let fake = Fake::default();
    fake.close_gate();
    let source = start(settings(&cluster, &topic, GroupProtocol::Consumer), &fake);
    let held = |source: &Source| {
        let facts = source.facts();
        let held = facts.partitions.first().map(|p| p.gear);
        matches!(held, Some(Gear::Held(held)) if held.reason == HeldReason::GateClosed)
    };
    until("the hold to show", &[&source], || held(&source));
    assert_eq!(fake.taken(), 0);
    fake.open_gate();
    until("all records", &[&source], || fake.taken() == 7);
    assert_eq!(fake.oversize(), [(3, 5000)]);
    assert_no_faults(&source);
    stop(source);
}

/// Commits that fail in every class are sent again until one is acknowledged, and nothing restarts.
#[test]
fn refused_commits_are_sent_again() {
    let cluster = Cluster::mock();
    let topic = cluster.topic(1);
    cluster.fill(&topic, 1, 50, 100);
    let mock = cluster.as_mock().expect("this test asked for the mock");
    let refusals = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    ];
    mock.request_errors(RDKafkaApiKey::OffsetCommit, &refusals);
    let fake = Fake::default();
    let source = start(settings(&cluster, &topic, GroupProtocol::Classic), &fake);
    until("the refusals", &[&source], || {
        source.facts().faults.commits >= 2
    });
    until("the commit after all", &[&source], || {
        fake.acknowledged(0) == Some(50)
    });
    assert_eq!(fake.taken(), 50);
    assert_no_faults(&source);
    stop(source);
}

/// The group forgets the member: its partitions are lost without a commit, it joins again.
#[test]
fn a_forgotten_member_loses_its_partitions_and_joins_again() {
    let cluster = Cluster::mock();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 50, 100);
    let fake = Fake::default();
    let source = start(settings(&cluster, &topic, GroupProtocol::Classic), &fake);
    until("the commits", &[&source], || {
        (0..PARTITIONS).all(|p| fake.acknowledged(p) == Some(50))
    });
    let mock = cluster.as_mock().expect("this test asked for the mock");
    let unknown = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID];
    mock.request_errors(RDKafkaApiKey::Heartbeat, &unknown);
    until("the loss", &[&source], || fake.losses() == 1);
    until("a new assignment", &[&source], || fake.owned() == 4);
    assert_eq!(fake.committed_at_assign(0), Some(50));
    assert_no_faults(&source);
    stop(source);
}

/// A client that met a fatal error never works again: a new one goes on where the commits ended.
#[test]
fn a_fatal_error_builds_a_new_client() {
    let cluster = Cluster::mock();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 50, 100);
    let fake = Fake::default();
    let source = start(settings(&cluster, &topic, GroupProtocol::Classic), &fake);
    until("the commits", &[&source], || {
        (0..PARTITIONS).all(|p| fake.acknowledged(p) == Some(50))
    });
    let mock = cluster.as_mock().expect("this test asked for the mock");
    let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID];
    mock.request_errors(RDKafkaApiKey::Heartbeat, &fenced);
    until("the new client", &[&source], || {
        source.facts().faults.rebuilds == 1
    });
    cluster.fill(&topic, PARTITIONS, 10, 100);
    until("the new records", &[&source], || fake.taken() == 240);
    assert_eq!(fake.committed_at_assign(0), Some(50));
    assert_eq!((fake.losses(), fake.backwards()), (1, 0));
    stop(source);
}

/// An intake that blocks past `max.poll.interval.ms` costs the assignment and nothing else: on the
/// mock it is lost, a KIP-848 broker makes it a fatal error of the client.
#[test]
fn a_blocked_record_loop_comes_back() {
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 50, 100);
    let mut settings = settings(&cluster, &topic, GroupProtocol::Consumer);
    settings.tuning.max_poll_interval = Duration::from_secs(1);
    let fake = Fake::default();
    let blocked = fake.block_once();
    let source = start(settings, &fake);
    until("the block", &[&source], || fake.is_blocked());
    // The group gives its partitions to somebody else only after the poll interval.
    let rival: BaseConsumer = cluster
        .config()
        .set("group.id", &topic)
        .set("group.protocol", "consumer")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    rival.subscribe(&[&topic]).expect("a legal topic");
    until("the rival's assignment", &[&source], || {
        rival.poll(Duration::from_millis(10));
        rival.assignment().expect("a list").count() == 4
    });
    drop(rival);
    drop(blocked);
    until("the loss", &[&source], || fake.losses() > 0);
    until("a new assignment", &[&source], || fake.owned() == 4);
    until("every record", &[&source], || {
        (0..PARTITIONS).all(|p| fake.distinct(p) == 50)
    });
    assert_eq!(fake.backwards(), 0);
    stop(source);
}

/// A stop ends in time although the broker is gone: the last commit and the leave cannot be sent.
#[test]
fn a_stop_without_a_broker_ends_in_time() {
    let cluster = Cluster::mock();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 50, 100);
    let fake = Fake::default();
    let source = start(settings(&cluster, &topic, GroupProtocol::Consumer), &fake);
    until("all records", &[&source], || fake.taken() == 200);
    let mock = cluster.as_mock().expect("this test asked for the mock");
    mock.broker_down(1).expect("the broker stops");
    let asked = Instant::now();
    source.stop(Duration::from_secs(2));
    let closed = source.join().expect("no panic");
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{closed:?} after {:?}",
        asked.elapsed()
    );
}

#[test]
fn latest_begins_at_the_end_and_stays_there() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    cluster.fill(&topic, 1, 50, 100);
    let mut settings = settings(&cluster, &topic, GroupProtocol::Consumer);
    settings.start = Start::Latest;
    let fake = Fake::default();
    let source = start(settings.clone(), &fake);
    until("the assignment", &[&source], || fake.owned() == 1);
    until("the first commit", &[&source], || {
        source.facts().last_commit.is_some()
    });
    stop(source);
    // What comes while nobody is there belongs to the next owner.
    cluster.fill(&topic, 1, 5, 100);
    let fake = Fake::default();
    let source = start(settings, &fake);
    until("the new records", &[&source], || fake.taken() == 5);
    assert_eq!(fake.offsets(0), (50..55).collect::<Vec<_>>());
    stop(source);
}
