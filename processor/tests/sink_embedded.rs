//! The embedded sink as its callers see it: locked, killed, shared, given up on.
//! Layer: test

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{FutureExt, join_all};
use penstock_processor::{
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Action, Change, Effect, Guard, Operator, Provenance, Reply, Sink, SinkError, UpsertReply,
        embedded::{Embedded, EmbeddedSettings},
    },
};
use rusqlite::Connection;
use serde_json::json;

fn settings(path: &Path) -> EmbeddedSettings {
    EmbeddedSettings {
        path: path.to_owned(),
        queue_effects: 64,
        queue_bytes: 1 << 20,
        group_effects: 32,
        page_cache_bytes: 1 << 20,
        log_bytes: 32 << 20,
    }
}

fn open(path: &Path) -> Embedded {
    Embedded::open(settings(path)).expect("the file opens")
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn provenance(offset: i64) -> Provenance {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    let position = Position { partition, offset };
    Provenance {
        generation: 0,
        topic: Arc::from("t"),
        position,
        floor: 0,
    }
}

fn count(offset: i64) -> Effect {
    let amounts = vec![(Arc::from("views"), 1), (Arc::from("offsets"), offset)];
    let collection = Arc::from("products");
    let action = Action::Count {
        collection,
        id: format!("p{}", offset % 7),
        amounts,
    };
    Effect {
        stage: Arc::from("stats"),
        provenance: provenance(offset),
        action,
    }
}

fn create(offset: i64, document: &str) -> Effect {
    let action = Action::Create {
        index: "events".to_owned(),
        id: offset.to_string(),
        document: document.as_bytes().to_vec(),
    };
    Effect {
        stage: Arc::from("index"),
        provenance: provenance(offset),
        action,
    }
}

fn increment(offset: i64) -> Effect {
    let change = Change {
        field: Arc::from("n"),
        operator: Operator::Inc,
        value: json!(1),
    };
    let action = Action::Upsert {
        collection: Arc::from("visits"),
        // A key of its own, as records of one key are never in flight together.
        id: offset.to_string(),
        changes: vec![change],
        guard: Guard::Offset,
        reply: UpsertReply::Nothing,
    };
    Effect {
        stage: Arc::from("visit"),
        provenance: provenance(offset),
        action,
    }
}

fn number(path: &Path, query: &str) -> i64 {
    let file = Connection::open(path).expect("opens");
    file.query_row(query, [], |row| row.get::<_, Option<i64>>(0))
        .expect(query)
        .unwrap_or(0)
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sink.db");
    (folder, path)
}

#[tokio::test]
async fn a_locked_file_is_unavailable_for_all_that_wait_and_recovers() {
    let (_folder, path) = folder();
    let sink = open(&path);
    sink.submit(count(0), deadline())
        .await
        .expect("free at first");
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locks");
    let started = Instant::now();
    let refused = join_all((1..20).map(|offset| sink.submit(count(offset), deadline()))).await;
    let took = started.elapsed();
    for outcome in refused {
        let reason = outcome.expect_err("locked").to_string();
        assert_eq!(reason, "sink unavailable: database is locked");
    }
    // One or two groups of some 200 ms each, not one try per effect.
    assert!(
        took < Duration::from_secs(3),
        "{took:?} until the last refusal"
    );
    let again = Embedded::open(settings(&path)).expect("a file with tables opens while locked");
    other.execute_batch("ROLLBACK").expect("unlocks");
    for sink in [&sink, &again] {
        join_all((0..20).map(|offset| sink.submit(count(offset), deadline())))
            .await
            .into_iter()
            .for_each(|outcome| drop(outcome.expect("free again")));
    }
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'views'"
        ),
        20
    );
    assert!(sink.health().refused_groups >= 1);
}

#[tokio::test]
async fn the_record_is_blamed_for_a_document_that_is_no_json() {
    let (_folder, path) = folder();
    let sink = open(&path);
    let error = sink
        .submit(create(0, "{"), deadline())
        .await
        .expect_err("no JSON");
    assert!(matches!(error, SinkError::Record { .. }), "{error}");
    let reply = sink
        .submit(create(1, "{}"), deadline())
        .await
        .expect("the next one is fine");
    assert_eq!(reply, Reply::Applied);
}

#[tokio::test]
async fn an_effect_larger_than_the_queue_passes_alone() {
    let (_folder, path) = folder();
    let sink = Embedded::open(EmbeddedSettings {
        queue_bytes: 4096,
        ..settings(&path)
    });
    let sink = sink.expect("the file opens");
    let large = json!("x".repeat(100_000)).to_string();
    let all = join_all((0..5).map(|offset| sink.submit(create(offset, &large), deadline()))).await;
    assert!(
        all.iter()
            .all(|outcome| matches!(outcome, Ok(Reply::Applied))),
        "{all:?}"
    );
    assert_eq!(sink.health().queue_bytes, 0);
}

