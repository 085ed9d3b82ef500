//! Ports that keep what they are asked for, apply it by the provenance rules, and fail on demand.
//! Layer: test

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use futures::future::BoxFuture;
use penstock_crds::{parse, pipeline::ValidatedPipeline};
use penstock_processor::{
    chain::{Chain, LaneOutcome, lane::LaneId},
    event::Event,
    publish::{Message, Publisher},
    record::{Parts, Position, Record, TopicId, TopicPartition},
    sinks::{Action, Effect, Operator, Provenance, Reply, Sink, SinkError, UpsertReply},
    stages::{Ports, custom::Registry},
};
use serde_json::{Map, Value};

/// Bytes for parsed bodies unless a test says otherwise.
pub(crate) const ACTIVE: u64 = 1024 * 1024;

/// What befalls one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Refused before anything was written, by the record's fault.
    Rejected,
    /// Refused before anything was written, by the sink's fault.
    Unavailable,
    /// Written, and then the answer is lost.
    AfterWriting,
    /// Never answered, and nothing written.
    Silent,
}

/// A world behind all ports: a plain model of sinks and topics.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) asked: Vec<String>,
    pub(crate) faults: Vec<Fault>,
    created: BTreeMap<(String, String), (i64, String)>,
    documents: BTreeMap<(String, String), Map<String, Value>>,
    floors: BTreeMap<(String, String, i32), i64>,
    counted: BTreeSet<(String, i64)>,
    members: BTreeMap<(String, Vec<u8>), i64>,
    produced: BTreeMap<Vec<String>, String>,
}

impl World {
    /// Everything that outlives a record, as text.
    pub(crate) fn state(&self) -> String {
        format!(
            "{:?}\n{:?}\n{:?}\n{:?}",
            self.created, self.documents, self.members, self.produced
        )
    }

    fn next_fault(&mut self) -> Fault {
        self.faults.pop().unwrap_or(Fault::None)
    }

    fn apply(&mut self, effect: &Effect) -> Reply {
        match &effect.action {
            Action::Create {
                index,
                id,
                document,
            } => self.create(effect, (index.clone(), id.clone()), document),
            Action::Upsert { .. } => self.upsert(effect),
            Action::Count { .. } => self.count(effect),
            Action::Unique { set, member, .. } => {
                let offset = effect.provenance.position.offset;
                let member = (set.clone(), member.clone());
                let by = *self.members.entry(member).or_insert(offset);
                Reply::Member {
                    first: by == offset,
                }
            }
        }
    }

    fn create(&mut self, effect: &Effect, place: (String, String), document: &[u8]) -> Reply {
        let offset = effect.provenance.position.offset;
        match self.created.get(&place) {
            Some((by, _)) if *by == offset => Reply::Redelivered,
            Some(_) => Reply::Duplicate,
            None => {
                let text = String::from_utf8_lossy(document).into_owned();
                self.created.insert(place, (offset, text));
                Reply::Applied
            }
        }
    }

    fn upsert(&mut self, effect: &Effect) -> Reply {
        let Action::Upsert {
            collection,
            id,
            changes,
            reply,
            ..
        } = &effect.action
        else {
            unreachable!("only called for an upsert");
        };
        let position = effect.provenance.position;
        let place = (collection.to_string(), id.clone());
        let guard = (
            effect.stage.to_string(),
            id.clone(),
            position.partition.partition,
        );
        let floor = self.floors.entry(guard).or_insert(i64::MIN);
        let document = self.documents.entry(place).or_default();
        if position.offset > *floor {
            *floor = position.offset;
            for change in changes {
                change_field(document, &change.field, change.operator, &change.value);
            }
        }
        match reply {
            UpsertReply::Document => Reply::Document(Value::Object(document.clone())),
            UpsertReply::Nothing => Reply::Applied,
        }
    }

    fn count(&mut self, effect: &Effect) -> Reply {
        let Action::Count {
            collection,
            id,
            amounts,
        } = &effect.action
        else {
            unreachable!("only called for a count");
        };
        let place = (collection.to_string(), id.clone());
        let record = (effect.stage.to_string(), effect.provenance.position.offset);
        if !self.counted.insert(record) {
            return Reply::Redelivered;
        }
        let document = self.documents.entry(place).or_default();
        for (field, amount) in amounts {
            change_field(document, field, Operator::Inc, &Value::from(*amount));
        }
        Reply::Applied
    }
}

fn change_field(document: &mut Map<String, Value>, field: &str, operator: Operator, value: &Value) {
    let old = document.get(field);
    let new = match operator {
        Operator::Inc => Value::from(
            old.and_then(Value::as_i64).unwrap_or(0) + value.as_i64().expect("inc is an integer"),
        ),
        Operator::SetOnInsert => old.unwrap_or(value).clone(),
        _ => value.clone(),
    };
    document.insert(field.to_owned(), new);
}

/// A handle on the world, behind every port.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<World>>);

