//! Looks at a cluster before it is used.
//! Layer: shell

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;

use super::{
    answer::{Answer, whole},
    bulk::unavailable,
    client::{Client, Request},
};
use crate::sinks::{SinkError, probe::Weakness};

const HEALTH: &str = "/_cluster/health?filter_path=status,error.type,error.reason";
const DURABILITY: &str = "/_settings/index.translog.durability?flat_settings=true\
    &filter_path=*.settings,error.type,error.reason";

/// Longest answer, bytes; the settings of many indexes that lose what they answered.
const ANSWER: usize = 1 << 20;

const ASYNC: &str = "async";

/// Reachable, authenticated, and what weakens a promise.
pub(super) async fn look(client: &Client, deadline: Instant) -> Result<Vec<Weakness>, SinkError> {
    let health = get(client, HEALTH, deadline).await?;
    let mut found = Vec::from_iter(status(&health)?);
    // Credentials may be good for writing alone; then this is not known.
    let settings = get(client, DURABILITY, deadline).await;
    found.extend(settings.ok().and_then(|answer| durability(&answer)));
    Ok(found)
}

async fn get(client: &Client, path: &'static str, deadline: Instant) -> Result<Answer, SinkError> {
    let request = Request {
        method: Method::GET,
        path,
        body: Bytes::new(),
        content: "",
        answer_bytes: ANSWER,
    };
    let answer = client.ask(&request, deadline).await?;
    match answer.status {
        // A red cluster answers with the status of a timeout.
        200 | 408 => Ok(answer),
        _ => Err(whole(&answer).error()),
    }
}

fn status(answer: &Answer) -> Result<Option<Weakness>, SinkError> {
    #[derive(Deserialize)]
    struct Health {
        status: String,
    }
    let health: Health = serde_json::from_slice(&answer.body)
        .map_err(|_| unavailable("answer is not that of Elasticsearch or OpenSearch"))?;
    Ok((health.status == "red").then(|| Weakness {
        setting: "cluster status".to_owned(),
        found: health.status,
        consequence: "a primary shard is missing; writes to its index wait",
    }))
}

fn durability(answer: &Answer) -> Option<Weakness> {
    #[derive(Deserialize)]
    struct Index {
        settings: BTreeMap<String, String>,
    }
    let indexes: BTreeMap<String, Index> = serde_json::from_slice(&answer.body).ok()?;
    let is_async = |index: &Index| index.settings.values().any(|value| value == ASYNC);
    let mut weak = indexes.iter().filter(|(_, index)| is_async(index));
    let (first, _) = weak.next()?;
    let others = weak.count();
    Some(Weakness {
        setting: "index.translog.durability".to_owned(),
        found: format!("{ASYNC} on {first} and {others} others"),
        consequence: "answered documents of the last seconds are lost when a node dies",
    })
}
