//! The `http` stage against a server that writes down what it is asked.
//! Layer: test

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use expect_test::expect;
use penstock_processor::{
    chain::{Chain, LaneOutcome},
    sinks::guard::{GuardSettings, breaker::BreakerPolicy},
    stages::{
        Ports,
        http::endpoint::{AnswerUse, Endpoint, EndpointMethod, EndpointSettings},
    },
};
use tokio::net::TcpListener;

use crate::ports::{ACTIVE, event_at, pipeline, run};

const VALUE: &[u8] = br#"{"id":"e-1","name":"Ada"}"#;

const STAGE: &str = r#"- name: lead
  http:
    url: http://unused:1/leads
    method: Post
    body: '{"lead": event.name}'
    headers: [{name: X-Event, value: event.id}, {name: X-None, value: 'null'}]
    returning: lead
- name: known
  filter:
    keep: has(context.lead.id)"#;

/// What the server answers, and what it was asked.
#[derive(Clone)]
struct Server {
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = Self {
            answer: Arc::new(Mutex::new((StatusCode::OK, r#"{"id":7}"#.to_owned()))),
            asked: Arc::default(),
            port: listener.local_addr().expect("bound").port(),
        };
        let own = server.clone();
        let answer = move |headers: HeaderMap, body: Bytes| async move { own.ask(&headers, &body) };
        let router = Router::new().route("/leads", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn ask(&self, headers: &HeaderMap, body: &Bytes) -> (StatusCode, String) {
        let header = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("none").to_owned()
        };
        let names = [
            "idempotency-key",
            "authorization",
            "content-type",
            "x-event",
            "x-none",
        ];
        let seen = names.map(header).join(" | ");
        let line = format!("{seen} | {}", String::from_utf8_lossy(body));
        self.asked.lock().expect("no panic").push(line);
        self.answer.lock().expect("no panic").clone()
    }

    fn answers(&self, status: u16, text: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        *self.answer.lock().expect("no panic") = (status, text.to_owned());
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }

    fn chain(&self, token: Option<PathBuf>, threshold: u32) -> Chain {
        let endpoint = Endpoint::open(EndpointSettings {
            url: format!("http://127.0.0.1:{}/leads", self.port),
            method: EndpointMethod::Post,
            token,
            answer: AnswerUse::Content,
            queue_bytes: 1 << 20,
            guard: GuardSettings {
                timeout: Duration::from_secs(10),
                concurrency: 8,
                breaker: BreakerPolicy {
                    threshold,
                    initial: Duration::from_secs(3600),
                    max: Duration::from_secs(3600),
                },
            },
        });
        let endpoint = Arc::new(endpoint.expect("a url"));
        let ports = Ports {
            endpoints: BTreeMap::from([(Arc::from("lead"), endpoint)]),
            ..Ports::default()
        };
        Chain::build(&pipeline(STAGE), &ports, ACTIVE).expect("connected")
    }
}

async fn outcome(chain: &Chain) -> String {
    let mut event = event_at(42, Some(b"k"), Some(VALUE));
    match run(chain, &mut event).await {
        LaneOutcome::Failed(failure) => failure.to_string(),
        other => format!("{other:?} with {:?}", event.context()),
    }
}

#[tokio::test]
async fn a_request_carries_body_headers_token_and_a_key_that_repeats_share() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "secret-1\n").expect("written");
    let chain = server.chain(Some(token.clone()), 3);
    let mut lines = vec![outcome(&chain).await];
    // As after a crash, with a token that was replaced meanwhile.
    fs::write(&token, "secret-2\n").expect("written");
    lines.push(outcome(&chain).await);
    lines.extend(server.asked());
    expect![[r#"
        Completed with {"lead": Object {"id": Number(7)}}
        Completed with {"lead": Object {"id": Number(7)}}
        0-storefront-events-3-42-lead | Bearer secret-1 | application/json | e-1 | none | {"lead":"Ada"}
        0-storefront-events-3-42-lead | Bearer secret-2 | application/json | e-1 | none | {"lead":"Ada"}"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn the_answer_decides_whose_fault_it_is() {
    let server = Server::start().await;
    let chain = server.chain(None, u32::MAX);
    let large = format!("{:?}", "x".repeat(70_000));
    let mut lines = Vec::new();
    let answers = [
        (204, ""),
        (200, "no json"),
        (200, large.as_str()),
        (302, ""),
        (400, "bad"),
        (401, ""),
        (409, ""),
        (429, ""),
        (503, ""),
    ];
    for (status, text) in answers {
        server.answers(status, text);
        lines.push(format!("{status}: {}", outcome(&chain).await));
    }
    expect![[r#"
        204: Finished(Filtered) with {"lead": Null}
        200: stage lead: sink lead rejected the record: the answer is no JSON, legal is one JSON value
        200: stage lead: sink lead rejected the record: the answer is larger than 65536 bytes
        302: stage lead: sink lead: the endpoint answered 302: redirections are not followed
        400: stage lead: sink lead rejected the record: the endpoint answered 400
        401: stage lead: sink lead: the endpoint answered 401: the token is refused
        409: stage lead: sink lead rejected the record: the endpoint answered 409
        429: stage lead: sink lead: the endpoint answered 429: it wants to be asked later
        503: stage lead: sink lead: the endpoint answered 503: it failed"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_broken_endpoint_is_left_alone() {
    let server = Server::start().await;
    let chain = server.chain(None, 2);
    server.answers(500, "");
    for _ in 0..5 {
        let failed = outcome(&chain).await;
        assert!(failed.starts_with("stage lead: sink lead:"), "{failed}");
    }
    assert_eq!(
        server.asked().len(),
        2,
        "the breaker opened at two failures"
    );
}
