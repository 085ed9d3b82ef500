//! Divides a whole by weight between takers with caps, in integers.
//! Layer: core

/// One who takes from the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    /// Bytes per step of the water level.
    pub(crate) weight: u64,
    /// The most it can use.
    pub(crate) room: u64,
}

impl Taker {
    fn at(self, level: u64) -> u64 {
        let wide = u128::from(level) * u128::from(self.weight);
        u64::try_from(wide).map_or(self.room, |share| share.min(self.room))
    }
}

/// Raises one water level until the next step would exceed `whole`; each taker gets
/// `min(room, level · weight)`.
///
/// Remainder rule: what is left (less than the sum of the weights, unless all are full) belongs to
/// nobody. Handing it out by largest remainder could shrink a share when the whole grows.
pub(crate) fn fill<const N: usize>(whole: u64, takers: [Taker; N]) -> [u64; N] {
    let fits = |level: u64| {
        takers
            .iter()
            .map(|taker| u128::from(taker.at(level)))
            .sum::<u128>()
            <= u128::from(whole)
    };
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle
        } else {
            high = middle - 1
        }
    }
    takers.map(|taker| taker.at(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: u64 = u64::MAX;

    fn split(whole: u64, takers: [(u64, u64); 3]) -> [u64; 3] {
        fill(whole, takers.map(|(weight, room)| Taker { weight, room }))
    }

    #[test]
    fn shares_follow_weights_and_the_remainder_is_nobodys() {
        assert_eq!(split(100, [(1, OPEN), (2, OPEN), (1, OPEN)]), [25, 50, 25]);
        assert_eq!(split(103, [(1, OPEN), (2, OPEN), (1, OPEN)]), [25, 50, 25]);
    }

    #[test]
    fn what_a_full_taker_cannot_use_goes_to_the_others() {
        assert_eq!(split(100, [(1, 10), (2, OPEN), (1, OPEN)]), [10, 60, 30]);
        assert_eq!(split(100, [(1, 10), (2, 20), (1, 30)]), [10, 20, 30]);
    }

    #[test]
    fn a_weight_of_zero_takes_nothing() {
        assert_eq!(split(100, [(0, OPEN), (1, OPEN), (0, OPEN)]), [0, 100, 0]);
        assert_eq!(split(100, [(0, OPEN), (0, OPEN), (0, OPEN)]), [0, 0, 0]);
    }
}
