//! The bare client: one thread polls one consumer and looks at key and value, nothing else.
//! Layer: shell

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
};

use super::{BrokerError, PATIENCE, Round, Shape, Span, client, topic::Topic};

/// From the beginning to the end in a new group, with these properties and the client's defaults.
pub(super) fn round(
    topic: &Topic,
    shape: &Shape,
    properties: &[(&'static str, String)],
) -> Result<Round, BrokerError> {
    let mut config = topic.config();
    for (name, value) in properties {
        config.set(*name, value);
    }
    config
        .set(
            "group.id",
            format!("{}-{}", topic.name, crate::clock::unique()),
        )
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().map_err(client("connect"))?;
    consumer
        .subscribe(&[&topic.name])
        .map_err(client("subscribe"))?;
    let (mut seen, mut span, deadline) = (0, None, Instant::now() + PATIENCE);
    while seen < shape.records {
        let Some(polled) = consumer.poll(Duration::from_millis(100)) else {
            if Instant::now() > deadline {
                let records = shape.records;
                return Err(BrokerError::Stuck { seen, records });
            }
            continue;
        };
        let message = polled.map_err(client("poll"))?;
        span.get_or_insert_with(Span::begin);
        let ends = |bytes: &[u8]| (bytes.first().copied(), bytes.last().copied());
        black_box((message.key().map(ends), message.payload().map(ends)));
        seen += 1;
    }
    Ok(span.unwrap_or_else(Span::begin).end(seen, 0))
}
