//! A million counters to flush at once, then 30,000 that expire at once while records want them.
//! Layer: shell
//!
//! The counters are put into Redis as a processor leaves them, so that the flush is all there is to
//! see. Then those of many products expire in one moment, and a record of each wants its counter:
//! it is read from its document, once, however many records ask.

use std::time::{Duration, Instant};

use rdkafka::{
    config::ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::Value;

use super::{SinksError, ground::Ground, observe};
use crate::{
    fleet::{self, Launcher, Processor},
    names::Names,
    report::{Row, Verdict},
    services::Service,
    topics::{self, Watch, client},
    wait::{self, Waited},
};

const NAME: &str = "counters";
const PIPELINE: &str = include_str!("../../pipelines/counters.yaml");
const INDEX: &str = "counted";
const PARTITIONS: u32 = 12;
/// Counters that expire in one moment.
const EXPIRED: u32 = 30_000;
/// Records that want a counter which another record wants, too.
const TOGETHER: u32 = 6_000;
/// Counters put into Redis by one script.
const CHUNK: u32 = 10_000;
/// What a flush may hold beside what an idle processor does, KiB.
const PEAK: u64 = 10 << 10;
/// So long a processor is watched at rest.
const REST: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(1_200);
const POLL: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_secs(30);

/// Marks counters `p1` and so on as counted and not flushed; each has as many views as its number.
const FILL: &str = r"
for number = ARGV[1], ARGV[2] do
  local id = 'p' .. string.format('%.0f', number)
  redis.call('HSET', KEYS[1] .. ':counter:search:counted:' .. id, '', ARGV[3], 'views', number)
  redis.call('SADD', KEYS[1] .. ':dirty:search', 'counted:' .. id)
end";

/// Takes counters away, as their end of life does.
const EXPIRE: &str = r"
for number = 1, ARGV[1] do
  redis.call('UNLINK', KEYS[1] .. ':counter:search:counted:p' .. string.format('%.0f', number))
end";

/// A flush of 50,000, one of `most`, then the stampede.
pub(super) fn counters(ground: &Ground<'_>, most: u32) -> Result<Row, SinksError> {
    let started = Instant::now();
    let scene = Scene::new(ground)?;
    let mut processor = scene.launcher.start(&scene.text, 0)?;
    processor.await_assigned()?;
    let tag = scene.tag()?;
    let (mut figures, mut faults) = (Vec::new(), Vec::new());
    let mut sizes = vec![50_000, most];
    sizes.dedup();
    for (version, size) in (1..).zip(sizes) {
        let flush = scene.flush(&mut processor, (&tag, version), size)?;
        figures.push(flush.text());
        faults.extend(flush.faults());
    }
    let reads = scene.stampede(&mut processor, &tag)?;
    figures.push(format!(
        "{EXPIRED} counters gone at once, {} records: {reads} documents read (goal one a counter)",
        EXPIRED + TOGETHER
    ));
    if reads > u64::from(EXPIRED) + u64::from(EXPIRED) / 20 {
        faults.push(format!(
            "{reads} documents were read for {EXPIRED} counters"
        ));
    }
    let views = scene.views()?;
    let expected = sum_to(most) + u64::from(EXPIRED + TOGETHER);
    if views != (u64::from(most), expected) {
        faults.push(format!(
            "(counters, views) are {views:?}, expected {:?}",
            (most, expected)
        ));
    }
    faults.extend(processor.stop(GRACE)?);
    let verdict = match faults.is_empty() {
        true => Verdict::Pass,
        false => Verdict::Fail,
    };
    Ok(Row {
        records: u64::from(EXPIRED + TOGETHER),
        totals_exact: Some(views.1 == expected),
        violations: faults,
        figures,
        seconds: started.elapsed().as_secs_f64(),
        ..Row::empty(NAME, verdict)
    })
}

/// What a flush showed.
struct Flush {
    counters: u32,
    idle: u64,
    peak: u64,
    seconds: u64,
    loads: u64,
}

impl Flush {
    fn text(&self) -> String {
        format!(
            "flush of {} counters in {} s: {} KiB above {} KiB at rest (goal {PEAK}), {} scripts \
             loaded (goal 0)",
            self.counters,
            self.seconds,
            self.peak.saturating_sub(self.idle),
            self.idle,
            self.loads
        )
    }

    fn faults(&self) -> Vec<String> {
        let (above, loads) = (self.peak.saturating_sub(self.idle), self.loads);
        let mut faults = Vec::new();
        if above > PEAK {
            faults.push(format!("a flush held {above} KiB, goal {PEAK}"));
        }
        if loads > 0 {
            faults.push(format!("a flush loaded {loads} scripts"));
        }
        faults
    }
}

struct Scene<'a> {
    bootstrap: String,
    search: &'a Service,
    redis: &'a Service,
    names: Names,
    launcher: Launcher,
    text: String,
}

