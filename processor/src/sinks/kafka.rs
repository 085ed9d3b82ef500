//! Produces to Kafka for the `produce` stage and for dead letters: idempotent, bounded, awaited.
//! Layer: shell
//!
//! A record counts as produced when all in-sync replicas have it. The client repeats it without
//! doubling it within one life of the producer; across lives its provenance headers tell.

mod blame;

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;

use parking_lot::RwLock;
use penstock_sizing::SinkPlan;
use rdkafka::{
    ClientConfig, ClientContext,
    error::KafkaError,
    message::{Header as ClientHeader, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use self::blame::blame;
use crate::{
    elastic::{Above, Elastic},
    publish::{Message, Publisher},
    sinks::SinkError,
    source::{
        events::kind,
        security::{Identity, Security},
        trouble::Kind,
    },
};

/// The brokers, and how to reach them.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `host:port` of some brokers, separated by commas.
    pub bootstrap: String,
    /// How the client proves who it is, and whom it trusts.
    pub security: Security,
}

/// Sizes and times of a producer; the sizes are from the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// Records that may be on their way.
    pub queue_records: u32,
    /// Bytes that may be on their way, as `message.max.bytes` does. The client holds
    /// a copy and, while a request is built, up to another one. A record larger than all of it
    /// passes alone.
    pub queue_bytes: u32,
    /// Largest record, bytes; `message.max.bytes`.
    pub max_message_bytes: u32,
    /// How long a delivery may take, retries included; `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// How long a batch waits for company; `linger.ms`.
    pub linger: Duration,
    /// Codec of the batches.
    pub compression: Compression,
}

/// Codecs that are built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// What is on its way at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerHealth {
    /// Records without an answer.
    pub in_flight_records: u64,
    /// Their bytes.
    pub in_flight_bytes: u64,
}

/// An idempotent producer; share it by reference among all tasks.
pub struct Producer {
    connection: Connection,
    built: RwLock<Built>,
    records: Elastic,
    bytes: Elastic,
    settings: ProducerSettings,
}

/// A client and what it proves who it is with.
struct Built {
    client: Client,
    identity: Identity,
}

impl Producer {
    /// Starts a producer. Connects in the background.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when a Secret is not as the object says, or the client refuses
    /// its configuration.
    pub fn open(connection: Connection, settings: ProducerSettings) -> Result<Self, SinkError> {
        let built = build(&connection, &settings)?;
        Ok(Self {
            connection,
            built: RwLock::new(built),
            records: Elastic::new(settings.queue_records.max(1)),
            bytes: Elastic::new(settings.queue_bytes.max(1)),
            settings,
        })
    }

    /// What is on its way.
    #[must_use]
    pub fn health(&self) -> ProducerHealth {
        let taken = |all: &Elastic| all.size().saturating_sub(all.available()).into();
        ProducerHealth {
            in_flight_records: taken(&self.records),
            in_flight_bytes: taken(&self.bytes),
        }
    }

    async fn deliver(&self, message: &Message<'_>) -> Result<(), KafkaError> {
        let bytes = u32::try_from(encoded_bytes(message)).unwrap_or(u32::MAX);
        let _record = self.records.acquire(1, Above::Alone).await;
        let _bytes = self.bytes.acquire(bytes, Above::Alone).await;
        let client = self.client();
        let delivery = client
            .producer
            .send_result(record(message))
            .map_err(|(error, _)| error);
        let outcome = match delivery {
            Ok(delivery) => match delivery.await {
                Ok(outcome) => outcome.map(drop).map_err(|(error, _)| error),
                Err(_) => Err(KafkaError::Canceled),
            },
            Err(error) => Err(error),
        };
        let refused = &client.refused;
        match &outcome {
            Ok(()) if refused.load(Ordering::Relaxed) => refused.store(false, Ordering::Relaxed),
            Ok(()) => {}
            Err(_) => {
                // An idempotent producer with a fatal error never delivers again.
                if client.producer.client().fatal_error().is_some() {
                    self.replace(&client);
                }
            }
        }
        outcome
    }

    /// The client to deliver with: a new one where the brokers refuse what the last one was built
    /// with and the Secrets hold something else now.
    fn client(&self) -> Client {
        let client = self.built.read().client.clone();
        if !client.refused.load(Ordering::Relaxed) {
            return client;
        }
        let now = self.connection.security.read();
        if now.is_ok_and(|now| now != self.built.read().identity) {
            self.replace(&client);
        }
        self.built.read().client.clone()
    }

