//! jemalloc, set up as the plan was made for.
//! Layer: shell
#![expect(unsafe_code, reason = "jemalloc's controls are untyped")]

use std::ffi::{CStr, c_char};

use penstock_sizing::{Bytes, RuntimePlan};
use tikv_jemalloc_ctl::{Error, epoch, raw};

use super::{AllocatorState, Background};

/// Read by jemalloc before `main`: the number of arenas cannot change later, and its default
/// follows the host's processors instead of the pod's. Four is the most a plan asks for.
/// `MALLOC_CONF` in the environment still wins.
#[unsafe(no_mangle)]
static malloc_conf: Option<&'static c_char> = Some(
    // SAFETY: the literal is static and ends with a zero byte.
    unsafe { &*c"narenas:4,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0".as_ptr() },
);

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
    set_decay("dirty", decay)?;
    set_decay("muzzy", 0)?;
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
        background: if read::<bool>(c"background_thread")? {
            Background::Running
        } else {
            Background::Absent
        },
    })
}

/// Returns freed pages to the kernel; for the governor, at most every few seconds. Says how many
/// bytes of them are left, which other threads freed or were purging meanwhile.
///
/// An arena purges when its decay becomes zero, unless a background thread is purging it at this
/// moment. So those are stopped, and waited for, until every arena has its decay back.
///
/// # Errors
/// When jemalloc does not know a name, which would be another allocator.
pub fn purge() -> Result<Bytes, Error> {
    let decay = read::<isize>(c"arenas.dirty_decay_ms")?;
    let background = read::<bool>(c"background_thread")?;
    write(c"background_thread", false)?;
    set_decay("dirty", 0)?;
    set_decay("dirty", decay)?;
    write(c"background_thread", background)?;
    epoch::advance()?;
    // 4096 is all arenas together.
    let pages = read::<usize>(c"stats.arenas.4096.pdirty")?;
    Ok(Bytes((pages * read::<usize>(c"arenas.page")?) as u64))
}

/// Decay of the arenas that exist. One that no thread has used yet refuses, and will begin with
/// the default. The arena after these serves allocations of 8 MiB and more and returns them at
/// once; it is left to that.
fn set_decay(pages: &str, millis: isize) -> Result<(), Error> {
    for arena in 0..read::<u32>(c"opt.narenas")? {
        let name = format!("arena.{arena}.{pages}_decay_ms\0");
        // SAFETY: the control is an ssize_t.
        let _ = unsafe { raw::write(name.as_bytes(), millis) };
    }
    Ok(())
}

/// A value of jemalloc whose C type the caller names.
fn read<T: Copy + Control>(name: &CStr) -> Result<T, Error> {
    // SAFETY: `Control` admits only the types of the names used in this file.
    unsafe { raw::read(name.to_bytes_with_nul()) }
}

fn write<T: Control>(name: &CStr, value: T) -> Result<(), Error> {
    // SAFETY: as above.
    unsafe { raw::write(name.to_bytes_with_nul(), value) }
}

/// C types of jemalloc's controls: `unsigned`, `size_t`, `ssize_t`, `bool`. A wrong size is refused by
/// jemalloc.
trait Control {}
impl Control for u32 {}
impl Control for usize {}
impl Control for isize {}
impl Control for bool {}
