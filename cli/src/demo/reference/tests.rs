//! The reference against a naive pipeline that reads the bytes of the records, as a user would.
//! Layer: test

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};

use super::*;
use crate::demo::{
    generator::Generator,
    payload,
    storefront::{self, Workload},
};

/// Tables as plain JSON by id.
#[derive(Debug, Default, PartialEq)]
struct Naive {
    visits: BTreeMap<String, Map<String, Value>>,
    customers: BTreeMap<String, Map<String, Value>>,
    products: BTreeMap<String, (i64, i64)>,
    members: BTreeSet<(String, String)>,
    seen: HashSet<String>,
    duplicates: u64,
    dead_letters: u64,
}

impl Naive {
    fn record(&mut self, key: Option<&str>, value: &str, timestamp_ms: i64) {
        let Ok(event) = serde_json::from_str::<Value>(value) else {
            self.dead_letters += 1;
            return;
        };
        let Some(id) = event["id"].as_str() else {
            self.dead_letters += 1;
            return;
        };
        if !self.seen.insert(id.to_owned()) {
            self.duplicates += 1;
            return;
        }
        let Some(key) = key else {
            self.dead_letters += 1;
            return;
        };
        self.visit(key, &event, timestamp_ms);
        self.order(key, &event);
        let week = calendar::week_name(calendar::iso_week(timestamp_ms));
        let set = format!("{}:{week}", event["shop"].as_str().unwrap());
        self.members.insert((set, key.to_owned()));
    }

    fn visit(&mut self, key: &str, event: &Value, timestamp_ms: i64) {
        let visit = self.visits.entry(key.to_owned()).or_default();
        visit.entry("firstSeen").or_insert(timestamp_ms.into());
        visit.entry("firstEvent").or_insert(event["id"].clone());
        visit.insert("lastSeen".into(), timestamp_ms.into());
        visit.insert("lastSequence".into(), event["sequence"].clone());
        if event.get("ad").is_some() {
            visit.insert("campaign".into(), event["ad"]["campaign"].clone());
        }
        add(visit, "events", 1);
    }

    fn order(&mut self, key: &str, event: &Value) {
        let product = event["product"].as_str().unwrap();
        let counters = self.products.entry(product.to_owned()).or_default();
        counters.0 += 1;
        if event.get("customer").is_none() {
            return;
        }
        let cents = event["amountCents"].as_i64().unwrap();
        counters.1 += cents;
        let customer = self.customers.entry(key.to_owned()).or_default();
        customer.insert("email".into(), event["customer"]["email"].clone());
        add(customer, "spentCents", cents);
        add(customer, "orders", 1);
    }

    /// The reference in the same words.
    fn of(reference: &Reference, world: &Storefront) -> Self {
        let mut naive = Self {
            duplicates: reference.duplicates,
            dead_letters: reference.dead_letters,
            ..Self::default()
        };
        for (key, visit) in (0..).zip(&reference.visits) {
            let Some(visit) = visit else { continue };
            let body = visit.document(world);
            naive
                .visits
                .insert(storefront::key_name(key), body.as_object().unwrap().clone());
        }
        for (key, customer) in (0..).zip(&reference.customers) {
            let Some(customer) = customer else { continue };
            let body = customer.document(key);
            naive
                .customers
                .insert(storefront::key_name(key), body.as_object().unwrap().clone());
        }
        for (product, counters) in &reference.products {
            let counters = (counters.views, counters.revenue_cents);
            naive
                .products
                .insert(format!("product-{product}"), counters);
        }
        for member in &reference.members {
            naive
                .members
                .insert((member.set_name(), storefront::key_name(member.key)));
        }
        naive
    }
}

fn add(body: &mut Map<String, Value>, field: &str, amount: i64) {
    let before = body.get(field).and_then(Value::as_i64).unwrap_or(0);
    body.insert(field.to_owned(), json!(before + amount));
}

#[test]
fn agrees_with_a_naive_pipeline() {
    for seed in [1, 2, 3] {
        let workload = Workload {
            seed,
            records: 20_000,
            keys: 150,
            partitions: 3,
            start_ms: 1_795_000_000_000,
        };
        let world = Arc::new(Storefront::new(workload));
        let (mut log, mut naive, mut value) = (Log::new(3), Naive::default(), String::new());
        for draft in Generator::new(Arc::clone(&world)) {
            log.append(world.partition(draft.key), draft);
            payload::write_value(&world, &draft, &mut value);
            let key = (draft.kind != Kind::NullKey).then(|| storefront::key_name(draft.key));
            let timestamp = world.attributes(draft.number).timestamp_ms;
            naive.record(key.as_deref(), &value, timestamp);
        }
        naive.seen.clear();
        let reference = Reference::of(&world, &log);
        assert_eq!(Naive::of(&reference, &world), naive, "seed {seed}");
        assert!(
            naive.dead_letters > 0 && naive.duplicates > 0,
            "seed {seed}"
        );
    }
}
