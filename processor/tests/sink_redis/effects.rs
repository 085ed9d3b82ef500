//! Sinks and effects for the tests.
//! Layer: test

use std::{sync::Arc, time::Duration};

use penstock_processor::{
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Action, Effect, Provenance, Retention,
        flush_target::FlushTarget,
        redis::{
            Redis,
            settings::{FlushRoute, RedisServer, RedisSettings},
        },
    },
};

use crate::server::Server;

/// Counters per batch in the tests: small, so that there are many batches.
pub(crate) const BATCH: usize = 10;

pub(crate) fn settings(server: &Server, target: Arc<dyn FlushTarget>) -> RedisSettings {
    RedisSettings {
        server: server.address.clone(),
        keyspace: server.keyspace.clone(),
        connections: 2,
        queue_bytes: 4 << 20,
        routes: vec![FlushRoute {
            stages: vec![Arc::from("stats")],
            sink: Arc::from("store"),
            target,
            // Longer than any test: they flush when they want to.
            interval: Duration::from_secs(3600),
            batch_keys: BATCH,
            batch_bytes: 64 << 10,
            lifetime: Duration::from_secs(3600),
        }],
    }
}

pub(crate) fn open(server: &Server, target: Arc<dyn FlushTarget>) -> Redis {
    Redis::open(settings(server, target))
}

/// The same through another address.
pub(crate) fn open_at(
    server: &Server,
    address: RedisServer,
    target: Arc<dyn FlushTarget>,
) -> Redis {
    Redis::open(RedisSettings {
        server: address,
        ..settings(server, target)
    })
}

pub(crate) fn at(partition: i32, offset: i64, floor: i64) -> Provenance {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition,
    };
    Provenance {
        generation: 0,
        topic: Arc::from("events"),
        position: Position { partition, offset },
        floor,
    }
}

pub(crate) fn count(provenance: Provenance, id: &str, amounts: &[(&str, i64)]) -> Effect {
    let amount = |(field, amount): &(&str, i64)| (Arc::from(*field), *amount);
    Effect {
        stage: Arc::from("stats"),
        provenance,
        action: Action::Count {
            collection: Arc::from("products"),
            id: id.to_owned(),
            amounts: amounts.iter().map(amount).collect(),
        },
    }
}

pub(crate) fn unique(set: &str, member: &str, retention: Retention) -> Effect {
    Effect {
        stage: Arc::from("visitors"),
        provenance: at(0, 0, 0),
        action: Action::Unique {
            set: set.to_owned(),
            member: member.as_bytes().to_vec(),
            retention,
        },
    }
}
