//! The scout that stays: it serves the lag of a fleet without pods.
//! Layer: shell

use std::{io, net::SocketAddr, path::Path, sync::Arc, thread, time::Duration};

use parking_lot::Mutex;
use penstock_crds::{
    pipeline::{Start, ValidatedPipeline},
    scout::{FailureKind, ScoutFailure},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, KafkaResult},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    brokers::{Visitor, words},
    findings,
};
use crate::{
    health::Verdict,
    http::{self, Observed},
    metrics::{self, Counters},
    status::{PartitionStatus, Status},
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nobody watches.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}")]
pub struct WatchError {
    what: &'static str,
    #[source]
    source: io::Error,
}

/// What was seen last.
struct Watch {
    seen: Mutex<Status>,
    counters: Counters,
}

impl Observed for Watch {
    fn status(&self) -> Status {
        self.seen.lock().clone()
    }

    /// It is of use as soon as it answers; what it cannot see stands in the status.
    fn readiness(&self) -> Verdict {
        Verdict::Ready
    }

    fn metrics(&self) -> String {
        metrics::render(&self.status(), &self.counters)
    }
}

/// Serves lag until SIGTERM or SIGINT.
///
/// # Errors
/// When the address is taken, or there is no thread.
pub fn keep_watch(
    pipeline: ValidatedPipeline,
    secrets: &Path,
    address: SocketAddr,
) -> Result<(), WatchError> {
    let failed = |what| move |source| WatchError { what, source };
    let status = Status {
        pipeline: pipeline.name.to_string(),
        readiness: "watching the lag".to_owned(),
        ..Status::default()
    };
    let watch = Arc::new(Watch {
        seen: Mutex::new(status),
        counters: Counters::default(),
    });
    let (eyes, secrets) = (Arc::clone(&watch), secrets.to_owned());
    // It may hang in a request for as long as that takes, and ends with the process.
    thread::Builder::new()
        .name("scout".to_owned())
        .spawn(move || look_for_ever(&pipeline, &secrets, &eyes))
        .map_err(failed("start a thread"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(failed("start the runtime"))?
        .block_on(async {
            let listen = |kind| signal(kind).map_err(failed("listen for signals"));
            let (mut terminate, mut interrupt) = (
                listen(SignalKind::terminate())?,
                listen(SignalKind::interrupt())?,
            );
            let listener = http::bind(address).await;
            let listener = listener.map_err(failed("bind the status address"))?;
            let told = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            let served = http::serve(listener, watch as _, told).await;
            served.map_err(failed("serve the status"))
        })
}

fn look_for_ever(pipeline: &ValidatedPipeline, secrets: &Path, watch: &Watch) {
    let mut visitor = None;
    loop {
        let seen = look(pipeline, secrets, &mut visitor);
        {
            let mut status = watch.seen.lock();
            match seen {
                Ok(partitions) => {
                    status.source.trouble = None;
                    status.partitions = partitions;
                }
                Err(failure) => {
                    let trouble = format!("{}: {}", failure.field, failure.message);
                    if status.source.trouble.as_ref() != Some(&trouble) {
                        tracing::warn!(trouble, "cannot see the lag");
                    }
                    status.source.trouble = Some(trouble);
                    // The next client reads the Secrets again.
                    visitor = None;
                }
            }
        }
        thread::park_timeout(EVERY);
    }
}

fn look(
    pipeline: &ValidatedPipeline,
    secrets: &Path,
    visitor: &mut Option<Visitor>,
) -> Result<Vec<PartitionStatus>, ScoutFailure> {
    if visitor.is_none() {
        *visitor = Some(Visitor::connect(pipeline, secrets)?);
    }
    let visitor = visitor.as_mut().expect("just connected");
    let answer = partitions(pipeline, visitor).and_then(|list| lag(pipeline, visitor, list));
    match answer {
        Ok(partitions) => {
            visitor.things_go_well();
            Ok(partitions)
        }
        Err(error) => Err(match visitor.listen() {
            Some(complaint) => findings::unanswered(Some(complaint), "for the lag"),
            None => ScoutFailure {
                field: "spec.source".to_owned(),
                kind: FailureKind::Other,
                message: words(error.rdkafka_error_code()),
            },
        }),
    }
}

/// Every partition of the source's topics, as they are now.
fn partitions(pipeline: &ValidatedPipeline, visitor: &Visitor) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for topic in &pipeline.source.topics {
        let name = Some(topic.as_str());
        let metadata = visitor.consumer.fetch_metadata(name, PATIENCE)?;
        for topic in metadata.topics() {
            match topic.error() {
                None => {}
                Some(code) => return Err(KafkaError::Global(code.into())),
            }
            for partition in topic.partitions() {
                list.add_partition(topic.name(), partition.id());
            }
        }
    }
    Ok(list)
}

fn lag(
    pipeline: &ValidatedPipeline,
    visitor: &Visitor,
    list: TopicPartitionList,
) -> KafkaResult<Vec<PartitionStatus>> {
    let at = |offset: Offset| -> KafkaResult<TopicPartitionList> {
        let mut asked = list.clone();
        asked.set_all_offsets(offset)?;
        visitor.consumer.offsets_for_times(asked, PATIENCE)
    };
    let committed = visitor.consumer.committed_offsets(list.clone(), PATIENCE)?;
    let ends = at(Offset::End)?;
    // Where a partition without a commit would begin.
    let begins = match pipeline.source.start {
        Start::Earliest => at(Offset::Beginning)?,
        Start::Latest => ends.clone(),
        Start::Timestamp(time) => at(Offset::Offset(time))?,
    };
    let number = |offset: Offset| match offset {
        Offset::Offset(number) => Some(number),
        _ => None,
    };
    let seen = committed.elements().into_iter().map(|element| {
        let (topic, partition) = (element.topic(), element.partition());
        let of = |list: &TopicPartitionList| {
            let found = list.find_partition(topic, partition);
            found.and_then(|element| number(element.offset()))
        };
        let end = of(&ends);
        let watermark = number(element.offset()).or_else(|| of(&begins)).or(end);
        let lag = end
            .zip(watermark)
            .map(|(end, watermark)| end.saturating_sub(watermark));
        PartitionStatus {
            topic: topic.to_owned(),
            partition,
            watermark: watermark.unwrap_or(-1),
            position: watermark.unwrap_or(-1),
            lag_records: lag.map(|lag| u64::try_from(lag).unwrap_or(0)),
            ..PartitionStatus::default()
        }
    });
    Ok(seen.collect())
}
