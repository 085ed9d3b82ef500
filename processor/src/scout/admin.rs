//! The second reviewed unsafe corner: what the brokers tell of topics, asked on the scout's client.
//! Layer: shell
//!
//! A request is answered by one event on a queue of its own. Whatever is read from an event is
//! copied out before the event goes; handles are destroyed by their owners, in any order, for the
//! client counts its own references to them.
#![expect(
    unsafe_code,
    reason = "rust-rdkafka cannot describe topics, and a second client would cost memory"
)]

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString, c_char},
    ptr::{self, NonNull},
    slice,
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};
use rdkafka_sys as sys;

use crate::source::events::Events;

/// One look at the queue of an answer; between two of them `give_up` is asked.
const LOOK_MS: i32 = 50;

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    /// Its identity in base64; `None` when the brokers are too old for one.
    pub(super) id: Option<String>,
    /// Its partitions.
    pub(super) partitions: u32,
    /// Brokers with replicas of them.
    pub(super) brokers: BTreeSet<i32>,
    /// Whether the client may read it.
    pub(super) may_read: bool,
    /// Whether the client may write to it.
    pub(super) may_write: bool,
}

/// What a topic is set to; `None` when the client may not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Configured {
    /// `max.message.bytes`.
    pub(super) max_message_bytes: Option<u64>,
    /// `compression.type`.
    pub(super) compression: Option<String>,
}

/// Asks for topics, in the order of `names`, each with its own error.
///
/// # Errors
/// When no broker answered in time, or `give_up` said that none will.
pub(super) fn describe(
    client: &BaseConsumer<Events>,
    names: &[&str],
    deadline: Instant,
    give_up: &mut dyn FnMut() -> bool,
) -> Result<Vec<Result<Described, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let names = c_strings(names)?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let queue = Queue::new(client);
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let options = Options::new(client, operation, deadline);
    options.with_operations();
    // SAFETY: the array and the names live until the call returns, which copies them.
    let topics = unsafe {
        sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
    };
    // SAFETY: all four handles are valid; the request keeps copies of collection and options and a
    // reference to the queue, so that the collection can go at once.
    unsafe {
        let client = client.client().native_ptr();
        sys::rd_kafka_DescribeTopics(client, topics, options.0.as_ptr(), queue.0.as_ptr());
        sys::rd_kafka_TopicCollection_destroy(topics);
    }
    let answer = queue.answer(deadline, give_up)?;
    // SAFETY: the event is valid; another type of event gives null.
    let result = unsafe { sys::rd_kafka_event_DescribeTopics_result(answer.0.as_ptr()) };
    if result.is_null() {
        return Err(RDKafkaErrorCode::BadMessage);
    }
    let mut count = 0;
    // SAFETY: the result belongs to the event, which outlives the copies made here.
    let topics = unsafe { sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    // SAFETY: `count` pointers, each valid as long as the event.
    let topics = unsafe { elements(topics, count) };
    // SAFETY: as above.
    Ok(topics
        .iter()
        .map(|topic| unsafe { described(*topic) })
        .collect())
}

/// # Safety
/// The topic must be of an event that is alive.
unsafe fn described(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Result<Described, RDKafkaErrorCode> {
    // SAFETY: promised by the caller; a null error means none.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let code = sys::rd_kafka_error_code(error);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(code.into());
            }
        }
        let (mut partitions, mut operations) = (0, 0);
        let first = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let infos = elements(first, partitions);
        let allowed =
            sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut operations);
        let may = |operation| {
            // Brokers that were not asked, or that do not tell, allow everything as far as we know.
            allowed.is_null()
                || operations == 0
                || slice::from_raw_parts(allowed, operations).contains(&operation)
        };
        Ok(Described {
            id: text(topic_id(topic)),
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            brokers: infos.iter().flat_map(|info| replicas(*info)).collect(),
            may_read: may(sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ),
            may_write: may(sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE),
        })
    }
}

/// # Safety
/// As [`described`].
unsafe fn topic_id(topic: *const sys::rd_kafka_TopicDescription_t) -> *const c_char {
    // SAFETY: promised by the caller; the text belongs to the id, which belongs to the topic.
    unsafe {
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let zero = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        match zero {
            true => ptr::null(),
            false => sys::rd_kafka_Uuid_base64str(id),
        }
    }
}

/// # Safety
/// The partition must be of an event that is alive.
unsafe fn replicas(info: *const sys::rd_kafka_TopicPartitionInfo_t) -> Vec<i32> {
    let mut count = 0;
    // SAFETY: promised by the caller; nodes live as long as the partition.
    unsafe {
        let first = sys::rd_kafka_TopicPartitionInfo_replicas(info, &raw mut count);
        let nodes = elements(first, count).iter();
        nodes.map(|node| sys::rd_kafka_Node_id(*node)).collect()
    }
}

