//! Notices a server that lost its data: a key that was there is gone, or another one is.
//! Layer: shell

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::{
    answers,
    blame::Fault,
    scripted::{Argument, Call, Scripted},
};

/// The sentinel as this process knows it.
pub(super) struct Sentinel {
    key: [String; 1],
    known: RwLock<Option<Arc<str>>>,
    asking: Mutex<()>,
    losses: AtomicU64,
}

impl Sentinel {
    pub(super) fn new(key: String) -> Self {
        Self {
            key: [key],
            known: RwLock::new(None),
            asking: Mutex::new(()),
            losses: AtomicU64::new(0),
        }
    }

    /// Times that the server was found to have lost its data.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Relaxed)
    }

    /// The server lost something that the sentinel does not tell, such as single counters.
    pub(super) fn note_loss(&self) {
        self.losses.fetch_add(1, Relaxed);
    }

    /// The sentinel; asked for, and written when there is none, by the first who needs it.
    pub(super) async fn current(
        &self,
        server: &Scripted,
        deadline: Instant,
    ) -> Result<Arc<str>, Fault> {
        if let Some(known) = self.known.read().clone() {
            return Ok(known);
        }
        let _turn = self.asking.lock().await;
        if let Some(known) = self.known.read().clone() {
            return Ok(known);
        }
        self.ask(server, deadline).await
    }

    /// The server does not have this sentinel any more: takes the one it has, or writes a new one.
    pub(super) async fn renew(
        &self,
        server: &Scripted,
        lost: &Arc<str>,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let _turn = self.asking.lock().await;
        let known = self.known.read().clone();
        // Somebody else has noticed, or it was another server that answered for a moment.
        if known.as_ref() != Some(lost) || self.ask(server, deadline).await? == *lost {
            return Ok(());
        }
        self.note_loss();
        tracing::error!("the redis server lost its data; counters are taken from their documents");
        Ok(())
    }

    async fn ask(&self, server: &Scripted, deadline: Instant) -> Result<Arc<str>, Fault> {
        let drawn = format!("{:016x}", rand::random::<u64>());
        let call = Call {
            script: &server.sentinel,
            keys: &self.key,
            arguments: &[Argument::from(drawn.as_str())],
        };
        let found: Arc<str> = Arc::from(answers::text(server.call(&call, deadline).await?)?);
        *self.known.write() = Some(Arc::clone(&found));
        Ok(found)
    }
}
