//! How soon after its record an attribution is stored, while the customer stage is slow.
//! Layer: shell
//!
//! The broker stamps each record as it takes it, and a `produce` stage behind the attribution writes
//! to a topic that is stamped alike; the difference is the latency, that of the extra stage included.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use penstock_cli::demo::{
    generator::{Generator, Kind},
    payload,
    storefront::{self, Storefront, Workload},
};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    SinksError,
    ground::{Ground, Places},
    pipeline,
    proxy::Proxy,
};
use crate::{
    fleet::{self, Launcher, Processor},
    names::Names,
    report::{Row, Verdict},
    topics::{self, Watch, client},
    wait::{self, Waited},
};

const NAME: &str = "pace";
const PARTITIONS: u32 = 12;
const KEYS: u32 = 3_000;
/// What a call of the story's customer service takes.
const SLOW: Duration = Duration::from_millis(190);
/// Records a second: 10,000 a minute, and what stores still follow that share two cores with the
/// processor and the broker. Beyond their highest rate the figure would be the age of a backlog.
const PACES: [u32; 2] = [167, 400];
/// Before anything is measured.
pub(super) const WARM_UP: Duration = Duration::from_secs(30);
/// 99 of 100 attributions, at most.
const GOAL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Both paces for so long each; figures are printed, and lost or repeated records fail it.
pub(super) fn pace(ground: &Ground<'_>, each: Duration) -> Result<Row, SinksError> {
    let started = Instant::now();
    let (mut figures, mut faults, mut records) = (Vec::new(), Vec::new(), 0);
    for per_second in PACES {
        let scene = Scene::new(ground, (NAME, per_second))?;
        let (warm_up, measured) = scene.run(each, &mut figures)?;
        let mut seen = scene.latencies()?;
        let events = [warm_up.as_slice(), &measured].concat();
        let warm_up: BTreeSet<Place> = warm_up.into_iter().collect();
        records += events.len() as u64;
        let missing = events.iter().filter(|at| !seen.contains_key(at)).count();
        if missing > 0 || seen.len() != events.len() {
            faults.push(format!(
                "{per_second}/s: {missing} of {} events never came out",
                events.len()
            ));
        }
        seen.retain(|at, _| !warm_up.contains(at));
        let [median, p99, p999] = percentiles(seen.into_values().collect());
        figures.push(format!(
            "{per_second}/s: attribution after {median} ms (median), {p99} ms (p99, goal {}), \
             {p999} ms (p99.9)",
            GOAL.as_millis(),
        ));
    }
    let verdict = match faults.is_empty() {
        true => Verdict::Pass,
        false => Verdict::Fail,
    };
    Ok(Row {
        records,
        violations: faults,
        figures,
        seconds: started.elapsed().as_secs_f64(),
        ..Row::empty(NAME, verdict)
    })
}

/// Median, p99 and p99.9.
pub(super) fn percentiles(mut all: Vec<u64>) -> [u64; 3] {
    all.sort_unstable();
    [500, 990, 999].map(|permille| all.get(all.len() * permille / 1000).copied().unwrap_or(0))
}

/// Partition and offset in the input topic.
pub(super) type Place = (i32, i64);

/// What appends records, and where the next ones of each partition will stand.
pub(super) struct Feeder {
    producer: BaseProducer,
    drafts: Generator,
    ends: BTreeMap<i32, i64>,
}

/// A storefront whose attributions are told, and whose customers' store is slow.
pub(super) struct Scene {
    bootstrap: String,
    names: Names,
    per_second: u32,
    storefront: Arc<Storefront>,
    launcher: Launcher,
    text: String,
    /// In front of the customers' store.
    _slow: Proxy,
}

