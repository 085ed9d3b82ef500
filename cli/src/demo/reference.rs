//! What the sinks must hold: the storefront pipeline once more, one record after the other.
//! Layer: core
//!
//! It shares no code with the processor and reads no sink; the log of delivered records alone
//! decides. What the pipeline does, in its own words: the first record of an id goes through all
//! stages, a later one ends at `index`; what is no JSON or has no id is a dead letter; a record
//! without a key is indexed and then a dead letter, because no visit can be addressed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    calendar,
    generator::{Draft, Kind},
    log::Log,
    storefront::{self, Storefront},
};

/// Document of one key in `visits`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Timestamp of the first event, milliseconds.
    pub first_seen: i64,
    /// Number of the first event.
    pub first_event: u32,
    /// Timestamp of the last event, milliseconds.
    pub last_seen: i64,
    /// Sequence of the last event.
    pub last_sequence: u32,
    /// Campaign of the last event that an ad led to.
    pub campaign: Option<u32>,
    /// Events seen.
    pub events: u32,
}

impl Visit {
    /// The document as the sink must hold it.
    #[must_use]
    pub fn document(&self, storefront: &Storefront) -> Value {
        let mut body = json!({
            "firstSeen": self.first_seen,
            "firstEvent": storefront.id(self.first_event),
            "lastSeen": self.last_seen,
            "lastSequence": self.last_sequence,
            "events": self.events,
        });
        if let Some(campaign) = self.campaign {
            body["campaign"] = json!(format!("campaign-{campaign}"));
        }
        body
    }
}

/// Document of one key in `customers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// Which address the last order named.
    pub address: u32,
    /// Cents paid in all orders.
    pub spent_cents: i64,
    /// Orders.
    pub orders: u32,
}

impl Customer {
    /// The document as the sink must hold it.
    #[must_use]
    pub fn document(&self, key: u32) -> Value {
        json!({
            "email": storefront::email(key, self.address),
            "spentCents": self.spent_cents,
            "orders": self.orders,
        })
    }
}

/// Counters of one product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    /// Events that name it.
    pub views: i64,
    /// Cents paid for it.
    pub revenue_cents: i64,
}

/// A visitor of a shop in an ISO week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// ISO week, `year * 100 + week`.
    pub week: u32,
    /// Shop.
    pub shop: u32,
    /// Customer.
    pub key: u32,
}

impl Member {
    /// Name of the set that holds the member.
    #[must_use]
    pub fn set_name(&self) -> String {
        format!("shop-{}:{}", self.shop, calendar::week_name(self.week))
    }
}

/// The expected tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// By key; `None` where a key had no event.
    pub visits: Vec<Option<Visit>>,
    /// By key; `None` where a key had no order.
    pub customers: Vec<Option<Customer>>,
    /// By product.
    pub products: BTreeMap<u32, Product>,
    /// Sorted, each once.
    pub members: Vec<Member>,
    /// Records that end at `index`.
    pub duplicates: u64,
    /// Records that end in the dead-letter topic.
    pub dead_letters: u64,
}

impl Reference {
    /// Runs the pipeline over the log.
    #[must_use]
    pub fn of(storefront: &Storefront, log: &Log) -> Self {
        let keys = storefront.workload().keys.max(1) as usize;
        let (visits, customers) = (vec![None; keys], vec![None; keys]);
        let mut reference = Self {
            visits,
            customers,
            ..Self::default()
        };
        for (_, _, draft) in log.iter() {
            match draft.kind {
                Kind::Event => reference.event(storefront, draft),
                Kind::Duplicate => reference.duplicates += 1,
                Kind::NullKey | Kind::BrokenJson | Kind::EmptyValue | Kind::NoId => {
                    reference.dead_letters += 1;
                }
            }
        }
        reference.members.sort_unstable();
        reference.members.dedup();
        reference
    }

    fn event(&mut self, storefront: &Storefront, draft: &Draft) {
        let event = storefront.attributes(draft.number);
        let key = draft.key as usize;

        let visit = self.visits[key].get_or_insert_with(|| Visit {
            first_seen: event.timestamp_ms,
            first_event: draft.number,
            ..Visit::default()
        });
        visit.last_seen = event.timestamp_ms;
        visit.last_sequence = draft.sequence;
        visit.campaign = event.campaign.or(visit.campaign);
        visit.events += 1;

        let product = self.products.entry(event.product).or_default();
        product.views += 1;
        if let Some(cents) = event.amount_cents {
            product.revenue_cents += cents;
            let customer = self.customers[key].get_or_insert_default();
            customer.address = event.address;
            customer.spent_cents += cents;
            customer.orders += 1;
        }

        let week = calendar::iso_week(event.timestamp_ms);
        self.members.push(Member {
            week,
            shop: event.shop,
            key: draft.key,
        });
        self.shrink_members();
    }

    /// Repeated visitors are dropped now and then, so that memory follows the set, not the events.
    fn shrink_members(&mut self) {
        if self.members.len() == self.members.capacity() {
            self.members.sort_unstable();
            self.members.dedup();
            self.members.reserve(self.members.len().max(1 << 12));
        }
    }
}

#[cfg(test)]
mod tests;
