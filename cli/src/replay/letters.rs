//! The letters that are in the topic when the command starts, from where the last one ended.
//! Layer: shell

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::OwnedMessage,
    producer::{BaseProducer, Producer},
};

/// Reads letters up to the end that the topic had when this was opened.
pub(super) struct Letters<'c> {
    consumer: &'c BaseConsumer,
    topic: String,
    /// Next offset and end, by partition.
    places: BTreeMap<i32, (i64, i64)>,
}

impl<'c> Letters<'c> {
    /// Takes every partition, without joining the group: its positions alone are wanted.
    pub(super) fn open(
        consumer: &'c BaseConsumer,
        topic: &str,
        patience: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let metadata = consumer.fetch_metadata(Some(topic), patience)?;
        let found = metadata.topics().iter().find(|own| own.name() == topic);
        let partitions = found.map_or(&[][..], |own| own.partitions());
        if partitions.is_empty() {
            return Err(format!(
                "spec.failure.deadLetterTopic: the brokers know no topic {topic}; name one that exists"
            ).into());
        }
        let mut wanted = TopicPartitionList::new();
        for partition in partitions {
            wanted.add_partition(topic, partition.id());
        }
        let committed = consumer.committed_offsets(wanted, patience)?;
        let mut letters = Self {
            consumer,
            topic: topic.to_owned(),
            places: BTreeMap::new(),
        };
        let mut assignment = TopicPartitionList::new();
        for own in committed.elements() {
            let (low, high) = consumer.fetch_watermarks(topic, own.partition(), patience)?;
            let next = match own.offset() {
                Offset::Offset(offset) => offset.max(low),
                _ => low,
            };
            letters.places.insert(own.partition(), (next, high));
            assignment.add_partition_offset(topic, own.partition(), Offset::Offset(next))?;
        }
        consumer.assign(&assignment)?;
        Ok(letters)
    }

    /// At most so many letters; none when the end is reached.
    pub(super) fn next(
        &mut self,
        most: usize,
        patience: Duration,
    ) -> Result<Vec<OwnedMessage>, Box<dyn Error>> {
        let mut batch = Vec::new();
        let mut deadline = Instant::now() + patience;
        while batch.len() < most && !self.at_end() {
            let Some(message) = self.consumer.poll(Duration::from_millis(100)) else {
                self.skip_markers()?;
                if Instant::now() > deadline {
                    return Err("the brokers gave no letter in time".into());
                }
                continue;
            };
            let message = message?;
            deadline = Instant::now() + patience;
            let place = self.places.entry(message.partition()).or_default();
            if message.offset() >= place.1 {
                continue;
            }
            place.0 = message.offset() + 1;
            batch.push(message.detach());
        }
        Ok(batch)
    }

    fn at_end(&self) -> bool {
        self.places.values().all(|(next, end)| next >= end)
    }

    /// Offsets that hold no letter (transaction markers, compacted ones) count as read once the
    /// client has passed them.
    fn skip_markers(&mut self) -> Result<(), Box<dyn Error>> {
        for own in self.consumer.position()?.elements() {
            if let (Offset::Offset(passed), Some(place)) =
                (own.offset(), self.places.get_mut(&own.partition()))
            {
                place.0 = place.0.max(passed);
            }
        }
        Ok(())
    }

    /// Ends the transaction with the positions in it.
    pub(super) fn commit(
        &self,
        producer: &BaseProducer,
        patience: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let mut positions = TopicPartitionList::new();
        for (partition, (next, _)) in &self.places {
            positions.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
        }
        let group = self.consumer.group_metadata();
        let group = group.ok_or("the client gives no group metadata")?;
        producer.send_offsets_to_transaction(&positions, &group, patience)?;
        Ok(producer.commit_transaction(patience)?)
    }
}
