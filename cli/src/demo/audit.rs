//! Holds what the sinks say against the reference, row by row.
//! Layer: core
//!
//! Rows may come in any order of tables; the rows of `events` must come in the order in which the
//! sink inserted them, for that is the order that a key's records were processed in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    bits::{Bits, Marked},
    generator::{Draft, Kind},
    log::Log,
    reference::{Member, Reference},
    storefront::{self, Storefront},
};

/// A row of the index.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    /// Index name.
    pub index: &'a str,
    /// Event id.
    pub id: &'a str,
    /// Partition of the record behind it.
    pub partition: i32,
    /// Offset of the record behind it.
    pub offset: i64,
}

/// What came of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records without their outcome: not in the index, or not in the dead-letter topic.
    pub lost: u64,
    /// Keys with a record that was indexed after a later one of the same key.
    pub out_of_order: u64,
    /// Records found to repeat the id of another.
    pub duplicates: u64,
    /// Records found in the dead-letter topic, each counted once.
    pub dead_lettered: u64,
    /// Records that were processed again after a crash, as the sink counted them.
    pub repeated: u64,
    /// Rows that differ from the reference, are missing, or are too many.
    pub mismatches: u64,
    /// The first few findings in words, without payload.
    pub examples: Vec<String>,
}

/// Examples that are kept.
const EXAMPLES: usize = 10;

/// A comparison under way.
pub struct Audit<'a> {
    storefront: &'a Storefront,
    log: &'a Log,
    reference: &'a Reference,
    starts: Vec<usize>,
    indexed: Bits,
    repeats: Bits,
    dead: Bits,
    newest: Vec<i64>,
    disordered: Bits,
    visits: Bits,
    customers: Bits,
    counters: BTreeMap<(u32, Counter), i64>,
    members: Bits,
    repeated: BTreeMap<String, u64>,
    findings: Findings,
}

/// The counters of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counter {
    Views,
    RevenueCents,
}

impl<'a> Audit<'a> {
    /// A comparison that has seen no row.
    #[must_use]
    pub fn new(storefront: &'a Storefront, log: &'a Log, reference: &'a Reference) -> Self {
        let mut starts = Vec::new();
        let mut records = 0;
        for end in log.ends() {
            starts.push(records);
            records += usize::try_from(end).expect("offsets of the log are not negative");
        }
        let keys = reference.visits.len();
        Self {
            storefront,
            log,
            reference,
            starts,
            indexed: Bits::new(records),
            repeats: Bits::new(records),
            dead: Bits::new(records),
            newest: vec![-1; keys],
            disordered: Bits::new(keys),
            visits: Bits::new(keys),
            customers: Bits::new(keys),
            counters: BTreeMap::new(),
            members: Bits::new(reference.members.len()),
            repeated: BTreeMap::new(),
            findings: Findings::default(),
        }
    }

    /// A row of `events`, in the order of insertion.
    pub fn event(&mut self, row: &EventRow<'_>) {
        let Some(draft) = self.log.get(row.partition, row.offset) else {
            return self.mismatch(|| format!("event {} of no record", place(row)));
        };
        if !draft.kind.is_indexed() {
            return self.mismatch(|| format!("event {} of a {:?} record", place(row), draft.kind));
        }
        let timestamp_ms = self.storefront.attributes(draft.number).timestamp_ms;
        if self.storefront.id(draft.number) != row.id
            || storefront::index_name(timestamp_ms) != row.index
        {
            return self.mismatch(|| format!("event {} under a wrong id or index", place(row)));
        }
        if self.indexed.mark(self.slot(row.partition, row.offset)) == Marked::Again {
            return self.mismatch(|| format!("event {} twice", place(row)));
        }
        self.follow_key(draft, row.offset);
    }

    fn follow_key(&mut self, draft: &Draft, offset: i64) {
        let key = draft.key as usize;
        if draft.kind == Kind::NullKey {
            return;
        }
        if offset > self.newest[key] {
            self.newest[key] = offset;
        } else if self.disordered.mark(key) == Marked::First {
            self.example(|| format!("key {key}: offset {offset} was indexed late"));
        }
    }

