//! How the systems of an object are reached: addresses, and where their Secrets are mounted.
//! Layer: shell

use std::path::{Path, PathBuf};

use penstock_crds::pipeline::{ElasticsearchSink, MongodbSink, RedisSink, SecretFile, SinkTls};

use super::{
    elasticsearch::ElasticsearchSettings,
    mongodb::{MongodbSettings, MongodbTls},
    redis::settings::{RedisServer, RedisTls},
    secret::Secret,
};

/// An Elasticsearch or OpenSearch cluster.
#[must_use]
pub fn search_cluster(body: &ElasticsearchSink, secrets: &Path) -> ElasticsearchSettings {
    let secret = body.secret.as_ref();
    ElasticsearchSettings {
        urls: body.urls.iter().map(ToString::to_string).collect(),
        secret: secret.map(|name| Secret::of(secrets, name.as_str())),
        ca: authority(body.tls.as_ref(), secrets),
    }
}

/// A MongoDB deployment.
#[must_use]
pub fn document_store(body: &MongodbSink, secrets: &Path) -> MongodbSettings {
    let secret = body.secret.as_ref();
    MongodbSettings {
        hosts: body.hosts.iter().map(ToString::to_string).collect(),
        database: body.database.to_string(),
        replica_set: body.replica_set.as_ref().map(ToString::to_string),
        auth_source: body.auth_source.as_ref().map(ToString::to_string),
        secret: secret.map(|name| Secret::of(secrets, name.as_str())),
        tls: body.tls.as_ref().map(|tls| MongodbTls {
            ca: authority(Some(tls), secrets),
        }),
    }
}

/// A Redis server.
#[must_use]
pub fn counter_store(body: &RedisSink, secrets: &Path) -> RedisServer {
    let (host, port) = body.address.parts();
    RedisServer {
        host: host.to_owned(),
        port,
        database: body.database,
        credentials: body.secret.as_ref().map(|name| secrets.join(name.as_str())),
        tls: body.tls.as_ref().map(|tls| RedisTls {
            authority: tls.authority.as_ref().map(|file| place(file, secrets)),
        }),
    }
}

fn authority(tls: Option<&SinkTls>, secrets: &Path) -> Option<(Secret, String)> {
    let file = tls?.authority.as_ref()?;
    let secret = Secret::of(secrets, file.secret.as_str());
    Some((secret, file.key.to_string()))
}

fn place(file: &SecretFile, secrets: &Path) -> PathBuf {
    secrets.join(file.secret.as_str()).join(file.key.as_str())
}
