//! Scripts by their hash: loaded once in a server's life, by one of those who miss them.
//! Layer: shell

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use redis::{Cmd, Script, Value};
use tokio::sync::Mutex;

use super::{blame::Fault, link::Link, scripts};

/// A script and its hash, computed once.
pub(super) struct Hashed {
    text: &'static str,
    script: Script,
}

impl Hashed {
    fn new(text: &'static str) -> Self {
        Self {
            text,
            script: Script::new(text),
        }
    }
}

/// A server that knows our scripts.
pub(super) struct Scripted {
    link: Link,
    pub(super) count: Hashed,
    pub(super) seed: Hashed,
    pub(super) read: Hashed,
    pub(super) clear: Hashed,
    pub(super) unique: Hashed,
    pub(super) sentinel: Hashed,
    loads: AtomicU64,
    loading: Mutex<()>,
}

/// An argument of a script.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument<'a> {
    Bytes(&'a [u8]),
    Number(i64),
    Unsigned(u64),
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

/// One call of a script.
pub(super) struct Call<'a> {
    pub(super) script: &'a Hashed,
    pub(super) keys: &'a [String],
    pub(super) arguments: &'a [Argument<'a>],
}

impl Call<'_> {
    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len());
        self.keys.iter().for_each(|key| {
            command.arg(key);
        });
        for argument in self.arguments {
            match argument {
                Argument::Bytes(bytes) => command.arg(bytes),
                Argument::Number(number) => command.arg(number),
                Argument::Unsigned(number) => command.arg(number),
            };
        }
        command
    }
}

impl Scripted {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            count: Hashed::new(scripts::COUNT),
            seed: Hashed::new(scripts::SEED),
            read: Hashed::new(scripts::READ),
            clear: Hashed::new(scripts::CLEAR),
            unique: Hashed::new(scripts::UNIQUE),
            sentinel: Hashed::new(scripts::SENTINEL),
            loads: AtomicU64::new(0),
            loading: Mutex::new(()),
        }
    }

    /// Times that scripts were loaded.
    pub(super) fn loads(&self) -> u64 {
        self.loads.load(Relaxed)
    }

    /// A plain command.
    pub(super) async fn ask(&self, command: &Cmd, deadline: Instant) -> Result<Value, Fault> {
        self.link.ask(command, deadline).await
    }

    /// Calls a script by its hash. When the server has forgotten it, it is loaded once for all who
    /// noticed; should it be forgotten again in between, its text is sent.
    pub(super) async fn call(&self, call: &Call<'_>, deadline: Instant) -> Result<Value, Fault> {
        let by_hash = call.command("EVALSHA", call.script.script.get_hash());
        let seen = self.loads();
        match self.link.ask(&by_hash, deadline).await {
            Err(Fault::NoScript) => self.load(seen, deadline).await?,
            answer => return answer,
        }
        match self.link.ask(&by_hash, deadline).await {
            Err(Fault::NoScript) => {
                let by_text = call.command("EVAL", call.script.text);
                self.link.ask(&by_text, deadline).await
            }
            answer => answer,
        }
    }

    /// Loads all scripts, unless somebody has since `seen`.
    async fn load(&self, seen: u64, deadline: Instant) -> Result<(), Fault> {
        let _turn = self.loading.lock().await;
        if self.loads() != seen {
            return Ok(());
        }
        let all = [
            &self.count,
            &self.seed,
            &self.read,
            &self.clear,
            &self.unique,
            &self.sentinel,
        ];
        for hashed in all {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(hashed.text);
            self.link.ask(&load, deadline).await?;
        }
        self.loads.fetch_add(1, Relaxed);
        Ok(())
    }
}