    /// Puts a new client in the place of a useless one; the first to notice does it.
    fn replace(&self, useless: &Client) {
        let mut built = self.built.write();
        if !Arc::ptr_eq(&built.client.refused, &useless.refused) {
            return;
        }
        // A configuration that was good once is good again; should it not be, the old client goes
        // on refusing and the next record tries again.
        if let Ok(new) = build(&self.connection, &self.settings) {
            let old = std::mem::replace(&mut *built, new);
            // Closing joins the client's threads.
            drop(tokio::task::spawn_blocking(move || drop(old)));
        }
    }
}

/// A client, shared by reference.
#[derive(Clone)]
struct Client {
    producer: FutureProducer<Doorman>,
    /// The brokers refuse who it says it is, or its certificates.
    refused: Arc<AtomicBool>,
}

/// Notices refusals.
struct Doorman {
    refused: Arc<AtomicBool>,
}

impl ClientContext for Doorman {
    fn error(&self, error: KafkaError, reason: &str) {
        let about = error.rdkafka_error_code().map(kind);
        // The client repeats it for ever; it is told when it is new.
        if about.is_some_and(|kind| kind == Kind::Authentication || kind == Kind::Tls)
            && !self.refused.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(reason, "the brokers refuse the producer");
        }
    }
}

fn build(connection: &Connection, settings: &ProducerSettings) -> Result<Built, SinkError> {
    let unavailable = |reason| SinkError::Unavailable { reason };
    let identity = connection.security.read();
    let identity = identity.map_err(|error| unavailable(error.to_string()))?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &connection.bootstrap)
        .set("client.id", "penstock");
    for (name, value) in identity.properties() {
        config.set(name, value);
    }
    let refused = Arc::<AtomicBool>::default();
    let doorman = Doorman {
        refused: Arc::clone(&refused),
    };
    let producer = configure(config, settings).create_with_context(doorman);
    let producer = producer.map_err(|error| blame(&error))?;
    Ok(Built {
        client: Client { producer, refused },
        identity,
    })
}

impl Publisher for Producer {
    /// Dropping the future does not take the record back.
    fn produce<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move { self.deliver(&message).await.map_err(|error| blame(&error)) })
    }

    fn taken_permille(&self) -> u64 {
        self.bytes.taken_permille()
    }

    /// The client's own queue keeps the size it was made with; ours are the bound.
    fn resize(&self, sizes: &SinkPlan) {
        let queue = narrow(sizes.batch.0);
        self.bytes.resize(queue.max(1));
        self.records.resize(queue_records(sizes.batch.0));
    }
}

/// Smallest record in the queue, its bookkeeping included.
const SMALLEST: u64 = 512;

/// Records for a queue of so many bytes.
#[must_use]
pub fn queue_records(bytes: u64) -> u32 {
    narrow(bytes / SMALLEST).max(1)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What a record batch of one adds to key, value and headers, bytes: 61 of the batch, at most 36 of
/// the record, at most 10 per header for 50 headers, rounded up.
const FRAMING_BYTES: usize = 1024;

/// Bytes as the client's `message.max.bytes` and the broker count them, rounded up.
fn encoded_bytes(message: &Message<'_>) -> usize {
    let length = |part: &Option<Cow<'_, [u8]>>| part.as_ref().map_or(0, |bytes| bytes.len());
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| 10 + name.len() + length(value));
    FRAMING_BYTES + length(&message.key) + length(&message.value) + headers.sum::<usize>()
}

fn record<'m>(message: &'m Message<'_>) -> FutureRecord<'m, [u8], [u8]> {
    let headers = OwnedHeaders::new_with_capacity(message.headers.len());
    let headers = message.headers.iter().fold(headers, |headers, header| {
        headers.insert(ClientHeader {
            key: &header.0,
            value: header.1.as_deref(),
        })
    });
    let mut record = FutureRecord::to(message.topic).headers(headers);
    record.key = message.key.as_deref();
    record.payload = message.value.as_deref();
    record
}

fn configure(mut config: ClientConfig, settings: &ProducerSettings) -> ClientConfig {
    // Our semaphores are the bound; the client's own queue is wider, so that it never refuses what
    // they let through.
    let largest = u64::from(settings.queue_bytes.max(settings.max_message_bytes));
    let queue_kbytes = (largest * 2).div_ceil(1024);
    let queue_records = u64::from(settings.queue_records.max(1)) * 2;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("queue.buffering.max.messages", queue_records.to_string())
        .set("queue.buffering.max.kbytes", queue_kbytes.to_string())
        .set("message.max.bytes", settings.max_message_bytes.to_string())
        .set(
            "delivery.timeout.ms",
            settings.delivery_timeout.as_millis().to_string(),
        )
        .set("linger.ms", settings.linger.as_millis().to_string())
        .set("compression.codec", settings.compression.name());
    config
}
