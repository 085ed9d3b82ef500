//! The generator is deterministic, and its mix is what it says.
//! Layer: test

use std::collections::HashMap;

use super::*;
use crate::demo::storefront::Workload;

fn drafts(seed: u64, records: u32) -> Vec<Draft> {
    let workload = Workload {
        seed,
        records,
        keys: 200,
        partitions: 3,
        start_ms: 1_795_000_000_000,
    };
    Generator::new(Arc::new(Storefront::new(workload))).collect()
}

#[test]
fn the_seed_decides_every_record() {
    assert_eq!(drafts(42, 20_000), drafts(42, 20_000));
    assert_ne!(drafts(42, 20_000), drafts(43, 20_000));
}

#[test]
fn shares_of_the_kinds_are_as_stated() {
    let drafts = drafts(1, 200_000);
    let count = |wanted: fn(Kind) -> bool| drafts.iter().filter(|d| wanted(d.kind)).count();
    let duplicates = count(|kind| kind == Kind::Duplicate);
    let poison = count(|kind| kind.is_dead_letter() && kind != Kind::NullKey);
    let null_keys = count(|kind| kind == Kind::NullKey);
    assert!((1_800..2_200).contains(&duplicates), "{duplicates}");
    assert!((150..250).contains(&poison), "{poison}");
    assert!((2..25).contains(&null_keys), "{null_keys}");
}

#[test]
fn a_duplicate_follows_its_event_and_repeats_it() {
    let mut firsts = HashMap::new();
    for draft in drafts(9, 50_000) {
        if draft.kind == Kind::Duplicate {
            assert_eq!(
                firsts.get(&draft.number),
                Some(&(draft.key, draft.sequence))
            );
        } else {
            assert_eq!(
                firsts.insert(draft.number, (draft.key, draft.sequence)),
                None
            );
        }
    }
}

#[test]
fn sequences_of_a_key_count_up_from_one() {
    let mut last = HashMap::new();
    for draft in drafts(3, 50_000)
        .into_iter()
        .filter(|d| d.kind == Kind::Event)
    {
        let before = last.insert(draft.key, draft.sequence).unwrap_or(0);
        assert_eq!(draft.sequence, before + 1);
    }
}
