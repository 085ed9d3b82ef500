//! A stand-in for the processor, right or broken on purpose, that the scenarios are tested with.
//! Layer: shell
//!
//! One thread, batches, and a commit after each.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use rdkafka::{
    config::ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
    message::{Message, OwnedMessage},
};

use crate::interrupt;

mod forward;
mod settings;
mod status;
mod store;

use forward::Forward;
use settings::Settings;
use store::Store;

/// Records between two commits; what `/status` names as the window.
const BATCH: usize = 500;
/// A broken processor misbehaves at every so many offsets.
const RARE: i64 = 997;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Leaves records out.
    Lose,
    /// Turns batches round.
    Swap,
    /// Applies records twice.
    Repeat,
    /// Commits only when there is nothing to do, so that a restart under load begins at the
    /// beginning.
    Forget,
    /// Sends records to the dead-letter topic, too.
    DeadLetter,
    /// Exits with 1 when asked to stop.
    DieBadly,
}

impl Fault {
    /// Whether this fault befalls the record.
    fn hits(self, fault: Self, message: &OwnedMessage) -> bool {
        self == fault && message.offset() % RARE == RARE - 1
    }
}

/// `fake-processor --fault F run -f FILE --status-address ADDRESS`.
#[derive(Args)]
pub(crate) struct FakeArguments {
    #[arg(long, value_enum, default_value_t = Fault::None)]
    fault: Fault,
    #[command(subcommand)]
    run: Run,
}

/// The processor's own command line.
#[derive(Subcommand)]
enum Run {
    /// Runs a pipeline.
    Run {
        #[arg(short)]
        file: PathBuf,
        #[arg(long)]
        status_address: SocketAddr,
    },
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FakeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Settings(#[from] serde_saphyr::Error),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Store(#[from] rusqlite::Error),
    #[error("the pipeline names neither an output nor a sink")]
    Nothing,
}

/// Where effects go.
enum Effects {
    Forward(Forward),
    Store(Store),
}

/// Works until it is asked to stop.
pub(crate) fn run(arguments: &FakeArguments) -> Result<ExitCode, FakeError> {
    let Run::Run {
        file,
        status_address,
    } = &arguments.run;
    interrupt::listen();
    let settings: Settings = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
    let consumer: BaseConsumer = settings.consumer(&mut ClientConfig::new()).create()?;
    consumer.subscribe(&settings.topics())?;
    let assigned = Arc::new(AtomicUsize::new(0));
    serve_status(*status_address, Arc::clone(&assigned))?;
    let fault = arguments.fault;
    let mut effects = match (settings.output(), settings.store()) {
        (Some(topic), _) => Effects::Forward(Forward::new(&settings, topic, fault)?),
        (None, Some(path)) => Effects::Store(Store::open(path, fault)?),
        (None, None) => return Err(FakeError::Nothing),
    };
    while interrupt::check().is_ok() {
        let mut batch = take(&consumer)?;
        assigned.store(consumer.assignment()?.count(), Ordering::Relaxed);
        if fault == Fault::Swap {
            batch.reverse();
        }
        match &mut effects {
            Effects::Forward(forward) => forward.apply(&batch)?,
            Effects::Store(store) => apply_patiently(store, &batch, &consumer)?,
        }
        if batch.is_empty() == (fault == Fault::Forget) {
            // A commit refused by a rebalance only means that the new owner repeats the batch.
            let _ = consumer.commit_consumer_state(CommitMode::Sync);
        }
    }
    Ok(if fault == Fault::DieBadly {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// At most a batch; waits only for the first record.
fn take(consumer: &BaseConsumer) -> Result<Vec<OwnedMessage>, KafkaError> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut patience = Duration::from_millis(50);
    while batch.len() < BATCH {
        match consumer.poll(patience) {
            Some(Ok(message)) => batch.push(message.detach()),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                return Err(KafkaError::MessageConsumptionFatal(code));
            }
            Some(Err(_)) | None => break,
        }
        patience = Duration::ZERO;
    }
    Ok(batch)
}

/// A locked file is waited for with everything paused, so that the group does not evict us.
fn apply_patiently(
    store: &mut Store,
    batch: &[OwnedMessage],
    consumer: &BaseConsumer,
) -> Result<(), FakeError> {
    while let Err(error) = store.apply(batch) {
        if error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) {
            return Err(error.into());
        }
        let assignment = consumer.assignment()?;
        consumer.pause(&assignment)?;
        consumer.poll(Duration::from_millis(100));
        consumer.resume(&assignment)?;
    }
    Ok(())
}

fn serve_status(address: SocketAddr, assigned: Arc<AtomicUsize>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that went away is no reason to stop serving.
            let _ = status::answer(stream, assigned.load(Ordering::Relaxed), BATCH);
        }
    });
    Ok(())
}
