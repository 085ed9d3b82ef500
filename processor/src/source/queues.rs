//! The reviewed unsafe corner: a record queue of our own beside the consumer's event queue.
//! Layer: shell
//!
//! Partition queues are forwarded to one record queue, so that the consumer's main queue carries
//! events only. Order of destruction is enforced by ownership: a message belongs to a [`Batch`], a
//! batch holds the queue, the queue holds the consumer; so messages go first and the client last.
#![expect(
    unsafe_code,
    reason = "rust-rdkafka neither forwards queues nor dequeues in batches"
)]

use std::{
    ffi::{CStr, CString},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::RDKafkaErrorCode,
};
use rdkafka_sys as sys;

/// A header as the log holds it; its value may be null.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// Stands for a header name that is not UTF-8, which Kafka's protocol forbids.
const NOT_UTF8: &str = "\u{fffd}";

/// Why the client could not make a queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The topic cannot be passed to C.
    #[error("topic {topic:?} contains a NUL byte")]
    Topic {
        /// Its name.
        topic: String,
    },
    /// The client knows no such partition.
    #[error("topic {topic:?} has no queue for partition {partition}")]
    Partition {
        /// Its topic.
        topic: String,
        /// Its number.
        partition: i32,
    },
}

/// The queue that all assigned partitions are forwarded to.
pub struct RecordQueue<C: ConsumerContext> {
    shared: Arc<Shared<C>>,
}

/// Keeps the consumer alive as long as a queue or a message of it exists.
struct Shared<C: ConsumerContext> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues lock themselves; every function called on one is thread safe.
unsafe impl<C: ConsumerContext> Send for Shared<C> {}
// SAFETY: as above.
unsafe impl<C: ConsumerContext> Sync for Shared<C> {}

impl<C: ConsumerContext> Shared<C> {
    /// One call into the client; it waits for a full slice or the timeout.
    fn dequeue(&self, into: &mut [*mut sys::rd_kafka_message_t], timeout: Duration) -> usize {
        if into.is_empty() {
            return 0;
        }
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid, the slice is writable for its whole length.
        let taken = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                timeout,
                into.as_mut_ptr(),
                into.len(),
            )
        };
        usize::try_from(taken).unwrap_or(0)
    }
}

impl<C: ConsumerContext> Drop for Shared<C> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from rd_kafka_queue_new and is destroyed once, here; the
        // consumer, a field of ours, is still alive.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl<C: ConsumerContext> RecordQueue<C> {
    /// An empty queue on this consumer.
    ///
    /// # Panics
    /// Never: librdkafka aborts the process before it returns a null queue.
    #[must_use]
    pub fn new(consumer: Arc<BaseConsumer<C>>) -> Self {
        // SAFETY: the client pointer is valid as long as `consumer` lives.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let queue = NonNull::new(queue).expect("rd_kafka_queue_new allocates or aborts");
        Self {
            shared: Arc::new(Shared { queue, consumer }),
        }
    }

    /// The consumer that fills the queue.
    #[must_use]
    pub fn consumer(&self) -> &Arc<BaseConsumer<C>> {
        &self.shared.consumer
    }

    /// Sends the partition's records to this queue from now on. Every unassign undoes it, so call
    /// it on every assign, and before the assign: then no record reaches the main queue.
    ///
    /// # Errors
    /// When the client has no such partition or the topic contains a NUL byte.
    pub fn forward(&self, topic: &str, partition: i32) -> Result<(), QueueError> {
        let name = CString::new(topic).map_err(|_| QueueError::Topic {
            topic: topic.to_owned(),
        })?;
        let client = self.shared.consumer.client().native_ptr();
        // SAFETY: client and name are valid for the call; the handle that comes back is ours.
        let handle = unsafe { sys::rd_kafka_queue_get_partition(client, name.as_ptr(), partition) };
        if handle.is_null() {
            return Err(QueueError::Partition {
                topic: topic.to_owned(),
                partition,
            });
        }
        // SAFETY: both handles are valid; the library counts its own reference to our queue, and
        // the partition's handle is not used after it is given back.
        unsafe {
            sys::rd_kafka_queue_forward(handle, self.shared.queue.as_ptr());
            sys::rd_kafka_queue_destroy(handle);
        }
        Ok(())
    }

    /// Sends a commit whose answer comes as an event of the main queue. (The consumer's own
    /// asynchronous commit never calls back: rust-rdkafka 0.39 asks the client for events, and the
    /// client answers such a commit only to a registered callback.)
    ///
    /// # Errors
    /// When the client refuses at once, for example without a group.
    pub fn commit(&self, offsets: &TopicPartitionList) -> Result<(), RDKafkaErrorCode> {
        let client = self.shared.consumer.client().native_ptr();
        // SAFETY: the client and the list are valid for the call, which copies the list; it keeps
        // its own reference to the consumer's queue for the answer, so that the handle can go
        // back; without a callback the opaque pointer is not used.
        let code = unsafe {
            let answers = sys::rd_kafka_queue_get_consumer(client);
            if answers.is_null() {
                return Err(RDKafkaErrorCode::UnknownGroup);
            }
            let list = offsets.ptr();
            let code = sys::rd_kafka_commit_queue(client, list, answers, None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(answers);
            code
        };
        match code {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            refused => Err(refused.into()),
        }
    }

    /// An empty batch for this queue.
    #[must_use]
    pub fn batch(&self) -> Batch<C> {
        Batch {
            messages: Vec::new(),
            next: 0,
            owner: Arc::clone(&self.shared),
        }
    }
}

