//! Lets the embedded broker notice a killed member soon. The one unsafe file of this crate.
//! Layer: shell

use rdkafka::producer::{BaseProducer, Producer};
use rdkafka_sys as sys;

use super::BrokerError;

/// Milliseconds after which a silent member has left. The mock cluster's own value of 30 s would
/// leave a killed processor's partitions unread for as long.
const SESSION_TIMEOUT_MS: i32 = 4_000;

/// Milliseconds between signs of life; several fit one session.
const HEARTBEAT_INTERVAL_MS: i32 = 500;

/// Shortens the timeouts that the mock cluster gives to groups of the consumer protocol.
#[expect(unsafe_code, reason = "the safe interface has no call for it")]
pub(super) fn shorten(client: &BaseProducer) -> Result<(), BrokerError> {
    // SAFETY: the pointer belongs to `client`, which outlives this call.
    let cluster = unsafe { sys::rd_kafka_handle_mock_cluster(client.client().native_ptr()) };
    if cluster.is_null() {
        return Err(BrokerError::NoMockCluster);
    }
    // SAFETY: the cluster is not null and lives as long as `client`; both calls take its lock.
    unsafe {
        sys::rd_kafka_mock_set_group_consumer_session_timeout_ms(cluster, SESSION_TIMEOUT_MS);
        sys::rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, HEARTBEAT_INTERVAL_MS);
    }
    Ok(())
}
