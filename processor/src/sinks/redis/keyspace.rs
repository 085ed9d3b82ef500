//! Names of the keys of one pipeline; all share one hash tag, so that they live on one node.
//! Layer: core
//!
//! | key | type | what |
//! | --- | --- | --- |
//! | `{penstock/NAMESPACE/NAME}:sentinel` | string | drawn when the first process met an empty server |
//! | `…:lane:STAGE:TOPIC/PARTITION` | hash | `g` generation, `f` floor of a counting stage |
//! | `…:applied:STAGE:TOPIC/PARTITION` | sorted set | offsets applied at or above the floor |
//! | `…:counter:SINK:COLLECTION:ID` | hash | counters by field; the empty field is the version |
//! | `…:dirty:SINK` | set | `COLLECTION:ID` of the counters not flushed yet |
//! | `…:flusher:SINK` | string | who flushes now, for about one interval |
//! | `…:set:SET` | set | members of one set in one window |

use std::fmt::Display;

/// Builds the keys of one pipeline.
#[derive(Clone, Debug)]
pub struct Keyspace(String);

impl Keyspace {
    /// The keys of the pipeline of this namespace and name.
    #[must_use]
    pub fn new(namespace: impl Display, name: impl Display) -> Self {
        Self(format!("{{penstock/{namespace}/{name}}}"))
    }

    /// Tells whether the server still has what was written to it.
    #[must_use]
    pub fn sentinel(&self) -> String {
        format!("{}:sentinel", self.0)
    }

    /// What a counting stage knows of a partition, and the offsets it has applied.
    pub(super) fn lane(&self, stage: &str, topic: &str, partition: i32) -> [String; 2] {
        let tag = &self.0;
        [
            format!("{tag}:lane:{stage}:{topic}/{partition}"),
            format!("{tag}:applied:{stage}:{topic}/{partition}"),
        ]
    }

    /// The counters of one document.
    #[must_use]
    pub fn counter(&self, sink: &str, member: &str) -> String {
        format!("{}:counter:{sink}:{member}", self.0)
    }

    /// The counters that are not flushed yet.
    #[must_use]
    pub fn dirty(&self, sink: &str) -> String {
        format!("{}:dirty:{sink}", self.0)
    }

    /// Who flushes.
    pub(super) fn flusher(&self, sink: &str) -> String {
        format!("{}:flusher:{sink}", self.0)
    }

    /// The members of a set.
    #[must_use]
    pub fn set(&self, set: &str) -> String {
        format!("{}:set:{set}", self.0)
    }
}

/// A document's name in a set of dirty counters.
pub(super) fn member(collection: &str, id: &str) -> String {
    format!("{collection}:{id}")
}

/// Collection and id of a member; names of collections have no colon.
pub(super) fn document(member: &str) -> Option<(&str, &str)> {
    member.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hash_tag_holds_all_keys_of_a_pipeline() {
        let keys = Keyspace::new("shop", "storefront");
        let [lane, applied] = keys.lane("product-stats", "events", 3);
        let all = [
            keys.sentinel(),
            lane,
            applied,
            keys.counter("store", &member("products", "a:{b}")),
            keys.dirty("store"),
            keys.flusher("store"),
            keys.set("shop-7:2026-W47"),
        ];
        for key in &all {
            let tag = key.split(['{', '}']).nth(1);
            assert_eq!(tag, Some("penstock/shop/storefront"), "{key}");
        }
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_member_names_its_document_whatever_the_id() {
        assert_eq!(
            document(&member("products", "a:b")),
            Some(("products", "a:b"))
        );
    }
}
