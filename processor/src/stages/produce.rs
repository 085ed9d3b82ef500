//! `produce`: writes one record to a topic, with the provenance of the record behind it.
//! Layer: core

use std::{borrow::Cow, sync::Arc, time::Instant};

use super::operand::Operand;
use crate::{
    event::Event,
    publish::{Header, Message, PRODUCER, Publisher, provenance_headers},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Produce {
    pub(super) stage: Arc<str>,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) topic: Arc<str>,
    /// `None` keeps the record's key.
    pub(super) key: Option<Operand>,
    /// `None` keeps the record's value.
    pub(super) value: Option<Operand>,
    pub(super) headers: Vec<(Arc<str>, Operand)>,
    pub(super) needs: Needs,
}

impl Produce {
    fn message<'a>(&'a self, event: &'a Event) -> Result<Message<'a>, StageError> {
        let record = event.record();
        let key = match &self.key {
            Some(operand) => operand.bytes(event)?.map(Cow::Owned),
            None => record.key().map(Cow::Borrowed),
        };
        let value = match &self.value {
            Some(operand) => encoded(operand, event)?,
            None => record.value().map(Cow::Borrowed),
        };
        Ok(Message { topic: &self.topic, key, value, headers: self.headers(event)? })
    }

    /// Provenance first: the first of doubled names is the one that readers take.
    fn headers<'a>(&'a self, event: &'a Event) -> Result<Vec<Header<'a>>, StageError> {
        let mut headers = provenance_headers(event.provenance());
        headers.push(("penstock-stage".into(), Some(Cow::Borrowed(self.stage.as_bytes()))));
        for (name, operand) in &self.headers {
            headers.push((Cow::Borrowed(&**name), operand.bytes(event)?.map(Cow::Owned)));
        }
        Ok(headers)
    }

    async fn publish(&self, message: Message<'_>) -> StageResult {
        match self.publisher.produce(message).await {
            Ok(()) => Ok(Verdict::Continue),
            Err(error) => Err(StageError::from_sink(&Arc::from(PRODUCER), &error)),
        }
    }
}

/// JSON text of the result; null becomes a null value, which is how a compacted topic forgets a key.
fn encoded<'a>(
    operand: &Operand,
    event: &Event,
) -> Result<Option<Cow<'a, [u8]>>, StageError> {
    match operand.json(event)? {
        serde_json::Value::Null => Ok(None),
        value => Ok(Some(Cow::Owned(value.to_string().into_bytes()))),
    }
}

impl Stage for Produce {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        match self.message(event) {
            Ok(message) => Step::pending(self.publish(message)),
            Err(error) => Step::Ready(Err(error)),
        }
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}
