//! Watches the offsets that the processor's group commits, without being a member of it.
//! Layer: shell

use std::{thread, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use super::{broker, shared::Shared};

/// Which group to watch.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// Bootstrap servers.
    pub bootstrap_servers: &'a str,
    /// The group.
    pub group: &'a str,
    /// The source topic.
    pub topic: &'a str,
    /// Its partitions.
    pub partitions: u32,
}

const TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two questions; paced production waits for the answers.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks for the committed offsets again and again until the run is stopping.
///
/// # Errors
/// When the client cannot be made, or an error does not pass by itself.
pub fn watch(watched: Watched<'_>, shared: &Shared) -> Result<(), KafkaError> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", watched.bootstrap_servers)
        .set("group.id", watched.group)
        .set("enable.auto.commit", "false")
        .create()?;
    let mut wanted = TopicPartitionList::new();
    for partition in 0..i32::try_from(watched.partitions).unwrap_or(i32::MAX) {
        wanted.add_partition(watched.topic, partition);
    }
    while !shared.is_stopping() {
        match client.committed_offsets(wanted.clone(), TIMEOUT) {
            Ok(found) => note(&found, shared),
            Err(error) if broker::is_transient(&error) => {}
            Err(error) => return Err(error),
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn note(found: &TopicPartitionList, shared: &Shared) {
    for element in found.elements() {
        if let Offset::Offset(offset) = element.offset() {
            shared.commit(element.partition(), offset);
        }
    }
}
