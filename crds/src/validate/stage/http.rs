//! Judges an `http`: where it goes, and that it sets no header that is the stage's own.
//! Layer: core

use std::time::Duration;

use super::Bench;
use crate::{
    event_pipeline::{HttpHeaderSpec, HttpSpec},
    names::{ContextName, EndpointUrl, HttpHeaderName, shown},
    pipeline::{HttpStage, RequestHeader},
    validate::security,
};

/// Deadline of one call when neither the body nor the stage names one.
const TIMEOUT_SECONDS: u32 = 30;
/// Headers that the stage or its client sets, in lower case.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl Bench<'_> {
    pub(super) fn http(&mut self, own: &HttpSpec) -> Option<HttpStage> {
        let url = self.keep("http.url", EndpointUrl::parse(&own.url));
        let body = self.optional("http.body", own.body.as_deref());
        let headers = own.headers.iter().enumerate();
        let headers: Vec<_> = headers
            .map(|(at, header)| self.request_header(&format!("http.headers[{at}]"), header))
            .collect();
        let secret = security::secret(&self.at("http"), own.secret_ref.as_ref(), self.faults);
        let returning = match own.returning.as_deref() {
            None => Some(None),
            Some(name) => self
                .keep("http.returning", ContextName::parse(name))
                .map(Some),
        };
        if let Some(Some(name)) = &returning {
            self.written.add(name.as_str());
        }
        Some(HttpStage {
            url: url?,
            method: own.method,
            body: body?,
            headers: headers.into_iter().collect::<Option<_>>()?,
            secret: secret?,
            timeout: Duration::from_secs(own.timeout_seconds.unwrap_or(TIMEOUT_SECONDS).into()),
            returning: returning?,
        })
    }

    fn request_header(&mut self, at: &str, own: &HttpHeaderSpec) -> Option<RequestHeader> {
        let lower = own.name.to_ascii_lowercase();
        if lower == "authorization" {
            let message = "a credential does not belong into the object: use secretRef";
            self.add(&format!("{at}.name"), message);
        } else if RESERVED.contains(&lower.as_str()) || lower.starts_with("penstock-") {
            let message = format!(
                "{} is set by the stage itself: another name",
                shown(&own.name)
            );
            self.add(&format!("{at}.name"), message);
        }
        let name = self.keep(&format!("{at}.name"), HttpHeaderName::parse(&own.name));
        let value = self.expression(&format!("{at}.value"), &own.value);
        Some(RequestHeader {
            name: name?,
            value: value?,
        })
    }
}
