//! How a call to the API server can fail, in the classes that decide what follows.
//! Layer: core

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer within the deadline.
    #[error("no answer from the API server within 10 s")]
    Deadline,
    /// This replica does not lead, or not for long enough.
    #[error("this replica does not lead")]
    NotLeading,
    /// Somebody else changed the object meanwhile.
    #[error("changed meanwhile: {0}")]
    Conflict(String),
    /// There is one of this name already.
    #[error("exists already: {0}")]
    Exists(String),
    /// The object is not there.
    #[error("not found")]
    NotFound,
    /// Forbidden by role, quota or Pod Security, or not valid: the API server's own words.
    #[error("refused: {0}")]
    Refused(String),
    /// The API server is overloaded, starting or not reachable.
    #[error("API server not available")]
    Unavailable(#[source] kube::Error),
    /// The answer cannot be read.
    #[error("unexpected answer")]
    Unexpected(#[source] kube::Error),
}

impl CallError {
    /// The class of the client's error.
    #[must_use]
    pub fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match (status.code, status.reason.as_str()) {
                (404, _) => Self::NotFound,
                (409, "AlreadyExists") => Self::Exists(status.message),
                (409, _) => Self::Conflict(status.message),
                (401 | 403 | 400 | 413 | 422, _) => Self::Refused(status.message),
                _ => Self::Unavailable(kube::Error::Api(status)),
            },
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Unexpected(error),
            other => Self::Unavailable(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn each_code_has_its_class() {
        let class = |code, reason: &str| {
            let status = Status::failure("words", reason).with_code(code);
            CallError::of(kube::Error::Api(Box::new(status))).to_string()
        };
        assert_eq!(class(404, "NotFound"), "not found");
        assert_eq!(class(409, "AlreadyExists"), "exists already: words");
        assert_eq!(class(409, "Conflict"), "changed meanwhile: words");
        assert_eq!(class(403, "Forbidden"), "refused: words");
        assert_eq!(class(422, "Invalid"), "refused: words");
        assert_eq!(class(429, "TooManyRequests"), "API server not available");
        assert_eq!(class(503, "ServiceUnavailable"), "API server not available");
    }
}
