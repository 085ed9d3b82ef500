//! `penstock replay-dead-letters`, killed at random moments and started again.
//! Layer: shell

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::{
    child::{self, Guarded},
    fleet::{FleetError, Launcher},
    report::{Row, Verdict},
    rig::{PARTITIONS, Rig, ScenarioError},
    topics::client,
    wait::{self, Waited},
};

const NAME: &str = "replay";
/// How long the last command, which nobody kills, may take.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// Where the letters' records came from.
const ORIGIN: &str = "penstock-origin-offset";

/// Each of `letters` must be in the input topic once, however often the command was killed.
pub(super) fn replay(mut rig: Rig<'_>, kills: u32, letters: u32) -> Result<Row, ScenarioError> {
    let started = Instant::now();
    // A start takes some 200 ms, and a batch some 10: most kills hit in the middle.
    let moments: Vec<_> = (0..kills).map(|_| rig.choose(150..1_000)).collect();
    let scene = Scene { rig };
    scene.bury(letters)?;
    for (attempt, millis) in moments.into_iter().enumerate() {
        let mut command = scene.start(&format!("killed-{attempt}"))?;
        wait::pass(Duration::from_millis(millis))?;
        command.kill().map_err(FleetError::from)?;
    }
    let mut faults = Vec::new();
    let rest = scene.finish("rest", &mut faults)?;
    let again = scene.finish("again", &mut faults)?;
    if again != "replayed 0, skipped 0" {
        faults.push(format!("after {rest:?} the next command said {again:?}"));
    }
    let mut row = judge(letters, &scene.replayed()?, faults);
    row.instances = u64::from(kills) + 2;
    row.disturbances = u64::from(kills);
    row.seconds = started.elapsed().as_secs_f64();
    Ok(row)
}

/// `seen` is how often each letter's record was found.
fn judge(letters: u32, seen: &BTreeMap<u64, u64>, mut faults: Vec<String>) -> Row {
    let records = u64::from(letters);
    let lost = records - seen.range(..records).count() as u64;
    let repeated = seen.values().map(|count| count - 1).sum();
    let foreign = seen.range(records..).count() as u64;
    for (count, what) in [
        (lost, "letters were never replayed"),
        (repeated, "letters were replayed again"),
        (foreign, "records are no letter's"),
    ] {
        faults.extend((count > 0).then(|| format!("{count} {what}")));
    }
    let verdict = match faults.is_empty() {
        true => Verdict::Pass,
        false => Verdict::Fail,
    };
    Row {
        records,
        lost,
        repeated,
        violations: faults,
        ..Row::empty(NAME, verdict)
    }
}

struct Scene<'a> {
    rig: Rig<'a>,
}

impl Scene<'_> {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.rig.broker().bootstrap());
        config
    }

    /// Writes the pipeline, and letters as a processor writes them, of records at offsets 0, 1, 2 and so on.
    fn bury(&self, letters: u32) -> Result<(), ScenarioError> {
        let file = self.rig.launcher().folder.join("pipeline.yaml");
        fs::write(file, self.rig.pipeline())?;
        let producer: BaseProducer = self.config().create().map_err(client("letters"))?;
        for letter in 0..letters {
            self.bury_one(&producer, letter)
                .map_err(client("write a letter"))?;
        }
        Ok(producer
            .flush(PATIENCE)
            .map_err(client("write the letters"))?)
    }

    fn bury_one(&self, producer: &BaseProducer, letter: u32) -> Result<(), KafkaError> {
        let partition = (letter % PARTITIONS).to_string();
        let offset = letter.to_string();
        let headers = [
            ("penstock-dead-topic", self.rig.names().input.as_str()),
            ("penstock-dead-partition", &partition),
            ("penstock-dead-offset", &offset),
            ("penstock-dead-generation", "0"),
            ("penstock-dead-timestamp", "1700000000000"),
            ("penstock-dead-stage", "forward"),
        ];
        let add = |all: OwnedHeaders, (key, value): (&str, &str)| {
            let value = Some(value);
            all.insert(Header { key, value })
        };
        let headers = headers.into_iter().fold(OwnedHeaders::new(), add);
        let record = BaseRecord::to(&self.rig.names().dead)
            .key(&offset)
            .payload("{}")
            .headers(headers);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        Ok(())
    }

    fn start(&self, log: &str) -> Result<Guarded, ScenarioError> {
        let Launcher { program, folder } = self.rig.launcher();
        let mut command = child::command(&program.path);
        command
            .args(["replay-dead-letters", "-f", "pipeline.yaml"])
            .current_dir(folder);
        let log = self.log(log);
        let spawned = Guarded::spawn("replay-dead-letters", &mut command, &log);
        Ok(spawned.map_err(FleetError::from)?)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.rig.launcher().folder.join(format!("{name}.log"))
    }

    /// A command that nobody kills; its last line.
    fn finish(&self, name: &str, faults: &mut Vec<String>) -> Result<String, ScenarioError> {
        let mut command = self.start(name)?;
        match command.wait(PATIENCE).map_err(FleetError::from)? {
            Waited::Met(status) if status.success() => {}
            Waited::Met(status) => faults.push(format!("{name}: {status}\n{}", command.tail())),
            Waited::TimedOut => faults.push(format!("{name} did not end")),
        }
        let text = fs::read_to_string(self.log(name))?;
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    /// How often each letter's record stands in the input topic, of what was committed.
    fn replayed(&self) -> Result<BTreeMap<u64, u64>, ScenarioError> {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", format!("{}-count", self.rig.names().group))
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()
            .map_err(client("count"))?;
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            all.add_partition_offset(&self.rig.names().input, partition, Offset::Beginning)
                .map_err(client("count"))?;
        }
        consumer.assign(&all).map_err(client("count"))?;
        let (mut seen, mut ends) = (BTreeMap::new(), 0);
        while ends < PARTITIONS {
            match consumer.poll(POLL) {
                Some(Ok(message)) => *seen.entry(origin(&message)).or_default() += 1,
                Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
                Some(Err(error)) => return Err(client("count")(error).into()),
                None => wait::pass(Duration::ZERO)?,
            }
        }
        Ok(seen)
    }
}

/// The letter behind a record; one that is none counts as a letter that nobody wrote.
fn origin(message: &BorrowedMessage<'_>) -> u64 {
    let headers = message.headers();
    let found = headers.and_then(|all| all.iter().find(|own| own.key == ORIGIN));
    let value = found.and_then(|own| std::str::from_utf8(own.value?).ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}