#[tokio::test]
async fn a_passed_deadline_is_unavailable_and_has_no_effect() {
    let (_folder, path) = folder();
    let sink = open(&path);
    let error = sink
        .submit(count(0), Instant::now())
        .await
        .expect_err("too late");
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error}");
    drop(sink);
    assert_eq!(number(&path, "SELECT count(*) FROM counters"), 0);
}

#[tokio::test]
async fn a_caller_that_gave_up_may_come_again() {
    let (_folder, path) = folder();
    let sink = open(&path);
    // Whether the first delivery happened is open, as with a reply that was lost.
    for offset in 0..50 {
        drop(sink.submit(count(offset), deadline()).now_or_never());
    }
    for offset in 0..50 {
        sink.submit(count(offset), deadline()).await.expect("taken");
    }
    drop(sink);
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'views'"
        ),
        50
    );
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'offsets'"
        ),
        49 * 25
    );
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    let (_folder, path) = folder();
    let other = Connection::open(&path).expect("opens");
    other
        .pragma_update(None, "user_version", 99)
        .expect("a version");
    let error = Embedded::open(settings(&path))
        .err()
        .expect("another version")
        .to_string();
    assert!(
        error.ends_with("its tables have version 99, legal is 1 or an empty file"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sinks_on_one_file_count_every_record_once() {
    let (_folder, path) = folder();
    let sinks = [open(&path), open(&path)];
    // Both deliver every record, as after a rebalance that repeats the whole window.
    let deliver = |sink| async move {
        let mut applied = 0;
        for first in (0..400).step_by(40) {
            let window = (first..first + 40).flat_map(|offset| [count(offset), increment(offset)]);
            for reply in join_all(window.map(|effect| persist(sink, effect))).await {
                applied += usize::from(reply == Reply::Applied);
            }
        }
        applied
    };
    let (left, right) = tokio::join!(deliver(&sinks[0]), deliver(&sinks[1]));
    assert_eq!(left + right, 800);
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'views'"
        ),
        400
    );
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'offsets'"
        ),
        399 * 200
    );
    assert_eq!(
        number(&path, "SELECT sum(body ->> 'n') FROM documents"),
        400
    );
    assert_eq!(number(&path, "SELECT sum(count) FROM redelivered"), 800);
}

/// Submits until the file is free; another process may hold it for longer than a group waits.
async fn persist(sink: &Embedded, effect: Effect) -> Reply {
    loop {
        match sink.submit(effect.clone(), deadline()).await {
            Err(SinkError::Unavailable { .. }) => {}
            outcome => return outcome.expect("no record is bad"),
        }
    }
}

/// Variable by which the test below tells its child the file to write to.
const CHILD_FILE: &str = "PENSTOCK_TEST_SINK_FILE";
const RECORDS: i64 = 5_000;
const WINDOW: i64 = 50;

#[tokio::test]
async fn what_was_answered_survives_sigkill_and_the_rest_is_repeated_harmlessly() {
    let (_folder, path) = folder();
    for answers in [1, 3, 7, 12] {
        let answered = write_and_kill(&path, answers);
        let found = number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'views'",
        );
        assert!(found >= answered, "{found} found, {answered} answered");
    }
    let sink = open(&path);
    let effects = (0..RECORDS).flat_map(|offset| [count(offset), increment(offset)]);
    let all: Vec<_> = effects.collect();
    for window in all.chunks(64) {
        let replies = window
            .iter()
            .map(|effect| sink.submit(effect.clone(), deadline()));
        join_all(replies)
            .await
            .into_iter()
            .for_each(|reply| drop(reply.expect("taken")));
    }
    drop(sink);
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'views'"
        ),
        RECORDS
    );
    let sum = RECORDS * (RECORDS - 1) / 2;
    assert_eq!(
        number(
            &path,
            "SELECT sum(value) FROM counters WHERE field = 'offsets'"
        ),
        sum
    );
    assert_eq!(
        number(&path, "SELECT sum(body ->> 'n') FROM documents"),
        RECORDS
    );
}

/// Lets a child write, kills it after some answers, and returns how many records were answered.
fn write_and_kill(path: &Path, answers: usize) -> i64 {
    let mut child = Command::new(std::env::current_exe().expect("this test's binary"))
        .args([
            "--exact",
            "child_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let answered = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("answered ").and_then(|n| n.parse().ok()))
        .nth(answers - 1)
        .expect("the child goes on until it is killed");
    child.kill().expect("the child is alive");
    child.wait().expect("the child ends");
    answered
}

#[tokio::test]
#[ignore = "the child of the test above"]
async fn child_that_is_killed() {
    let path = PathBuf::from(std::env::var_os(CHILD_FILE).expect("started by its parent"));
    let sink = open(&path);
    println!();
    for first in (0..RECORDS).step_by(usize::try_from(WINDOW).expect("small")) {
        let window = first..first + WINDOW;
        let effects = window.flat_map(|offset| [count(offset), increment(offset)]);
        let replies = effects.map(|effect| sink.submit(effect, deadline()));
        join_all(replies)
            .await
            .into_iter()
            .for_each(|reply| drop(reply.expect("taken")));
        println!("answered {}", first + WINDOW);
    }
}
