//! What one record costs the ledger: the one formula that every admission uses.
//! Layer: core

/// Bytes beside a record's payload: 80 for the shared allocation that holds the record (16 of
/// counts and 64 of fields, its own size class), 432 for its node, ring slot, key index entry and
/// share of a task; measured: 512 per message in flight.
pub const RECORD_OVERHEAD: u64 = 512;

/// From here on jemalloc gives an allocation whole pages, shifted within one more page so that
/// large buffers do not compete for the same cache lines (`cache_oblivious`).
const LARGE: u64 = 16 << 10;

const PAGE: u64 = 4 << 10;

/// Bytes that one record of `payload_len` bytes (value, key and headers as stored) holds from
/// admission to completion.
#[must_use]
pub fn record_charge(payload_len: u64) -> u64 {
    size_class(payload_len).saturating_add(RECORD_OVERHEAD)
}

/// Bytes that jemalloc sets aside for an allocation of `size` bytes: four classes to a doubling,
/// steps of 16 up to 128. An empty allocation is none.
#[must_use]
pub fn size_class(size: u64) -> u64 {
    let class = match size {
        0 => 0,
        1..=8 => 8,
        9..=128 => size.next_multiple_of(16),
        _ => {
            let quarter = 1_u64 << ((size - 1).ilog2() - 2);
            size.checked_next_multiple_of(quarter).unwrap_or(u64::MAX)
        }
    };
    if class < LARGE {
        class
    } else {
        class.saturating_add(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_jemalloc() {
        let table = [
            (0, 0),
            (1, 8),
            (9, 16),
            (100, 112),
            (128, 128),
            (129, 160),
            (257, 320),
            (1024, 1024),
            (1025, 1280),
            (14_336, 14_336),
            (14_337, 16_384 + 4096),
            (1 << 20, (1 << 20) + 4096),
            ((1 << 20) + 1, (1280 << 10) + 4096),
        ];
        for (size, class) in table {
            assert_eq!(size_class(size), class, "{size}");
        }
    }

    #[test]
    fn the_charge_covers_the_payload_at_any_size() {
        for size in [0, 1, 1023, 1 << 20, 1 << 40, u64::MAX - 1, u64::MAX] {
            assert!(record_charge(size) >= size);
        }
        assert_eq!(record_charge(1024), 1536);
    }
}
