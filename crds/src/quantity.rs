//! Kubernetes quantities as whole bytes, by exact integer arithmetic.
//! Layer: core

use std::fmt;

/// A number of bytes as Kubernetes writes it: `512Mi`, `1G`, `128974848000m`, `1e3`, `0.5Gi`.
///
/// A fraction of a byte is rounded up, as Kubernetes does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(u64);

/// A text that is no quantity of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityFault {
    /// Not of the form number, suffix.
    #[error(
        "{0:?} is not a quantity: a number and one of Ki Mi Gi Ti Pi Ei k M G T P E m u n or an exponent such as e6"
    )]
    Syntax(String),
    /// Below zero.
    #[error("{0:?} is negative: bytes are 0 or more")]
    Negative(String),
    /// Above 2^63 - 1, the largest quantity of Kubernetes.
    #[error("{0:?} is above the largest quantity, 9223372036854775807")]
    TooLarge(String),
}

/// More digits cannot be meant; up to here every product below fits `u128`.
const DIGITS_MAX: usize = 28;

impl Quantity {
    /// The largest quantity of Kubernetes, bytes.
    pub const MAX_BYTES: u64 = i64::MAX as u64;

    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads a quantity; exact, rounded up to a whole byte.
    ///
    /// # Errors
    /// Names the text and what would be legal.
    pub fn parse(text: &str) -> Result<Self, QuantityFault> {
        scaled(text, 0).map(Self)
    }
}

/// CPU time as Kubernetes writes it: `500m`, `2`, `0.5`; whole thousandths of a core, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cpu(u64);

impl Cpu {
    /// Thousandths of a core.
    #[must_use]
    pub const fn millicores(self) -> u64 {
        self.0
    }

    /// Reads an amount of CPU.
    ///
    /// # Errors
    /// Names the text and what would be legal.
    pub fn parse(text: &str) -> Result<Self, QuantityFault> {
        scaled(text, 3).map(Self)
    }
}

/// The quantity times ten to the `power`, rounded up.
fn scaled(text: &str, power: u32) -> Result<u64, QuantityFault> {
    if text.starts_with('-') {
        return Err(QuantityFault::Negative(text.to_owned()));
    }
    let syntax = || QuantityFault::Syntax(text.to_owned());
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (mantissa, fraction) = mantissa(number).ok_or_else(syntax)?;
    let scale = Scale::parse(suffix).ok_or_else(syntax)?;
    mantissa
        .checked_mul(10_u128.pow(power))
        .and_then(|mantissa| scale.apply(mantissa, fraction))
        .filter(|value| *value <= Quantity::MAX_BYTES)
        .ok_or_else(|| QuantityFault::TooLarge(text.to_owned()))
}

/// The digits as one integer, and how many of them stood behind the point.
fn mantissa(number: &str) -> Option<(u128, u32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.len() + fraction.len();
    if digits == 0 || digits > DIGITS_MAX || fraction.contains('.') {
        return None;
    }
    let value = format!("{whole}{fraction}").parse().ok()?;
    Some((value, u32::try_from(fraction.len()).ok()?))
}

/// The factor that a suffix stands for: a power of two or of ten.
enum Scale {
    Two(u32),
    Ten(i32),
}

impl Scale {
    fn parse(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "" => Self::Ten(0),
            "n" => Self::Ten(-9),
            "u" => Self::Ten(-6),
            "m" => Self::Ten(-3),
            "k" => Self::Ten(3),
            "M" => Self::Ten(6),
            "G" => Self::Ten(9),
            "T" => Self::Ten(12),
            "P" => Self::Ten(15),
            "E" => Self::Ten(18),
            "Ki" => Self::Two(10),
            "Mi" => Self::Two(20),
            "Gi" => Self::Two(30),
            "Ti" => Self::Two(40),
            "Pi" => Self::Two(50),
            "Ei" => Self::Two(60),
            exponent => Self::Ten(
                exponent
                    .strip_prefix(['e', 'E'])?
                    .parse::<i8>()
                    .ok()?
                    .into(),
            ),
        })
    }

    /// `mantissa / 10^fraction` times the factor, rounded up; `None` above `u64`.
    fn apply(&self, mantissa: u128, fraction: u32) -> Option<u64> {
        if mantissa == 0 {
            return Some(0);
        }
        let fraction = i32::try_from(fraction).ok()?;
        let (factor, ten) = match *self {
            Self::Two(power) => (1_u128 << power, -fraction),
            Self::Ten(power) => (1, power - fraction),
        };
        let power = 10_u128.checked_pow(ten.unsigned_abs());
        let value = match (ten < 0, power) {
            (true, Some(divisor)) => ceil_product(mantissa, factor, divisor)?,
            (true, None) => 1,
            (false, power) => mantissa.checked_mul(factor)?.checked_mul(power?)?,
        };
        u64::try_from(value).ok()
    }
}

/// `ceil(a * b / d)` without leaving `u128`: `a = q d + r`, so it is `q b + ceil(r b / d)`.
fn ceil_product(a: u128, b: u128, d: u128) -> Option<u128> {
    let (quotient, rest) = (a / d, a % d);
    let whole = quotient.checked_mul(b)?;
    // With at most 28 digits `r < 10^28`; common twos removed, `r b` stays below 2^126.
    let (mut b, mut d) = (b, d);
    while b.is_multiple_of(2) && d.is_multiple_of(2) {
        (b, d) = (b / 2, d / 2);
    }
    whole.checked_add(rest.checked_mul(b)?.div_ceil(d))
}

impl fmt::Display for Quantity {
    /// The largest binary unit that divides the bytes: `512Mi`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let steps = if self.0 == 0 {
            0
        } else {
            (self.0.trailing_zeros() / 10) as usize
        };
        write!(f, "{}{}", self.0 >> (10 * steps), UNITS[steps])
    }
}

#[cfg(test)]
mod tests;
