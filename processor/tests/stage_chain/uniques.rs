//! The `unique` stage with fingerprints in front of its sink.
//! Layer: test

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Instant,
};

use futures::future::BoxFuture;
use penstock_processor::{
    chain::{Chain, LaneOutcome},
    fingerprints::Fingerprints,
    sinks::{Effect, Reply, Sink, SinkError},
    stages::Ports,
};

use crate::ports::{ACTIVE, event_at, pipeline, run};

const STAGE: &str = r#"- name: visitors
  unique:
    sink: store
    set: event.shop
    member: record.key
    window: Week"#;

/// Counts what it is asked, and may fail or lose its data.
#[derive(Default)]
struct Sets {
    asked: AtomicU64,
    failing: AtomicU64,
    losses: AtomicU64,
}

impl Sink for Sets {
    fn submit(&self, _: Effect, _: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        Box::pin(async {
            self.asked.fetch_add(1, SeqCst);
            if self.failing.load(SeqCst) > 0 {
                let reason = "down".to_owned();
                return Err(SinkError::Unavailable { reason });
            }
            Ok(Reply::Member { first: true })
        })
    }

    fn incarnation(&self) -> u64 {
        self.losses.load(SeqCst)
    }
}

struct Shop {
    sets: Arc<Sets>,
    chain: Chain,
}

impl Shop {
    fn open() -> Self {
        let sets = Arc::<Sets>::default();
        let sink: Arc<dyn Sink> = Arc::clone(&sets) as _;
        let table = Arc::new(Fingerprints::new(1 << 16));
        let ports = Ports {
            sinks: BTreeMap::from([(Arc::from("store"), sink)]),
            fingerprints: BTreeMap::from([(Arc::from("visitors"), table)]),
            ..Ports::default()
        };
        let chain = Chain::build(&pipeline(STAGE), &ports, ACTIVE).expect("connected");
        Self { sets, chain }
    }

    /// Whether the sink was asked for this visit.
    async fn visit(&self, shop: &str, visitor: &str) -> bool {
        let before = self.sets.asked.load(SeqCst);
        let value = format!(r#"{{"shop":"{shop}"}}"#);
        let mut event = event_at(1, Some(visitor.as_bytes()), Some(value.as_bytes()));
        let outcome = run(&self.chain, &mut event).await;
        let failing = self.sets.failing.load(SeqCst) > 0;
        assert_eq!(
            matches!(outcome, LaneOutcome::Completed),
            !failing,
            "{outcome:?}"
        );
        self.sets.asked.load(SeqCst) > before
    }
}

#[tokio::test]
async fn a_member_is_asked_of_the_sink_once_in_its_set() {
    let shop = Shop::open();
    let mut asked = Vec::new();
    for (at, visitor) in [("a", "v"), ("a", "v"), ("b", "v"), ("a", "w"), ("b", "v")] {
        asked.push(shop.visit(at, visitor).await);
    }
    assert_eq!(asked, [true, false, true, true, false]);
}

#[tokio::test]
async fn a_member_is_remembered_only_when_the_sink_has_answered() {
    let shop = Shop::open();
    shop.sets.failing.store(1, SeqCst);
    assert!(shop.visit("a", "v").await);
    shop.sets.failing.store(0, SeqCst);
    assert!(shop.visit("a", "v").await, "it was never added");
    assert!(!shop.visit("a", "v").await);
}

#[tokio::test]
async fn what_a_sink_lost_is_asked_again() {
    let shop = Shop::open();
    assert!(shop.visit("a", "v").await);
    shop.sets.losses.store(1, SeqCst);
    assert!(shop.visit("a", "v").await);
    assert!(!shop.visit("a", "v").await);
}
