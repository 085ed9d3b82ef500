//! Judges `spec.resources`, `spec.memory` and `spec.failure`.
//! Layer: core

use std::{collections::BTreeSet, time::Duration};

use crate::{
    event_pipeline::{FailureSpec, MemorySpec, QuantityText, ResourceList, ResourcesSpec},
    fault::Collector,
    names::TopicName,
    pipeline::{Failure, Memory, OnRecordError, PerPool, Resources},
    quantity::{Cpu, Quantity, QuantityFault},
};

pub(super) fn resources(written: ResourcesSpec, faults: &mut Collector) -> Option<Resources> {
    const LIMITS: &str = "spec.resources.limits";
    const REQUESTS: &str = "spec.resources.requests";
    let requests = written.requests.unwrap_or_default();
    if written.limits.memory.is_none() {
        let message = "missing, and required: every size is derived from it; such as 256Mi";
        faults.add(format!("{LIMITS}.memory"), message);
    }
    let memory_limit = memory_of(LIMITS, &written.limits, faults);
    let request = memory_of(REQUESTS, &requests, faults);
    if let Some((request, limit)) = request
        .zip(memory_limit)
        .filter(|(own, limit)| own != limit)
    {
        let message = format!("{request} differs from the limit {limit}: leave it out, or equal");
        faults.add(format!("{REQUESTS}.memory"), message);
    }
    let cpu_limit = cpu_of(LIMITS, &written.limits, faults);
    let cpu_request = cpu_of(REQUESTS, &requests, faults);
    if let Some((own, limit)) = cpu_request
        .zip(cpu_limit)
        .filter(|(own, limit)| own > limit)
    {
        let (own, limit) = (own.millicores(), limit.millicores());
        let message = format!("{own}m is above the limit of {limit}m");
        faults.add(format!("{REQUESTS}.cpu"), message);
    }
    Some(Resources {
        memory_limit: memory_limit?,
        cpu_limit,
        cpu_request,
    })
}

fn memory_of(path: &str, list: &ResourceList, faults: &mut Collector) -> Option<Quantity> {
    amount(
        format!("{path}.memory"),
        list.memory.as_ref(),
        Quantity::parse,
        faults,
    )
}

fn cpu_of(path: &str, list: &ResourceList, faults: &mut Collector) -> Option<Cpu> {
    amount(format!("{path}.cpu"), list.cpu.as_ref(), Cpu::parse, faults)
}

/// An amount above zero.
fn amount<T: Default + PartialEq>(
    path: String,
    written: Option<&QuantityText>,
    parse: fn(&str) -> Result<T, QuantityFault>,
    faults: &mut Collector,
) -> Option<T> {
    let text = written?.to_string();
    let value = faults.keep(path.clone(), parse(&text))?;
    if value == T::default() {
        faults.add(path, format!("{text} is nothing: more than 0 is needed"));
    }
    Some(value)
}

pub(super) fn memory(written: &MemorySpec, faults: &mut Collector) -> Option<Memory> {
    let weights = written.weights.clone().unwrap_or_default();
    let overrides = written.overrides.clone().unwrap_or_default();
    let mut pinned = |pool: &str, own: Option<&QuantityText>| {
        let text = own?.to_string();
        faults.keep(
            format!("spec.memory.overrides.{pool}"),
            Quantity::parse(&text),
        )
    };
    Some(Memory {
        weights: PerPool {
            kafka: weights.kafka,
            dispatcher: weights.dispatcher,
            active: weights.active,
            sinks: weights.sinks,
            caches: weights.caches,
        },
        overrides: PerPool {
            kafka: pinned("kafka", overrides.kafka.as_ref()),
            dispatcher: pinned("dispatcher", overrides.dispatcher.as_ref()),
            active: pinned("active", overrides.active.as_ref()),
            sinks: pinned("sinks", overrides.sinks.as_ref()),
            caches: pinned("caches", overrides.caches.as_ref()),
        },
        workers: overrides.workers,
        window: overrides.window,
    })
}

pub(super) fn failure(
    written: FailureSpec,
    topics: &BTreeSet<String>,
    faults: &mut Collector,
) -> Option<Failure> {
    const TOPIC: &str = "spec.failure.deadLetterTopic";
    let topic = written.dead_letter_topic.as_deref();
    let dead_letter_topic = topic.and_then(|t| faults.keep(TOPIC, TopicName::parse(t)));
    if let Some(topic) = topic.filter(|topic| topics.contains(*topic)) {
        let message = format!("{topic} is a topic of the source: dead letters would come back");
        faults.add(TOPIC, message);
    }
    if topic.is_none() && written.on_record_error == OnRecordError::DeadLetterRecord {
        let message = "missing, and required with onRecordError DeadLetterRecord: a topic";
        faults.add(TOPIC, message);
    }
    let backoff = written.backoff.unwrap_or_default();
    let initial = backoff.initial_millis.unwrap_or(200);
    let longest = backoff.max_millis.unwrap_or(30_000);
    if initial > longest {
        let message = format!("{initial} is above maxMillis, {longest}");
        faults.add("spec.failure.backoff.initialMillis", message);
    }
    Some(Failure {
        max_attempts: written.max_attempts.unwrap_or(5),
        backoff_initial: Duration::from_millis(initial.into()),
        backoff_max: Duration::from_millis(longest.into()),
        on_record_error: written.on_record_error,
        dead_letter_topic,
    })
}
