//! Groups against a naive model: nothing lost, nothing overtaken, nothing too large.
//! Layer: test

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const LIMITS: GroupLimits = GroupLimits {
    effects: 4,
    bytes: 100,
    linger: Duration::from_millis(2),
};

fn size(lane: u64, weight: usize) -> Size {
    let lane = Some(lane);
    Size { lane, weight }
}

fn offered(jobs: &[(u64, usize)]) -> Grouping<usize> {
    let mut grouping = Grouping::new(LIMITS);
    for (job, (lane, weight)) in jobs.iter().enumerate() {
        grouping.offer(size(*lane, *weight), job);
    }
    grouping
}

#[test]
fn a_document_is_in_a_group_once() {
    let mut grouping = offered(&[(1, 1), (2, 1), (1, 1), (3, 1), (1, 1)]);
    assert_eq!(grouping.take(), [0, 1, 3]);
    assert_eq!(grouping.take(), [2]);
    assert_eq!(grouping.take(), [4]);
    assert!(grouping.is_empty());
}

#[test]
fn what_does_not_fit_begins_the_next_group_and_is_not_overtaken() {
    let mut grouping = offered(&[(1, 60), (2, 60), (3, 10)]);
    assert!(!grouping.wants_more());
    assert_eq!(grouping.take(), [0]);
    assert_eq!(grouping.take(), [1, 2]);
}

#[test]
fn an_effect_larger_than_a_group_goes_alone() {
    let mut grouping = offered(&[(1, 500), (2, 1)]);
    assert_eq!(grouping.take(), [0]);
    assert_eq!(grouping.take(), [1]);
}

#[test]
fn what_goes_again_goes_before_what_came_later() {
    let mut grouping = offered(&[(1, 1), (2, 1), (1, 1)]);
    assert_eq!(grouping.take(), [0, 1]);
    grouping.again([(size(1, 1), 0)]);
    assert_eq!(grouping.take(), [0]);
    assert_eq!(grouping.take(), [2]);
}

#[test]
fn only_company_is_waited_for() {
    let now = Instant::now();
    let mut grouping = offered(&[(1, 1), (2, 1)]);
    assert_eq!(grouping.linger(now), now);
    grouping.take();
    assert_eq!(grouping.linger(now), now + LIMITS.linger);
    grouping.offer(size(1, 1), 9);
    grouping.take();
    assert_eq!(grouping.linger(now), now);
}

#[test]
fn a_refused_group_lowers_the_limit_for_good() {
    let mut grouping: Grouping<u8> = Grouping::new(GroupLimits {
        bytes: 1 << 20,
        ..LIMITS
    });
    grouping.too_large(512 << 10);
    assert_eq!(grouping.limits.bytes, 256 << 10);
    grouping.too_large(1 << 20);
    assert_eq!(grouping.limits.bytes, 256 << 10);
}

#[test]
fn a_busy_sink_is_left_alone_for_longer_each_time_and_never_for_long() {
    let mut grouping: Grouping<u8> = Grouping::new(LIMITS);
    assert_eq!(grouping.busy(0), FIRST_WAIT);
    assert_eq!(grouping.busy(0), FIRST_WAIT * 2);
    assert_eq!(grouping.busy(7), FIRST_WAIT * 4 + Duration::from_millis(7));
    for _ in 0..100 {
        assert!(grouping.busy(u64::MAX) < LONGEST_WAIT * 2);
    }
    grouping.calm();
    assert_eq!(grouping.busy(0), FIRST_WAIT);
}

/// One step of a shell.
#[derive(Clone, Debug)]
enum Step {
    Offer(u64, usize),
    /// Takes a group and hands those back whose place has a bit here.
    Take(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6_u64, 1..130_usize).prop_map(|(lane, weight)| Step::Offer(lane, weight)),
        1 => any::<u8>().prop_map(Step::Take),
    ];
    prop::collection::vec(step, 0..80)
}

/// What has been done in what order, by lane.
#[derive(Default)]
struct Model {
    offered: BTreeMap<u64, Vec<usize>>,
    done: BTreeMap<u64, Vec<usize>>,
}

fn take(
    grouping: &mut Grouping<(u64, usize, usize)>,
    model: &mut Model,
    back: u8,
) -> Result<(), TestCaseError> {
    let group = grouping.take();
    let weight: usize = group.iter().map(|(_, weight, _)| weight).sum();
    prop_assert!(group.len() <= LIMITS.effects);
    prop_assert!(group.len() == 1 || weight <= LIMITS.bytes);
    let lanes: BTreeSet<_> = group.iter().map(|(lane, ..)| lane).collect();
    prop_assert_eq!(lanes.len(), group.len());
    let mut again = Vec::new();
    for (place, job) in group.into_iter().enumerate() {
        if back & (1 << place) == 0 {
            model.done.entry(job.0).or_default().push(job.2);
        } else {
            again.push((size(job.0, job.1), job));
        }
    }
    grouping.again(again);
    Ok(())
}

proptest! {
    #[test]
    fn every_lane_goes_in_its_order_and_whole(steps in steps()) {
        let mut grouping = Grouping::new(LIMITS);
        let mut model = Model::default();
        for (job, step) in steps.into_iter().enumerate() {
            match step {
                Step::Offer(lane, weight) => {
                    model.offered.entry(lane).or_default().push(job);
                    grouping.offer(size(lane, weight), (lane, weight, job));
                }
                Step::Take(back) => take(&mut grouping, &mut model, back)?,
            }
        }
        while !grouping.is_empty() {
            take(&mut grouping, &mut model, 0)?;
        }
        prop_assert_eq!(model.offered, model.done);
    }
}
