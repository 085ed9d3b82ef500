//! Counts allocations of the whole process.
//! Layer: shell
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one only counts"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// The system's allocator with a counter in front.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// A counter shared by all threads costs them time, so it rests until somebody looks.
static LOOKED: AtomicBool = AtomicBool::new(false);

#[inline]
fn note() {
    if LOOKED.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Allocations since the first call, reallocations included.
#[must_use]
pub fn count() -> u64 {
    LOOKED.store(true, Relaxed);
    ALLOCATIONS.load(Relaxed)
}
