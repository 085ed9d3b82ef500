//! A proxy in front of the server that can spoil what comes back.
//! Layer: test

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering::SeqCst},
};

use penstock_processor::sinks::redis::settings::RedisServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    task::JoinHandle,
};

/// What is done with what the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// It is passed on.
    Pass,
    /// It is kept, and the connection stays: the peer is half open.
    Keep,
    /// Its last byte is kept and the connection closed.
    Cut,
    /// Something else is sent instead.
    Garble,
}

impl Answers {
    const ALL: [Self; 4] = [Self::Pass, Self::Keep, Self::Cut, Self::Garble];
}

#[derive(Default)]
struct Shared {
    answers: AtomicU8,
    writes: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) address: RedisServer,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (shared, to) = (Arc::<Shared>::default(), (to.host.clone(), to.port));
        let accepted = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((to.0.as_str(), to.1)).await;
                tokio::spawn(carry(
                    client,
                    server.expect("the server"),
                    Arc::clone(&accepted),
                ));
            }
        });
        Self {
            address: RedisServer::plain("127.0.0.1", port),
            shared,
            listening,
        }
    }

    pub(crate) fn set(&self, answers: Answers) {
        let code = Answers::ALL.iter().position(|one| *one == answers);
        let code = u8::try_from(code.expect("one of all")).expect("few");
        self.shared.answers.store(code, SeqCst);
    }

    /// Reads that brought something from the client: at most as many as it wrote.
    pub(crate) fn writes(&self) -> u64 {
        self.shared.writes.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    client.set_nodelay(true).expect("a socket");
    server.set_nodelay(true).expect("a socket");
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let questions = Arc::clone(&shared);
    let asking = tokio::spawn(async move {
        let mut from_client: OwnedReadHalf = from_client;
        let mut buffer = vec![0; 1 << 20];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            questions.writes.fetch_add(1, SeqCst);
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        let answers = Answers::ALL[usize::from(shared.answers.load(SeqCst))];
        let sent: &[u8] = match answers {
            Answers::Pass => &buffer[..read],
            Answers::Keep => &[],
            Answers::Cut => &buffer[..read - 1],
            Answers::Garble => b"HTTP/1.1 400 Bad Request\r\n\r\n",
        };
        let failed = to_client.write_all(sent).await.is_err();
        if failed || matches!(answers, Answers::Cut) {
            break;
        }
    }
    asking.abort();
}