impl Fake {
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer<R: Send + 'static>(
        &self,
        asked: String,
        apply: impl FnOnce(&mut World) -> R,
    ) -> BoxFuture<'static, Result<R, SinkError>> {
        let answer = self.with(|world| {
            world.asked.push(asked);
            match world.next_fault() {
                Fault::None => Some(Ok(apply(world))),
                Fault::Rejected => Some(Err(SinkError::Record {
                    reason: "schema says no".into(),
                })),
                Fault::Unavailable => Some(Err(unavailable("connection refused"))),
                Fault::AfterWriting => {
                    apply(world);
                    Some(Err(unavailable("connection reset")))
                }
                Fault::Silent => None,
            }
        });
        match answer {
            Some(answer) => Box::pin(std::future::ready(answer)),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn unavailable(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.into(),
    }
}

impl Sink for Fake {
    fn submit(&self, effect: Effect, _: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        self.answer(describe(&effect), |world| world.apply(&effect))
    }
}

impl Publisher for Fake {
    fn produce<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        let text = describe_message(&message);
        let provenance = message
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("penstock-"))
            .map(|(name, value)| format!("{name}={}", show(value.as_deref())))
            .collect();
        self.answer(text.clone(), |world| {
            world.produced.insert(provenance, text);
        })
    }
}

/// One line for an effect, payload and all: this is a test.
fn describe(effect: &Effect) -> String {
    let stage = &effect.stage;
    match &effect.action {
        Action::Create {
            index,
            id,
            document,
        } => {
            format!(
                "{stage}: create {index}/{id} {}",
                String::from_utf8_lossy(document)
            )
        }
        Action::Upsert {
            collection,
            id,
            changes,
            guard,
            reply,
        } => {
            let changes: Vec<_> = changes
                .iter()
                .map(|change| format!("{:?} {}={}", change.operator, change.field, change.value))
                .collect();
            let changes = changes.join(", ");
            format!("{stage}: upsert {collection}/{id} {guard:?} {reply:?} [{changes}]")
        }
        Action::Count {
            collection,
            id,
            amounts,
        } => {
            format!("{stage}: count {collection}/{id} {amounts:?}")
        }
        Action::Unique { set, member, .. } => {
            format!("{stage}: unique {set} {}", show(Some(member)))
        }
    }
}

pub(crate) fn describe_message(message: &Message<'_>) -> String {
    let headers: Vec<_> = message
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={}", show(value.as_deref())))
        .collect();
    let (key, value) = (show(message.key.as_deref()), show(message.value.as_deref()));
    format!(
        "{}: {key} => {value} [{}]",
        message.topic,
        headers.join(", ")
    )
}

fn show(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".into(), |bytes| bytes.escape_ascii().to_string())
}

/// A pipeline object around these stages.
pub(crate) fn pipeline(stages: &str) -> ValidatedPipeline {
    let text = include_str!("../../../crds/examples/storefront.yaml");
    let (head, rest) = text
        .split_once("  stages:\n")
        .expect("the example has stages");
    let (_, tail) = rest
        .split_once("  sinks:\n")
        .expect("the example has sinks");
    let stages = stages
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect::<String>();
    let text = format!("{head}  stages:\n{stages}  sinks:\n{tail}");
    parse(&text).expect("the test's stages are legal").pipeline
}

/// The example itself.
pub(crate) fn storefront() -> ValidatedPipeline {
    let text = include_str!("../../../crds/examples/storefront.yaml");
    parse(text).expect("the example is legal").pipeline
}

/// A chain of these stages, every port being the fake.
pub(crate) fn chain(pipeline: &ValidatedPipeline, fake: &Fake, registry: Registry) -> Chain {
    let sinks = pipeline
        .sinks
        .iter()
        .map(|sink| (sink.name.shared(), Arc::new(fake.clone()) as Arc<dyn Sink>))
        .collect();
    let ports = Ports {
        sinks,
        publisher: Some(Arc::new(fake.clone())),
        registry,
        ..Ports::default()
    };
    Chain::build(pipeline, &ports, ACTIVE).expect("all ports are connected")
}

/// An event of partition 3 with this offset, key and value.
pub(crate) fn event_at(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Event {
    let headers = [("trace", Some(&b"t-1"[..])), ("empty", None)];
    // 2026-11-21T13:45:00Z.
    let parts = Parts {
        key,
        value,
        headers: &headers,
        timestamp_ms: 1_795_268_700_000,
    };
    event_of(offset, &parts)
}

/// An event with these parts.
pub(crate) fn event_of(offset: i64, parts: &Parts<'_>) -> Event {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 3,
    };
    let position = Position { partition, offset };
    let topic = Arc::from("storefront-events");
    let provenance = Provenance {
        generation: 0,
        topic,
        position,
        floor: 0,
    };
    Event::new(Arc::new(Record::copy(position, parts)), provenance)
}

/// Visits lane after lane; the last outcome.
pub(crate) async fn run(chain: &Chain, event: &mut Event) -> LaneOutcome {
    let mut lane = LaneId::INLINE;
    loop {
        match chain.run(lane, event).await {
            LaneOutcome::Handover(next) => lane = next,
            outcome => return outcome,
        }
    }
}

/// What the stages ask for one record, one line each, and the outcome.
pub(crate) async fn transcript(stages: &str, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
    let fake = Fake::default();
    let chain = chain(&pipeline(stages), &fake, Registry::new());
    let outcome = run(&chain, &mut event_at(42, key, value)).await;
    let mut lines = fake.with(|world| world.asked.clone());
    lines.push(match outcome {
        LaneOutcome::Failed(failure) => format!("{failure}"),
        other => format!("{other:?}"),
    });
    lines.join("\n")
}
