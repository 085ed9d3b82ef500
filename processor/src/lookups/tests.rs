//! A stampede, callers who give up, and the bound in bytes.
//! Layer: test

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::{sync::Semaphore, task::JoinSet, time};

use super::*;

/// A slow store that counts look-ups by key, all of them and those at the same time.
struct Store {
    running: Vec<AtomicU64>,
    most: AtomicU64,
    loads: AtomicU64,
    gate: Semaphore,
}

impl Store {
    fn new(keys: usize, open: usize) -> Arc<Self> {
        Arc::new(Self {
            running: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            most: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            gate: Semaphore::new(open),
        })
    }

    async fn load(self: Arc<Self>, key: usize) -> Result<u64, String> {
        let load = self.loads.fetch_add(1, SeqCst);
        let running = self.running[key].fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(running, SeqCst);
        let permit = self.gate.acquire().await;
        self.running[key].fetch_sub(1, SeqCst);
        drop(permit.map_err(|_| "closed".to_owned())?);
        Ok(load)
    }
}

fn lookups(
    store: &Arc<Store>,
    freshness: Freshness,
    bytes: usize,
) -> Arc<Lookups<usize, u64, String>> {
    let store = Arc::clone(store);
    Lookups::new(LookupSettings {
        freshness,
        bytes,
        weigh: |_, _| 0,
        load: Box::new(move |key| Arc::clone(&store).load(key).boxed()),
    })
}

const FRESH: Freshness = Freshness {
    fresh: Duration::from_secs(60),
    stale: Duration::from_secs(60),
};

/// Yields until the condition holds; the tasks of the test are all there is to wait for.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..1_000_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition did not come true");
}

/// 30,000 keys expire at once while 18,000 readers ask: each key is recomputed once, nobody who
/// has a stale value waits, and the renewals that nobody waits for end.
#[tokio::test(start_paused = true)]
async fn a_stampede_recomputes_each_key_once() {
    const KEYS: usize = 30_000;
    const READERS: usize = 18_000;
    let store = Store::new(KEYS, KEYS);
    let lookups = lookups(&store, FRESH, usize::MAX);
    for key in 0..KEYS {
        lookups.get(&key).await.expect("loaded");
    }
    assert_eq!(store.loads.load(SeqCst), KEYS as u64);
    store.gate.forget_permits(KEYS);
    time::advance(FRESH.fresh).await;

    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let lookups = Arc::clone(&lookups);
        readers.spawn(async move {
            for turn in 0..5 {
                let key = (reader * 7 + turn * 6_001) % KEYS;
                let stale = lookups.get(&key).await.expect("a stale value");
                assert!(stale < KEYS as u64, "nobody waits for a renewal");
            }
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader.expect("no reader failed");
    }
    until(|| store.loads.load(SeqCst) > KEYS as u64).await;
    store.gate.add_permits(KEYS);
    until(|| store.running.iter().all(|key| key.load(SeqCst) == 0)).await;
    assert_eq!(
        store.most.load(SeqCst),
        1,
        "recomputes of one key at a time"
    );
    assert!(
        store.loads.load(SeqCst) <= 2 * KEYS as u64,
        "one recompute a key"
    );
}

/// The same without anything remembered: readers of one key share the look-up in flight.
#[tokio::test(start_paused = true)]
async fn readers_of_a_missing_key_share_its_look_up() {
    const KEYS: usize = 300;
    let store = Store::new(KEYS, 0);
    let lookups = lookups(&store, Freshness::NONE, 0);
    let (mut readers, asked) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for reader in 0..18_000 {
        let (lookups, asked) = (Arc::clone(&lookups), Arc::clone(&asked));
        readers.spawn(async move {
            asked.fetch_add(1, SeqCst);
            lookups.get(&(reader % KEYS)).await
        });
    }
    // Those who come later would look up again, rightly.
    until(|| asked.load(SeqCst) == 18_000).await;
    until(|| store.loads.load(SeqCst) == KEYS as u64).await;
    store.gate.add_permits(KEYS);
    while let Some(reader) = readers.join_next().await {
        reader.expect("no panic").expect("loaded");
    }
    assert_eq!(
        (store.most.load(SeqCst), store.loads.load(SeqCst)),
        (1, KEYS as u64)
    );
    assert_eq!(lookups.bytes(), 0);
    assert!(lookups.state.lock().flights.is_empty());
    lookups.get(&0).await.expect("loaded");
    assert_eq!(
        store.loads.load(SeqCst),
        KEYS as u64 + 1,
        "nothing is remembered"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_leaves_the_look_up_to_the_others() {
    let store = Store::new(1, 0);
    let lookups = lookups(&store, FRESH, usize::MAX);
    let (first, second) = (Arc::clone(&lookups), Arc::clone(&lookups));
    let first = tokio::spawn(async move { first.get(&0).await });
    let second = tokio::spawn(async move { second.get(&0).await });
    until(|| store.loads.load(SeqCst) == 1).await;
    first.abort();
    assert!(first.await.is_err());
    store.gate.add_permits(1);
    assert_eq!(second.await.expect("no panic"), Ok(0));
    assert_eq!(store.loads.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_give_up_the_next_one_begins_anew() {
    let store = Store::new(1, 0);
    let lookups = lookups(&store, FRESH, usize::MAX);
    let gone = time::timeout(Duration::from_secs(1), lookups.get(&0)).await;
    assert!(gone.is_err());
    store.gate.add_permits(2);
    assert_eq!(lookups.get(&0).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_remembered() {
    let store = Store::new(1, 0);
    store.gate.close();
    let lookups = lookups(&store, FRESH, usize::MAX);
    lookups.get(&0).await.expect_err("closed");
    lookups.get(&0).await.expect_err("closed");
    assert_eq!((store.loads.load(SeqCst), lookups.bytes()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn expiries_are_spread_and_bytes_are_bounded() {
    let store = Store::new(1_000, 1);
    let lookups = lookups(&store, FRESH, 100 * ENTRY_BYTES);
    for key in 0..1_000 {
        lookups.get(&key).await.expect("loaded");
    }
    assert_eq!(lookups.bytes(), 100 * ENTRY_BYTES);
    let state = lookups.state.lock();
    let ends = state.entries.values().map(|entry| entry.fresh_until);
    let (first, last) = (ends.clone().min(), ends.max());
    let spread = last.expect("entries") - first.expect("entries");
    assert!(
        spread > FRESH.fresh / 8 && spread <= FRESH.fresh / 4,
        "{spread:?}"
    );
}
