//! MongoDB, or a server of its protocol.
//! Layer: test

use std::sync::Arc;

use bson::{Document, doc};
use mongodb::Client;
use penstock_processor::sinks::{
    Action, Guard, Operator, Reply, Sink,
    mongodb::{Mongodb, MongodbSettings},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    effects::{at, change, create, far, fresh, groups, poison, returning, unavailable, visit},
    targets,
};

const DATABASE: &str = "penstock-test";

/// `host:port`, when there is a server.
fn server() -> Option<String> {
    std::env::var("PENSTOCK_TEST_MONGODB").ok()
}

fn settings(address: &str) -> MongodbSettings {
    MongodbSettings {
        hosts: vec![address.to_owned()],
        database: DATABASE.to_owned(),
        replica_set: None,
        auth_source: None,
        secret: None,
        tls: None,
    }
}

fn open(address: &str) -> Mongodb {
    Mongodb::open(&settings(address), groups()).expect("the settings are sound")
}

/// Asks the server itself, past the sink.
async fn stored(address: &str, collection: &str, id: &str) -> Option<Document> {
    let client = Client::with_uri_str(format!("mongodb://{address}")).await;
    let client = client.expect("an address");
    let collection = client.database(DATABASE).collection(collection);
    let found = collection.find_one(doc! { "_id": id }).await;
    found.expect("it answers")
}

fn number(document: &Document, field: &str) -> Option<i64> {
    document.get_i64(field).ok()
}

#[tokio::test]
async fn a_document_is_created_once_and_a_redelivery_is_told_from_a_duplicate() {
    let Some(server) = server() else { return };
    let (sink, collection) = (open(&server), fresh("events"));
    let submit = |partition, offset| {
        let document = json!({"at": offset});
        sink.submit(
            create(&collection, "e-1", at(partition, offset), &document),
            far(),
        )
    };
    assert_eq!(submit(0, 5).await.expect("created"), Reply::Applied);
    assert_eq!(submit(0, 5).await.expect("known"), Reply::Redelivered);
    assert_eq!(submit(0, 6).await.expect("known"), Reply::Duplicate);
    assert_eq!(submit(1, 5).await.expect("known"), Reply::Duplicate);
    let stored = stored(&server, &collection, "e-1").await.expect("stored");
    assert_eq!(number(&stored, "at"), Some(5));
}

#[tokio::test]
async fn a_guarded_update_applies_above_the_last_record_alone() {
    let Some(server) = server() else { return };
    let (sink, collection) = (open(&server), fresh("visits"));
    let submit = |offset| sink.submit(visit(&collection, "k", at(0, offset)), far());
    for (offset, expected) in [
        (3, Reply::Applied),
        (3, Reply::Redelivered),
        (4, Reply::Applied),
        (9, Reply::Applied),
        (4, Reply::Redelivered),
        (8, Reply::Redelivered),
    ] {
        assert_eq!(
            submit(offset).await.expect("all is well"),
            expected,
            "{offset}"
        );
    }
    // A partition of its own has a mark of its own, and a generation counts before the offset.
    let other = visit(&collection, "k", at(1, 0));
    assert_eq!(
        sink.submit(other, far()).await.expect("applied"),
        Reply::Applied
    );
    let mut replay = visit(&collection, "k", at(0, 3));
    replay.provenance.generation = 1;
    assert_eq!(
        sink.submit(replay, far()).await.expect("applied"),
        Reply::Applied
    );
    let old = sink.submit(visit(&collection, "k", at(0, 10)), far()).await;
    assert_eq!(
        old.expect("known"),
        Reply::Redelivered,
        "of an older generation"
    );
    let stored = stored(&server, &collection, "k").await.expect("stored");
    let found = ["first", "last", "events"].map(|field| number(&stored, field));
    assert_eq!(found, [Some(3), Some(3), Some(5)]);
}

