//! A control arm: a consumer as one writes it on the first day, with the client's stock settings.
//! Layer: shell
//!
//! Records go to four workers through a bounded queue of references into the client's buffers, as
//! the client's own examples do. Its stock prefetch is 64 MiB and 50 MiB a fetch, whatever the pod.

use std::{
    path::PathBuf,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use rdkafka::{
    Message as _,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};
use serde_json::Value;

const WORKERS: usize = 4;
const QUEUE: usize = 1024;
/// What a worker does with a record.
const WORK: Duration = Duration::from_micros(200);

/// Command line of the arm, a part of the processor's.
#[derive(clap::Args)]
pub(crate) struct StockArguments {
    /// The pipeline, of which topic, group and broker are read.
    #[arg(short)]
    file: PathBuf,
    /// Not served.
    #[arg(long)]
    status_address: String,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StockError {
    #[error("read the pipeline")]
    Read(#[from] std::io::Error),
    #[error("the pipeline is no YAML")]
    Parse(#[from] serde_saphyr::Error),
    #[error("the pipeline has no {0}")]
    Field(&'static str),
    #[error("the client")]
    Client(#[from] rdkafka::error::KafkaError),
}

/// Consumes until it is killed.
pub(crate) fn run(arguments: &StockArguments) -> Result<(), StockError> {
    // Named for the processor's sake; there is nothing to serve.
    let _ = &arguments.status_address;
    let pipeline: Value = serde_saphyr::from_str(&std::fs::read_to_string(&arguments.file)?)?;
    let text = |pointer: &str, name| {
        let found = pipeline.pointer(pointer).and_then(Value::as_str);
        found.map(str::to_owned).ok_or(StockError::Field(name))
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set(
            "bootstrap.servers",
            text("/spec/source/bootstrapServers/0", "broker")?,
        )
        .set("group.id", text("/spec/source/consumerGroup", "group")?)
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[&text("/spec/source/topics/0/name", "topic")?])?;
    let (send, receive) = mpsc::sync_channel::<BorrowedMessage<'_>>(QUEUE);
    let receive = Mutex::new(receive);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = receive.lock().map(|queue| queue.recv());
                    let Ok(Ok(message)) = next else { return };
                    // A body that is not JSON costs as much to find out.
                    let _ = serde_json::from_slice::<Value>(message.payload().unwrap_or_default());
                    thread::sleep(WORK);
                }
            });
        }
        loop {
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                // The workers do not end before this loop does.
                let _ = send.send(message?);
            }
        }
    })
}
