//! What the client tells on its main queue, recorded for the source thread to act on.
//! Layer: shell
//!
//! The callbacks do nothing but record, with two exceptions that cannot wait: partitions that are
//! lost, and anything asked while the consumer closes, are answered on the spot.
//!
//! What is recorded is plain data: a `TopicPartitionList` that the client has seen holds references
//! to its partitions, and destroying the client waits for them without limit.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use super::{
    commits::Refusal,
    trouble::{Complaint, Kind},
};

/// A partition as the client calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Name of its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
}

/// The answer to a commit, for one partition.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Which.
    pub named: Named,
    /// The offset that was to be committed.
    pub offset: i64,
    /// Whether it was.
    pub answer: Result<(), Refusal>,
}

/// Something that happened, in order.
#[derive(Debug)]
pub enum Event {
    /// The group gives partitions; the client waits for the answer and delivers nothing meanwhile.
    Assign(Vec<Named>),
    /// The group takes partitions back; the client waits for the answer and delivers nothing
    /// meanwhile, on partitions that are kept neither.
    Revoke(Vec<Named>),
    /// The partitions are gone and may have another owner; already answered.
    Lost(Vec<Named>),
    /// A commit was answered.
    Committed(Vec<Answered>),
    /// An error of the client or of a broker.
    Error(Complaint),
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
        self.record(Event::Error(Complaint {
            kind: kind(code(&error)),
            text: reason.to_owned(),
        }));
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
            self.record(Event::Assign(named(partitions)));
        } else if closing || consumer.assignment_lost() {
            report("unassign", consumer.incremental_unassign(partitions));
            self.record(Event::Lost(named(partitions)));
        } else {
            self.record(Event::Revoke(named(partitions)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let whole = result.map_err(|error| code(&error));
        let elements = offsets.elements();
        let answered = elements.iter().map(|element| Answered {
            named: Named {
                topic: element.topic().to_owned(),
                partition: element.partition(),
            },
            offset: element.offset().to_raw().unwrap_or(-1),
            answer: answer(whole.and_then(|()| element.error().map_err(|error| code(&error)))),
        });
        self.record(Event::Committed(answered.collect()));
    }
}

/// Every answer to a commit means success or one of three refusals.
fn answer(result: Result<(), RDKafkaErrorCode>) -> Result<(), Refusal> {
    use RDKafkaErrorCode as Code;
    result.or_else(|code| match code {
        // There was nothing to commit.
        Code::NoOffset => Ok(()),
        // A stale epoch is renewed by the next heartbeat.
        Code::RebalanceInProgress | Code::StaleMemberEpoch => Err(Refusal::Rebalancing),
        Code::UnknownMemberId
        | Code::IllegalGeneration
        | Code::FencedInstanceId
        | Code::FencedMemberEpoch
        | Code::AssignmentLost
        | Code::Fatal => Err(Refusal::Disowned),
        _ => Err(Refusal::Trouble),
    })
}

/// What an error is about.
#[must_use]
pub fn kind(code: RDKafkaErrorCode) -> Kind {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Fatal => Kind::Fatal,
        Code::Authentication | Code::SaslAuthenticationFailed => Kind::Authentication,
        Code::SSL => Kind::Tls,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => Kind::Forbidden,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            Kind::UnknownTopic
        }
        Code::BrokerTransportFailure
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut => Kind::Unreachable,
        // "All brokers are down" follows from what was said of each.
        _ => Kind::Other,
    }
}

/// The partitions of a list.
fn named(list: &TopicPartitionList) -> Vec<Named> {
    let elements = list.elements();
    let named = elements.iter().map(|element| Named {
        topic: element.topic().to_owned(),
        partition: element.partition(),
    });
    named.collect()
}

/// A list of the partitions for a call into the client; drop it before the client.
#[must_use]
pub fn list(partitions: &[Named]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for Named { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error
        .rdkafka_error_code()
        .unwrap_or(RDKafkaErrorCode::Unknown)
}

/// A refused answer means that the client has moved on by itself: worth a line, not a directive.
pub(super) fn report(answer: &str, result: KafkaResult<()>) {
    if let Err(error) = result {
        tracing::warn!(answer, %error, "kafka client refused the answer to a rebalance");
    }
}

#[cfg(test)]
mod tests {
    use super::{RDKafkaErrorCode as Code, *};

    #[test]
    fn commit_answers_are_classified() {
        assert_eq!(answer(Ok(())), Ok(()));
        assert_eq!(answer(Err(Code::NoOffset)), Ok(()));
        assert_eq!(
            answer(Err(Code::RebalanceInProgress)),
            Err(Refusal::Rebalancing)
        );
        assert_eq!(answer(Err(Code::FencedInstanceId)), Err(Refusal::Disowned));
        assert_eq!(
            answer(Err(Code::BrokerTransportFailure)),
            Err(Refusal::Trouble)
        );
    }
}
