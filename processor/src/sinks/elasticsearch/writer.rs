//! Writes groups with `_bulk`, and asks `_mget` who created what was there already.
//! Layer: shell

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use reqwest::Method;

use super::{
    answer::{self, Creator},
    bulk::{self, Creation, Judged, unavailable},
    client::{Client, Request},
};
use crate::sinks::{
    Effect, Reply, SinkError,
    grouped::{GroupWriter, Verdict, Written},
};

/// What an answer has at most beside its items, and for each of them, bytes. The reason of a fault
/// is the longest part; most answers have 30 bytes an item.
const ANSWER_FRAME: usize = 64 << 10;
const ANSWER_ITEM: usize = 1 << 10;

const BULK: &str = "/_bulk?filter_path=error.type,error.reason,items.*.status,items.*.error.type,\
    items.*.error.reason,items.*.error.index";
const LOOKUP: &str = "/_mget?_source_includes=_penstock&filter_path=error.type,error.reason,\
    docs.found,docs._source,docs.error.type";

/// A lookup whose answer has so many items.
pub(super) fn lookup_request(path: &'static str, body: Vec<u8>, items: usize) -> Request {
    Request {
        method: Method::POST,
        path,
        body: body.into(),
        content: "application/json",
        answer_bytes: ANSWER_FRAME + ANSWER_ITEM * items,
    }
}

/// A bulk request of so many items.
pub(super) fn bulk_request(body: Vec<u8>, items: usize) -> Request {
    Request {
        content: "application/x-ndjson",
        ..lookup_request(BULK, body, items)
    }
}

/// The writer of the groups.
pub(super) struct Writer(pub(super) Arc<Client>);

impl GroupWriter for Writer {
    fn write<'a>(&'a mut self, group: &'a [Effect], deadline: Instant) -> BoxFuture<'a, Written> {
        Box::pin(self.create(group, deadline))
    }
}

impl Writer {
    async fn create(&self, group: &[Effect], deadline: Instant) -> Written {
        let checked: Vec<_> = group.iter().map(Creation::of).collect();
        let creations: Vec<_> = checked
            .iter()
            .filter_map(|one| one.as_ref().ok())
            .copied()
            .collect();
        if creations.is_empty() {
            return Written::Each(
                checked
                    .into_iter()
                    .filter_map(Result::err)
                    .map(failed)
                    .collect(),
            );
        }
        let request = bulk_request(bulk::creations(&creations), creations.len());
        let items = match self.0.ask(&request, deadline).await {
            Ok(answer) => answer::items(&answer, creations.len()),
            Err(error) => return Written::unavailable(group.len(), &error.into_reason()),
        };
        let items = match items {
            Ok(items) => items,
            Err(whole) => return whole.written(group.len()),
        };
        let judged: Vec<_> = items.into_iter().map(bulk::judge).collect();
        let mut verdicts = self.settle(&creations, judged, deadline).await.into_iter();
        let each = checked.into_iter().map(|one| match one {
            Ok(_) => verdicts
                .next()
                .unwrap_or_else(|| failed(unavailable("no verdict"))),
            Err(error) => failed(error),
        });
        Written::Each(each.collect())
    }

    /// Turns judgements into verdicts; conflicts by who created the documents.
    async fn settle(
        &self,
        creations: &[Creation<'_>],
        judged: Vec<Judged>,
        deadline: Instant,
    ) -> Vec<Verdict> {
        let asked: Vec<_> = creations
            .iter()
            .zip(&judged)
            .filter_map(|(creation, judged)| match judged {
                Judged::Conflict(index) => {
                    Some((*creation, index.as_deref().unwrap_or(creation.index)))
                }
                Judged::Written | Judged::Busy | Judged::Failed(_) => None,
            })
            .collect();
        let mut conflicts = self.creators(&asked, deadline).await.into_iter();
        drop(asked);
        let verdict = |judged| match judged {
            Judged::Written => Verdict::Answer(Ok(Reply::Applied)),
            Judged::Busy => Verdict::Again("status 429: too many requests"),
            Judged::Failed(error) => failed(error),
            Judged::Conflict(_) => conflicts
                .next()
                .unwrap_or_else(|| failed(unavailable("no verdict"))),
        };
        judged.into_iter().map(verdict).collect()
    }

    /// A verdict for each document that was there, by the record that created it.
    async fn creators(&self, asked: &[(Creation<'_>, &str)], deadline: Instant) -> Vec<Verdict> {
        if asked.is_empty() {
            return Vec::new();
        }
        let body = bulk::lookups(asked.iter().map(|(creation, index)| (*index, creation.id)));
        let answer = self
            .0
            .ask(&lookup_request(LOOKUP, body, asked.len()), deadline)
            .await;
        let found = answer.and_then(|answer| answer::found(&answer, asked.len()));
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let reason = error.into_reason();
                return asked.iter().map(|_| failed(unavailable(&reason))).collect();
            }
        };
        let verdict = |((creation, _), found): (&(Creation<'_>, &str), answer::Found)| match found
            .creator(&creation.effect.provenance)
        {
            Ok(Creator::Same) => Verdict::Answer(Ok(Reply::Redelivered)),
            Ok(Creator::Other) => Verdict::Answer(Ok(Reply::Duplicate)),
            Ok(Creator::Nobody) => Verdict::Again("the document came and went"),
            Err(error) => failed(error),
        };
        asked.iter().zip(found).map(verdict).collect()
    }
}

fn failed(error: SinkError) -> Verdict {
    Verdict::Answer(Err(error))
}
