//! What happens in the storefront: each event is decided by the seed and its number alone.
//! Layer: core

use super::{
    calendar,
    draw::{Draw, mix},
    zipf::Zipf,
};

/// The shape of a run; the same workload gives the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Seed of everything random.
    pub seed: u64,
    /// Records to produce, duplicates and poison included.
    pub records: u32,
    /// Customers; the key of an event is one of them.
    pub keys: u32,
    /// Partitions of the source topic.
    pub partitions: u32,
    /// Timestamp of the first record, milliseconds since the epoch.
    pub start_ms: i64,
}

/// Time that the records of a run span: they touch several daily indices, and most often two weeks.
pub const SPAN_MS: i64 = 4 * 24 * 60 * 60 * 1_000;

/// The world that the events come from.
#[derive(Clone, Debug)]
pub struct Storefront {
    workload: Workload,
    popularity: Zipf,
}

/// What an event says, padding apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Shop, 0 to 39.
    pub shop: u32,
    /// Product, 0 to 999.
    pub product: u32,
    /// Campaign, where an ad led here.
    pub campaign: Option<u32>,
    /// Cents paid, where the visit ended in an order.
    pub amount_cents: Option<i64>,
    /// Which of a customer's addresses the order names: the last one must win.
    pub address: u32,
    /// Record timestamp, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Bytes of padding.
    pub padding: u32,
}

impl Storefront {
    /// The world of a workload.
    #[must_use]
    pub fn new(workload: Workload) -> Self {
        Self {
            workload,
            popularity: Zipf::new(workload.keys),
        }
    }

    /// The workload it was made from.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Dice for decisions about record `number`, apart from those about its event.
    #[must_use]
    pub fn dice(&self, number: u32) -> Draw {
        Draw::new(!self.workload.seed, u64::from(number))
    }

    /// The customer of event `number`.
    #[must_use]
    pub fn key(&self, number: u32) -> u32 {
        self.popularity.rank(&mut self.draw(number))
    }

    /// The partition of a customer's records.
    #[must_use]
    pub fn partition(&self, key: u32) -> u32 {
        let spread = mix(u64::from(key)) % u64::from(self.workload.partitions.max(1));
        u32::try_from(spread).expect("a remainder is below its 32 bit divisor")
    }

    /// What event `number` says.
    #[must_use]
    pub fn attributes(&self, number: u32) -> Attributes {
        let mut draw = self.draw(number);
        let _key = draw.bits();
        let advertised = draw.below(4) == 0;
        let ordered = draw.below(5) == 0;
        Attributes {
            shop: small(&mut draw, 40),
            product: small(&mut draw, 1_000),
            campaign: Some(small(&mut draw, 12)).filter(|_| advertised),
            amount_cents: Some(1 + i64::from(small(&mut draw, 50_000))).filter(|_| ordered),
            address: small(&mut draw, 3),
            timestamp_ms: self.timestamp_ms(number),
            padding: padding(&mut draw),
        }
    }

    /// The id of event `number`: unique by the number, unguessable in order by the rest.
    #[must_use]
    pub fn id(&self, number: u32) -> String {
        format!(
            "{:016x}-{number:08x}",
            mix(self.workload.seed ^ u64::from(number))
        )
    }

    fn draw(&self, number: u32) -> Draw {
        Draw::new(self.workload.seed, u64::from(number))
    }

    fn timestamp_ms(&self, number: u32) -> i64 {
        let records = i64::from(self.workload.records.max(1));
        self.workload.start_ms + i64::from(number) * SPAN_MS / records
    }
}

/// Daily index of a timestamp.
#[must_use]
pub fn index_name(timestamp_ms: i64) -> String {
    format!("events-{}", calendar::day(timestamp_ms))
}

/// Key of a customer as it stands in the record.
#[must_use]
pub fn key_name(key: u32) -> String {
    format!("customer-{key}")
}

/// The customer of a key; `None` when the key is none of ours.
#[must_use]
pub fn key_number(name: &str) -> Option<u32> {
    name.strip_prefix("customer-")
        .and_then(|digits| digits.parse().ok())
}

/// Mail address of a customer.
#[must_use]
pub fn email(key: u32, address: u32) -> String {
    format!("customer-{key}+{address}@example.com")
}

/// Mostly 200 B to 2 KiB, 1 % of 64 KiB, 0.01 % of up to just under 1 MiB.
///
/// The largest leaves 8 KiB for fields, key, headers and the batch around it: its batch fits 1 MiB.
fn padding(draw: &mut Draw) -> u32 {
    const LARGEST: u64 = (1 << 20) - (8 << 10);
    match draw.below(10_000) {
        0 => small(draw, LARGEST - (256 << 10)) + (256 << 10),
        1..=100 => 64 << 10,
        _ => small(draw, 1_800),
    }
}

fn small(draw: &mut Draw, bound: u64) -> u32 {
    u32::try_from(draw.below(bound)).expect("bounds of the storefront have 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(seed: u64) -> Workload {
        Workload {
            seed,
            records: 50_000,
            keys: 100,
            partitions: 4,
            start_ms: 1_795_000_000_000,
        }
    }

    #[test]
    fn an_event_is_decided_by_seed_and_number() {
        let (a, b, other) = (workload(1), workload(1), workload(2));
        let [a, b, other] = [a, b, other].map(Storefront::new);
        let all = |world: &Storefront| -> Vec<_> {
            (0..100)
                .map(|n| (world.key(n), world.attributes(n), world.id(n)))
                .collect()
        };
        assert_eq!(all(&a), all(&b));
        assert_ne!(all(&a), all(&other));
    }

    #[test]
    fn sizes_mix_and_the_largest_fits_one_mebibyte() {
        let world = Storefront::new(workload(5));
        let sizes: Vec<_> = (0..50_000).map(|n| world.attributes(n).padding).collect();
        let large = sizes.iter().filter(|size| **size == 64 << 10).count();
        let huge = sizes.iter().filter(|size| **size > 64 << 10).count();
        assert!((400..600).contains(&large), "{large}");
        assert!((1..20).contains(&huge), "{huge}");
        assert!(sizes.iter().all(|size| *size < (1 << 20) - (8 << 10)));
    }

    #[test]
    fn keys_are_read_back() {
        assert_eq!(key_number(&key_name(77)), Some(77));
        assert_eq!(key_number("someone"), None);
    }
}
