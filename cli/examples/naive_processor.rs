//! The simplest processor that keeps the demo's promises: one thread, one transaction, one commit.
//! Layer: test
//!
//! It stands in for `penstock run` where the demo itself is tested, and shows by contrast what the
//! dispatcher is for. With `NAIVE_FAULT=skip` it forgets the effects of one record in a thousand.

use std::{env, error::Error, fs, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, idx TEXT, id TEXT, document TEXT, generation INTEGER, topic TEXT,
    partition INTEGER, offset INTEGER, UNIQUE (idx, id));
CREATE TABLE IF NOT EXISTS duplicates (
    idx TEXT, id TEXT, partition INTEGER, offset INTEGER, PRIMARY KEY (partition, offset));
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT, id TEXT, body TEXT, PRIMARY KEY (collection, id));
CREATE TABLE IF NOT EXISTS counters (
    collection TEXT, id TEXT, field TEXT, value INTEGER, PRIMARY KEY (collection, id, field));
CREATE TABLE IF NOT EXISTS members (
    set_name TEXT, member BLOB, PRIMARY KEY (set_name, member));
CREATE TABLE IF NOT EXISTS redelivered (stage TEXT PRIMARY KEY, count INTEGER);
CREATE TABLE IF NOT EXISTS progress (partition INTEGER PRIMARY KEY, next INTEGER);
";

/// Records in one transaction.
const BATCH: usize = 500;

struct Processor {
    file: Connection,
    consumer: BaseConsumer,
    producer: BaseProducer,
    topic: String,
    dead_letter_topic: String,
}

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().collect();
    let object: Value = serde_json::from_str(&fs::read_to_string(&arguments[3])?)?;
    let processor = Processor::start(&object["spec"])?;
    processor
        .file
        .execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off")?;
    processor.file.execute_batch(TABLES)?;
    loop {
        processor.batch()?;
    }
}

impl Processor {
    fn start(spec: &Value) -> Result<Self> {
        let text = |pointer| {
            spec.pointer(pointer)
                .and_then(Value::as_str)
                .ok_or("no field")
        };
        let servers = text("/source/bootstrapServers/0")?;
        let protocol = text("/source/groupProtocol")?.to_lowercase();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", servers)
            .set("group.id", text("/source/consumerGroup")?);
        config
            .set("group.protocol", &protocol)
            .set("enable.auto.commit", "false");
        config
            .set("auto.offset.reset", "earliest")
            .set("fetch.queue.backoff.ms", "5");
        if protocol == "classic" {
            config.set("session.timeout.ms", "6000");
        }
        let consumer: BaseConsumer = config.create()?;
        let topic = text("/source/topics/0/name")?.to_owned();
        consumer.subscribe(&[&topic])?;
        Ok(Self {
            file: Connection::open(text("/sinks/0/embedded/path")?)?,
            consumer,
            producer: ClientConfig::new()
                .set("bootstrap.servers", servers)
                .create()?,
            topic,
            dead_letter_topic: text("/failure/deadLetterTopic")?.to_owned(),
        })
    }

