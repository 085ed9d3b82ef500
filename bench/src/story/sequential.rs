//! One by one: workers take events from a channel and handle them under one lock.
//! Layer: shell

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Lock, mpsc};

use super::{BURST, CALL, Figure, PAUSE, Tally, WORKERS, amount, copied, event};
use crate::allocations;

/// What is done with a body.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// A copy, a tree of all of it, the key as text.
    Told,
    /// Our copy, our decoder for two fields.
    Alike,
}

impl Handler {
    fn handle(self, number: usize, body: &str) -> u64 {
        match self {
            Self::Told => as_told(body.as_bytes()),
            Self::Alike => amount(&copied(i64::try_from(number).expect("few events"), body)),
        }
    }
}

/// An event on its way, with its arrival and number.
type Arrived = (Instant, usize, String);

pub(super) async fn run(bursts: usize, handler: Handler) -> Figure {
    let events = bursts * BURST;
    let tally = Tally::new(events);
    let (send, receive) = mpsc::channel::<Arrived>(BURST);
    let (receive, lock) = (Arc::new(Lock::new(receive)), Arc::new(Lock::new(())));
    let bodies: Vec<_> = (0..events).map(event).collect();
    let before = allocations::count();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(receive.clone(), lock.clone(), tally.clone(), handler)))
        .collect();
    feed(bursts, bodies, &send).await;
    drop(send);
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    let allocations = allocations::count() - before;
    tally.lock().figure(events, allocations)
}

async fn feed(bursts: usize, bodies: Vec<String>, send: &mpsc::Sender<Arrived>) {
    let start = tokio::time::Instant::now();
    let mut bodies = (0..).zip(bodies);
    for burst in 0..bursts {
        tokio::time::sleep_until(start + PAUSE * u32::try_from(burst).expect("few bursts")).await;
        let arrived = Instant::now();
        for (number, body) in bodies.by_ref().take(BURST) {
            let sent = send.send((arrived, number, body)).await;
            sent.expect("the workers live");
        }
    }
}

async fn work(
    receive: Arc<Lock<mpsc::Receiver<Arrived>>>,
    lock: Arc<Lock<()>>,
    tally: Arc<Mutex<Tally>>,
    handler: Handler,
) {
    loop {
        let Some((arrived, number, body)) = receive.lock().await.recv().await else {
            return;
        };
        let _one_by_one = lock.lock().await;
        let amount = handler.handle(number, &body);
        tokio::time::sleep(CALL).await;
        tally.lock().add(arrived, amount);
    }
}

fn as_told(body: &[u8]) -> u64 {
    let value = body.to_vec();
    let tree: serde_json::Value = serde_json::from_slice(&value).expect("the event is JSON");
    let key = tree["user"].as_str().unwrap_or_default().to_string();
    std::hint::black_box(key);
    tree["amount"].as_u64().unwrap_or_default()
}
