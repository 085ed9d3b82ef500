//! Look-ups of an external system: one at a time for each key, remembered in so many bytes.
//! Layer: shell
//!
//! *Single flight.* Whoever asks for a key that is being looked up waits for that look-up. A caller
//! who gives up leaves it to the others; when all have given up it ends.
//!
//! *Jittered expiry.* Values that were looked up together do not expire together.
//!
//! *Stale while revalidate.* For a while after it expired, a value is still answered while one
//! look-up renews it, so that expiry delays nobody.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;

/// How long a value is answered without being looked up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Until when it is fresh; each value's own time is shorter by up to a quarter.
    pub fresh: Duration,
    /// How much longer it is answered while it is being renewed.
    pub stale: Duration,
}

impl Freshness {
    /// Nothing is remembered: look-ups of one key at the same time are one, no more. For values
    /// that must be those of now.
    pub const NONE: Self = Self {
        fresh: Duration::ZERO,
        stale: Duration::ZERO,
    };
}

/// Bytes of an entry beside key and value: map slot, links and counts, rounded up.
const ENTRY_BYTES: usize = 128;

type Loading<V, E> = BoxFuture<'static, Result<V, E>>;
type Flight<V, E> = Shared<Loading<V, E>>;

/// Looks up one key.
pub type Loader<K, V, E> = dyn Fn(K) -> Loading<V, E> + Send + Sync;

/// Bytes that a key and its value hold on the heap.
pub type Weigher<K, V> = fn(&K, &V) -> usize;

/// What a set of look-ups is made from.
pub struct LookupSettings<K, V, E> {
    /// How long values are answered.
    pub freshness: Freshness,
    /// Bytes that may be remembered. Values that are being looked up are the callers'.
    pub bytes: usize,
    /// What an entry costs.
    pub weigh: Weigher<K, V>,
    /// Looks one key up.
    pub load: Box<Loader<K, V, E>>,
}

/// Look-ups of one kind. Shared by all who look up.
pub struct Lookups<K, V, E> {
    me: Weak<Self>,
    settings: LookupSettings<K, V, E>,
    state: Mutex<State<K, V, E>>,
    spread: RandomState,
}

struct State<K, V, E> {
    entries: HashMap<K, Entry<V>>,
    flights: HashMap<K, WeakShared<Loading<V, E>>>,
    /// When to look for flights whose callers have all given up: they never land.
    sweep_at: usize,
    bytes: usize,
}

/// Flights before the first sweep.
const FIRST_SWEEP: usize = 64;

struct Entry<V> {
    value: V,
    bytes: usize,
    fresh_until: Instant,
    stale_until: Instant,
}

/// What is there for a key now.
enum Found<V, E> {
    Fresh(V),
    /// Answer it; if a flight is given, somebody has to carry it.
    Stale(V, Option<Flight<V, E>>),
    Flight(Flight<V, E>),
}

impl<K, V, E> Lookups<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Nothing looked up yet.
    #[must_use]
    pub fn new(settings: LookupSettings<K, V, E>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            settings,
            state: Mutex::new(State {
                entries: HashMap::new(),
                flights: HashMap::new(),
                sweep_at: FIRST_SWEEP,
                bytes: 0,
            }),
            spread: RandomState::new(),
        })
    }

    /// The value of a key: remembered, or looked up once for all who ask at the same time. A
    /// failure is everybody's who waited for it, and is not remembered.
    ///
    /// # Errors
    /// What the look-up failed with.
    pub async fn get(&self, key: &K) -> Result<V, E> {
        match self.find(key, now()) {
            Found::Fresh(value) | Found::Stale(value, None) => Ok(value),
            Found::Stale(value, Some(renewal)) => {
                // Nobody waits for it, so it is carried by a task of its own.
                drop(tokio::spawn(renewal));
                Ok(value)
            }
            Found::Flight(flight) => flight.await,
        }
    }

    /// Bytes remembered.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    fn find(&self, key: &K, now: Instant) -> Found<V, E> {
        let mut state = self.state.lock();
        let running = state.flights.get(key).and_then(WeakShared::upgrade);
        let remembered = state
            .entries
            .get(key)
            .filter(|entry| now < entry.stale_until);
        match (remembered, running) {
            (Some(entry), _) if now < entry.fresh_until => Found::Fresh(entry.value.clone()),
            (Some(entry), Some(_)) => Found::Stale(entry.value.clone(), None),
            (Some(entry), None) => {
                let value = entry.value.clone();
                Found::Stale(value, Some(self.take_off(&mut state, key)))
            }
            (None, Some(flight)) => Found::Flight(flight),
            (None, None) => Found::Flight(self.take_off(&mut state, key)),
        }
    }

    fn take_off(&self, state: &mut State<K, V, E>, key: &K) -> Flight<V, E> {
        let (loading, me) = ((self.settings.load)(key.clone()), Weak::clone(&self.me));
        let landing = key.clone();
        let flight = async move {
            let outcome = loading.await;
            if let Some(lookups) = me.upgrade() {
                lookups.land(landing, &outcome);
            }
            outcome
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            state.sweep();
            state.flights.insert(key.clone(), weak);
        }
        flight
    }

    /// The flight is over: remembers what it brought, as far as there is room.
    fn land(&self, key: K, outcome: &Result<V, E>) {
        let mut state = self.state.lock();
        state.flights.remove(&key);
        let Freshness { fresh, stale } = self.settings.freshness;
        let Ok(value) = outcome else { return };
        let bytes = ENTRY_BYTES + (self.settings.weigh)(&key, value);
        if (fresh + stale).is_zero() || bytes > self.settings.bytes {
            return;
        }
        let quarter = u64::try_from(fresh.as_millis() / 4)
            .unwrap_or(u64::MAX)
            .max(1);
        let earlier = Duration::from_millis(self.spread.hash_one(&key) % quarter);
        let fresh_until = now() + fresh.saturating_sub(earlier);
        state.insert(
            key,
            Entry {
                value: value.clone(),
                bytes,
                fresh_until,
                stale_until: fresh_until + stale,
            },
        );
        state.shrink(self.settings.bytes);
    }
}

impl<K, V, E> State<K, V, E>
where
    K: Clone + Eq + Hash,
{
    fn insert(&mut self, key: K, entry: Entry<V>) {
        self.bytes += entry.bytes;
        if let Some(old) = self.entries.insert(key, entry) {
            self.bytes -= old.bytes;
        }
    }

    /// Forgets flights that will not land, once they may be half of all.
    fn sweep(&mut self) {
        if self.flights.len() >= self.sweep_at {
            self.flights.retain(|_, flight| flight.upgrade().is_some());
            self.sweep_at = (2 * self.flights.len()).max(FIRST_SWEEP);
        }
    }

    /// Gives up any entries until the rest fits. The order of a hash map with random keys is
    /// random, which costs a few hits beside the best order and no memory.
    fn shrink(&mut self, limit: usize) {
        while self.bytes > limit {
            let Some(key) = self.entries.keys().next().cloned() else {
                return;
            };
            if let Some(old) = self.entries.remove(&key) {
                self.bytes -= old.bytes;
            }
        }
    }
}

/// The runtime's clock, so that tests may stop it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
