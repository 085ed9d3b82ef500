//! One HTTP endpoint behind its guard: pooled connections, a deadline, a bound in bytes.
//! Layer: shell

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::answer::judge;
use crate::{
    elastic::{Above, Elastic},
    event::context::MAX_CONTEXT_BYTES,
    sinks::{
        SinkError,
        guard::{Guard, GuardSettings},
    },
};
use penstock_sizing::SinkPlan;
use reqwest::{
    Client, Method, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
    redirect::Policy,
};

/// Names a request that is repeated, so that the endpoint can answer without doing it again
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Connections that are kept without use; the plan counts four.
const IDLE_CONNECTIONS: usize = 4;

/// How long a connection is kept without use.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes of a request besides its own text: head, connection's buffers, bookkeeping.
const REQUEST_BYTES: usize = 16 * 1024;

/// An endpoint and how it is used; the bytes are from the plan.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Absolute, `http` or `https`.
    pub url: String,
    /// The method.
    pub method: EndpointMethod,
    /// A file with a bearer token, read with every request; `None` sends none.
    pub token: Option<PathBuf>,
    /// What is wanted of an answer.
    pub answer: AnswerUse,
    /// Bytes of requests on their way. A larger one passes alone.
    pub queue_bytes: u32,
    /// Deadline, concurrency, breaker.
    pub guard: GuardSettings,
}

/// Methods that carry a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointMethod {
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerUse {
    /// Its status.
    Status,
    /// Its content, too, as far as a context can hold it.
    Content,
}

/// One request.
pub(super) struct Request {
    pub(super) idempotency_key: String,
    pub(super) headers: Vec<(Arc<str>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// Bytes of requests on their way: what the plan grants in all, since nothing is gathered.
#[must_use]
pub fn queue_bytes(sizes: &SinkPlan) -> u32 {
    u32::try_from(sizes.total.0).unwrap_or(u32::MAX).max(1)
}

/// The endpoint of one `http` stage.
pub struct Endpoint {
    client: Client,
    url: Url,
    settings: EndpointSettings,
    guard: Arc<Guard>,
    bytes: Elastic,
}

impl Endpoint {
    /// Prepares a client; connects with the first request.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when the URL is none, or no roots of trust are found.
    pub fn open(settings: EndpointSettings) -> Result<Self, SinkError> {
        // TLS needs a process-wide provider; whoever installed one before has the same in mind.
        drop(rustls::crypto::ring::default_provider().install_default());
        let url = Url::parse(&settings.url);
        let url = url.map_err(|error| unavailable(format!("url: {error}")))?;
        let client = Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("penstock/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| unavailable(format!("starting the client: {error}")))?;
        Ok(Self {
            client,
            url,
            guard: Arc::new(Guard::new(settings.guard)),
            bytes: Elastic::new(settings.queue_bytes.max(1)),
            settings,
        })
    }

    /// How much of its bytes is taken, in thousandths.
    #[must_use]
    pub fn taken_permille(&self) -> u64 {
        self.bytes.taken_permille()
    }

    /// The memory plan has changed.
    pub fn resize(&self, sizes: &SinkPlan) {
        self.bytes.resize(queue_bytes(sizes));
    }

    /// Its guard, for the status and for parked keys.
    #[must_use]
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// Sends one request and answers with the content, which is empty unless it is wanted.
    pub(super) async fn call(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Vec<u8>, SinkError> {
        let headers = request.headers.iter().map(|(_, value)| value.len());
        let weight = REQUEST_BYTES + 2 * (request.body.len() + headers.sum::<usize>());
        let share = u32::try_from(weight).unwrap_or(u32::MAX);
        let send = |_deadline| async {
            let _share = self.bytes.acquire(share, Above::Alone).await;
            self.send(request).await
        };
        self.guard.run(deadline, send).await
    }

    async fn send(&self, request: Request) -> Result<Vec<u8>, SinkError> {
        let method = match self.settings.method {
            EndpointMethod::Post => Method::POST,
            EndpointMethod::Put => Method::PUT,
        };
        let mut sent = self
            .client
            .request(method, self.url.clone())
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &request.headers {
            // Validation knows the name; a value may still hold a line break.
            let value = HeaderValue::from_bytes(value).map_err(|_| SinkError::Record {
                reason: format!("header {name}: a value must not hold control characters"),
            })?;
            sent = sent.header(&**name, value);
        }
        // Ours last: they are not to be replaced by those of the object.
        sent = sent.header(IDEMPOTENCY_KEY, request.idempotency_key);
        if let Some(token) = &self.settings.token {
            sent = sent.header(AUTHORIZATION, bearer(token)?);
        }
        let answer = sent.body(request.body).send().await;
        let answer = answer.map_err(|error| unavailable(reason(&error)))?;
        let judged = judge(answer.status().as_u16());
        let content = content(answer, self.settings.answer).await;
        judged.and(content)
    }
}

/// Reads the answer to its end, so that the connection can be used again, but never more than a
/// context can hold.
async fn content(mut answer: Response, wanted: AnswerUse) -> Result<Vec<u8>, SinkError> {
    let mut content = Vec::new();
    let mut bytes = 0;
    loop {
        let chunk = answer.chunk().await;
        let Some(chunk) = chunk.map_err(|error| unavailable(reason(&error)))? else {
            return Ok(content);
        };
        bytes += chunk.len();
        match (wanted, bytes > MAX_CONTEXT_BYTES) {
            (AnswerUse::Status, false) => {}
            // The connection is given up for it.
            (AnswerUse::Status, true) => return Ok(content),
            (AnswerUse::Content, false) => content.extend_from_slice(&chunk),
            (AnswerUse::Content, true) => {
                let reason = format!("the answer is larger than {MAX_CONTEXT_BYTES} bytes");
                return Err(SinkError::Record { reason });
            }
        }
    }
}

fn bearer(path: &PathBuf) -> Result<HeaderValue, SinkError> {
    let token = fs::read_to_string(path);
    let token = token.map_err(|error| unavailable(format!("{}: {error}", path.display())))?;
    let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
    let mut value = value.map_err(|_| {
        unavailable(format!(
            "{}: a token has no control characters",
            path.display()
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The innermost cause, which names no part of the request.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn unavailable(reason: String) -> SinkError {
    SinkError::Unavailable { reason }
}
