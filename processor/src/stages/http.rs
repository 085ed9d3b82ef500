//! `http`: one request for each record, which the endpoint can recognise when it is repeated.
//! Layer: shell

mod answer;
pub mod endpoint;

use std::{sync::Arc, time::Instant};

use penstock_crds::pipeline::HttpStage;
use serde_json::Value;

use self::endpoint::{Endpoint, Request};
use super::operand::Operand;
use crate::{
    event::Event,
    sinks::{Provenance, SinkError},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Http {
    stage: Arc<str>,
    endpoint: Arc<Endpoint>,
    /// `None` sends the record's value as it is.
    body: Option<Operand>,
    headers: Vec<(Arc<str>, Operand)>,
    /// Context field that receives the answer.
    returning: Option<Arc<str>>,
    needs: Needs,
}

impl Http {
    pub(super) fn new(
        stage: &Arc<str>,
        endpoint: Arc<Endpoint>,
        body: &HttpStage,
        needs: Needs,
    ) -> Self {
        let headers = body.headers.iter().map(|header| {
            let operand = Operand::new(&format!("headers.{}", header.name), &header.value);
            (header.name.shared(), operand)
        });
        Self {
            stage: Arc::clone(stage),
            endpoint,
            body: body.body.as_ref().map(|body| Operand::new("body", body)),
            headers: headers.collect(),
            returning: body.returning.as_ref().map(|field| field.shared()),
            needs,
        }
    }

    fn request(&self, event: &Event) -> Result<Request, StageError> {
        let body = match &self.body {
            Some(operand) => operand.json(event)?.to_string().into_bytes(),
            None => event.record().value().unwrap_or_default().to_vec(),
        };
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, operand) in &self.headers {
            // A header without a value is left out.
            if let Some(value) = operand.bytes(event)? {
                headers.push((Arc::clone(name), value));
            }
        }
        Ok(Request {
            idempotency_key: idempotency_key(&event.identity(), &self.stage),
            headers,
            body,
        })
    }

    async fn call(&self, event: &mut Event, request: Request, deadline: Instant) -> StageResult {
        let answer = self.endpoint.call(request, deadline).await;
        let answer = answer.map_err(|error| StageError::from_sink(&self.stage, &error))?;
        if let Some(name) = &self.returning {
            let value =
                parse(&answer).map_err(|error| StageError::from_sink(&self.stage, &error))?;
            event.put_context(name, value)?;
        }
        Ok(Verdict::Continue)
    }
}

impl Stage for Http {
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a> {
        match self.request(event) {
            Ok(request) => Step::pending(self.call(event, request, deadline)),
            Err(error) => Step::Ready(Err(error)),
        }
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

/// The same for every repeat of a record, its replay from a dead letter included.
fn idempotency_key(provenance: &Provenance, stage: &str) -> String {
    let Provenance {
        generation,
        topic,
        position,
        ..
    } = provenance;
    let (partition, offset) = (position.partition.partition, position.offset);
    format!("{generation}-{topic}-{partition}-{offset}-{stage}")
}

/// An answer without content is null.
fn parse(answer: &[u8]) -> Result<Value, SinkError> {
    if answer.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(answer).map_err(|_| SinkError::Record {
        reason: "the answer is no JSON, legal is one JSON value".to_owned(),
    })
}
