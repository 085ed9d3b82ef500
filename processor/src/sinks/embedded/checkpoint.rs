//! Copies the log into the file behind the writer's back, so that groups need not wait for it.
//! Layer: shell
//!
//! SQLite starts its log anew only when all of it has been copied, and a writer without rest adds
//! to it during every copy. So a second connection copies most of the log while groups go on; what
//! was added meanwhile becomes less with each pass, and the writer itself copies a short remainder.
//!
//! The kernel keeps the file's pages, counts them as the pod's memory, and takes those that a table
//! touches again and again for its working set, which would grow with the file up to the limit. They
//! make the sink quick, so they may use what nobody else does: after a copy that finds the working set
//! beyond [`FULL`], the kernel is told to forget them.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use rustix::fs::{Advice, fadvise};

use super::schema;
use crate::{
    limit::{MemoryGroup, Reading},
    sinks::SinkError,
};

/// A remainder that the writer copies itself, ten to twenty milliseconds: about what a busy writer
/// adds during one copy. More passes would cost more processor time for pages that change often.
const SHORT_PAGES: i64 = 3_000;

/// Pages that are added between two tries when a reader holds the copy up.
const STEP_PAGES: i64 = 1_000;

/// A pass copies what it can and waits for nobody; its row is `busy, pages, copied`.
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const LOOK: &str = "PRAGMA wal_checkpoint(NOOP)";

/// Thousandths of the memory limit. Until the next copy the log grows by a quarter of the limit at
/// most, usually by five eighths of that; the governor acts at 900.
const FULL: u64 = 600;

/// Bytes of a page.
const PAGE: u64 = 4_096;

/// How long the log may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    /// Pages before the thread copies it. Each copy flushes twice and writes every page that the
    /// log touched once; at SQLite's own 1,000 this costs more than the work itself.
    start: i64,
    /// Here the writer waits for the copy. The kernel likes to keep the log in the pod's memory.
    limit: i64,
}

impl Lengths {
    fn of(log_bytes: u64) -> Self {
        let limit = i64::try_from(log_bytes / PAGE).unwrap_or(i64::MAX / 8);
        let start = limit / 8 * 5;
        Self { start, limit }
    }
}

/// The log at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    /// Pages in it.
    pages: i64,
    /// Of these, how many the file has.
    copied: i64,
}

/// Who copies now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copying {
    /// Nobody need to.
    Nobody,
    /// The thread, while the writer goes on.
    Thread,
    /// The writer.
    Writer,
}

/// Decides who copies a log; `next` is the length at which another try makes sense.
fn copying(log: Log, next: i64, lengths: Lengths) -> Copying {
    let rest = log.pages - log.copied;
    if log.pages < next.max(lengths.start) || rest == 0 {
        Copying::Nobody
    } else if rest <= SHORT_PAGES || log.pages >= lengths.limit {
        Copying::Writer
    } else {
        Copying::Thread
    }
}

/// The second connection and its thread, as the writer sees them. Dropping it waits for the thread.
pub(super) struct Checkpoints {
    // `None` only while it is dropped: its end is what ends the thread.
    requests: Option<SyncSender<()>>,
    passes: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    pages: Arc<Pages>,
    asked: Asked,
    next: i64,
    lengths: Lengths,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    No,
    Yes,
}

impl Checkpoints {
    /// Opens the second connection and starts its thread.
    pub(super) fn start(path: &Path, log_bytes: u64) -> Result<Self, SinkError> {
        let lengths = Lengths::of(log_bytes);
        let connection = schema::open_again(path)?;
        let pages = Arc::new(Pages::of(path).map_err(|error| SinkError::Unavailable {
            reason: format!("opening {} for its pages: {error}", path.display()),
        })?);
        let theirs = Arc::clone(&pages);
        let (requests, asked) = sync_channel(1);
        // One pass is on its way at a time, and its end is heard before the next is asked for.
        let (done, passes) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("sink-checkpoint".to_owned())
            .spawn(move || copy_on_request((&connection, &theirs), &asked, &done))
            .map_err(|error| SinkError::Unavailable {
                reason: format!("starting the checkpoints: {error}"),
            })?;
        Ok(Self {
            requests: Some(requests),
            passes,
            thread: Some(thread),
            pages,
            asked: Asked::No,
            next: lengths.start,
            lengths,
        })
    }

    /// Looks at the log after a commit and has it copied when it is long.
    ///
    /// # Errors
    /// When the file cannot be read or written; what was committed is not concerned.
    pub(super) fn committed(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let log = run(connection, LOOK)?;
        if log.pages < self.lengths.start {
            self.next = self.lengths.start;
            return Ok(());
        }
        if self.asked == Asked::Yes && self.still_copying(log) {
            return Ok(());
        }
        match copying(log, self.next, self.lengths) {
            Copying::Nobody => {}
            Copying::Thread => {
                self.next = log.pages + STEP_PAGES;
                let sent = self.requests.as_ref().map(|requests| requests.send(()));
                if let Some(Ok(())) = sent {
                    self.asked = Asked::Yes;
                }
            }
            Copying::Writer => {
                self.next = log.pages + STEP_PAGES;
                run(connection, COPY)?;
                self.pages.make_room();
            }
        }
        Ok(())
    }