/// Two owners of one partition, as after a rebalance that one of them has not noticed, write the
/// same records, each in its order and many keys at once.
#[tokio::test]
async fn increments_of_two_writers_of_the_same_records_are_exact() {
    let Some(server) = server() else { return };
    let (sinks, collection) = (
        [open(&server), open(&server)].map(Arc::new),
        fresh("visits"),
    );
    let mut tasks = JoinSet::new();
    for key in 0..40 {
        for sink in &sinks {
            let (sink, collection) = (Arc::clone(sink), collection.clone());
            tasks.spawn(async move {
                for offset in 0..20 {
                    let effect = visit(&collection, &format!("k-{key}"), at(0, offset * 40 + key));
                    let twice = [effect.clone(), effect];
                    for effect in twice {
                        sink.submit(effect, far()).await.expect("all is well");
                    }
                }
            });
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
    for key in 0..40 {
        let stored = stored(&server, &collection, &format!("k-{key}")).await;
        let stored = stored.expect("stored");
        let found = ["first", "last", "events"].map(|field| number(&stored, field));
        assert_eq!(found, [Some(key), Some(19 * 40 + key), Some(20)], "{key}");
    }
}

#[tokio::test]
async fn a_returning_update_answers_with_the_document_each_time() {
    let Some(server) = server() else { return };
    let (sink, collection) = (open(&server), fresh("visits"));
    for (offset, events) in [(3, 1), (3, 1), (4, 2)] {
        let effect = returning(visit(&collection, "k", at(0, offset)));
        let expected = json!({"first": 3, "last": offset, "events": events});
        let reply = sink.submit(effect, far()).await.expect("all is well");
        assert_eq!(reply, Reply::Document(expected));
    }
}

#[tokio::test]
async fn an_unguarded_update_is_the_last_writers() {
    let Some(server) = server() else { return };
    let (sink, collection) = (open(&server), fresh("customers"));
    for (offset, mail) in [(1, "a"), (2, "b"), (1, "a")] {
        let mut effect = visit(&collection, "c", at(0, offset));
        if let Action::Upsert { changes, guard, .. } = &mut effect.action {
            *guard = Guard::LastWriter;
            *changes = vec![change("mail", Operator::Set, json!(mail))];
        }
        let reply = sink.submit(effect, far()).await.expect("all is well");
        assert_eq!(reply, Reply::Applied);
    }
    let stored = stored(&server, &collection, "c").await.expect("stored");
    assert_eq!(stored.get_str("mail").ok(), Some("a"));
}

#[tokio::test]
async fn a_bad_change_is_the_records_fault_and_spoils_no_other() {
    let Some(server) = server() else { return };
    let (sink, collection) = (Arc::new(open(&server)), fresh("visits"));
    let text = create(&collection, "text", at(0, 0), &json!({"events": "many"}));
    sink.submit(text, far()).await.expect("created");
    let mut tasks = JoinSet::new();
    for offset in 1..50 {
        let (sink, collection) = (Arc::clone(&sink), collection.clone());
        tasks.spawn(async move {
            let id = match offset {
                25 => "text".to_owned(),
                other => other.to_string(),
            };
            let outcome = sink
                .submit(visit(&collection, &id, at(0, offset)), far())
                .await;
            (offset, outcome)
        });
    }
    while let Some(task) = tasks.join_next().await {
        let (offset, outcome) = task.expect("no panic");
        match offset {
            25 => drop(poison(outcome)),
            _ => assert_eq!(outcome.expect("applied"), Reply::Applied),
        }
    }
    let huge = json!({"pad": "x".repeat(17 << 20)});
    poison(
        sink.submit(create(&collection, "huge", at(0, 99), &huge), far())
            .await,
    );
}

#[tokio::test]
async fn an_older_flush_loses() {
    let Some(server) = server() else { return };
    targets::keeps_the_greatest_version(&open(&server)).await;
}

#[tokio::test]
async fn the_probe_tells_a_server_without_copies_and_one_that_is_not_there() {
    let Some(server) = server() else { return };
    let found = Mongodb::probe(&settings(&server), far()).await;
    let found = found.expect("it answers");
    let named: Vec<_> = found.iter().map(|weakness| &*weakness.setting).collect();
    assert_eq!(named, ["replica set"]);
    Mongodb::probe(&settings("127.0.0.1:1"), far())
        .await
        .expect_err("nobody is there");
    let effect = visit("visits", "k", at(0, 0));
    unavailable(open("127.0.0.1:1").submit(effect, far()).await);
}