impl Scene {
    /// Fresh topics; nothing runs yet.
    pub(super) fn new(
        ground: &Ground<'_>,
        (scenario, per_second): (&str, u32),
    ) -> Result<Self, SinksError> {
        let run = format!("{:x}-{}", ground.seed, std::process::id());
        let name = format!("{scenario}-{per_second}");
        let names = Names::new(&name, &run);
        let folder = ground.folder.join("sinks").join(scenario);
        fleet::fresh_folder(&folder)?;
        let bootstrap = ground.broker.bootstrap().to_owned();
        let counts = [
            (&*names.input, PARTITIONS),
            (&*names.output, 1),
            (&*names.dead, 1),
        ];
        let stamped = [("message.timestamp.type", "LogAppendTime")];
        topics::create_all(&bootstrap, &counts, &stamped)?;
        let slow = Proxy::start(ground.stores.mongodb.address())?;
        slow.slow(SLOW);
        let places = Places {
            search: &ground.stores.elasticsearch,
            mongodb: &ground.stores.mongodb,
            redis: &ground.stores.redis,
        };
        let doors = places.doors(&bootstrap);
        let text = told_and_slow(&pipeline::write(&name, &doors, &names), (&names, &slow));
        let storefront = Arc::new(Storefront::new(Workload {
            seed: ground.seed,
            records: u32::MAX,
            keys: KEYS,
            partitions: PARTITIONS,
            start_ms: 0,
        }));
        Ok(Self {
            bootstrap,
            names,
            per_second,
            storefront,
            launcher: Launcher {
                program: ground.program.clone(),
                folder,
            },
            text,
            _slow: slow,
        })
    }

    /// Feeds a processor at the pace; where the events are that must come out, those first that
    /// came while stores made indexes and compiled themselves.
    fn run(
        &self,
        each: Duration,
        figures: &mut Vec<String>,
    ) -> Result<(Vec<Place>, Vec<Place>), SinksError> {
        let processor = self.start()?;
        let mut feeder = self.feeder()?;
        let warm_up = self.feed(&mut feeder, WARM_UP)?;
        let (started, cpu) = (Instant::now(), processor.cpu()?);
        let measured = self.feed(&mut feeder, each)?;
        let percent = (processor.cpu()? - cpu).as_millis() * 100 / started.elapsed().as_millis();
        figures.push(format!(
            "{}/s: {percent} % of one core (goal below 5 at 167), customer stage of {} ms",
            self.per_second,
            SLOW.as_millis()
        ));
        self.finish(processor)?;
        Ok((warm_up, measured))
    }

    /// Starts the processor and waits until it has partitions.
    pub(super) fn start(&self) -> Result<Processor, SinksError> {
        let mut processor = self
            .launcher
            .start(&self.text, u64::from(self.per_second))?;
        processor.await_assigned()?;
        Ok(processor)
    }

