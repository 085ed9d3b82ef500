//! The one hold point: a batch of messages that stays borrowed from the client until admitted.
//! Layer: shell

use std::{collections::VecDeque, ops::Range, time::Duration};

use rdkafka::error::RDKafkaErrorCode;

use super::{
    client::Client,
    events::Events,
    facts::Faults,
    intake::{Admission, Body, Epoch, Intake, Offered, Oversize},
    ownership::{Judgement, Ownership},
    queues::{Batch, Header, Message},
};
use crate::record::{Parts, Position, Record, TopicPartition};

/// Most messages dequeued at once: the costs of a turn (events, locks, wakes) are shared by so many.
const BATCH: usize = 256;

/// Messages waiting for admission, each with the assignment it was read under.
pub(super) struct Supply {
    batch: Batch<Events>,
    /// Beside each message of the batch; `None` for what is to be dropped.
    judged: VecDeque<Option<(Position, Epoch)>>,
    max_message_bytes: usize,
    /// Largest message lately, bytes: the next batch is sized by it.
    largest: usize,
}

/// What a refill found besides records.
#[derive(Default)]
pub(super) struct Found {
    pub(super) faults: Faults,
    pub(super) unreadable: Option<(Position, RDKafkaErrorCode)>,
    /// Partitions that went backwards and have to be read again.
    pub(super) backwards: Vec<Position>,
}

/// A message on its way to the intake.
struct Pick<'a> {
    /// Its place in the batch.
    index: usize,
    position: Position,
    epoch: Epoch,
    message: Message<'a>,
    headers: Range<usize>,
}

impl Supply {
    pub(super) fn new(batch: Batch<Events>, max_message_bytes: usize) -> Self {
        Self {
            batch,
            judged: VecDeque::new(),
            max_message_bytes,
            largest: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Gives everything back to the client unread.
    pub(super) fn clear(&mut self) {
        self.batch.clear();
        self.judged.clear();
    }

    /// What is held of this partition will not be admitted: it is read again.
    pub(super) fn disown(&mut self, partition: TopicPartition) {
        for judged in &mut self.judged {
            if judged.is_some_and(|(position, _)| position.partition == partition) {
                *judged = None;
            }
        }
    }

    /// Dequeues and judges the next batch; what is held must be gone.
    pub(super) fn refill(
        &mut self,
        client: &Client,
        ownership: &mut Ownership,
        patience: Duration,
    ) -> Found {
        // So many that a batch of messages as large as lately holds about one largest message.
        let most = (self.max_message_bytes / self.largest.max(1)).clamp(1, BATCH);
        self.judged.clear();
        let mut found = Found::default();
        self.batch.take(most, patience);
        self.largest -= self.largest / 8;
        for message in self.batch.messages() {
            self.largest = self.largest.max(message.value().map_or(0, <[u8]>::len));
            self.judged
                .push_back(judge(&message, client, ownership, &mut found));
        }
        found
    }

    /// Offers what is held to the intake and releases what it took.
    pub(super) fn offer(
        &mut self,
        intake: &mut dyn Intake,
        ownership: &mut Ownership,
    ) -> Admission {
        let mut headers = Vec::new();
        let picks = self.pick(ownership, &mut headers);
        let offered: Vec<Offered<'_>> = picks
            .iter()
            .map(|pick| pick.offer(&headers, self.max_message_bytes))
            .collect();
        let admission = match offered.is_empty() {
            true => Admission {
                taken: 0,
                held: None,
            },
            false => intake.admit(&offered),
        };
        let taken = admission.taken.min(offered.len());
        for (at, pick) in picks[..taken].iter().enumerate() {
            let last = picks.get(at + 1).is_none_or(|next| {
                at + 1 == taken || next.position.partition != pick.position.partition
            });
            if last {
                ownership.admitted(pick.position);
            }
        }
        let released = picks.get(taken).map_or(self.batch.len(), |pick| pick.index);
        self.release(released);
        admission
    }

    /// Messages that may be admitted under the assignment as it is now.
    fn pick<'a>(&'a self, ownership: &Ownership, headers: &mut Vec<Header<'a>>) -> Vec<Pick<'a>> {
        let mut picks: Vec<Pick<'a>> = Vec::with_capacity(self.batch.len());
        let mut asked = None;
        for (index, (message, judged)) in self.batch.messages().zip(&self.judged).enumerate() {
            let Some((position, epoch)) = *judged else {
                continue;
            };
            let admits = match asked {
                Some((partition, admits)) if partition == position.partition => admits,
                _ => ownership.admits(position.partition, epoch),
            };
            asked = Some((position.partition, admits));
            if admits {
                let from = headers.len();
                message.headers(headers);
                picks.push(Pick {
                    index,
                    position,
                    epoch,
                    message,
                    headers: from..headers.len(),
                });
            }
        }
        picks
    }

    fn release(&mut self, count: usize) {
        self.batch.release(count);
        self.judged.drain(..count);
    }
}

impl Pick<'_> {
    fn offer<'b>(&'b self, headers: &'b [Header<'b>], max_message_bytes: usize) -> Offered<'b> {
        let parts = Parts {
            key: self.message.key(),
            value: self.message.value(),
            headers: &headers[self.headers.clone()],
            timestamp_ms: self.message.timestamp_ms(),
        };
        let bytes = Record::encoded_len(&parts);
        let body = match bytes > max_message_bytes {
            true => Body::Oversize(Oversize {
                key: parts.key,
                headers: parts.headers,
                bytes,
                timestamp_ms: parts.timestamp_ms,
            }),
            false => Body::Record(parts),
        };
        Offered {
            position: self.position,
            epoch: self.epoch,
            body,
        }
    }
}

/// Whether a message is a record of ours; counts it if it should not be here.
fn judge(
    message: &Message<'_>,
    client: &Client,
    ownership: &mut Ownership,
    found: &mut Found,
) -> Option<(Position, Epoch)> {
    let Some(partition) = client.identify(message.topic(), message.partition()) else {
        found.faults.unowned += 1;
        return None;
    };
    let position = Position {
        partition,
        offset: message.offset(),
    };
    if let Some(code) = message.error() {
        found.faults.unreadable += 1;
        found.unreadable = Some((position, code));
        return None;
    }
    match ownership.judge(position) {
        Judgement::Ours(epoch) => return Some((position, epoch)),
        Judgement::Dropped => {}
        Judgement::Unowned => found.faults.unowned += 1,
        Judgement::Backwards => {
            found.faults.backwards += 1;
            found.backwards.push(position);
        }
    }
    None
}
