//! A number of bytes, read and written as an exact Kubernetes quantity.
//! Layer: core

mod quantity;

use std::{fmt, str::FromStr};

pub use quantity::QuantityError;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// 1024 bytes.
    pub const KIB: Self = Self(1 << 10);
    /// 1024 KiB.
    pub const MIB: Self = Self(1 << 20);
    /// 1024 MiB.
    pub const GIB: Self = Self(1 << 30);

    /// That many KiB; the largest value there is when they do not fit.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(Self::KIB.0))
    }

    /// That many MiB; the largest value there is when they do not fit.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(Self::MIB.0))
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, unless it overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless it would be negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, unless it overflows.
    #[must_use]
    pub fn checked_mul(self, factor: u64) -> Option<Self> {
        self.0.checked_mul(factor).map(Self)
    }

    /// The difference, or zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self · numerator / denominator`, rounded up; the largest value there is on overflow.
    ///
    /// # Panics
    /// When the denominator is zero.
    #[must_use]
    pub fn scaled_up(self, numerator: u64, denominator: u64) -> Self {
        Self::from_wide((u128::from(self.0) * u128::from(numerator)).div_ceil(denominator.into()))
    }

    /// `self · numerator / denominator`, rounded down; the largest value there is on overflow.
    ///
    /// # Panics
    /// When the denominator is zero.
    #[must_use]
    pub fn scaled_down(self, numerator: u64, denominator: u64) -> Self {
        Self::from_wide(u128::from(self.0) * u128::from(numerator) / u128::from(denominator))
    }

    /// Saturates: a demand that overflows fits no limit anyway.
    pub(crate) fn from_wide(wide: u128) -> Self {
        Self(u64::try_from(wide).unwrap_or(u64::MAX))
    }

    /// For people: one decimal of the largest unit below it, rounded down, such as `65.3Mi`.
    #[must_use]
    pub fn approximate(self) -> String {
        let units = [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")];
        // A limit of a few GiB is compared in MiB, so GiB begins at ten of them.
        let unit = units.iter().find(|(shift, _)| {
            let unit = 1_u64 << shift;
            if *shift >= 30 {
                self.0 >= 10 * unit
            } else {
                self.0 >= unit
            }
        });
        let Some((shift, suffix)) = unit else {
            return self.0.to_string();
        };
        let whole = self.0 >> shift;
        let tenths = ((self.0 & ((1 << shift) - 1)) * 10) >> shift;
        if tenths == 0 {
            format!("{whole}{suffix}")
        } else {
            format!("{whole}.{tenths}{suffix}")
        }
    }
}

/// Exact: the largest binary unit that divides the number, as Kubernetes prints it.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let unit = if self.0 == 0 {
            0
        } else {
            self.0.trailing_zeros() / 10
        };
        f.pad(&format!(
            "{}{}",
            self.0 >> (10 * unit),
            UNITS[unit as usize]
        ))
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        quantity::parse(text).map(Self)
    }
}

#[cfg(test)]
mod tests;
