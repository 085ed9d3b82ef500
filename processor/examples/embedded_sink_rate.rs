//! Measures storefront events a second through the embedded sink and checks every total.
//! Layer: shell
//!
//! `cargo run --release -p penstock-processor --example embedded_sink_rate [EVENTS] [DOCUMENT_BYTES]`
//!
//! One event is one Create, one Upsert that returns the document, a tenth of an Upsert, one Count
//! of two amounts and one Unique, one after the other; 128 tasks do so at once. Exits with 1 when
//! a total is wrong; the rate is printed beside the goal and decides nothing, as it depends on who
//! else uses the machine.

use std::{
    collections::HashSet,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use penstock_processor::{
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Action, Change, Effect, Guard, Operator, Provenance, Reply, Retention, Sink, UpsertReply,
        embedded::{Embedded, EmbeddedSettings},
    },
};
use serde_json::{Value, json};

/// Events a second that the sink is meant to take on two cores.
const GOAL: u128 = 20_000;
/// As many as the processor has workers on two cores.
const TASKS: u64 = 128;
const PARTITIONS: u64 = 12;
const KEYS_PER_TASK: u64 = 400;
const PRODUCTS: u64 = 2_000;
const SHOPS: u64 = 50;
const CENTS: i64 = 199;

/// What all tasks share.
struct Load {
    sink: Embedded,
    document: String,
    topic: Arc<str>,
    next: Vec<AtomicI64>,
    in_flight: Vec<AtomicI64>,
}

/// What a task did.
#[derive(Default)]
struct Done {
    orders: i64,
    members: HashSet<(u64, u64)>,
    first: usize,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|a| a.parse::<u64>().expect("a number"));
    let events = arguments.next().unwrap_or(200_000) / TASKS * TASKS;
    let document_bytes = arguments.next().unwrap_or(1024);
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("rate.db");
    let load = Arc::new(load(&path, document_bytes));
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(work(Arc::clone(&load), task, events / TASKS)))
        .collect();
    let mut done = Done::default();
    for task in tasks {
        let part = task.await.expect("a task ends");
        done.orders += part.orders;
        done.first += part.first;
        done.members.extend(part.members);
    }
    let took = started.elapsed();
    report(&load, events, took);
    report_cpu(events);
    drop(load);
    verdict(&path, i64::try_from(events).expect("a small number"), &done)
}

fn load(path: &Path, document_bytes: u64) -> Load {
    let settings = EmbeddedSettings {
        path: path.to_owned(),
        queue_effects: 1_024,
        queue_bytes: 4 << 20,
        group_effects: 512,
        page_cache_bytes: 16 << 20,
        log_bytes: 64 << 20,
    };
    Load {
        sink: Embedded::open(settings).expect("the file opens"),
        document: json!({"filler": "x".repeat(usize::try_from(document_bytes).expect("small"))})
            .to_string(),
        topic: Arc::from("storefront-events"),
        next: (0..PARTITIONS).map(|_| AtomicI64::new(0)).collect(),
        in_flight: (0..TASKS).map(|_| AtomicI64::new(0)).collect(),
    }
}

impl Load {
    /// The next record of the task's partition.
    fn provenance(&self, task: u64) -> Provenance {
        let partition = task % PARTITIONS;
        let next = &self.next[index(partition)];
        // A lower bound first, so that the floor never passes a record in flight.
        self.in_flight[index(task)].store(next.load(SeqCst), SeqCst);
        let offset = next.fetch_add(1, SeqCst);
        let peers = (partition..TASKS).step_by(index(PARTITIONS));
        let floor = peers
            .map(|peer| self.in_flight[index(peer)].load(SeqCst))
            .min()
            .unwrap_or(0);
        // The acknowledged commit moves in steps, about once a second.
        let floor = floor / 1_000 * 1_000;
        let partition = i32::try_from(partition).expect("a small number");
        let partition = TopicPartition {
            topic: TopicId(0),
            partition,
        };
        let position = Position { partition, offset };
        Provenance {
            generation: 0,
            topic: Arc::clone(&self.topic),
            position,
            floor,
        }
    }

    async fn submit(&self, stage: &str, provenance: &Provenance, action: Action) -> Reply {
        let effect = Effect {
            stage: Arc::from(stage),
            provenance: provenance.clone(),
            action,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        self.sink
            .submit(effect, deadline)
            .await
            .expect("the sink takes it")
    }
}

async fn work(load: Arc<Load>, task: u64, events: u64) -> Done {
    let mut done = Done::default();
    let mut random = task.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut roll = |sides: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % sides
    };
    for event in 0..events {
        let key = task + TASKS * roll(KEYS_PER_TASK);
        let (product, shop, order) = (roll(PRODUCTS), roll(SHOPS), roll(10) == 0);
        let provenance = load.provenance(task);
        let id = format!("{:016x}-{task}-{event}", roll(u64::MAX));
        storefront(&load, &provenance, (id, key), product).await;
        if order {
            load.submit("customer", &provenance, customer(key)).await;
            done.orders += 1;
        }
        let member = key.to_string().into_bytes();
        let unique = Action::Unique {
            set: format!("shop-{shop}:2026-W47"),
            member,
            retention: Retention {
                until_ms: 0,
                margin_ms: 0,
            },
        };
        done.members.insert((shop, key));
        let reply = load.submit("visitors", &provenance, unique).await;
        done.first += usize::from(reply == Reply::Member { first: true });
    }
    load.in_flight[index(task)].store(i64::MAX, SeqCst);
    done
}

