//! What the handle and the workers share does: admit under one lock, release, list and wake.
//! Layer: shell

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering::SeqCst},
};

use super::{
    Admission, Admitted, Shared,
    partition::{Inner, Partition},
    ready::Pool,
    share::Share,
};
use crate::{
    dispatch::{
        engine::{Ahead, Engine, State},
        ledger::Released,
    },
    record::TopicPartition,
};

impl<T> Shared<T> {
    fn share(&self) -> Share {
        let budget = self.pod_bytes.load(SeqCst);
        Share {
            budget,
            partitions: self.assigned.load(SeqCst),
        }
    }

    /// What [`Shared::admit_into`] would admit, given offsets and charges.
    pub(super) fn room(&self, engine: &Engine<T>, records: &[(i64, u64)]) -> Admitted {
        let (share, mut pod) = (self.share(), *self.pod.lock());
        let mut ahead = Ahead::nothing(engine);
        for (index, &(offset, charge)) in records.iter().enumerate() {
            let obstacle = engine
                .obstacle_behind(&ahead, offset, charge)
                .or_else(|| share.obstacle(&pod, ahead.held(), charge));
            if obstacle.is_some() {
                return Admitted {
                    records: index,
                    stopped: obstacle,
                };
            }
            ahead.admit(offset, charge);
            pod.reserve(charge);
        }
        Admitted {
            records: records.len(),
            stopped: None,
        }
    }

    pub(super) fn admit_into(
        &self,
        engine: &mut Engine<T>,
        batch: &mut VecDeque<Admission<T>>,
    ) -> Admitted {
        engine.foresee(batch.iter().map(|record| record.key));
        let share = self.share();
        let mut pod = self.pod.lock();
        let mut records = 0;
        while let Some(Admission {
            offset,
            key,
            charge,
            payload,
        }) = batch.pop_front()
        {
            let result = match engine.obstacle(offset, charge) {
                None => share.obstacle(&pod, &engine.ledger(), charge),
                full => full,
            };
            if let Some(why) = result {
                batch.push_front(Admission {
                    offset,
                    key,
                    charge,
                    payload,
                });
                return Admitted {
                    records,
                    stopped: Some(why),
                };
            }
            let admitted = engine.admit(offset, key, charge, payload);
            debug_assert!(
                admitted.is_ok(),
                "nothing is in the way under the same lock"
            );
            pod.reserve(charge);
            records += 1;
        }
        Admitted {
            records,
            stopped: None,
        }
    }

    pub(super) fn release(&self, released: Released) {
        if released != Released::default() {
            self.pod.lock().release(released);
        }
    }

    /// Puts a lane that has work on its pool's ready list, once, and wakes one worker.
    pub(super) fn list(&self, partition: &Arc<Partition<T>>, inner: &mut Inner<T>, lane: u8) {
        if inner.must_list(lane) {
            self.pool_of(lane).push(partition, lane);
            self.pool_of(lane).wake_one();
        }
    }

    pub(super) fn list_all(&self, partition: &Arc<Partition<T>>, inner: &mut Inner<T>) {
        (0..self.lanes.count()).for_each(|lane| self.list(partition, inner, lane));
    }

    pub(super) fn pool_of(&self, lane: u8) -> &Pool<T> {
        &self.pools[usize::from(self.lanes.0[usize::from(lane)].0)]
    }

    /// Forgets partitions that are gone and counts those that share the pod's bytes.
    pub(super) fn count_assigned(
        &self,
        partitions: &mut BTreeMap<TopicPartition, Arc<Partition<T>>>,
    ) {
        partitions.retain(|_, partition| {
            let facts = partition.facts().engine;
            facts.state != State::Idle || facts.stale_records > 0
        });
        let assigned = partitions
            .values()
            .filter(|p| p.lock().engine.state() != State::Idle);
        let assigned = u32::try_from(assigned.count()).expect("partitions fit into 32 bits");
        self.assigned.store(assigned, SeqCst);
    }
}