impl<'a> Scene<'a> {
    fn new(ground: &Ground<'a>) -> Result<Self, SinksError> {
        let run = format!("{:x}-{}", ground.seed, std::process::id());
        let names = Names::new(NAME, &run);
        let folder = ground.folder.join("sinks").join(NAME);
        fleet::fresh_folder(&folder)?;
        let bootstrap = ground.broker.bootstrap().to_owned();
        topics::create_all(&bootstrap, &[(&*names.input, PARTITIONS)], &[])?;
        let stores = ground.stores;
        let (search, redis) = (&stores.elasticsearch, &stores.redis);
        let text = PIPELINE
            .replace("${BOOTSTRAP}", &bootstrap)
            .replace("${INPUT}", &names.input)
            .replace("${GROUP}", &names.group)
            .replace("${SEARCH}", &search.address())
            .replace("${REDIS}", &redis.address());
        let program = ground.program.clone();
        Ok(Self {
            bootstrap,
            search,
            redis,
            names,
            launcher: Launcher { program, folder },
            text,
        })
    }

    /// What all keys of the pipeline begin with; known once it flushes.
    fn tag(&self) -> Result<String, SinksError> {
        let mut connection = observe::connect(self.redis)?;
        let pattern = format!("*/{NAME}}}:flusher:*");
        let found = wait::until(GRACE, POLL, || -> Result<_, SinksError> {
            let keys: Vec<String> = redis::cmd("KEYS").arg(&pattern).query(&mut connection)?;
            Ok(keys.into_iter().next())
        })?;
        match found {
            Waited::Met(key) => Ok(key.split(":flusher:").next().unwrap_or_default().to_owned()),
            Waited::TimedOut => Err(SinksError::Laid("the processor never flushes".to_owned())),
        }
    }

    /// Puts counters into Redis and watches the processor until they are flushed.
    fn flush(
        &self,
        processor: &mut Processor,
        (tag, version): (&str, u32),
        counters: u32,
    ) -> Result<Flush, SinksError> {
        let mut idle = 0;
        let rest = Instant::now();
        while rest.elapsed() < REST {
            idle = processor.resident()?.max(idle);
            wait::pass(POLL)?;
        }
        let loads = observe::calls(self.redis, "script|load")?;
        let mut connection = observe::connect(self.redis)?;
        let started = Instant::now();
        let mut first = 1;
        while first <= counters {
            let last = counters.min(first + CHUNK - 1);
            let mut fill = redis::cmd("EVAL");
            fill.arg(FILL)
                .arg(1)
                .arg(tag)
                .arg(first)
                .arg(last)
                .arg(version);
            fill.exec(&mut connection)?;
            first = last + 1;
        }
        let mut peak = 0;
        self.await_clean((processor, tag), |processor| {
            peak = processor.resident()?.max(peak);
            Ok(())
        })?;
        Ok(Flush {
            counters,
            idle,
            peak,
            seconds: started.elapsed().as_secs(),
            loads: observe::calls(self.redis, "script|load")? - loads,
        })
    }