/// The stages that every event goes through, besides the visitors.
async fn storefront(load: &Load, provenance: &Provenance, (id, key): (String, u64), product: u64) {
    let index = "events-2026-11-21".to_owned();
    let document = load.document.clone().into_bytes();
    let upsert = visit(key, &id, provenance.position.offset);
    let reply = load
        .submit(
            "index",
            provenance,
            Action::Create {
                index,
                id,
                document,
            },
        )
        .await;
    assert_eq!(reply, Reply::Applied, "every id is new");
    load.submit("attribution", provenance, upsert).await;
    let count = Action::Count {
        collection: Arc::from("products"),
        id: format!("product-{product}"),
        amounts: vec![(Arc::from("views"), 1), (Arc::from("revenueCents"), CENTS)],
    };
    load.submit("product-stats", provenance, count).await;
}

fn visit(key: u64, id: &str, offset: i64) -> Action {
    let changes = vec![
        change(
            "firstSeen",
            Operator::SetOnInsert,
            json!(1_790_000_000_000_i64 + offset),
        ),
        change("firstEvent", Operator::SetOnInsert, json!(id)),
        change(
            "lastSeen",
            Operator::Set,
            json!(1_790_000_000_000_i64 + offset),
        ),
        change("lastSequence", Operator::Set, json!(offset)),
        change("campaign", Operator::Set, json!("autumn-2026")),
        change("events", Operator::Inc, json!(1)),
    ];
    upsert("visits", key, changes, UpsertReply::Document)
}

fn customer(key: u64) -> Action {
    let changes = vec![
        change("email", Operator::Set, json!(format!("{key}@example.com"))),
        change("spentCents", Operator::Inc, json!(CENTS)),
        change("orders", Operator::Inc, json!(1)),
    ];
    upsert("customers", key, changes, UpsertReply::Nothing)
}

fn upsert(collection: &str, key: u64, changes: Vec<Change>, reply: UpsertReply) -> Action {
    let id = format!("customer-{key}");
    Action::Upsert {
        collection: Arc::from(collection),
        id,
        changes,
        guard: Guard::Offset,
        reply,
    }
}

fn change(field: &str, operator: Operator, value: Value) -> Change {
    Change {
        field: Arc::from(field),
        operator,
        value,
    }
}

#[expect(clippy::print_stdout, reason = "printing is this program's purpose")]
fn report(load: &Load, events: u64, took: Duration) {
    let health = load.sink.health();
    let rate = u128::from(events) * 1_000_000 / took.as_micros();
    println!(
        "{events} events in {} ms: {rate} events/s, {} % of the goal of {GOAL}",
        took.as_millis(),
        rate * 100 / GOAL,
    );
    println!(
        "{} effects in {} groups, mean {} effects and {} µs from group to group; last {} µs, longest {} µs",
        health.effects,
        health.groups,
        health.effects / health.groups,
        took.as_micros() / u128::from(health.groups),
        health.last_group_micros,
        health.longest_group_micros,
    );
}

/// CPU time and time spent waiting for a CPU, per event, of the writer and of all threads: on a
/// machine shared with others the rate says little without them.
#[expect(clippy::print_stdout, reason = "printing is this program's purpose")]
fn report_cpu(events: u64) {
    let (mut all, mut writer) = ((0, 0), (0, 0));
    for thread in std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let schedstat = read("schedstat");
        let mut nanos = schedstat
            .split_whitespace()
            .filter_map(|n| n.parse::<u64>().ok());
        let (ran, waited) = (nanos.next().unwrap_or(0), nanos.next().unwrap_or(0));
        all = (all.0 + ran, all.1 + waited);
        if read("comm").starts_with("sink-embedded") {
            writer = (ran, waited);
        }
    }
    let micros = |nanos: u64| format!("{}.{}", nanos / 1_000 / events, nanos / 100 / events % 10);
    let per_event = |(ran, waited)| (micros(ran), micros(waited));
    let (writer, all) = (per_event(writer), per_event(all));
    println!(
        "writer ran {} µs an event and waited {} µs for a CPU",
        writer.0, writer.1
    );
    println!(
        "all threads ran {} µs an event and waited {} µs for a CPU",
        all.0, all.1
    );
}

/// Compares the file with what was submitted.
#[expect(clippy::print_stdout, reason = "printing is this program's purpose")]
fn verdict(path: &Path, events: i64, done: &Done) -> ExitCode {
    let file = rusqlite::Connection::open(path).expect("the file opens again");
    let members = i64::try_from(done.members.len()).expect("a small number");
    let first = i64::try_from(done.first).expect("a small number");
    let sum = |field: &str| format!("SELECT sum(value) FROM counters WHERE field = '{field}'");
    let inc = |collection: &str, field: &str| {
        format!("SELECT sum(body ->> '{field}') FROM documents WHERE collection = '{collection}'")
    };
    let rows = |table: &str| format!("SELECT count(*) FROM {table}");
    let expected = [
        (rows("events"), events),
        (rows("duplicates"), 0),
        (rows("redelivered"), 0),
        (sum("views"), events),
        (sum("revenueCents"), events * CENTS),
        (inc("visits", "events"), events),
        (inc("customers", "orders"), done.orders),
        (inc("customers", "spentCents"), done.orders * CENTS),
        (rows("members"), members),
        (format!("SELECT {first}"), members),
    ];
    let mut exit = ExitCode::SUCCESS;
    for (query, expected) in expected {
        let found = file.query_row(&query, [], |row| row.get::<_, Option<i64>>(0));
        let found = found.expect("the query is right").unwrap_or(0);
        if found != expected {
            println!("{query}: {found}, expected {expected}");
            exit = ExitCode::FAILURE;
        }
    }
    println!(
        "totals {}",
        if exit == ExitCode::SUCCESS {
            "exact"
        } else {
            "WRONG"
        }
    );
    exit
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}
