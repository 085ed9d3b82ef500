//! The server under test, for one test at a time.
//! Layer: test

use std::time::{Duration, Instant};

use penstock_processor::sinks::redis::{keyspace::Keyspace, settings::RedisServer};
use redis::{Cmd, FromRedisValue, aio::MultiplexedConnection};
use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// An empty server, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: RedisServer,
    pub(crate) keyspace: Keyspace,
    connection: MultiplexedConnection,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    /// `None` when there is none to test with.
    pub(crate) async fn get() -> Option<Self> {
        let address = std::env::var("PENSTOCK_TEST_REDIS").ok()?;
        let turn = TURN.lock().await;
        let (host, port) = address.rsplit_once(':').expect("host:port");
        let address = RedisServer::plain(host, port.parse().expect("a port"));
        let client = redis::Client::open(format!("redis://{host}:{port}")).expect("an address");
        let connection = client.get_multiplexed_async_connection().await;
        let mut server = Self {
            address,
            keyspace: Keyspace::new("test", "sink"),
            connection: connection.expect("the server answers"),
            _turn: turn,
        };
        server.run("REPLICAOF", &["NO", "ONE"]).await;
        server.set("maxmemory", "0").await;
        server.set("maxmemory-policy", "noeviction").await;
        server.run("FLUSHALL", &[]).await;
        server.run("SCRIPT", &["FLUSH"]).await;
        server.run("CONFIG", &["RESETSTAT"]).await;
        Some(server)
    }

    pub(crate) async fn run(&mut self, verb: &str, arguments: &[&str]) {
        self.ask::<redis::Value>(verb, arguments).await;
    }

    pub(crate) async fn set(&mut self, name: &str, value: &str) {
        self.run("CONFIG", &["SET", name, value]).await;
    }

    pub(crate) async fn ask<T: FromRedisValue>(&mut self, verb: &str, arguments: &[&str]) -> T {
        let answer = command(verb, arguments)
            .query_async(&mut self.connection)
            .await;
        answer.expect("the server does as it is told")
    }

    /// Calls of a command since the test began, by `INFO commandstats`.
    pub(crate) async fn calls(&mut self, command: &str) -> u64 {
        let info: String = self.ask("INFO", &["commandstats"]).await;
        let start = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |line| {
            let count = line.split(',').next().expect("a first part");
            count.parse().expect("a number")
        })
    }

    /// Lets every counter expire that has a time to live.
    pub(crate) async fn expire_counters(&mut self) -> usize {
        let keys: Vec<String> = self.ask("KEYS", &["*:counter:*"]).await;
        let mut expired = 0;
        for key in keys {
            if self.ask::<i64>("PTTL", &[&key]).await >= 0 {
                self.run("DEL", &[&key]).await;
                expired += 1;
            }
        }
        expired
    }
}

fn command(verb: &str, arguments: &[&str]) -> Cmd {
    let mut command = redis::cmd(verb);
    command.arg(arguments);
    command
}

/// A deadline that no test reaches unless it fails.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

impl Server {
    /// Puts a dumped value in place of a key's.
    pub(crate) async fn restore(&mut self, key: &str, dump: &[u8]) {
        let mut restore = redis::cmd("RESTORE");
        restore.arg(key).arg(0).arg(dump).arg("REPLACE");
        let restored = restore.exec_async(&mut self.connection).await;
        restored.expect("its own dump");
    }
}
