//! Rust and C allocate from one jemalloc, and it is set as the plan says.
//! Layer: test
#![expect(unsafe_code, reason = "calls C to see where C allocates")]

use std::ffi::CString;

use penstock_processor::allocator::{self, Background};
use penstock_sizing::{Bytes, Demand, PurgeDecay, derive};
use tikv_jemalloc_ctl::thread;

const MIB: u64 = 1 << 20;

/// Bytes that jemalloc gave to this thread while `work` ran. The counter never falls.
fn allocated_by(work: impl FnOnce()) -> u64 {
    let counter = thread::allocatedp::read().expect("jemalloc counts by thread");
    let before = counter.get();
    work();
    counter.get() - before
}

#[test]
fn rust_allocates_from_jemalloc() {
    let bytes = allocated_by(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20))));
    assert!(bytes >= MIB, "jemalloc saw {bytes} bytes of 1 MiB");
}

/// Fails when `unprefixed_malloc_on_supported_platforms` is off: then the C library keeps its own.
#[test]
fn the_c_library_allocates_from_jemalloc() {
    let text = CString::new(vec![b'x'; 1 << 20]).expect("no zero byte");
    let bytes = allocated_by(|| {
        // SAFETY: `text` is a C string, and what strdup returns is freed once.
        unsafe { libc::free(libc::strdup(text.as_ptr()).cast()) }
    });
    assert!(bytes >= MIB, "jemalloc saw {bytes} bytes of 1 MiB");
}

/// The same for a C library that is linked in: its configuration alone is kilobytes.
#[test]
fn the_kafka_client_allocates_from_jemalloc() {
    let bytes = allocated_by(|| {
        // SAFETY: the configuration is destroyed once and used by nobody.
        unsafe { rdkafka_sys::rd_kafka_conf_destroy(rdkafka_sys::rd_kafka_conf_new()) }
    });
    assert!(
        bytes >= 1024,
        "jemalloc saw {bytes} bytes of a client configuration"
    );
}

/// The dynamic linker, too, finds `malloc` in this program and not in a library.
#[test]
fn malloc_is_a_symbol_of_this_program() {
    let object_of = |address: *const libc::c_void| {
        let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: `info` is large enough, and an unknown address leaves it zeroed.
        unsafe {
            libc::dladdr(address, info.as_mut_ptr());
            info.assume_init().dli_fbase
        }
    };
    // SAFETY: looks up a name.
    let malloc = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"malloc".as_ptr()) };
    let ours = malloc_is_a_symbol_of_this_program as *const () as *const libc::c_void;
    assert!(!malloc.is_null());
    assert_eq!(object_of(malloc), object_of(ours));
}

/// One test, because decay belongs to the whole process.
#[test]
fn the_plan_is_applied_and_purging_returns_pages() {
    for purge_decay in [PurgeDecay::Immediate, PurgeDecay::OneSecond] {
        let demand = Demand {
            purge_decay,
            cores: 2,
            ..Demand::default()
        };
        let plan = derive(Bytes::mib(512), &demand).expect("it fits");
        let state = allocator::set_up(&plan.runtime).expect("this is jemalloc");
        assert_eq!(state.dirty_decay_ms, i64::from(purge_decay.millis()));
        assert_eq!(state.background, Background::Running);
        assert_eq!(state.arenas, plan.runtime.arenas);
    }
    // Blocks that no cache of the thread keeps and that are not returned at once.
    let blocks: Vec<_> = (0..1024)
        .map(|_| std::hint::black_box(vec![1_u8; 64 << 10]))
        .collect();
    let full = resident();
    drop(blocks);
    let left = allocator::purge().expect("this is jemalloc");
    assert!(left < Bytes::mib(2), "{left} of 64Mi were not purged");
    assert!(resident() + 56 * MIB < full, "64 MiB were freed and purged");
}

fn resident() -> u64 {
    tikv_jemalloc_ctl::epoch::advance().expect("jemalloc has an epoch");
    tikv_jemalloc_ctl::stats::resident::read().expect("jemalloc counts pages") as u64
}