    /// Effects first, then dead letters, then the commit: a crash in between repeats, never loses.
    fn batch(&self) -> Result<()> {
        let mut done = TopicPartitionList::new();
        self.file.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..BATCH {
            let Some(message) = self.consumer.poll(Duration::from_millis(50)) else {
                break;
            };
            let message = message?;
            self.record(&message)?;
            let (partition, next) = (message.partition(), message.offset() + 1);
            match done.find_partition(&self.topic, partition) {
                Some(mut element) => element.set_offset(Offset::Offset(next))?,
                None => done.add_partition_offset(&self.topic, partition, Offset::Offset(next))?,
            }
        }
        self.producer.flush(Duration::from_secs(10))?;
        self.file.execute_batch("COMMIT")?;
        if done.count() > 0 {
            self.consumer.commit(&done, CommitMode::Sync)?;
        }
        Ok(())
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Result<()> {
        let (partition, offset) = (message.partition(), message.offset());
        let next = "SELECT coalesce(max(next), 0) FROM progress WHERE partition = ?";
        if offset
            < self
                .file
                .query_row(next, [partition], |row| row.get::<_, i64>(0))?
        {
            let again = "INSERT INTO redelivered VALUES ('index', 1)
                         ON CONFLICT DO UPDATE SET count = count + 1";
            self.file.execute(again, [])?;
            return Ok(());
        }
        let skip =
            env::var("NAIVE_FAULT").is_ok_and(|fault| fault == "skip") && offset % 1_000 == 7;
        if !skip {
            self.event(message)?;
        }
        let advance = "INSERT OR REPLACE INTO progress VALUES (?, ?)";
        self.file.execute(advance, (partition, offset + 1))?;
        Ok(())
    }

    fn event(&self, message: &BorrowedMessage<'_>) -> Result<()> {
        let event: Value =
            serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or(Value::Null);
        let Some(id) = event["id"].as_str() else {
            return self.dead_letter(message);
        };
        let ms = message.timestamp().to_millis().unwrap_or(-1);
        let day = "SELECT strftime('events-%Y-%m-%d', ? / 1000, 'unixepoch')";
        let index: String = self.file.query_row(day, [ms], |row| row.get(0))?;
        let (partition, offset) = (message.partition(), message.offset());
        let row = params![index, id, partition, offset];
        let insert = "INSERT OR IGNORE INTO events VALUES (NULL, ?, ?, '', 0, '', ?, ?)";
        if self.file.execute(insert, row)? == 0 {
            self.file
                .execute("INSERT INTO duplicates VALUES (?, ?, ?, ?)", row)?;
            return Ok(());
        }
        let Some(key) = message.key() else {
            return self.dead_letter(message);
        };
        self.documents(std::str::from_utf8(key)?, &event, ms)?;
        self.totals(key, &event, ms)
    }

    fn documents(&self, key: &str, event: &Value, ms: i64) -> Result<()> {
        self.change("visits", key, |visit| {
            if visit.get("firstSeen").is_none() {
                visit["firstSeen"] = json!(ms);
                visit["firstEvent"] = event["id"].clone();
            }
            visit["lastSeen"] = json!(ms);
            visit["lastSequence"] = event["sequence"].clone();
            if let Some(ad) = event.get("ad") {
                visit["campaign"] = ad["campaign"].clone();
            }
            visit["events"] = json!(visit["events"].as_i64().unwrap_or(0) + 1);
        })?;
        let Some(customer) = event.get("customer") else {
            return Ok(());
        };
        let cents = event["amountCents"].as_i64().unwrap_or(0);
        self.change("customers", key, |body| {
            body["email"] = customer["email"].clone();
            body["spentCents"] = json!(body["spentCents"].as_i64().unwrap_or(0) + cents);
            body["orders"] = json!(body["orders"].as_i64().unwrap_or(0) + 1);
        })
    }

    fn change(&self, collection: &str, id: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        let select = "SELECT body FROM documents WHERE collection = ? AND id = ?";
        let found = self
            .file
            .query_row(select, [collection, id], |row| row.get::<_, String>(0));
        let mut body = found.map_or_else(|_| Ok(json!({})), |text| serde_json::from_str(&text))?;
        change(&mut body);
        let put = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)";
        self.file.execute(put, (collection, id, body.to_string()))?;
        Ok(())
    }

    fn totals(&self, key: &[u8], event: &Value, ms: i64) -> Result<()> {
        let add = "INSERT INTO counters VALUES ('products', ?, ?, ?)
                   ON CONFLICT DO UPDATE SET value = value + excluded.value";
        let product = event["product"].as_str();
        self.file.execute(add, params![product, "views", 1])?;
        if let Some(cents) = event["amountCents"].as_i64() {
            self.file
                .execute(add, params![product, "revenueCents", cents])?;
        }
        let week = "SELECT strftime('%G-W%V', ? / 1000, 'unixepoch')";
        let week: String = self.file.query_row(week, [ms], |row| row.get(0))?;
        let set = format!("{}:{week}", event["shop"].as_str().unwrap_or_default());
        self.file.execute(
            "INSERT OR IGNORE INTO members VALUES (?, ?)",
            params![set, key],
        )?;
        Ok(())
    }

    fn dead_letter(&self, message: &BorrowedMessage<'_>) -> Result<()> {
        let (partition, offset) = (
            message.partition().to_string(),
            message.offset().to_string(),
        );
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "penstock-dead-partition",
                value: Some(&partition),
            })
            .insert(Header {
                key: "penstock-dead-offset",
                value: Some(&offset),
            });
        let record = BaseRecord::<[u8], [u8]>::to(&self.dead_letter_topic)
            .payload(message.payload().unwrap_or_default())
            .headers(headers);
        self.producer.send(record).map_err(|(error, _)| error)?;
        Ok(())
    }
}
