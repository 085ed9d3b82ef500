//! Looks at a deployment before it is used.
//! Layer: shell

use std::time::Instant;

use bson::{Document, rawdoc};

use super::{
    connection::{Connection, Failure},
    values::unavailable,
};
use crate::sinks::{SinkError, probe::Weakness};

/// Reachable, authenticated, and what weakens a promise.
pub(super) async fn look(
    connection: &Connection,
    deadline: Instant,
) -> Result<Vec<Weakness>, SinkError> {
    let hello = rawdoc! { "hello": 1 };
    let hello = connection.run(hello, deadline).await.map_err(told)?;
    // Answered only to those who may use the database, where the server asks who they are.
    let list = rawdoc! {
        "listCollections": 1,
        "nameOnly": true,
        "authorizedCollections": true,
        "cursor": { "batchSize": 1 },
    };
    connection.run(list, deadline).await.map_err(told)?;
    Ok(Vec::from_iter(alone(&hello)))
}

/// A server without a replica set.
fn alone(hello: &Document) -> Option<Weakness> {
    // The router of a sharded cluster calls itself so.
    let is_router = hello.get_str("msg").is_ok_and(|name| name == "isdbgrid");
    let is_member = hello.contains_key("setName");
    (!is_member && !is_router).then(|| Weakness {
        setting: "replica set".to_owned(),
        found: "none".to_owned(),
        consequence: "a majority is this one server: its disk is the only copy",
    })
}

fn told(failure: Failure) -> SinkError {
    match failure {
        Failure::Sink(error) => error,
        Failure::Refused { code, .. } => unavailable(&format!("refused with code {code}")),
    }
}
