//! Elasticsearch and OpenSearch: one body of tests, both clusters.
//! Layer: test

use std::{sync::Arc, time::Duration};

use penstock_processor::sinks::{
    Reply, Sink,
    elasticsearch::{Elasticsearch, ElasticsearchSettings},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    effects::{at, create, far, fresh, groups, poison, unavailable},
    targets,
};

/// `host:port` of the clusters that there are.
fn clusters() -> Vec<String> {
    ["PENSTOCK_TEST_ELASTICSEARCH", "PENSTOCK_TEST_OPENSEARCH"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .collect()
}

fn settings(address: &str) -> ElasticsearchSettings {
    ElasticsearchSettings {
        urls: vec![format!("http://{address}")],
        secret: None,
        ca: None,
    }
}

fn open(address: &str) -> Elasticsearch {
    Elasticsearch::open(&settings(address), groups()).expect("the settings are sound")
}

/// Asks the cluster itself, past the sink.
async fn ask(address: &str, method: &str, path: &str, body: &Value) -> Value {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let question = [head.as_bytes(), body.as_bytes()].concat();
    stream.write_all(&question).await.expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("JSON")
}

async fn count(address: &str, index: &str) -> u64 {
    ask(address, "POST", &format!("/{index}/_refresh"), &Value::Null).await;
    let answer = ask(address, "GET", &format!("/{index}/_count"), &Value::Null).await;
    answer["count"].as_u64().expect("a count")
}

#[tokio::test]
async fn a_document_is_created_once_and_a_redelivery_is_told_from_a_duplicate() {
    for cluster in clusters() {
        let (sink, index) = (open(&cluster), fresh("events"));
        let submit = |partition, offset| {
            let document = json!({"id": "e-1", "at": offset});
            sink.submit(
                create(&index, "e-1", at(partition, offset), &document),
                far(),
            )
        };
        assert_eq!(submit(0, 5).await.expect("created"), Reply::Applied);
        assert_eq!(submit(0, 5).await.expect("known"), Reply::Redelivered);
        assert_eq!(submit(0, 6).await.expect("known"), Reply::Duplicate);
        assert_eq!(submit(1, 5).await.expect("known"), Reply::Duplicate);
        let stored = ask(&cluster, "GET", &format!("/{index}/_doc/e-1"), &Value::Null).await;
        assert_eq!(stored["_source"]["at"], 5, "{stored}");
        assert_eq!(stored["_source"]["_penstock"]["topic"], "shop.events");
    }
}

#[tokio::test]
async fn concurrent_records_share_requests_and_each_has_its_answer() {
    for cluster in clusters() {
        let (sink, index) = (Arc::new(open(&cluster)), fresh("events"));
        let mut tasks = JoinSet::new();
        for offset in 0..1_000 {
            let (sink, index) = (Arc::clone(&sink), index.clone());
            let document = match offset % 10 {
                0 => json!({"price": "no number"}),
                _ => json!({"price": offset}),
            };
            // The first one of all decides the mapping.
            if offset == 0 {
                let first = create(&index, "first", at(0, 0), &json!({"price": 1}));
                sink.submit(first, far()).await.expect("created");
            }
            tasks.spawn(async move {
                let effect = create(&index, &offset.to_string(), at(0, offset), &document);
                (offset, sink.submit(effect, far()).await)
            });
        }
        while let Some(task) = tasks.join_next().await {
            let (offset, outcome) = task.expect("no panic");
            match offset % 10 {
                0 => drop(poison(outcome)),
                _ => assert_eq!(outcome.expect("created"), Reply::Applied),
            }
        }
        assert_eq!(count(&cluster, &index).await, 901);
        let health = sink.health();
        assert!(health.groups < 100, "{health:?}");
    }
}

#[tokio::test]
async fn a_bad_document_is_the_records_fault_and_names_the_field() {
    for cluster in clusters() {
        let (sink, index) = (open(&cluster), fresh("events"));
        let good = create(&index, "1", at(0, 1), &json!({"price": 1}));
        sink.submit(good, far()).await.expect("created");
        let bad = create(&index, "2", at(0, 2), &json!({"price": "a secret"}));
        let reason = poison(sink.submit(bad, far()).await);
        assert!(
            reason.contains("price") && !reason.contains("secret"),
            "{reason}"
        );
        let too_large = create(&index, "3", at(0, 3), &json!({"pad": "x".repeat(5 << 20)}));
        let reason = poison(sink.submit(too_large, far()).await);
        assert!(reason.contains("larger"), "{reason}");
        let illegal = create("Upper Case", "4", at(0, 4), &json!({}));
        poison(sink.submit(illegal, far()).await);
    }
}

#[tokio::test]
async fn groups_that_are_too_large_for_the_cluster_are_split() {
    for cluster in clusters() {
        let (sink, index) = (Arc::new(open(&cluster)), fresh("events"));
        let mut tasks = JoinSet::new();
        for offset in 0..8 {
            let (sink, index) = (Arc::clone(&sink), index.clone());
            tasks.spawn(async move {
                let document = json!({"pad": "x".repeat(900 << 10)});
                let effect = create(&index, &offset.to_string(), at(0, offset), &document);
                sink.submit(effect, far()).await
            });
        }
        while let Some(task) = tasks.join_next().await {
            assert_eq!(task.expect("no panic").expect("created"), Reply::Applied);
        }
        assert_eq!(count(&cluster, &index).await, 8);
    }
}

#[tokio::test]
async fn a_read_only_index_is_an_outage_and_ends() {
    for cluster in clusters() {
        let (sink, index) = (open(&cluster), fresh("events"));
        let submit = |offset: i64| {
            let effect = create(&index, &offset.to_string(), at(0, offset), &json!({}));
            sink.submit(effect, far())
        };
        submit(0).await.expect("created");
        for block in ["index.blocks.write", "index.blocks.read_only_allow_delete"] {
            let settings = format!("/{index}/_settings");
            ask(&cluster, "PUT", &settings, &json!({ block: true })).await;
            let reason = unavailable(submit(1).await);
            assert!(reason.contains("cluster_block"), "{block}: {reason}");
            ask(&cluster, "PUT", &settings, &json!({ block: null })).await;
        }
        assert_eq!(submit(1).await.expect("created"), Reply::Applied);
    }
}

/// A cluster that is gone, or does not answer, blames no record.
#[tokio::test]
async fn a_cluster_that_does_not_answer_is_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent = listener.local_addr().expect("bound").to_string();
    let soon = far() - Duration::from_secs(29);
    let effect = create("events", "1", at(0, 1), &json!({}));
    unavailable(open(&silent).submit(effect.clone(), soon).await);
    drop(listener);
    unavailable(open(&silent).submit(effect, far()).await);
}

#[tokio::test]
async fn an_older_flush_loses() {
    for cluster in clusters() {
        targets::keeps_the_greatest_version(&open(&cluster)).await;
    }
}

#[tokio::test]
async fn the_probe_finds_an_index_that_may_lose_what_it_answered() {
    for cluster in clusters() {
        let index = fresh("lax");
        let lax = json!({"settings": {"index.translog.durability": "async"}});
        ask(&cluster, "PUT", &format!("/{index}"), &lax).await;
        let found = Elasticsearch::probe(&settings(&cluster), far()).await;
        let found = found.expect("it answers");
        let named: Vec<_> = found.iter().map(|weakness| &*weakness.setting).collect();
        assert!(named.contains(&"index.translog.durability"), "{found:?}");
        ask(&cluster, "DELETE", &format!("/{index}"), &Value::Null).await;
    }
}
