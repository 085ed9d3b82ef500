//! What the client tells on its main queue, recorded for the source thread to act on.
//! Layer: shell
//!
//! The callbacks do nothing but record, with two exceptions that cannot wait: partitions that are
//! lost, and anything asked while the consumer closes, are answered on the spot.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

/// Something that happened, in order.
#[derive(Debug)]
pub enum Event {
    /// The group gives partitions; the client waits for the answer and delivers nothing meanwhile.
    Assign(TopicPartitionList),
    /// The group takes partitions back; the client waits for the answer and delivers nothing
    /// meanwhile, on partitions that are kept neither.
    Revoke(TopicPartitionList),
    /// The partitions are gone and may have another owner; already answered.
    Lost(TopicPartitionList),
    /// A commit was answered; each element carries an error of its own.
    Committed(Result<(), RDKafkaErrorCode>, TopicPartitionList),
    /// An error of the client or of a broker.
    Error(RDKafkaErrorCode),
}

/// Records events for the thread that polls; all callbacks run on that thread.
#[derive(Default)]
pub struct Events {
    /// At most what one poll brings: the thread takes them after every poll.
    recorded: Mutex<Vec<Event>>,
    closing: AtomicBool,
}

impl Events {
    /// What was recorded since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.recorded.lock())
    }

    /// From now on every rebalance is answered at once: the consumer is about to close.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn record(&self, event: Event) {
        self.recorded.lock().push(event);
    }
}

impl ClientContext for Events {
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error
            .rdkafka_error_code()
            .unwrap_or(RDKafkaErrorCode::Unknown);
        tracing::warn!(?code, reason, "kafka client");
        self.record(Event::Error(code));
    }
}

impl ConsumerContext for Events {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        asked: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let closing = self.closing.load(Ordering::Relaxed);
        let given = asked == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if given && closing {
            report("assign", consumer.incremental_assign(partitions));
        } else if given {
            self.record(Event::Assign(partitions.clone()));
        } else if closing || consumer.assignment_lost() {
            report("unassign", consumer.incremental_unassign(partitions));
            self.record(Event::Lost(partitions.clone()));
        } else {
            self.record(Event::Revoke(partitions.clone()));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let result = result.map_err(|error| {
            error
                .rdkafka_error_code()
                .unwrap_or(RDKafkaErrorCode::Unknown)
        });
        self.record(Event::Committed(result, offsets.clone()));
    }
}

/// A refused answer means that the client has moved on by itself: worth a line, not a directive.
fn report(answer: &str, result: KafkaResult<()>) {
    if let Err(error) = result {
        tracing::warn!(answer, %error, "kafka client refused the answer to a rebalance");
    }
}