/// Asks what topics are set to, in the order of `names`.
///
/// # Errors
/// When no broker answered in time.
pub(super) fn configured(
    client: &BaseConsumer<Events>,
    names: &[&str],
    deadline: Instant,
) -> Result<Vec<Configured>, RDKafkaErrorCode> {
    let names = c_strings(names)?;
    let queue = Queue::new(client);
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
    let options = Options::new(client, operation, deadline);
    let kind = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    // SAFETY: each name is valid for the call, which copies it.
    let new = |name: &CString| unsafe { sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()) };
    let mut resources: Vec<_> = names.iter().map(new).collect();
    // SAFETY: the handles are valid; the request keeps copies of resources and options and a
    // reference to the queue, so that the resources can go at once.
    unsafe {
        let (first, count) = (resources.as_mut_ptr(), resources.len());
        let client = client.client().native_ptr();
        sys::rd_kafka_DescribeConfigs(client, first, count, options.0.as_ptr(), queue.0.as_ptr());
        sys::rd_kafka_ConfigResource_destroy_array(first, count);
    }
    let answer = queue.answer(deadline, &mut || false)?;
    // SAFETY: the event is valid; another type of event gives null.
    let result = unsafe { sys::rd_kafka_event_DescribeConfigs_result(answer.0.as_ptr()) };
    if result.is_null() {
        return Err(RDKafkaErrorCode::BadMessage);
    }
    let mut count = 0;
    // SAFETY: the result belongs to the event, which outlives the copies made here.
    let first = unsafe { sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count) };
    // SAFETY: `count` pointers, each valid as long as the event.
    let resources = unsafe { elements(first, count) };
    // The answer's order is not promised.
    // SAFETY: as above.
    let of = |name: &CString| unsafe {
        let same = |resource: &&*const sys::rd_kafka_ConfigResource_t| {
            CStr::from_ptr(sys::rd_kafka_ConfigResource_name(**resource)) == name.as_c_str()
        };
        let found = resources.iter().find(same);
        found.map_or_else(Configured::default, |resource| entries(*resource))
    };
    Ok(names.iter().map(of).collect())
}

/// # Safety
/// The resource must be of an event that is alive.
unsafe fn entries(resource: *const sys::rd_kafka_ConfigResource_t) -> Configured {
    let (mut configured, mut count) = (Configured::default(), 0);
    // SAFETY: promised by the caller; entries and their texts live as long as the resource.
    unsafe {
        let first = sys::rd_kafka_ConfigResource_configs(resource, &raw mut count);
        for entry in elements(first, count) {
            let value = text(sys::rd_kafka_ConfigEntry_value(*entry));
            match CStr::from_ptr(sys::rd_kafka_ConfigEntry_name(*entry)).to_bytes() {
                b"max.message.bytes" => {
                    configured.max_message_bytes = value.and_then(|value| value.parse().ok());
                }
                b"compression.type" => configured.compression = value,
                _ => {}
            }
        }
    }
    configured
}

/// Where one answer arrives.
struct Queue(NonNull<sys::rd_kafka_queue_t>);

impl Queue {
    fn new(client: &BaseConsumer<Events>) -> Self {
        // SAFETY: the client is alive.
        let queue = unsafe { sys::rd_kafka_queue_new(client.client().native_ptr()) };
        Self(NonNull::new(queue).expect("rd_kafka_queue_new allocates or aborts"))
    }

    fn answer(
        &self,
        deadline: Instant,
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<Answer, RDKafkaErrorCode> {
        loop {
            // SAFETY: the queue is ours; the event that comes back, if any, is ours, too.
            let event = unsafe { sys::rd_kafka_queue_poll(self.0.as_ptr(), LOOK_MS) };
            if let Some(event) = NonNull::new(event) {
                return Answer(event).or_error();
            }
            if give_up() || Instant::now() >= deadline {
                return Err(RDKafkaErrorCode::OperationTimedOut);
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once; a late answer holds its own reference.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// One event.
struct Answer(NonNull<sys::rd_kafka_event_t>);

impl Answer {
    fn or_error(self) -> Result<Self, RDKafkaErrorCode> {
        // SAFETY: the event is ours.
        match unsafe { sys::rd_kafka_event_error(self.0.as_ptr()) } {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(self),
            code => Err(code.into()),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event is ours and destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// How a request is made.
struct Options(NonNull<sys::rd_kafka_AdminOptions_t>);

impl Options {
    fn new(
        client: &BaseConsumer<Events>,
        operation: sys::rd_kafka_admin_op_t,
        deadline: Instant,
    ) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(100)).as_millis();
        let left = i32::try_from(left).unwrap_or(i32::MAX);
        // SAFETY: the client is alive; null and 0 ask for no text of an error.
        let options = unsafe {
            let options = sys::rd_kafka_AdminOptions_new(client.client().native_ptr(), operation);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, left, ptr::null_mut(), 0);
            options
        };
        Self(NonNull::new(options).expect("known operations have options"))
    }

    /// Asks what the client may do with each topic.
    fn with_operations(&self) {
        // SAFETY: the options are ours; the error, null when there is none, is ours to destroy.
        unsafe {
            let refused =
                sys::rd_kafka_AdminOptions_set_include_authorized_operations(self.0.as_ptr(), 1);
            if !refused.is_null() {
                sys::rd_kafka_error_destroy(refused);
            }
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) }
    }
}

fn c_strings(names: &[&str]) -> Result<Vec<CString>, RDKafkaErrorCode> {
    let names = names.iter().map(|name| CString::new(*name));
    let names: Result<Vec<_>, _> = names.collect();
    names.map_err(|_| RDKafkaErrorCode::InvalidArgument)
}

/// `None` for null and for what is not UTF-8.
///
/// # Safety
/// A pointer that is not null must be a C string.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().ok().map(str::to_owned)
}

/// # Safety
/// A pointer that is not null must be valid for `count` elements as long as they are used.
unsafe fn elements<'a, T>(first: *mut *const T, count: usize) -> &'a [*const T] {
    match first.is_null() {
        true => &[],
        // SAFETY: promised by the caller.
        false => unsafe { slice::from_raw_parts(first, count) },
    }
}
