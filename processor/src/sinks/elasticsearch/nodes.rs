//! Which of the declared addresses is asked next: in turn, those that failed later.
//! Layer: core

use std::time::{Duration, Instant};

/// First time for which a failed address is left out; doubled with each failure in a row.
const FIRST: Duration = Duration::from_secs(1);
/// Longest such time.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Node {
    failures: u32,
    /// Left out until then.
    until: Option<Instant>,
}

/// State of every address; at least one.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    next: usize,
}

impl Nodes {
    /// All of `count` addresses are good.
    pub(super) fn new(count: usize) -> Self {
        Self {
            nodes: std::iter::repeat_with(Node::default)
                .take(count.max(1))
                .collect(),
            next: 0,
        }
    }

    /// The addresses in the order in which one request tries them: the good ones in turn, then
    /// those left out, soonest first. None is ever out of the question, for there may be no other.
    pub(super) fn order(&mut self, now: Instant) -> Vec<usize> {
        let count = self.nodes.len();
        let first = self.next;
        self.next = (first + 1) % count;
        let left_out = |at: &usize| self.nodes[*at].until.filter(|until| *until > now);
        let mut order: Vec<_> = (0..count).map(|step| (first + step) % count).collect();
        order.sort_by_key(|at| left_out(at));
        order
    }

    /// It answered.
    pub(super) fn succeeded(&mut self, at: usize) {
        self.nodes[at] = Node::default();
    }

    /// It did not answer, or said that it cannot.
    pub(super) fn failed(&mut self, at: usize, now: Instant) {
        let node = &mut self.nodes[at];
        let wait = FIRST
            .saturating_mul(1 << node.failures.min(16))
            .min(LONGEST);
        node.failures = node.failures.saturating_add(1);
        node.until = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_take_turns_and_failed_ones_come_last() {
        let now = Instant::now();
        let mut nodes = Nodes::new(3);
        assert_eq!(nodes.order(now), [0, 1, 2]);
        assert_eq!(nodes.order(now), [1, 2, 0]);
        nodes.failed(0, now);
        nodes.failed(0, now);
        nodes.failed(2, now);
        assert_eq!(nodes.order(now), [1, 2, 0]);
        assert_eq!(nodes.order(now), [1, 2, 0]);
        let later = now + FIRST;
        assert_eq!(nodes.order(later), [1, 2, 0]);
        assert_eq!(nodes.order(later), [2, 1, 0]);
        nodes.succeeded(0);
        assert_eq!(nodes.order(now), [0, 1, 2]);
    }

    #[test]
    fn an_only_address_is_always_asked() {
        let now = Instant::now();
        let mut nodes = Nodes::new(1);
        for _ in 0..100 {
            nodes.failed(0, now);
        }
        assert_eq!(nodes.order(now), [0]);
        assert_eq!(nodes.nodes[0].until, Some(now + LONGEST));
    }
}