    fn await_clean(
        &self,
        (processor, tag): (&mut Processor, &str),
        mut meanwhile: impl FnMut(&Processor) -> Result<(), SinksError>,
    ) -> Result<(), SinksError> {
        // The server is asked for one key only: a search among a million would stand in its way.
        let mut connection = observe::connect(self.redis)?;
        let dirty = format!("{tag}:dirty:search");
        let clean = wait::until(PATIENCE, POLL, || -> Result<_, SinksError> {
            processor.check_alive()?;
            meanwhile(processor)?;
            let left: u64 = redis::cmd("SCARD").arg(&dirty).query(&mut connection)?;
            Ok((left == 0).then_some(()))
        })?;
        match clean {
            Waited::Met(()) => Ok(()),
            Waited::TimedOut => Err(SinksError::Laid(
                "the counters are never flushed".to_owned(),
            )),
        }
    }

    /// How many documents were read for the counters that went at once.
    fn stampede(&self, processor: &mut Processor, tag: &str) -> Result<u64, SinksError> {
        let before = self.documents_read()?;
        let mut connection = observe::connect(self.redis)?;
        let mut expire = redis::cmd("EVAL");
        expire.arg(EXPIRE).arg(1).arg(tag).arg(EXPIRED);
        expire.exec(&mut connection)?;
        self.feed()?;
        let watch = Watch::new(&self.bootstrap, &self.names, PARTITIONS)?;
        let all = u64::from(EXPIRED + TOGETHER);
        let done = wait::until(PATIENCE, POLL, || -> Result<_, SinksError> {
            processor.check_alive()?;
            let committed: u64 = watch.committed()?.iter().sum();
            Ok((committed >= all).then_some(()))
        })?;
        if done == Waited::TimedOut {
            return Err(SinksError::Laid(
                "the records are never committed".to_owned(),
            ));
        }
        self.await_clean((processor, tag), |_| Ok(()))?;
        Ok(self.documents_read()? - before)
    }

    /// One record a product, and some products twice in a row under two keys.
    fn feed(&self) -> Result<(), SinksError> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("linger.ms", "20")
            .create()
            .map_err(client("feed"))?;
        let twice = EXPIRED / TOGETHER;
        for number in 1..=EXPIRED {
            let copies = 1 + u32::from(number % twice == 0);
            for copy in 0..copies {
                let key = format!("{number}-{copy}");
                let value = format!(r#"{{"product": "p{number}"}}"#);
                let record = BaseRecord::to(&self.names.input).key(&key).payload(&value);
                let sent = producer.send(record).map_err(|(error, _)| error);
                sent.map_err(client("feed"))?;
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(PATIENCE).map_err(client("feed"))?;
        Ok(())
    }

    fn documents_read(&self) -> Result<u64, SinksError> {
        let answer = self.search.ask(&format!("GET /{INDEX}/_stats/get"), "")?;
        let total = answer.pointer("/_all/total/get/total");
        total
            .and_then(Value::as_u64)
            .ok_or_else(|| SinksError::Answer(answer.to_string()))
    }

    /// How many counters there are, and the sum of their views.
    fn views(&self) -> Result<(u64, u64), SinksError> {
        self.search.ask(&format!("POST /{INDEX}/_refresh"), "")?;
        let question = r#"{"size": 0, "track_total_hits": true,
            "aggs": {"views": {"sum": {"field": "views"}}}}"#;
        let answer = self
            .search
            .ask(&format!("POST /{INDEX}/_search"), question)?;
        let counters = answer.pointer("/hits/total/value").and_then(Value::as_u64);
        let views = answer.pointer("/aggregations/views/value");
        match (counters, views.map(Value::to_string)) {
            (Some(counters), Some(views)) => Ok((counters, whole(&views))),
            _ => Err(SinksError::Answer(answer.to_string())),
        }
    }
}

/// 1 + 2 + ... + `last`.
fn sum_to(last: u32) -> u64 {
    u64::from(last) * (u64::from(last) + 1) / 2
}

/// A sum that the store answers as a floating-point number without a fraction, such as `5.0E11`.
fn whole(text: &str) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums below 2^53 are exact"
    )]
    text.parse::<f64>().map_or(0, |number| number as u64)
}
