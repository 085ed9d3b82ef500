//! `produce`: writes one record to a topic, with the provenance of the record behind it.
//! Layer: shell

use std::{borrow::Cow, sync::Arc, time::Instant};

use penstock_crds::pipeline::ProduceStage;

use super::operand::Operand;
use crate::{
    event::Event,
    publish::{Header, Message, PRODUCER, Publisher, provenance_headers},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Produce {
    stage: Arc<str>,
    publisher: Arc<dyn Publisher>,
    topic: Arc<str>,
    /// `None` keeps the record's key.
    key: Option<Operand>,
    /// `None` keeps the record's value.
    value: Option<Operand>,
    headers: Vec<(Arc<str>, Operand)>,
    needs: Needs,
}

impl Produce {
    pub(super) fn new(
        stage: &Arc<str>,
        publisher: Arc<dyn Publisher>,
        body: &ProduceStage,
        needs: Needs,
    ) -> Self {
        let headers = body.headers.iter().map(|header| {
            let operand = Operand::new(&format!("headers.{}", header.name), &header.value);
            (header.name.shared(), operand)
        });
        Self {
            stage: Arc::clone(stage),
            publisher,
            topic: body.topic.shared(),
            key: body.key.as_ref().map(|key| Operand::new("key", key)),
            value: body
                .value
                .as_ref()
                .map(|value| Operand::new("value", value)),
            headers: headers.collect(),
            needs,
        }
    }

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
        Ok(Message {
            topic: &self.topic,
            key,
            value,
            headers: self.headers(event)?,
        })
    }

    /// Provenance first: the first of doubled names is the one that readers take.
    fn headers<'a>(&'a self, event: &'a Event) -> Result<Vec<Header<'a>>, StageError> {
        let mut headers = provenance_headers(event.provenance());
        headers.push((
            "penstock-stage".into(),
            Some(Cow::Borrowed(self.stage.as_bytes())),
        ));
        for (name, operand) in &self.headers {
            headers.push((
                Cow::Borrowed(&**name),
                operand.bytes(event)?.map(Cow::Owned),
            ));
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
fn encoded<'a>(operand: &Operand, event: &Event) -> Result<Option<Cow<'a, [u8]>>, StageError> {
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
