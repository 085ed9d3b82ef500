//! CPU time of a thread, so that neighbours on the machine do not count.
//! Layer: shell

use std::{fs, sync::OnceLock, time::Instant};

/// Nanoseconds that this thread has run; wall time where the kernel does not tell.
#[must_use]
pub fn thread_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = text.and_then(|text| text.split(' ').next().and_then(|first| first.parse().ok()));
    on_cpu.unwrap_or_else(|| {
        static START: OnceLock<Instant> = OnceLock::new();
        let nanos = START.get_or_init(Instant::now).elapsed().as_nanos();
        u64::try_from(nanos).expect("centuries fit into 64 bits")
    })
}
