//! Asks for memory before it is needed, so that the records of a batch wait for it together.
//! Layer: core
#![expect(unsafe_code, reason = "the prefetch instruction takes a raw pointer")]

/// Asks for the cache line where `cell` begins. A hint: it reads nothing, changes nothing and
/// cannot fail.
#[inline(always)]
pub(super) fn fetch<C>(cell: &C) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is defined for any address; this one is even valid.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(cell).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = cell;
}
