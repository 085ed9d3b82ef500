//! Keys as shops know them: a few customers come often, most of them rarely.
//! Layer: core

use super::draw::Draw;

/// Zipf's law over ranks 0 to n - 1, exponent 0.8: of 50,000 keys the first has 2.5 % of all draws.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// Running sums of the weights; eight bytes a key.
    sums: Vec<u64>,
}

/// Ranks at most: beyond, the fourth power below would not fit 128 bits.
pub const MAX_RANKS: u32 = 1 << 24;

/// Weight of the first rank; large enough that the last rank's is not rounded away.
const FIRST: u64 = 1 << 28;

impl Zipf {
    /// A distribution over `ranks` ranks, at least one and at most [`MAX_RANKS`].
    #[must_use]
    pub fn new(ranks: u32) -> Self {
        let sums = (1..=ranks.clamp(1, MAX_RANKS)).scan(0, |sum, rank| {
            *sum += weight(rank);
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
        }
    }

    /// The next rank.
    pub fn rank(&self, draw: &mut Draw) -> u32 {
        let total = self
            .sums
            .last()
            .copied()
            .expect("there is at least one rank");
        let point = draw.below(total);
        let rank = self.sums.partition_point(|sum| *sum <= point);
        u32::try_from(rank).expect("there were at most 2^24 ranks")
    }
}

/// `FIRST / rank^0.8`, at least 1; the power as the integer fifth root of the fourth power.
fn weight(rank: u32) -> u64 {
    /// Bits of fraction, so that small ranks differ: (2^5)^5 under the root.
    const FRACTION: u32 = 5;
    let scaled = u128::from(rank).pow(4) << (5 * FRACTION);
    (FIRST << FRACTION) / fifth_root(scaled)
}

/// The largest `root` with `root^5 <= value`.
fn fifth_root(value: u128) -> u64 {
    let (mut low, mut high) = (1_u64, 1 << 25);
    while low < high {
        let middle = u64::midpoint(low, high + 1);
        if u128::from(middle).pow(5) <= value {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_the_law() {
        assert_eq!(weight(1), FIRST);
        // 32^0.8 = 16 exactly
        assert_eq!(weight(32), FIRST / 16);
        assert!((400..500).contains(&weight(MAX_RANKS)));
    }

    #[test]
    fn the_first_key_has_its_share_and_the_last_is_reached() {
        let zipf = Zipf::new(1_000);
        let mut counts = vec![0_u32; 1_000];
        let mut draw = Draw::new(3, 0);
        for _ in 0..100_000 {
            counts[zipf.rank(&mut draw) as usize] += 1;
        }
        // sum of i^-0.8 for 1,000 ranks is 15.5: the first has 6.4 %
        assert!((5_900..7_000).contains(&counts[0]), "{}", counts[0]);
        assert!(counts.iter().all(|count| *count > 0));
    }

    #[test]
    fn one_rank_is_legal() {
        assert_eq!(Zipf::new(0).rank(&mut Draw::new(1, 1)), 0);
    }
}