    /// A row of `duplicates`.
    pub fn duplicate(&mut self, partition: i32, offset: i64) {
        match self.log.get(partition, offset).map(|draft| draft.kind) {
            Some(Kind::Duplicate) => {
                self.repeats.mark(self.slot(partition, offset));
            }
            other => self
                .mismatch(|| format!("duplicate at {partition}/{offset}, produced was {other:?}")),
        }
    }

    /// A record of the dead-letter topic; the same one may come again after a crash.
    pub fn dead_letter(&mut self, partition: i32, offset: i64) {
        match self.log.get(partition, offset).map(|draft| draft.kind) {
            Some(kind) if kind.is_dead_letter() => {
                self.dead.mark(self.slot(partition, offset));
            }
            other => self
                .mismatch(|| format!("dead letter {partition}/{offset}, produced was {other:?}")),
        }
    }

    /// A row of `documents`.
    pub fn document(&mut self, collection: &str, id: &str, body: &Value) {
        let key = storefront::key_number(id).filter(|key| (*key as usize) < self.newest.len());
        let Some(key) = key else {
            return self.mismatch(|| format!("{collection} of an unknown key"));
        };
        let slot = key as usize;
        let (expected, marked) = match collection {
            "visits" => {
                let visit = self.reference.visits[slot].as_ref();
                (
                    visit.map(|visit| visit.document(self.storefront)),
                    self.visits.mark(slot),
                )
            }
            "customers" => {
                let customer = self.reference.customers[slot].as_ref();
                (
                    customer.map(|customer| customer.document(key)),
                    self.customers.mark(slot),
                )
            }
            _ => return self.mismatch(|| format!("unknown collection {collection}")),
        };
        if marked == Marked::Again || expected.as_ref() != Some(body) {
            let fields = differing(expected.as_ref(), body);
            self.mismatch(|| format!("{collection} of key {key} differs in {fields}"));
        }
    }

    /// A row of `counters`.
    pub fn counter(&mut self, collection: &str, id: &str, field: &str, value: i64) {
        let counter = match field {
            "views" => Some(Counter::Views),
            "revenueCents" => Some(Counter::RevenueCents),
            _ => None,
        };
        let product = id
            .strip_prefix("product-")
            .and_then(|digits| digits.parse::<u32>().ok());
        let (Some(counter), Some(product), "products") = (counter, product, collection) else {
            return self.mismatch(|| format!("unknown counter {field} in {collection}"));
        };
        if self.counters.insert((product, counter), value).is_some() {
            self.mismatch(|| format!("{field} of product {product} twice"));
        }
    }

    /// A row of `members`.
    pub fn member(&mut self, set: &str, member: &[u8]) {
        let found = parse_member(set, member)
            .and_then(|member| self.reference.members.binary_search(&member).ok());
        match found {
            Some(slot) => {
                if self.members.mark(slot) == Marked::Again {
                    self.mismatch(|| format!("a member of {set} twice"));
                }
            }
            None => self.mismatch(|| format!("a member of {set} that never came")),
        }
    }

    /// A row of `redelivered`: effects of a stage that an earlier delivery had applied.
    pub fn redelivered(&mut self, stage: &str, count: u64) {
        *self.repeated.entry(stage.to_owned()).or_default() += count;
    }

    /// What the rows amount to, now that all have come.
    #[must_use]
    pub fn finish(mut self) -> Findings {
        self.missing_records();
        self.missing_documents();
        self.compare_counters();
        let absent = self.reference.members.len() as u64 - self.members.count();
        self.add_missing(absent, "members of sets");
        // every repeated record passes all stages before the one it had reached: the largest count
        // of one stage is the number of records
        let repeated = self.repeated.values().copied().max().unwrap_or(0);
        Findings {
            out_of_order: self.disordered.count(),
            duplicates: self.repeats.count(),
            dead_lettered: self.dead.count(),
            repeated,
            ..self.findings
        }
    }

