//! Judges `spec.source`.
//! Layer: core

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use serde_json::Value;

use super::security;
use crate::{
    civil,
    event_pipeline::{
        ClientSpec, FactsSpec, KeySpec, NullKeysSpec, QuantityText, SourceSpec, StartSpec,
        TopicSpec,
    },
    fault::Collector,
    names::{BootstrapServer, GroupId, HeaderName, TopicName, shown},
    pipeline::{ClientTuning, Facts, GroupProtocol, KeySource, NullKeys, Source, Start},
    quantity::Quantity,
};

const PATH: &str = "spec.source";
/// Kafka caps a record and a batch at 1 GB.
const SIZES: RangeInclusive<u64> = 1..=1_000_000_000;
const MAX_MESSAGE_BYTES: u64 = 1 << 20;

pub(super) fn check(written: SourceSpec, faults: &mut Collector) -> Option<Source> {
    let bootstrap_servers = servers(&written.bootstrap_servers, faults);
    let tls = match &written.tls {
        Some(own) => security::tls(own, faults).map(Some),
        None => Some(None),
    };
    let auth = match &written.auth {
        Some(own) => security::auth(own, faults).map(Some),
        None => Some(None),
    };
    let topics = topic_names(&written.topics, faults);
    let group = GroupId::parse(&written.consumer_group);
    let consumer_group = faults.keep(format!("{PATH}.consumerGroup"), group);
    let key = key(&written.key, faults);
    let null_keys = null_keys(&written.null_keys, faults);
    let start = start(&written.start, faults);
    let largest = written.max_message_bytes.as_ref();
    let max_message_bytes = size("maxMessageBytes", largest, faults);
    let facts = facts(&written.facts.unwrap_or_default(), faults);
    let client = client(
        written.client.unwrap_or_default(),
        written.group_protocol,
        faults,
    );
    Some(Source {
        bootstrap_servers,
        tls: tls?,
        auth: auth?,
        topics,
        consumer_group: consumer_group?,
        key: key?,
        null_keys: null_keys?,
        generation: written.generation,
        start: start?,
        max_message_bytes: max_message_bytes.unwrap_or(MAX_MESSAGE_BYTES),
        group_protocol: written.group_protocol,
        facts,
        client: client?,
    })
}

/// The names of the topics as far as they can be read, for rules elsewhere.
pub(super) fn topics(source: Option<&Value>) -> BTreeSet<String> {
    let topics = source
        .and_then(|source| source.get("topics"))
        .and_then(Value::as_array);
    let names = topics
        .into_iter()
        .flatten()
        .filter_map(|topic| topic.get("name")?.as_str());
    names.map(str::to_owned).collect()
}

fn servers(written: &[String], faults: &mut Collector) -> Vec<BootstrapServer> {
    let parsed = written.iter().enumerate().filter_map(|(at, text)| {
        faults.keep(
            format!("{PATH}.bootstrapServers[{at}]"),
            BootstrapServer::parse(text),
        )
    });
    parsed.collect()
}

fn topic_names(written: &[TopicSpec], faults: &mut Collector) -> Vec<TopicName> {
    let mut names = Vec::with_capacity(written.len());
    for (at, topic) in written.iter().enumerate() {
        let path = format!("{PATH}.topics[{at}].name");
        let Some(name) = faults.keep(path.clone(), TopicName::parse(&topic.name)) else {
            continue;
        };
        if names.contains(&name) {
            faults.add(path, format!("the topic {name} is listed twice"));
        }
        names.push(name);
    }
    names
}

fn key(written: &KeySpec, faults: &mut Collector) -> Option<KeySource> {
    match written {
        KeySpec::Record => Some(KeySource::Record),
        KeySpec::Header(name) => {
            let name = faults.keep(format!("{PATH}.key.header"), HeaderName::parse(name));
            name.map(KeySource::Header)
        }
    }
}

fn null_keys(written: &NullKeysSpec, faults: &mut Collector) -> Option<NullKeys> {
    match written {
        NullKeysSpec::Spread => Some(NullKeys::Spread),
        NullKeysSpec::Single => Some(NullKeys::Single),
        NullKeysSpec::Header(name) => {
            let name = faults.keep(format!("{PATH}.nullKeys.header"), HeaderName::parse(name));
            name.map(NullKeys::Header)
        }
    }
}

fn start(written: &StartSpec, faults: &mut Collector) -> Option<Start> {
    match written {
        StartSpec::Earliest => Some(Start::Earliest),
        StartSpec::Latest => Some(Start::Latest),
        StartSpec::Timestamp(text) => {
            let time = civil::parse_rfc3339(text).filter(|time| *time >= 0);
            let legal = "a UTC time since 1970 such as 2026-11-21T00:00:00Z";
            let time = time.ok_or_else(|| format!("{} is not {legal}", shown(text)));
            faults
                .keep(format!("{PATH}.start.timestamp"), time)
                .map(Start::Timestamp)
        }
    }
}

fn facts(written: &FactsSpec, faults: &mut Collector) -> Facts {
    let (batch, value) = (&written.largest_batch_bytes, &written.typical_value_bytes);
    Facts {
        largest_batch_bytes: size("facts.largestBatchBytes", batch.as_ref(), faults),
        compression_percent: written.compression_percent,
        codec: written.codec,
        typical_value_bytes: size("facts.typicalValueBytes", value.as_ref(), faults),
        brokers: written.brokers,
        partitions: written.partitions,
    }
}

fn size(field: &str, written: Option<&QuantityText>, faults: &mut Collector) -> Option<u64> {
    let text = written?.to_string();
    let path = format!("{PATH}.{field}");
    let bytes = faults.keep(path.clone(), Quantity::parse(&text))?.bytes();
    if !SIZES.contains(&bytes) {
        let (least, most) = SIZES.into_inner();
        faults.add(
            path,
            format!("{text} is {bytes} bytes: {least} to {most} are legal"),
        );
    }
    Some(bytes)
}

fn client(
    written: ClientSpec,
    protocol: GroupProtocol,
    faults: &mut Collector,
) -> Option<ClientTuning> {
    let path = |field: &str| format!("{PATH}.client.{field}");
    if protocol == GroupProtocol::Consumer && written.session_timeout_millis.is_some() {
        faults.add(
            path("sessionTimeoutMillis"),
            "the broker sets it under groupProtocol Consumer: leave it out, or use Classic",
        );
    }
    let session = written.session_timeout_millis.unwrap_or(45_000);
    let poll = written.poll_interval_millis.unwrap_or(300_000);
    if poll < session && protocol == GroupProtocol::Classic {
        let message = format!("{poll} is below the session timeout of {session}");
        faults.add(path("pollIntervalMillis"), message);
    }
    let rack = written.rack;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if let Some(rack) = rack
        .as_ref()
        .filter(|r| r.is_empty() || r.len() > 63 || !r.chars().all(plain))
    {
        let legal = "1 to 63 of a-z A-Z 0-9 . _ -";
        faults.add(
            path("rack"),
            format!("{} is not a rack: {legal}", shown(rack)),
        );
    }
    let millis = |value: u32| Duration::from_millis(value.into());
    Some(ClientTuning {
        fetch_wait: millis(written.fetch_wait_millis.unwrap_or(500)),
        session_timeout: millis(session),
        poll_interval: millis(poll),
        rack,
        drain: millis(written.drain_millis.unwrap_or(1000)),
        commit_interval: millis(written.commit_interval_millis.unwrap_or(1000)),
    })
}
