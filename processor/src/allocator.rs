//! jemalloc for Rust and C alike, with the decay that the plan was made for.
//! Layer: shell
//!
//! The unprefixed build defines `malloc` itself, so librdkafka, zstd, OpenSSL and SQLite allocate
//! here too; a prefixed one would leave them to the C library, which keeps 24 MiB of every 76 that
//! pass through the client. `tests/allocator.rs` holds us to it.
#![expect(
    unsafe_code,
    reason = "jemalloc is controlled by untyped names and one exported symbol"
)]

use std::{
    ffi::{c_char, c_int, c_void},
    ptr::null_mut,
};

use penstock_sizing::RuntimePlan;
use tikv_jemalloc_ctl::{Error, raw};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by jemalloc before `main`: the number of arenas cannot change later, and its default
/// follows the host's processors instead of the pod's. Four is the most a plan asks for.
/// `MALLOC_CONF` in the environment still wins.
#[unsafe(no_mangle)]
static malloc_conf: Option<&'static c_char> = Some(
    // SAFETY: the literal is static and ends with a zero byte.
    unsafe { &*c"narenas:4,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0".as_ptr() },
);

/// What jemalloc does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocatorState {
    /// Arenas shared by all threads.
    pub arenas: u32,
    /// Milliseconds after which freed pages are returned.
    pub dirty_decay_ms: i64,
    /// Whether jemalloc has threads that do it on time, without waiting for the next call.
    pub background: Background,
}

/// Whether jemalloc's background threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// They do.
    Running,
    /// They do not; musl images cannot have them.
    Absent,
}

/// Applies the plan: decay for arenas to come and for those that exist, background threads on.
/// Says what holds afterwards; fewer arenas than four are only possible by `MALLOC_CONF`.
///
/// # Errors
/// When jemalloc does not know a name, which would be another allocator.
pub fn set_up(plan: &RuntimePlan) -> Result<AllocatorState, Error> {
    let decay = isize::try_from(plan.purge_decay.millis()).expect("one second at most");
    write(c"background_thread", true)?;
    write(c"arenas.dirty_decay_ms", decay)?;
    write(c"arenas.muzzy_decay_ms", 0_isize)?;
    for arena in 0..read::<u32>(c"arenas.narenas")? {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            let millis = if kind == "dirty" { decay } else { 0 };
            // SAFETY: both decays are ssize_t. An arena that no thread has used yet does not
            // exist and takes the default that was written above.
            let _ = unsafe { raw::write(name.as_bytes(), millis) };
        }
    }
    state()
}

/// What jemalloc does now.
///
/// # Errors
/// When jemalloc does not know a name, which would be another allocator.
pub fn state() -> Result<AllocatorState, Error> {
    Ok(AllocatorState {
        arenas: read::<u32>(c"opt.narenas")?,
        dirty_decay_ms: read::<isize>(c"arenas.dirty_decay_ms")? as i64,
        background: match read::<bool>(c"background_thread")? {
            true => Background::Running,
            false => Background::Absent,
        },
    })
}

unsafe extern "C" {
    /// jemalloc's own, for controls without a value, which the safe crate cannot name. It exists
    /// only in the unprefixed build.
    fn mallctl(
        name: *const c_char,
        old: *mut c_void,
        old_len: *mut usize,
        new: *mut c_void,
        new_len: usize,
    ) -> c_int;
}

/// Returns all freed pages to the kernel at once; for the governor, at most every few seconds.
pub fn purge() {
    // 4096 is MALLCTL_ARENAS_ALL of jemalloc's header.
    let name = c"arena.4096.purge".as_ptr();
    // SAFETY: the name ends with a zero byte and the control takes no value.
    let code = unsafe { mallctl(name, null_mut(), null_mut(), null_mut(), 0) };
    debug_assert_eq!(code, 0, "jemalloc has this control");
}

/// A value of jemalloc whose C type the caller names.
fn read<T: Copy + Control>(name: &std::ffi::CStr) -> Result<T, Error> {
    // SAFETY: `Control` admits only the types of the names used in this file.
    unsafe { raw::read(name.to_bytes_with_nul()) }
}

fn write<T: Control>(name: &std::ffi::CStr, value: T) -> Result<(), Error> {
    // SAFETY: as above.
    unsafe { raw::write(name.to_bytes_with_nul(), value) }
}

/// C types of jemalloc's controls: `unsigned`, `ssize_t`, `bool`. A wrong size is refused by
/// jemalloc.
trait Control {}
impl Control for u32 {}
impl Control for isize {}
impl Control for bool {}
