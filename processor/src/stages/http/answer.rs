//! What the status of an answer means for the record.
//! Layer: core

use crate::sinks::SinkError;

/// Judges a status.
///
/// # Errors
/// Whose fault it is: the record's, when the endpoint would refuse it again; else the endpoint's.
pub(super) fn judge(status: u16) -> Result<(), SinkError> {
    let unavailable = |why: &str| {
        Err(SinkError::Unavailable {
            reason: format!("the endpoint answered {status}: {why}"),
        })
    };
    match status {
        200..300 => Ok(()),
        300..400 => unavailable("redirections are not followed"),
        // Every record would be refused alike until somebody mends the token.
        401 | 407 => unavailable("the token is refused"),
        408 | 425 | 429 => unavailable("it wants to be asked later"),
        400..500 => Err(SinkError::Record {
            reason: format!("the endpoint answered {status}"),
        }),
        _ => unavailable("it failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_endpoint_would_refuse_again_is_the_records_fault() {
        for status in 100..=599 {
            let expected = match status {
                200..=299 => "done",
                401 | 407 | 408 | 425 | 429 => "wait",
                400..=499 => "record",
                _ => "wait",
            };
            let judged = match judge(status) {
                Ok(()) => "done",
                Err(SinkError::Record { .. }) => "record",
                Err(_) => "wait",
            };
            assert_eq!(judged, expected, "{status}");
        }
    }
}
