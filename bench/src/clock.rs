//! CPU time of a thread, so that neighbours on the machine do not count, and of the process.
//! Layer: shell

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds that this thread has run.
#[must_use]
pub fn thread_nanos() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

/// Nanoseconds that all threads of the process have run, ended ones included.
#[must_use]
pub fn process_nanos() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).expect("CPU time is not negative");
    let rest = u64::try_from(time.tv_nsec).expect("nanoseconds are not negative");
    seconds * 1_000_000_000 + rest
}

/// Seconds since 1970, for names.
#[must_use]
pub fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Another number each time, for names.
#[must_use]
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Relaxed)
}
