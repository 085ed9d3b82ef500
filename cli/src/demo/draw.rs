//! Numbers that look random and are the same for the same seed on every machine.
//! Layer: core

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// A stream of its own for each pair of seed and number.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        Self(mix(seed).wrapping_add(mix(number ^ 0x5e_ed0f_57a7)))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 up to, without, `bound`; 0 when `bound` is 0.
    ///
    /// The high half of a 64 by 64 bit product: biased by less than `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of a 128 bit product has 64 bits")
    }
}

/// The finalizer of `SplitMix64`: every input bit reaches every output bit.
#[must_use]
pub fn mix(input: u64) -> u64 {
    let a = (input ^ (input >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_decided_by_seed_and_number() {
        let take = |seed, number| {
            let mut draw = Draw::new(seed, number);
            [draw.bits(), draw.bits()]
        };
        assert_eq!(take(1, 2), take(1, 2));
        assert_ne!(take(1, 2), take(2, 1));
        assert_ne!(take(1, 2)[0], take(1, 2)[1]);
    }

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let mut draw = Draw::new(7, 7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[usize::try_from(draw.below(5)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(draw.below(0), 0);
    }
}