    /// What the records come from.
    pub(super) fn feeder(&self) -> Result<Feeder, SinksError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            // The largest event is close to a mebibyte, and the client's default a megabyte.
            .set("message.max.bytes", "1048576")
            .create()
            .map_err(client("feed"))?;
        Ok(Feeder {
            producer,
            drafts: Generator::new(Arc::clone(&self.storefront)),
            ends: BTreeMap::new(),
        })
    }

    /// Waits until everything is committed and stops it.
    pub(super) fn finish(&self, processor: Processor) -> Result<(), SinksError> {
        let watch = Watch::new(&self.bootstrap, &self.names, PARTITIONS)?;
        let all: u64 = watch.input()?.iter().sum();
        let done = wait::until(PATIENCE, POLL, || -> Result<_, SinksError> {
            let committed: u64 = watch.committed()?.iter().sum();
            Ok((committed >= all).then_some(()))
        })?;
        match (done, processor.stop(GRACE)?) {
            (Waited::Met(()), None) => Ok(()),
            (Waited::Met(()), Some(fault)) => Err(SinksError::Laid(fault)),
            (Waited::TimedOut, _) => Err(SinksError::Laid(format!(
                "not committed in {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// Each record at its time. Offsets follow from the order within a partition.
    pub(super) fn feed(
        &self,
        feeder: &mut Feeder,
        each: Duration,
    ) -> Result<Vec<Place>, SinksError> {
        let Feeder {
            producer,
            drafts,
            ends,
        } = feeder;
        let (mut places, mut value) = (Vec::new(), String::new());
        let total = u64::from(self.per_second) * each.as_secs();
        let started = Instant::now();
        for (count, draft) in (0..total).zip(drafts) {
            let due = Duration::from_micros(count * 1_000_000 / u64::from(self.per_second));
            thread::sleep(due.saturating_sub(started.elapsed()));
            payload::write_value(&self.storefront, &draft, &mut value);
            let partition = self.storefront.partition(draft.key);
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            let key = storefront::key_name(draft.key);
            let record = BaseRecord::to(&self.names.input)
                .partition(partition)
                .key(&key)
                .payload(&value);
            let sent = producer.send(record).map_err(|(error, _)| error);
            sent.map_err(client("feed"))?;
            producer.poll(Duration::ZERO);
            let end = ends.entry(partition).or_default();
            // A null key has one here.
            if matches!(draft.kind, Kind::Event | Kind::NullKey) {
                places.push((partition, *end));
            }
            *end += 1;
        }
        producer.flush(PATIENCE).map_err(client("feed"))?;
        Ok(places)
    }

    /// Milliseconds from record to attribution, by place; of a repeat the last.
    pub(super) fn latencies(&self) -> Result<BTreeMap<Place, u64>, SinksError> {
        let mut taken = BTreeMap::new();
        self.each(&self.names.input, PARTITIONS, |message| {
            let place = (message.partition(), message.offset());
            taken.insert(place, stamp(message));
        })?;
        let mut seen = BTreeMap::new();
        self.each(&self.names.output, 1, |message| {
            let place = origin(message);
            if let Some(before) = place.and_then(|place| taken.get(&place)) {
                let after = u64::try_from(stamp(message) - before).unwrap_or(0);
                seen.extend(place.map(|place| (place, after)));
            }
        })?;
        Ok(seen)
    }

    fn each(
        &self,
        topic: &str,
        partitions: u32,
        mut see: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), SinksError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "e2e-pace-reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .map_err(client("read"))?;
        let mut all = TopicPartitionList::new();
        for partition in (0..).take(partitions as usize) {
            all.add_partition_offset(topic, partition, Offset::Beginning)
                .map_err(client("read"))?;
        }
        consumer.assign(&all).map_err(client("read"))?;
        let mut ends = 0;
        while ends < partitions {
            match consumer.poll(POLL) {
                Some(Ok(message)) => see(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
                Some(Err(error)) => return Err(client("read")(error).into()),
                None => wait::pass(Duration::ZERO)?,
            }
        }
        Ok(())
    }
}

fn stamp(message: &BorrowedMessage<'_>) -> i64 {
    message.timestamp().to_millis().unwrap_or(0)
}

/// Where the record of an output stands.
fn origin(message: &BorrowedMessage<'_>) -> Option<Place> {
    let headers = message.headers()?;
    let text = |name: &str| {
        let found = headers.iter().find(|own| own.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    let partition = text("penstock-partition")?.parse().ok()?;
    Some((partition, text("penstock-offset")?.parse().ok()?))
}

/// The storefront that tells of each attribution, with customers in a store of their own.
fn told_and_slow(text: &str, (names, slow): (&Names, &Proxy)) -> String {
    let told = format!(
        "    - name: told\n      produce:\n        topic: {}\n        value: event.id\n",
        names.output
    );
    let (before, after) = text
        .split_once("    - name: customer\n")
        .expect("the example has a customer stage");
    let after = after.replacen("sink: store", "sink: customers", 1);
    let sink = format!(
        "  sinks:\n    - name: customers\n      mongodb:\n        hosts: [\"{}\"]\n        \
         database: {}\n",
        slow.address(),
        NAME
    );
    let after = after.replacen("  sinks:\n", &sink, 1);
    format!("{before}{told}    - name: customer\n{after}")
}
