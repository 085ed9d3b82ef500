//! Reads what the stores hold and shows it to the demo's audit, which knows the reference.
//! Layer: shell

use mongodb::bson::{Bson, Document, doc};
use penstock_cli::demo::{
    audit::{Audit, EventRow},
    generator::Kind,
    log::Log,
    reference::Reference,
    storefront,
};
use serde_json::{Value, json};

use super::{SinksError, ground::Places};
use crate::services::Service;

/// Documents of one page.
const PAGE: u64 = 5_000;

/// The documents of all daily indexes, in the order in which they were created.
///
/// A shard numbers its documents as they come, and an index has one shard here; of a key's records
/// those of a later day come later.
pub(crate) fn events(
    search: &Service,
    scenario: &str,
    audit: &mut Audit<'_>,
) -> Result<(), SinksError> {
    search.ask(&format!("POST /{scenario}-*/_refresh"), "")?;
    let indexes = search.ask(&format!("GET /{scenario}-events-*"), "")?;
    let indexes = indexes.as_object().cloned().unwrap_or_default();
    let mut names: Vec<_> = indexes.into_iter().map(|(name, _)| name).collect();
    names.sort();
    for index in names {
        each(search, &index, |hit| {
            let origin = &hit["_source"]["_penstock"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let number = |value: &Value| value.as_i64().unwrap_or(-1);
            let own = index.strip_prefix(scenario).unwrap_or(&index);
            audit.event(&EventRow {
                index: own.trim_start_matches('-'),
                id: &text(&hit["_id"]),
                partition: i32::try_from(number(&origin["partition"])).unwrap_or(-1),
                offset: number(&origin["offset"]),
            });
        })?;
    }
    Ok(())
}

/// The counters that were flushed.
pub(crate) fn counters(
    search: &Service,
    scenario: &str,
    audit: &mut Audit<'_>,
) -> Result<(), SinksError> {
    each(search, &format!("{scenario}-products"), |hit| {
        let fields = hit["_source"].as_object().cloned().unwrap_or_default();
        for (field, value) in fields {
            let id = hit["_id"].as_str().unwrap_or_default();
            audit.counter("products", id, &field, value.as_i64().unwrap_or(i64::MIN));
        }
    })
}

/// Every document of an index in the order of its shard.
fn each(search: &Service, index: &str, mut see: impl FnMut(&Value)) -> Result<(), SinksError> {
    let mut after = json!([-1]);
    loop {
        let question = json!({
            "size": PAGE,
            "sort": [{"_seq_no": "asc"}],
            "search_after": after,
            "_source": ["_penstock", "views", "revenueCents"],
        });
        let answer = search.ask(&format!("POST /{index}/_search"), &question.to_string())?;
        let Some(hits) = answer["hits"]["hits"].as_array() else {
            return Err(SinksError::Answer(answer.to_string()));
        };
        hits.iter().for_each(&mut see);
        let Some(last) = hits.last() else {
            return Ok(());
        };
        after = last["sort"].clone();
    }
}

/// The documents of both collections.
pub(crate) fn documents(
    mongodb: &Service,
    scenario: &str,
    audit: &mut Audit<'_>,
) -> Result<(), SinksError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(format!("mongodb://{}", mongodb.address()));
        let database = client.await?.database(scenario);
        for name in ["visits", "customers"] {
            let mut found = database.collection::<Document>(name).find(doc! {}).await?;
            while found.advance().await? {
                let mut document = found.deserialize_current()?;
                let id = document.remove("_id");
                document.remove("_penstock");
                let id = id
                    .as_ref()
                    .and_then(Bson::as_str)
                    .unwrap_or_default()
                    .to_owned();
                let body = serde_json::to_value(&document).map_err(std::io::Error::from)?;
                audit.document(name, &id, &body);
            }
        }
        Ok(())
    })
}

/// The sets of all windows.
pub(crate) fn members(
    redis: &Service,
    scenario: &str,
    audit: &mut Audit<'_>,
) -> Result<(), SinksError> {
    let mut connection = connect(redis)?;
    let pattern = format!("*/{scenario}}}:set:*");
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut connection)?;
    for key in keys {
        let members: Vec<Vec<u8>> = redis::cmd("SMEMBERS").arg(&key).query(&mut connection)?;
        let set = key.split_once(":set:").map_or("", |(_, set)| set);
        for member in members {
            audit.member(set, &member);
        }
    }
    Ok(())
}

/// Counters that are not flushed.
pub(crate) fn dirty(redis: &Service, scenario: &str) -> Result<u64, SinksError> {
    let mut connection = connect(redis)?;
    let pattern = format!("*/{scenario}}}:dirty:*");
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut connection)?;
    let count = |key| redis::cmd("SCARD").arg(key).query::<u64>(&mut connection);
    Ok(keys.iter().map(count).sum::<Result<u64, _>>()?)
}

/// Sets that the server lost are not asked for: nobody promises them.
pub(crate) fn forgive_members(reference: &Reference, audit: &mut Audit<'_>) {
    for member in &reference.members {
        let key = storefront::key_name(member.key);
        audit.member(&member.set_name(), key.as_bytes());
    }
}

/// The stores keep no list of duplicates; that each was one shows in the counts of visits.
pub(crate) fn forgive_duplicates(log: &Log, audit: &mut Audit<'_>) {
    for (partition, offset, draft) in log.iter() {
        if draft.kind == Kind::Duplicate {
            audit.duplicate(partition, offset);
        }
    }
}

/// How often Redis was asked for a command so far, such as `evalsha` or `script|load`.
pub(crate) fn calls(redis: &Service, command: &str) -> Result<u64, SinksError> {
    let mut connection = connect(redis)?;
    let page: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut connection)?;
    let name = format!("cmdstat_{command}:calls=");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    let count = line.and_then(|line| line.split(',').next()?.parse().ok());
    Ok(count.unwrap_or(0))
}

/// A connection to Redis itself.
pub(crate) fn connect(redis: &Service) -> Result<redis::Connection, SinksError> {
    let client = redis::Client::open(format!("redis://{}", redis.address()))?;
    Ok(client.get_connection()?)
}

/// All of it.
pub(crate) fn stores(
    places: &Places<'_>,
    scenario: &str,
    audit: &mut Audit<'_>,
) -> Result<(), SinksError> {
    events(places.search, scenario, audit)?;
    counters(places.search, scenario, audit)?;
    documents(places.mongodb, scenario, audit)
}
