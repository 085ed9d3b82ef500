//! Tells a delivery failure that the record caused from one that the brokers caused.
//! Layer: shell

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

use crate::sinks::SinkError;

/// Who is to blame for a failed delivery. What is not known to be the record's fault is the
/// brokers', so that no record becomes a dead letter for an outage.
pub(super) fn blame(error: &KafkaError) -> SinkError {
    let reason = error.to_string();
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp,
        ) => SinkError::Record { reason },
        Some(_) | None => SinkError::Unavailable { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_record_causes_is_blamed_on_it() {
        use RDKafkaErrorCode as Code;
        let record = |code| {
            matches!(
                blame(&KafkaError::MessageProduction(code)),
                SinkError::Record { .. }
            )
        };
        for code in [
            Code::MessageSizeTooLarge,
            Code::MessageBatchTooLarge,
            Code::InvalidRecord,
        ] {
            assert!(record(code), "{code:?}");
        }
        let outages = [
            Code::QueueFull,
            Code::MessageTimedOut,
            Code::PurgeQueue,
            Code::Fatal,
            Code::UnknownTopic,
            Code::UnknownTopicOrPartition,
            Code::NotEnoughReplicas,
            Code::TopicAuthorizationFailed,
            Code::InvalidMessage,
            Code::PolicyViolation,
        ];
        for code in outages {
            assert!(!record(code), "{code:?}");
        }
        assert!(matches!(
            blame(&KafkaError::Canceled),
            SinkError::Unavailable { .. }
        ));
    }
}
