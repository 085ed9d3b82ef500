//! What a run of the storefront on real stores stands on.
//! Layer: shell

use std::path::Path;

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
        let services: Result<[Service; 4], _> = start_all(&Store::ALL)?.try_into();
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

/// Where scenarios run.
pub(crate) struct Ground<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) stores: &'a Stores,
    pub(crate) program: &'a Program,
    pub(crate) folder: &'a Path,
    pub(crate) seed: u64,
}
