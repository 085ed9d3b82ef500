//! Whether memory grows: the Theil-Sen slope and its interval by a bootstrap over blocks.
//! Layer: core
//!
//! Neighbouring seconds are alike, so single samples drawn anew would make the interval too narrow:
//! blocks of them are drawn. Whole numbers throughout, so that a seed gives one answer everywhere.

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// A working set at a time: milliseconds, bytes.
pub(crate) type Point = (u64, u64);

/// Bytes an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slope {
    /// Lower end of the 95 % interval.
    pub(crate) low: i64,
    /// Median of the slopes between all pairs of points.
    pub(crate) middle: i64,
    /// Upper end of the 95 % interval.
    pub(crate) high: i64,
}

/// Fewer points than this say nothing.
pub(crate) const FEWEST: usize = 20;
/// Points used at most: there are as many slopes as pairs.
const MOST: usize = 120;
const RESAMPLES: usize = 400;
const BLOCKS: usize = 12;
const MILLIS_AN_HOUR: i128 = 3_600_000;

impl Slope {
    /// The slope of at least [`FEWEST`] points; `None` of fewer.
    pub(crate) fn of(points: &[Point], seed: u64) -> Option<Self> {
        if points.len() < FEWEST {
            return None;
        }
        let points = thin(points);
        let mut rng = SmallRng::seed_from_u64(seed);
        let block = points.len().div_ceil(BLOCKS);
        let mut slopes: Vec<i64> = (0..RESAMPLES)
            .filter_map(|_| median(&resample(&points, block, &mut rng)))
            .collect();
        slopes.sort_unstable();
        let at = |permille: usize| slopes.get(slopes.len() * permille / 1000).copied();
        Some(Self {
            low: at(25)?,
            middle: median(&points)?,
            high: at(975)?,
        })
    }

    /// Whether the data are compatible with no growth.
    pub(crate) fn may_be_flat(self) -> bool {
        self.low <= 0
    }
}

/// Means of neighbours, so that no more than [`MOST`] points are left.
fn thin(points: &[Point]) -> Vec<Point> {
    let width = points.len().div_ceil(MOST);
    let mean = |numbers: &[Point], of: fn(&Point) -> u64| {
        numbers.iter().map(of).sum::<u64>() / numbers.len() as u64
    };
    points
        .chunks(width)
        .map(|chunk| (mean(chunk, |p| p.0), mean(chunk, |p| p.1)))
        .collect()
}

fn resample(points: &[Point], block: usize, rng: &mut SmallRng) -> Vec<Point> {
    let mut drawn = Vec::with_capacity(points.len() + block);
    while drawn.len() < points.len() {
        let start = rng.random_range(0..=points.len() - block);
        drawn.extend_from_slice(&points[start..start + block]);
    }
    drawn
}

/// Median slope; `None` when all points are of one moment.
fn median(points: &[Point]) -> Option<i64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, a) in points.iter().enumerate() {
        for b in &points[index + 1..] {
            let millis = i128::from(b.0) - i128::from(a.0);
            if millis != 0 {
                let bytes = i128::from(b.1) - i128::from(a.1);
                slopes.push(bytes * MILLIS_AN_HOUR / millis);
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    let middle = slopes.len() / 2;
    let (_, median, _) = slopes.select_nth_unstable(middle);
    i64::try_from(*median).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes a second, and noise of up to that many bytes.
    fn series(growth: u64, noise: u64) -> Vec<Point> {
        let mut rng = SmallRng::seed_from_u64(1);
        (0..300)
            .map(|second| {
                let jitter = rng.random_range(0..=noise);
                (second * 1000, (100 << 20) + growth * second + jitter)
            })
            .collect()
    }

    #[test]
    fn noise_alone_is_flat() {
        let slope = Slope::of(&series(0, 4 << 20), 1).expect("enough points");
        assert!(slope.may_be_flat() && slope.high >= 0, "{slope:?}");
    }

    #[test]
    fn a_leak_below_the_noise_is_found() {
        // 8 KiB a second under noise of 1 MiB: 29 MB an hour.
        let slope = Slope::of(&series(8 << 10, 1 << 20), 1).expect("enough points");
        assert!(!slope.may_be_flat(), "{slope:?}");
        let expected = (8 << 10) * 3600;
        assert!((slope.middle - expected).abs() < expected / 5, "{slope:?}");
    }

    #[test]
    fn one_outlier_is_no_growth() {
        let mut points = series(0, 1 << 10);
        points[299].1 += 50 << 20;
        assert!(Slope::of(&points, 1).expect("enough points").may_be_flat());
    }

    #[test]
    fn a_few_points_say_nothing() {
        assert_eq!(Slope::of(&series(0, 0)[..FEWEST - 1], 1), None);
    }
}
