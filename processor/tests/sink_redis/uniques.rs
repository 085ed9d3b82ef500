//! Sets of members: who is new, and how long a set is kept.
//! Layer: test

use penstock_processor::sinks::{Reply, Retention, Sink};

use crate::{
    effects::{open, unique},
    server::{Server, far},
    target::Target,
};

const DAY_MS: i64 = 86_400_000;

const NEW: Reply = Reply::Member { first: true };
const SEEN: Reply = Reply::Member { first: false };

#[tokio::test]
async fn a_member_is_new_once_in_a_window_until_the_server_loses_it() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let sink = open(&server, Target::new());
    let long_ago = Retention {
        until_ms: 0,
        margin_ms: DAY_MS,
    };
    let mut replies = Vec::new();
    for (set, member) in [("s:W1", "a"), ("s:W1", "a"), ("s:W2", "a"), ("s:W1", "b")] {
        let reply = sink.submit(unique(set, member, long_ago), far()).await;
        replies.push(reply.expect("added"));
    }
    assert_eq!(replies, [NEW, SEEN, NEW, NEW]);
    server.run("FLUSHALL", &[]).await;
    let again = sink.submit(unique("s:W1", "a", long_ago), far()).await;
    assert_eq!(again.expect("added"), NEW);
    assert_eq!(sink.incarnation(), 1);
}

/// A window that lies in the past is kept a margin from its last touch, one that ends in the future
/// a margin beyond its end.
#[tokio::test]
async fn a_set_expires_a_margin_after_its_window_or_its_last_touch() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let sink = open(&server, Target::new());
    let seconds = server.ask::<Vec<String>>("TIME", &[]).await;
    let now_ms = seconds[0].parse::<i64>().expect("seconds") * 1_000;
    for (set, until_ms, days) in [("old", 5, 1), ("new", now_ms + 7 * DAY_MS, 8)] {
        let retention = Retention {
            until_ms,
            margin_ms: DAY_MS,
        };
        sink.submit(unique(set, "a", retention), far())
            .await
            .expect("added");
        let key = server.keyspace.set(set);
        let left: i64 = server.ask("PTTL", &[&key]).await;
        assert!((left - days * DAY_MS).abs() < 60_000, "{set}: {left} ms");
        server.run("PEXPIRE", &[&key, "1000000"]).await;
        sink.submit(unique(set, "a", retention), far())
            .await
            .expect("seen");
        let left: i64 = server.ask("PTTL", &[&key]).await;
        assert!(
            (left - days * DAY_MS).abs() < 60_000,
            "{set}: {left} ms after a touch"
        );
    }
}
