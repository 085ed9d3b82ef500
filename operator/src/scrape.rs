//! Asks the fleets' pods for their `/status`, and nobody else: no address comes from an object.
//! Layer: shell

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt, channel::mpsc};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use crate::{
    names,
    pods::SharedRoster,
    readings::PodReading,
    resource::EventPipeline,
    roster::Address,
    shared::{Heard, Key, Shared, key},
    status_page,
};

/// How often a fleet is asked that is on its way to another state.
const SOON: Duration = Duration::from_secs(1);
/// How often the others are asked, in ticks of [`SOON`].
const SELDOM: u64 = 15;
/// Longest wait for one pod.
const DEADLINE: Duration = Duration::from_secs(2);
/// Pods that are asked at a time.
const CONCURRENCY: usize = 16;
/// Largest page that is read: 1,000 partitions are a third of it.
const LARGEST_PAGE: usize = 1 << 20;

/// Why a pod said nothing.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error("no answer in time")]
    Deadline,
    #[error("not reachable")]
    Unreachable(#[source] std::io::Error),
    #[error("broken answer")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("answered {0}")]
    Refused(hyper::StatusCode),
    #[error("unreadable status")]
    Unreadable(#[source] serde_json::Error),
}

/// Asks round after round for as long as it is polled; sends the pipelines of which there is news.
pub async fn rounds(
    shared: Arc<Shared>,
    roster: SharedRoster,
    triggers: mpsc::Sender<ObjectRef<EventPipeline>>,
) {
    let mut triggers = triggers;
    let mut ticks = tokio::time::interval(SOON);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0_u64;
    loop {
        ticks.tick().await;
        let pipelines = shared.pipelines();
        let there: HashSet<Key> = pipelines.iter().map(|object| key(object)).collect();
        let due: HashSet<Key> = pipelines
            .iter()
            .filter(|object| is_due(&shared, object, round))
            .map(|object| key(object))
            .collect();
        shared.forget_others(&there);
        shared.metrics.serves(there.len());
        for pipeline in ask(&shared, &roster, &due).await {
            if triggers.send(pipeline).await.is_err() {
                return;
            }
        }
        round += 1;
    }
}

/// A fleet is asked often while it should settle and has not.
fn is_due(shared: &Shared, object: &EventPipeline, round: u64) -> bool {
    let key = key(object);
    let turn = crate::hash::number(&key.1) % SELDOM == round % SELDOM;
    let state = object.spec.state.as_deref().unwrap_or("Running");
    let settles = state == "Paused" || state == "Drained";
    let reading = shared.reading(&key);
    let mut pods = reading.pods.values();
    turn || (settles && (reading.pods.is_empty() || !pods.all(|pod| pod.settled)))
}

/// Asks every pod of these pipelines; answers those of which there is news.
async fn ask(
    shared: &Shared,
    roster: &SharedRoster,
    due: &HashSet<Key>,
) -> Vec<ObjectRef<EventPipeline>> {
    let pipeline =
        |(namespace, _): &Key, address: &Address| (namespace.clone(), address.pipeline.clone());
    let pods = roster.lock().addresses().into_iter();
    let pods: Vec<(Key, Address)> = pods
        .filter(|(pod, address)| due.contains(&pipeline(pod, address)))
        .collect();
    let asked = pods.len() as u64;
    let answers: Vec<(Key, Key, Result<PodReading, ScrapeError>)> = futures::stream::iter(pods)
        .map(|(pod, address)| async move {
            let answer = one(SocketAddr::new(address.ip, names::STATUS_PORT)).await;
            (pipeline(&pod, &address), pod, answer)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    let mut heard: HashMap<Key, BTreeMap<String, PodReading>> = due
        .iter()
        .map(|key| (key.clone(), BTreeMap::new()))
        .collect();
    let mut failed = 0;
    for (pipeline, (_, pod), answer) in answers {
        match answer {
            Ok(reading) => {
                heard.entry(pipeline).or_default().insert(pod, reading);
            }
            Err(error) => {
                failed += 1;
                tracing::debug!(pod, error = &error as &dyn std::error::Error, "no status");
            }
        }
    }
    shared.metrics.scraped(asked, failed);
    let news = heard
        .into_iter()
        .filter(|(key, pods)| shared.hear(key, pods.clone()) == Heard::News);
    news.map(|((namespace, name), _)| ObjectRef::new(&name).within(&namespace))
        .collect()
}

async fn one(address: SocketAddr) -> Result<PodReading, ScrapeError> {
    let answer = tokio::time::timeout(DEADLINE, page(address)).await;
    let page = answer.map_err(|_| ScrapeError::Deadline)??;
    status_page::read(&page, Timestamp::now()).map_err(ScrapeError::Unreadable)
}

async fn page(address: SocketAddr) -> Result<Bytes, ScrapeError> {
    let broken = |error: hyper::Error| ScrapeError::Broken(error.into());
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .map_err(ScrapeError::Unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get("/status")
        .header(hyper::header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .expect("the request is the same every time");
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        if !answer.status().is_success() {
            return Err(ScrapeError::Refused(answer.status()));
        }
        let body = Limited::new(answer.into_body(), LARGEST_PAGE)
            .collect()
            .await;
        Ok(body.map_err(ScrapeError::Broken)?.to_bytes())
    };
    let started = Instant::now();
    tokio::select! {
        biased;
        page = exchange => page,
        _ = connection => {
            tracing::trace!(elapsed = ?started.elapsed(), "closed before the answer");
            Err(ScrapeError::Broken("closed before the answer was complete".into()))
        }
    }
}