    /// Whether the writer should go on without a look; at the limit it waits for the thread.
    fn still_copying(&mut self, log: Log) -> bool {
        match self.passes.try_recv() {
            Err(TryRecvError::Empty) if log.pages < self.lengths.limit => return true,
            Err(TryRecvError::Empty) => drop(self.passes.recv()),
            Ok(()) | Err(TryRecvError::Disconnected) => {}
        }
        self.asked = Asked::No;
        false
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked copies nothing more; the writer goes on alone.
            drop(thread.join());
        }
    }
}

fn copy_on_request(
    (connection, pages): (&Connection, &Pages),
    asked: &Receiver<()>,
    done: &SyncSender<()>,
) {
    while let Ok(()) = asked.recv() {
        // A copy that failed leaves the log as long as it was; the writer meets the fault itself.
        drop(run(connection, COPY));
        pages.make_room();
        if done.send(()).is_err() {
            break;
        }
    }
}

/// The file's pages in the kernel.
///
/// Closing a file ends all locks that a process holds on it, so this must outlive the connections:
/// [`super::writer`] drops its own one first, and the thread's ends with the thread.
struct Pages {
    file: File,
    /// `None` where no limit can be read: then nothing is forgotten.
    group: Option<MemoryGroup>,
}

impl Pages {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            group: MemoryGroup::find(Path::new("/")).ok(),
        })
    }

    /// After a copy. Pages that are not on the disk yet stay, and are written; the next copy forgets
    /// them.
    fn make_room(&self) {
        let reading = self.group.as_ref().and_then(|group| group.read().ok());
        if reading.is_some_and(is_full) {
            // Advice: where a file system does not take it, the kernel forgets when it has to.
            let (Ok(()) | Err(_)) = fadvise(&self.file, 0, None, Advice::DontNeed);
        }
    }
}

fn is_full(reading: Reading) -> bool {
    let used = reading.working_set.0.saturating_mul(1000);
    reading
        .limit
        .is_some_and(|limit| used >= limit.0.saturating_mul(FULL))
}

fn run(connection: &Connection, pragma: &str) -> rusqlite::Result<Log> {
    connection.prepare_cached(pragma)?.query_row([], |row| {
        Ok(Log {
            pages: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use penstock_sizing::Bytes;

    use super::*;

    const LENGTHS: Lengths = Lengths {
        start: 5_000,
        limit: 8_000,
    };

    #[test]
    fn the_thread_copies_much_and_the_writer_little() {
        let decide = |pages, copied, next| copying(Log { pages, copied }, next, LENGTHS);
        assert_eq!(decide(4_999, 0, LENGTHS.start), Copying::Nobody);
        assert_eq!(decide(5_000, 0, LENGTHS.start), Copying::Thread);
        assert_eq!(decide(7_500, 5_000, 6_000), Copying::Writer);
        assert_eq!(decide(7_500, 4_499, 6_000), Copying::Thread);
        // A reader holds the copy up: not at every commit.
        assert_eq!(decide(5_999, 0, 6_000), Copying::Nobody);
        assert_eq!(decide(8_000, 0, 6_000), Copying::Writer);
        // All copied: the next group starts the log anew.
        assert_eq!(decide(8_000, 8_000, 6_000), Copying::Nobody);
    }

    #[test]
    fn pages_are_forgotten_beyond_three_fifths_of_a_limit() {
        let reading = |used, limit: Option<u64>| Reading {
            limit: limit.map(Bytes),
            working_set: Bytes(used),
            oom_kills: 0,
        };
        assert!(!is_full(reading(599, Some(1_000))));
        assert!(is_full(reading(600, Some(1_000))));
        assert!(!is_full(reading(u64::MAX, None)));
    }

    #[test]
    fn the_log_stays_within_its_limit_while_groups_go_on() {
        const GROUP_PAGES: i64 = 1_000;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sink.db");
        let connection = schema::open(&path, 1 << 20).expect("the file opens");
        let mut checkpoints =
            Checkpoints::start(&path, 8_000 * PAGE).expect("the file opens again");
        let mut longest = 0;
        for group in 0..3 * LENGTHS.limit / GROUP_PAGES {
            let row = (group.to_string(), GROUP_PAGES * 4_096);
            connection
                .execute(
                    "INSERT INTO documents VALUES ('c', ?1, zeroblob(?2), '')",
                    row,
                )
                .expect("the lock is free");
            checkpoints.committed(&connection).expect("a whole file");
            longest = longest.max(run(&connection, LOOK).expect("a whole file").pages);
        }
        assert!(longest >= LENGTHS.start, "{longest} pages were all");
        assert!(
            longest <= LENGTHS.limit + 2 * GROUP_PAGES,
            "{longest} pages in the log"
        );
    }
}
