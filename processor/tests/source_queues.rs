//! Two queues, proven: records on a queue of our own while the main queue carries only events.
//! Layer: test
//!
//! Runs on librdkafka's mock cluster, or against the broker that `PENSTOCK_TEST_BROKER` names.

#[path = "source_queues/cluster.rs"]
mod cluster;
#[path = "source_queues/member.rs"]
mod member;

use std::time::{Duration, Instant};

use cluster::Cluster;
use member::{Forward, Member, Protocol, config};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

const PARTITIONS: i32 = 4;
const EACH: usize = 1500;
const SIZE: usize = 256;

/// Defines the test once for each group protocol.
macro_rules! both_protocols {
    ($($name:ident: $body:ident;)*) => {
        mod classic {
            $(#[test] fn $name() { super::$body(super::Protocol::Classic); })*
        }
        mod consumer {
            $(#[test] fn $name() { super::$body(super::Protocol::Consumer); })*
        }
    };
}

both_protocols! {
    events_alone_keep_the_assignment: events_alone;
    records_before_the_forward_are_not_lost: late_forward;
    a_second_member_comes_and_goes: join_and_leave;
    pause_after_assign_holds_one_partition: pause;
    close_answers_a_pending_revoke: close_while_revoked;
}

fn filled(each: usize) -> (Cluster, String) {
    let cluster = Cluster::start();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, each, SIZE);
    (cluster, topic)
}

fn everything(each: usize) -> usize {
    each * PARTITIONS as usize
}

/// Longer than `max.poll.interval.ms` no record is taken, and the group does not mind.
fn events_alone(protocol: Protocol) {
    let (cluster, topic) = filled(EACH);
    let mut config = config(&cluster, &topic, protocol);
    config.set("max.poll.interval.ms", "6000");
    let mut member = Member::join_with(&cluster, &topic, Forward::BeforeAssign, &mut config);
    member.events_until("all partitions", |m| m.owned.len() == 4);
    let end = Instant::now() + Duration::from_millis(7500);
    member.events_until("the poll interval to pass", |_| Instant::now() > end);
    assert_eq!(
        (member.owned.len(), member.lost, member.fatal),
        (4, 0, 0),
        "{}",
        member.summary()
    );
    assert!(
        member.revoke.is_none() && member.on_main.is_empty(),
        "{}",
        member.summary()
    );
    member.until("every record", |m| m.taken() == everything(EACH));
    assert_eq!((member.backwards, member.unowned), (0, 0));
    assert!(member.on_main.is_empty(), "{}", member.summary());
    member.close();
}

/// Records that came before the forward stand on the main queue; those after it on ours.
fn late_forward(protocol: Protocol) {
    let (cluster, topic) = filled(EACH);
    let mut member = Member::join(&cluster, &topic, protocol, Forward::ByHand);
    member.events_until("a record on the main queue", |m| !m.on_main.is_empty());
    for partition in 0..PARTITIONS {
        member.forward(partition);
    }
    let all = |m: &Member| {
        let main: usize = m.on_main.values().map(Vec::len).sum();
        main + m.taken() == everything(EACH)
    };
    member.until("every record", all);
    assert!(
        member.taken() > 0,
        "the forward had no effect: {}",
        member.summary()
    );
    for partition in 0..PARTITIONS {
        let mut offsets = member.on_main.remove(&partition).unwrap_or_default();
        offsets.extend(member.records.remove(&partition).unwrap_or_default());
        offsets.sort_unstable();
        assert!(
            offsets.iter().copied().eq(0..EACH as i64),
            "partition {partition} has holes"
        );
    }
    member.close();
}

/// A revoke that is answered late stops the whole member, loses nothing and repeats nothing; the
/// partitions come back through a new forward.
fn join_and_leave(protocol: Protocol) {
    let (cluster, topic) = filled(EACH);
    let mut old = Member::join(&cluster, &topic, protocol, Forward::BeforeAssign);
    old.until("all partitions", |m| m.owned.len() == 4);
    old.until("a record of each", |m| m.records.len() == 4);
    let mut new = Member::join(&cluster, &topic, protocol, Forward::BeforeAssign);
    old.until("a revoke", |m| {
        new.serve();
        m.revoke.is_some()
    });
    let before = old.taken();
    let end = Instant::now() + Duration::from_secs(1);
    old.until("the late answer", |_| Instant::now() > end);
    assert!(
        old.taken() - before <= 64,
        "a pending revoke delivers: {}",
        old.summary()
    );
    old.answer();
    old.until("two partitions each", |m| {
        new.serve();
        new.take();
        m.owned.len() == 2 && new.owned.len() == 2 && new.records.len() == 2
    });
    finish(&mut old, &mut new);
    new.close();
    old.until("the partitions back", |m| m.owned.len() == 4);
    cluster.fill(&topic, PARTITIONS, 10, SIZE);
    old.until("their new records", |m| {
        (0..PARTITIONS)
            .all(|p| m.records.get(&p).and_then(|r| r.last()) == Some(&(EACH as i64 + 9)))
    });
    assert_eq!(
        (old.backwards, old.unowned, old.lost),
        (0, 0, 0),
        "{}",
        old.summary()
    );
    assert!(old.on_main.is_empty(), "{}", old.summary());
    old.close();
}

/// Both members read to the end; what each holds has no hole and no step back.
fn finish(old: &mut Member, new: &mut Member) {
    let last = Some(&(EACH as i64 - 1));
    let done = |m: &Member| {
        m.owned
            .iter()
            .all(|p| m.records.get(p).and_then(|r| r.last()) == last)
    };
    old.until("its own records", done);
    new.until("the new member's records", done);
    for member in [old, new] {
        assert_eq!(
            (member.backwards, member.unowned),
            (0, 0),
            "{}",
            member.summary()
        );
        assert!(member.on_main.is_empty(), "{}", member.summary());
        for partition in &member.owned {
            let offsets = &member.records[partition];
            let gaps = offsets
                .windows(2)
                .filter(|pair| pair[1] != pair[0] + 1)
                .count();
            assert_eq!(gaps, 0, "partition {partition} has holes");
        }
    }
}

/// One partition is paused after the assign, the others go on; a seek back to the first record
/// that was not admitted and a resume lose nothing. A pause of a topic that the client does not
/// know says so in its element only; of a known topic's unassigned partition it would not even do
/// that, and the close would hang, so the source never asks.
fn pause(protocol: Protocol) {
    let (cluster, topic) = filled(EACH);
    let mut member = Member::join(&cluster, &topic, protocol, Forward::BeforeAssign);
    member.until("a record of each", |m| m.records.len() == 4);
    let mut strange = TopicPartitionList::new();
    strange.add_partition("no-such-topic", 0);
    let _ = member.consumer.pause(&strange);
    assert!(
        strange.elements()[0].error().is_err(),
        "a pause of nothing succeeds"
    );
    let mut paused = TopicPartitionList::new();
    paused.add_partition(&topic, 2);
    member.consumer.pause(&paused).expect("a pause");
    assert!(paused.elements()[0].error().is_ok());
    let held = member.records[&2].len();
    member.until("the other partitions", |m| m.taken() == held + 3 * EACH);
    assert_eq!(
        member.records[&2].len(),
        held,
        "a paused partition delivers"
    );
    let again = 3.min(held);
    let seen = member.records.get_mut(&2).expect("its records");
    seen.truncate(held - again);
    let first = (held - again) as i64;
    paused
        .set_partition_offset(&topic, 2, Offset::Offset(first))
        .expect("an offset");
    let sought = member
        .consumer
        .seek_partitions(paused, Duration::from_secs(10))
        .expect("a seek");
    assert!(sought.elements()[0].error().is_ok());
    member.consumer.resume(&sought).expect("a resume");
    // Lists that the client has seen hold its partitions: its destruction waits for them.
    drop((strange, sought));
    member.until("the held records", |m| m.taken() == everything(EACH));
    assert!(
        member.records[&2].iter().copied().eq(0..EACH as i64),
        "holes after the resume"
    );
    member.close();
}

fn close_while_revoked(protocol: Protocol) {
    let (cluster, topic) = filled(20);
    let mut old = Member::join(&cluster, &topic, protocol, Forward::BeforeAssign);
    old.until("all partitions", |m| m.owned.len() == 4);
    let mut new = Member::join(&cluster, &topic, protocol, Forward::BeforeAssign);
    old.until("a revoke", |m| {
        new.serve();
        m.revoke.is_some()
    });
    old.close();
    new.until("everything", |m| m.owned.len() == 4 && m.records.len() == 4);
    assert_eq!(new.backwards, 0);
    new.close();
}

/// A member that the group has forgotten loses its partitions at once and joins again. Needs the
/// mock, which can be told to forget it.
#[test]
fn lost_partitions_are_answered_and_come_back() {
    let cluster = Cluster::mock();
    let topic = cluster.topic(PARTITIONS);
    cluster.fill(&topic, PARTITIONS, 50, SIZE);
    let mut member = Member::join(&cluster, &topic, Protocol::Classic, Forward::BeforeAssign);
    member.until("all partitions", |m| m.owned.len() == 4);
    let unknown = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID];
    let mock = cluster.as_mock().expect("this test asked for the mock");
    mock.request_errors(RDKafkaApiKey::Heartbeat, &unknown);
    member.until("the loss", |m| m.lost == 1);
    member.until("a new assignment", |m| m.owned.len() == 4);
    member.until("the records again", |m| m.taken() == everything(50));
    assert!(
        member.revoke.is_none() && member.unowned == 0,
        "{}",
        member.summary()
    );
    member.close();
}