    fn missing_records(&mut self) {
        let log = self.log;
        for (partition, offset, draft) in log.iter() {
            let slot = self.slot(partition, offset);
            let lost = (draft.kind.is_indexed() && !self.indexed.is_marked(slot))
                || (draft.kind.is_dead_letter() && !self.dead.is_marked(slot));
            if lost {
                self.findings.lost += 1;
                self.example(|| format!("lost: {partition}/{offset}, a {:?} record", draft.kind));
            }
        }
        let absent = self.reference.duplicates - self.repeats.count();
        self.add_missing(absent, "duplicates");
    }

    fn missing_documents(&mut self) {
        let reference = self.reference;
        let visits = absent(&reference.visits, &self.visits);
        self.add_missing(visits, "visits");
        let customers = absent(&reference.customers, &self.customers);
        self.add_missing(customers, "customers");
    }

    fn compare_counters(&mut self) {
        let mut expected = BTreeMap::new();
        for (product, totals) in &self.reference.products {
            expected.insert((*product, Counter::Views), totals.views);
            expected.insert((*product, Counter::RevenueCents), totals.revenue_cents);
        }
        // a counter that nothing was added to may be absent
        expected.retain(|_, total| *total != 0);
        let mut found = std::mem::take(&mut self.counters);
        found.retain(|_, value| *value != 0);
        for ((product, counter), total) in &expected {
            let value = found.remove(&(*product, *counter)).unwrap_or(0);
            if value != *total {
                self.mismatch(|| {
                    format!("{counter:?} of product {product} is {value}, expected {total}")
                });
            }
        }
        for ((product, counter), value) in found {
            self.mismatch(|| format!("{counter:?} of product {product} is {value}, expected none"));
        }
    }

    fn add_missing(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.findings.mismatches += count;
            self.example(|| format!("{count} {what} are missing"));
        }
    }

    fn mismatch(&mut self, words: impl FnOnce() -> String) {
        self.findings.mismatches += 1;
        self.example(words);
    }

    fn example(&mut self, words: impl FnOnce() -> String) {
        if self.findings.examples.len() < EXAMPLES {
            self.findings.examples.push(words());
        }
    }

    /// Number of a record among all; the log has it.
    fn slot(&self, partition: i32, offset: i64) -> usize {
        let within = usize::try_from(offset).expect("offsets of the log are not negative");
        let partition = usize::try_from(partition).expect("partitions are not negative");
        self.starts[partition] + within
    }
}

fn place(row: &EventRow<'_>) -> String {
    format!("{}/{}", row.partition, row.offset)
}

fn absent<T>(expected: &[Option<T>], found: &Bits) -> u64 {
    let missing = (0..expected.len()).filter(|i| expected[*i].is_some() && !found.is_marked(*i));
    missing.count() as u64
}

/// Names of the fields that differ; values are payload and stay out.
fn differing(expected: Option<&Value>, body: &Value) -> String {
    let (Some(Value::Object(expected)), Value::Object(body)) = (expected, body) else {
        return "existence".to_owned();
    };
    let fields = expected
        .keys()
        .chain(body.keys().filter(|name| !expected.contains_key(*name)));
    let names: Vec<_> = fields
        .filter(|name| expected.get(*name) != body.get(*name))
        .collect();
    format!("{names:?}")
}

/// Reads `shop-7:2026-W47` and the key.
fn parse_member(set: &str, member: &[u8]) -> Option<Member> {
    let (shop, week) = set.strip_prefix("shop-")?.split_once(':')?;
    let (year, week) = week.split_once("-W")?;
    let week = year.parse::<u32>().ok()?.checked_mul(100)? + week.parse::<u32>().ok()?;
    let key = storefront::key_number(std::str::from_utf8(member).ok()?)?;
    Some(Member {
        week,
        shop: shop.parse().ok()?,
        key,
    })
}
