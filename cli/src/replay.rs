//! `penstock replay-dead-letters`: writes dead letters back to where their records came from, once.
//! Layer: shell
//!
//! Records and the positions up to which letters were read are written in one transaction, so a
//! command that is killed and started again repeats nothing; a second command of the same group
//! fences the first.

mod letters;
mod restored;

use std::{
    error::Error,
    fs,
    io::{Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use penstock_crds::pipeline::{Source, ValidatedPipeline};
use penstock_processor::{run::log_to_stderr, source::security::Security};
use rdkafka::{
    ClientConfig,
    consumer::BaseConsumer,
    producer::{BaseProducer, Producer},
};

use self::{letters::Letters, restored::Judged};
use crate::{arguments::ReplayArguments, object};

/// Exit code of a file with faults and of a pipeline without a dead-letter topic.
const REFUSED: u8 = 2;

/// Longest wait for the brokers, for each step.
const PATIENCE: Duration = Duration::from_secs(30);

/// Letters of one transaction.
const BATCH: usize = 500;

/// What came of the letters that were read.
#[derive(Default)]
struct Counts {
    replayed: u64,
    skipped: u64,
}

/// Replays every letter that is in the topic now and was not replayed before, or the first of them.
///
/// # Errors
/// When the brokers refuse, or do not answer in time; what was committed before stays replayed.
pub fn command(arguments: &ReplayArguments) -> Result<ExitCode, Box<dyn Error>> {
    log_to_stderr();
    let pipeline = match read(arguments) {
        Ok(pipeline) => pipeline,
        Err(fault) => {
            writeln!(stderr(), "{}: {fault}", arguments.file.display())?;
            return Ok(ExitCode::from(REFUSED));
        }
    };
    let Some(topic) = &pipeline.failure.dead_letter_topic else {
        let fault =
            "spec.failure.deadLetterTopic is absent: it names the topic whose letters are replayed";
        writeln!(stderr(), "{}: {fault}", arguments.file.display())?;
        return Ok(ExitCode::from(REFUSED));
    };
    let config = connection(&pipeline.source, arguments)?;
    let consumer = consumer(&config, &pipeline)?;
    let open = || Letters::open(&consumer, topic.as_str(), PATIENCE);
    // First: it ends what a command that was killed had begun, and the positions are known.
    let producer = match arguments.dry_run {
        true => None,
        false => Some(producer(&config, &pipeline)?),
    };
    let counts = replay(open()?, (&pipeline, producer.as_ref()), arguments.limit)?;
    let verb = if arguments.dry_run {
        "would replay"
    } else {
        "replayed"
    };
    writeln!(
        stdout(),
        "{verb} {}, skipped {}",
        counts.replayed,
        counts.skipped
    )?;
    Ok(ExitCode::SUCCESS)
}

fn read(arguments: &ReplayArguments) -> Result<ValidatedPipeline, String> {
    let text = fs::read_to_string(&arguments.file).map_err(|error| error.to_string())?;
    object::pipeline(&text, arguments.bootstrap_servers.as_deref())
}

fn connection(
    source: &Source,
    arguments: &ReplayArguments,
) -> Result<ClientConfig, Box<dyn Error>> {
    let servers: Vec<_> = source
        .bootstrap_servers
        .iter()
        .map(ToString::to_string)
        .collect();
    let identity = Security::of(source, &arguments.secrets).read()?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers.join(","))
        .set("client.id", "penstock-replay");
    for (name, value) in identity.properties() {
        config.set(name, value);
    }
    Ok(config)
}

fn consumer(
    config: &ClientConfig,
    pipeline: &ValidatedPipeline,
) -> Result<BaseConsumer, Box<dyn Error>> {
    Ok(config
        .clone()
        .set("group.id", group(pipeline))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .create()?)
}

/// The one producer of the pipeline's replays: an earlier one is fenced.
fn producer(
    config: &ClientConfig,
    pipeline: &ValidatedPipeline,
) -> Result<BaseProducer, Box<dyn Error>> {
    let producer: BaseProducer = config
        .clone()
        .set("transactional.id", group(pipeline))
        .set("message.max.bytes", "1000000000")
        .create()?;
    producer.init_transactions(PATIENCE)?;
    Ok(producer)
}

/// The group that remembers what was replayed.
fn group(pipeline: &ValidatedPipeline) -> String {
    format!("{}.replay", pipeline.source.consumer_group)
}

/// Without a producer letters are only judged.
fn replay(
    mut letters: Letters<'_>,
    (pipeline, producer): (&ValidatedPipeline, Option<&BaseProducer>),
    limit: Option<u64>,
) -> Result<Counts, Box<dyn Error>> {
    let mut counts = Counts::default();
    loop {
        let batch = letters.next(room(&counts, limit), PATIENCE)?;
        if batch.is_empty() {
            return Ok(counts);
        }
        if let Some(producer) = producer {
            producer.begin_transaction()?;
        }
        for letter in &batch {
            let judged = restored::judge(letter, &pipeline.source);
            if let (Some(producer), Judged::Record(record)) = (producer, &judged) {
                restored::send(producer, record, PATIENCE)?;
            }
            tell(&mut counts, letter, judged)?;
        }
        if let Some(producer) = producer {
            letters.commit(producer, PATIENCE)?;
        }
    }
}

/// Letters that the next batch may have.
fn room(counts: &Counts, limit: Option<u64>) -> usize {
    let left = limit.map(|limit| limit.saturating_sub(counts.replayed + counts.skipped));
    left.map_or(BATCH, |left| {
        usize::try_from(left).unwrap_or(BATCH).min(BATCH)
    })
}

fn tell(
    counts: &mut Counts,
    letter: &rdkafka::message::OwnedMessage,
    judged: Judged<'_>,
) -> Result<(), std::io::Error> {
    use rdkafka::Message as _;
    match judged {
        Judged::Record(_) => counts.replayed += 1,
        Judged::Skipped(reason) => {
            counts.skipped += 1;
            let (partition, offset) = (letter.partition(), letter.offset());
            writeln!(stderr(), "skipped {partition}/{offset}: {reason}")?;
        }
    }
    Ok(())
}
