//! What a run of the storefront on real stores stands on.
//! Layer: shell

use std::{net::Ipv4Addr, path::Path};

use super::pipeline::Doors;
use crate::{
    fleet::Program,
    kafka::Broker,
    services::{Service, ServiceError, Store, start_all},
};

/// The stores, all running.
pub(crate) struct Stores {
    pub(crate) elasticsearch: Service,
    pub(crate) opensearch: Service,
    pub(crate) mongodb: Service,
    pub(crate) redis: Service,
}

impl Stores {
    /// Starts them at once.
    pub(crate) fn start() -> Result<Self, ServiceError> {
        let services: Result<[Service; 4], _> =
            start_all(Ipv4Addr::LOCALHOST, &Store::ALL)?.try_into();
        let [elasticsearch, opensearch, mongodb, redis] =
            services.unwrap_or_else(|_| unreachable!("one for each store"));
        Ok(Self {
            elasticsearch,
            opensearch,
            mongodb,
            redis,
        })
    }

    /// Every one.
    pub(crate) fn all(&self) -> [&Service; 4] {
        [
            &self.elasticsearch,
            &self.opensearch,
            &self.mongodb,
            &self.redis,
        ]
    }
}

/// The stores of one pipeline.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) search: &'a Service,
    pub(crate) mongodb: &'a Service,
    pub(crate) redis: &'a Service,
}

impl Places<'_> {
    /// Where a pipeline finds them, and the broker.
    pub(crate) fn doors(&self, kafka: &str) -> Doors {
        Doors {
            kafka: kafka.to_owned(),
            search: self.search.address(),
            mongodb: self.mongodb.address(),
            redis: self.redis.address(),
        }
    }
}

/// Where scenarios run.
pub(crate) struct Ground<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) stores: &'a Stores,
    pub(crate) program: &'a Program,
    pub(crate) folder: &'a Path,
    pub(crate) seed: u64,
}
