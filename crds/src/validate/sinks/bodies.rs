//! Judges the body of one sink.
//! Layer: core

use std::path::{Component, PathBuf};

use crate::{
    event_pipeline::{ElasticsearchSpec, EmbeddedSpec, MongodbSpec, RedisSpec},
    fault::Collector,
    names::{Address, BaseUrl, DatabaseName, ReplicaSetName, shown},
    pipeline::{ElasticsearchSink, MongodbSink, RedisSink, SinkBody},
    validate::security,
};

pub(super) fn from_elasticsearch(
    path: &str,
    written: &ElasticsearchSpec,
    faults: &mut Collector,
) -> Option<SinkBody> {
    let secret = security::secret(path, written.secret_ref.as_ref(), faults);
    let tls = security::sink_tls(path, written.tls.as_ref(), faults);
    let mut urls = Vec::with_capacity(written.urls.len());
    for (at, text) in written.urls.iter().enumerate() {
        let at = format!("{path}.urls[{at}]");
        if written.tls.is_some() && text.starts_with("http://") {
            let message = format!("{} is plain text beside tls: use https://", shown(text));
            faults.add(at.clone(), message);
        }
        urls.push(faults.keep(at, BaseUrl::parse(text)));
    }
    Some(SinkBody::Elasticsearch(ElasticsearchSink {
        urls: urls.into_iter().collect::<Option<_>>()?,
        secret: secret?,
        tls: tls?,
    }))
}

pub(super) fn from_mongodb(
    path: &str,
    written: &MongodbSpec,
    faults: &mut Collector,
) -> Option<SinkBody> {
    let secret = security::secret(path, written.secret_ref.as_ref(), faults);
    let tls = security::sink_tls(path, written.tls.as_ref(), faults);
    let hosts = written.hosts.iter().enumerate();
    let hosts: Vec<_> = hosts
        .map(|(at, text)| faults.keep(format!("{path}.hosts[{at}]"), Address::parse(text)))
        .collect();
    let database = DatabaseName::parse(&written.database);
    let database = faults.keep(format!("{path}.database"), database);
    let replica_set = written.replica_set.as_deref().map(ReplicaSetName::parse);
    let replica_set = replica_set.map(|own| faults.keep(format!("{path}.replicaSet"), own));
    let auth_source = written.auth_source.as_deref().map(DatabaseName::parse);
    let auth_source = auth_source.map(|own| faults.keep(format!("{path}.authSource"), own));
    if written.auth_source.is_some() && written.secret_ref.is_none() {
        let message = "without secretRef there is no user to look for: leave it out";
        faults.add(format!("{path}.authSource"), message);
    }
    Some(SinkBody::Mongodb(MongodbSink {
        hosts: hosts.into_iter().collect::<Option<_>>()?,
        database: database?,
        replica_set: replica_set.flatten(),
        auth_source: auth_source.flatten(),
        secret: secret?,
        tls: tls?,
    }))
}

pub(super) fn from_redis(
    path: &str,
    written: &RedisSpec,
    faults: &mut Collector,
) -> Option<SinkBody> {
    let secret = security::secret(path, written.secret_ref.as_ref(), faults);
    let tls = security::sink_tls(path, written.tls.as_ref(), faults);
    let address = faults.keep(format!("{path}.address"), Address::parse(&written.address));
    Some(SinkBody::Redis(RedisSink {
        address: address?,
        database: written.database.unwrap_or(0),
        secret: secret?,
        tls: tls?,
    }))
}

pub(super) fn from_embedded(
    path: &str,
    written: &EmbeddedSpec,
    faults: &mut Collector,
) -> Option<SinkBody> {
    let file = PathBuf::from(&written.path);
    let climbs = file.components().any(|part| part == Component::ParentDir);
    let text = &written.path;
    if text.is_empty() || text.len() > 4096 || text.contains('\0') || climbs || text.ends_with('/')
    {
        let legal = "1 to 4096 bytes, without .. and not a directory, such as store.db";
        faults.add(
            format!("{path}.path"),
            format!("{} is not a file: {legal}", shown(text)),
        );
        return None;
    }
    Some(SinkBody::Embedded { path: file })
}
