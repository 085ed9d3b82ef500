//! Measures the source with an intake that copies and forgets, beside a bare consumer loop.
//! Layer: shell
//!
//! `source_probe BROKER [RECORDS]` fills a topic of 12 partitions with records of 1 KiB, then reads
//! it by turns with both, under both group protocols, with the same client settings. CPU time is
//! that of the whole process, the client's threads included.
#![expect(clippy::print_stdout, reason = "a probe talks to a person")]
#![expect(clippy::float_arithmetic, reason = "rates shown to a person")]

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use penstock_processor::{
    record::{Record, TopicPartition},
    source::{
        Source,
        intake::{Admission, Assigned, Body, Intake, Offered, Urgency, Watermark},
        security::Security,
        settings::{ClientLimits, ClientTuning, GroupProtocol, SourceSettings, Start},
    },
};
use rdkafka::{
    ClientConfig, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

const PARTITIONS: i32 = 12;
const VALUE: usize = 1024;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let broker = arguments
        .next()
        .ok_or("the first argument is host:port of a broker")?;
    let records: u64 = arguments
        .next()
        .map_or(Ok(600_000), |number| number.parse())?;
    let topic = fill(&broker, records)?;
    println!("{records} records of {VALUE} B, {PARTITIONS} partitions");
    for round in 1..=3 {
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            let bare = bare(&settings(&broker, &topic, protocol), records)?;
            let ours = ours(settings(&broker, &topic, protocol), records)?;
            let ratio = bare.seconds / ours.seconds;
            println!("{round} {protocol:?}: bare {bare}, source {ours}, ratio {ratio:.2}");
        }
    }
    Ok(())
}

fn now_ms() -> Outcome<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

fn fill(broker: &str, records: u64) -> Outcome<String> {
    let name = format!("source-probe-{}", now_ms()?);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker);
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
    let producer: BaseProducer = config.set("linger.ms", "20").create()?;
    let value = vec![b'v'; VALUE];
    for number in 0..records {
        let partition = i32::try_from(number % 12)?;
        let key = number.to_le_bytes();
        let mut record = BaseRecord::to(&name)
            .key(&key[..])
            .payload(&value[..])
            .partition(partition);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(name)
}

fn settings(broker: &str, topic: &str, protocol: GroupProtocol) -> SourceSettings {
    let unique = now_ms().unwrap_or_default();
    SourceSettings {
        bootstrap: broker.to_owned(),
        security: Security::default(),
        group: format!("{topic}-{unique}"),
        topics: vec![topic.to_owned()],
        protocol,
        start: Start::Earliest,
        max_message_bytes: 1 << 20,
        limits: ClientLimits {
            queued_max_messages_kbytes: 6000,
            fetch_max_bytes: 1 << 20,
            max_partition_fetch_bytes: 1 << 20,
            message_max_bytes: 1 << 20,
            receive_message_max_bytes: 4 << 20,
            fetch_queue_backoff_ms: 3,
            queued_min_messages: 100_000,
            socket_send_buffer_bytes: 65_536,
            socket_receive_buffer_bytes: 262_144,
        },
        tuning: ClientTuning::default(),
        commit_interval: Duration::from_secs(1),
        drain_deadline: Duration::from_secs(1),
    }
}

/// What one reader took.
struct Figures {
    records: u64,
    seconds: f64,
    cpu: f64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = self.records as f64 / self.seconds / 1e3;
        let cpu = self.cpu / self.records as f64 * 1e6;
        write!(f, "{rate:.0} k/s {cpu:.2} CPU s/M")
    }
}

/// Time and CPU since the first record.
struct Clock {
    start: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Outcome<Self> {
        Ok(Self {
            start: Instant::now(),
            cpu: cpu_seconds()?,
        })
    }

    fn stop(&self, records: u64) -> Outcome<Figures> {
        let seconds = self.start.elapsed().as_secs_f64();
        Ok(Figures {
            records,
            seconds,
            cpu: cpu_seconds()? - self.cpu,
        })
    }
}

/// User and system time of this process, in ticks of 10 ms (Linux).
fn cpu_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}

fn bare(settings: &SourceSettings, records: u64) -> Outcome<Figures> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.properties() {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[settings.topics[0].as_str()])?;
    let (mut seen, mut bytes, mut clock) = (0, 0, None);
    while seen < records {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        bytes += message?.payload().map_or(0, <[u8]>::len);
        seen += 1;
        if clock.is_none() {
            clock = Some(Clock::start()?);
        }
    }
    std::hint::black_box(bytes);
    clock.ok_or("no record")?.stop(seen)
}

/// Copies every record, as the dispatcher does, and forgets it.
struct Forget {
    copied: Arc<AtomicU64>,
    next: std::collections::BTreeMap<TopicPartition, Watermark>,
}

impl Intake for Forget {
    fn assign(&mut self, _: &[Assigned]) {}

    fn admit(&mut self, records: &[Offered<'_>]) -> Admission {
        for offered in records {
            if let Body::Record(parts) = &offered.body {
                std::hint::black_box(Record::copy(offered.position, parts));
            }
        }
        for run in records.chunk_by(|a, b| a.position.partition == b.position.partition) {
            let Some(last) = run.last() else { continue };
            let (partition, offset) = (last.position.partition, last.position.offset + 1);
            self.next.insert(
                partition,
                Watermark {
                    partition,
                    epoch: last.epoch,
                    offset,
                },
            );
        }
        self.copied
            .fetch_add(records.len() as u64, Ordering::Release);
        Admission {
            taken: records.len(),
            held: None,
        }
    }

    fn fill_percent(&mut self, _: TopicPartition) -> u8 {
        0
    }

    fn begin_revoke(&mut self, _: &[TopicPartition]) {}

    fn running(&mut self, _: &[TopicPartition]) -> usize {
        0
    }

    fn finish_revoke(&mut self, _: &[TopicPartition]) -> Vec<Watermark> {
        self.next.values().copied().collect()
    }

    fn lose(&mut self, _: &[TopicPartition]) {}

    fn watermarks(&mut self, into: &mut Vec<Watermark>) {
        into.extend(self.next.values());
    }

    fn urgency(&mut self) -> Urgency {
        Urgency::Routine
    }

    fn acknowledged(&mut self, _: &[Watermark]) {}
}

fn ours(settings: SourceSettings, records: u64) -> Outcome<Figures> {
    let copied = Arc::new(AtomicU64::new(0));
    let intake = Forget {
        copied: Arc::clone(&copied),
        next: std::collections::BTreeMap::new(),
    };
    let source = Source::start(settings, Box::new(intake))?;
    let wait = |count| {
        while copied.load(Ordering::Acquire) < count {
            thread::park_timeout(Duration::from_millis(1));
        }
    };
    wait(1);
    let clock = Clock::start()?;
    wait(records);
    let figures = clock.stop(records)?;
    source.stop(Duration::from_secs(5));
    source.join().map_err(|_| "the source thread panicked")?;
    Ok(figures)
}