/// Messages taken from the queue and not yet released, in queue order.
pub struct Batch<C: ConsumerContext> {
    messages: Vec<*mut sys::rd_kafka_message_t>,
    next: usize,
    /// Last field, so that messages are gone before queue and client may go.
    owner: Arc<Shared<C>>,
}

// SAFETY: a message belongs to whoever dequeued it and is tied to no thread.
unsafe impl<C: ConsumerContext> Send for Batch<C> {}

impl<C: ConsumerContext> Batch<C> {
    /// Replaces what is left by up to `most` messages: waits up to `patience` for the first and
    /// not at all for the others. Returns how many there are.
    pub fn take(&mut self, most: usize, patience: Duration) -> usize {
        self.clear();
        self.messages.resize(most.max(1), ptr::null_mut());
        let mut taken = self.owner.dequeue(&mut self.messages, Duration::ZERO);
        if taken == 0 && !patience.is_zero() {
            taken = self.owner.dequeue(&mut self.messages[..1], patience);
            if taken > 0 {
                taken += self.owner.dequeue(&mut self.messages[1..], Duration::ZERO);
            }
        }
        self.messages.truncate(taken);
        taken
    }

    /// Messages not yet released.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        self.messages[self.next..].iter().map(|raw| {
            // SAFETY: dequeued and destroyed only by `release`, which needs `&mut self` and so
            // ends this borrow first.
            Message {
                raw: unsafe { &**raw },
                batch: PhantomData,
            }
        })
    }

    /// The consumer that the messages came from.
    #[must_use]
    pub fn consumer(&self) -> &Arc<BaseConsumer<C>> {
        &self.owner.consumer
    }

    /// How many are not yet released.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len() - self.next
    }

    /// Whether all are released.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the first `count` messages back to the client.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn release(&mut self, count: usize) {
        for raw in &self.messages[self.next..self.next + count] {
            // SAFETY: dequeued, not destroyed before (`next` only moves on), and no view of it
            // can exist while we hold `&mut self`.
            unsafe { sys::rd_kafka_message_destroy(*raw) }
        }
        self.next += count;
    }

    /// Gives all messages back to the client.
    pub fn clear(&mut self) {
        self.release(self.len());
        self.messages.clear();
        self.next = 0;
    }
}

impl<C: ConsumerContext> Drop for Batch<C> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A message that still lies in the client's fetch buffer.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
    batch: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    /// Why this is no record; such a message has a partition and an offset all the same.
    #[must_use]
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as NONE;
        (self.raw.err != NONE).then(|| self.raw.err.into())
    }

    /// Name of the topic; empty for an error of no topic.
    #[must_use]
    pub fn topic(&self) -> &'a [u8] {
        if self.raw.rkt.is_null() {
            return &[];
        }
        // SAFETY: the message holds a reference to its topic, whose name ends in NUL.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.raw.rkt)) }.to_bytes()
    }

    /// Number of the partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.raw.partition
    }

    /// Offset in the log.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// The key; `None` is null.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: the message owns `key_len` bytes at `key`.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    /// The value; `None` is a tombstone. An error's text is not a value.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: the message owns `len` bytes at `payload`.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    /// Milliseconds since the epoch; -1 when the log has none.
    #[must_use]
    pub fn timestamp_ms(&self) -> i64 {
        // SAFETY: the message is valid; a null type pointer is allowed.
        unsafe { sys::rd_kafka_message_timestamp(self.raw, ptr::null_mut()) }
    }

    /// Appends the headers in log order; U+FFFD stands for a name that is not UTF-8.
    pub fn headers(&self, into: &mut Vec<Header<'a>>) {
        let mut list = ptr::null_mut();
        // SAFETY: the message is valid; the list that comes back belongs to it.
        let found = unsafe { sys::rd_kafka_message_headers(self.raw, &raw mut list) };
        if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        // SAFETY: the list was just returned.
        let count = unsafe { sys::rd_kafka_header_cnt(list) };
        // SAFETY: the list belongs to the message and every index is below its count.
        into.extend((0..count).map(|index| unsafe { header(list, index) }));
    }
}

/// One header of a message's list.
///
/// # Safety
/// `index` must be below the list's count and the list's message must live for `'a`.
unsafe fn header<'a>(list: *const sys::rd_kafka_headers_t, index: usize) -> Header<'a> {
    let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the caller promises the index, so all three are set on return.
    unsafe {
        sys::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut length);
    }
    // SAFETY: names end in NUL; name and value live as long as the message.
    let (name, value) = unsafe { (CStr::from_ptr(name), bytes(value, length)) };
    (name.to_str().unwrap_or(NOT_UTF8), value)
}

/// `None` for null.
///
/// # Safety
/// A pointer that is not null must be valid for `length` bytes and `'a`.
unsafe fn bytes<'a>(at: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!at.is_null()).then(|| unsafe { slice::from_raw_parts(at.cast::<u8>(), length) })
}

/// The client's cached end of a partition's log (its high watermark, or the last stable offset
/// when reading committed records); `None` until the first fetch. No request is sent.
#[must_use]
pub fn cached_end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: client and name are valid for the call, both results are written before it returns.
    let code = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}
