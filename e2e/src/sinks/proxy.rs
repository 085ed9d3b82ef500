//! A TCP proxy in front of a store that spoils connections when it is told to.
//! Layer: shell

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// What is done to a connection; the first two once, to the next that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is closed before a request reaches the store.
    Cut,
    /// It is closed after the store has answered, and before the answer reaches the client.
    Swallow,
    /// All are closed, and new ones, until the proxy is healed.
    Refuse,
}

/// Which way something passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the store: the effects before it are known, this one is not there.
    Request,
    /// Back: this effect is there, and nobody knows.
    Answer,
}

impl Way {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Request, Self::Answer];
}

const NONE: u8 = 0;
/// Between two looks at whether what is held may go on.
const LOOK: Duration = Duration::from_millis(1);

impl Fault {
    fn code(self) -> u8 {
        match self {
            Self::Cut => 1,
            Self::Swallow => 2,
            Self::Refuse => 3,
        }
    }
}

#[derive(Default)]
struct State {
    /// Milliseconds before each answer.
    slowness: AtomicU64,
    fault: AtomicU8,
    /// Requests and answers until everything is held; 0 is no trap.
    requests_left: AtomicU64,
    answers_left: AtomicU64,
    sprung: AtomicBool,
    struck: AtomicU64,
    ended: AtomicBool,
}

impl State {
    /// Whether this connection is to be closed for that fault.
    fn strikes(&self, fault: Fault) -> bool {
        if self.fault.load(SeqCst) == Fault::Refuse.code() {
            return true;
        }
        let once = self
            .fault
            .compare_exchange(fault.code(), NONE, SeqCst, SeqCst);
        self.struck.fetch_add(u64::from(once.is_ok()), SeqCst);
        once.is_ok()
    }

    fn left(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Request => &self.requests_left,
            Way::Answer => &self.answers_left,
        }
    }

    /// Counts a passage; from the one that springs the trap on, all wait until the proxy is healed,
    /// and are lost then: whether this one is.
    fn catches(&self, way: Way) -> bool {
        let before = self
            .left(way)
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if before == Ok(1) {
            self.sprung.store(true, SeqCst);
        }
        let mut caught = false;
        while self.sprung.load(SeqCst) && !self.ended.load(SeqCst) {
            caught = true;
            thread::sleep(LOOK);
        }
        caught
    }
}

/// A proxy; it ends with its last connection after it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    /// Listens on a free port and passes on to `host:port`.
    pub(crate) fn start(to: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(SeqCst) {
                    return;
                }
                // A client that is refused sees its connection end.
                let _ = carry(client, &to, &shared);
            }
        });
        Ok(Self { address, state })
    }

    /// `host:port` for clients.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on.
    pub(crate) fn strike(&self, fault: Fault) {
        self.state.fault.store(fault.code(), SeqCst);
    }

    /// From now on each answer comes so much later.
    pub(crate) fn slow(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.state.slowness.store(millis, SeqCst);
    }

    /// Holds everything from the `passages`-th on that goes this way, until it is lost.
    pub(crate) fn trap(&self, way: Way, passages: u64) {
        self.state.left(way).store(passages, SeqCst);
    }

    /// Whether everything is held.
    pub(crate) fn is_sprung(&self) -> bool {
        self.state.sprung.load(SeqCst)
    }

    /// Passes everything on again.
    pub(crate) fn heal(&self) {
        self.state.fault.store(NONE, SeqCst);
        for way in Way::ALL {
            self.state.left(way).store(0, SeqCst);
        }
        self.state.sprung.store(false, SeqCst);
    }

    /// Connections that were cut or whose answer was swallowed.
    pub(crate) fn struck(&self) -> u64 {
        self.state.struck.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn carry(client: TcpStream, to: &str, state: &Arc<State>) -> io::Result<()> {
    if state.fault.load(SeqCst) == Fault::Refuse.code() {
        return Ok(());
    }
    let server = TcpStream::connect(to)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let ways = [
        (client.try_clone()?, server.try_clone()?, Way::Request),
        (server, client, Way::Answer),
    ];
    for (from, into, way) in ways {
        let state = Arc::clone(state);
        thread::spawn(move || pass_on(from, into, (&state, way)));
    }
    Ok(())
}

fn pass_on(mut from: TcpStream, mut into: TcpStream, (state, way): (&State, Way)) {
    let mut buffer = vec![0; 64 << 10];
    let fault = match way {
        Way::Request => Fault::Cut,
        Way::Answer => Fault::Swallow,
    };
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if way == Way::Answer {
            thread::sleep(Duration::from_millis(state.slowness.load(SeqCst)));
        }
        // A request that was held until its sender is dead must not arrive after all.
        let spoiled = state.catches(way) || state.strikes(fault);
        if spoiled || into.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for stream in [&from, &into] {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
