//! Reads Kubernetes quantities without floats: sign, decimal number, unit or exponent.
//! Layer: core

use std::fmt;

/// Why a text is no number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantityError {
    text: String,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NoNumber,
    Negative,
    Unit,
    TooLarge,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let legal = match self.fault {
            Fault::NoNumber => {
                "begins with no decimal number; legal are texts such as 512Mi, 1.5Gi, 1G or 1e9"
            }
            Fault::Negative => "is negative; a number of bytes is zero or more",
            Fault::Unit => {
                "has an unknown unit; legal are Ki Mi Gi Ti Pi Ei, n u m k M G T P E, and exponents such as e6"
            }
            Fault::TooLarge => "is too large; the largest number of bytes is 18446744073709551615",
        };
        write!(f, "quantity {:?} {legal}", self.text)
    }
}

impl std::error::Error for QuantityError {}

/// How the digits scale: `digits · binary · 10^power`.
struct Scale {
    binary: u64,
    power: i32,
}

/// Fractions of a byte are rounded up, as Kubernetes does when it needs a whole number.
pub(super) fn parse(text: &str) -> Result<u64, QuantityError> {
    read(text).map_err(|fault| QuantityError {
        text: text.to_owned(),
        fault,
    })
}

fn read(text: &str) -> Result<u64, Fault> {
    if text.starts_with('-') {
        return Err(Fault::Negative);
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return Err(Fault::NoNumber);
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = scale(unit)?;
    let places = i32::try_from(fraction.len()).map_err(|_| Fault::TooLarge)?;
    scaled(&format!("{whole}{fraction}"), &scale, places)
}

fn scaled(digits: &str, scale: &Scale, places: i32) -> Result<u64, Fault> {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let number: u128 = digits.parse().map_err(|_| Fault::TooLarge)?;
    let binary = u128::from(scale.binary);
    let power = scale.power.checked_sub(places).ok_or(Fault::TooLarge)?;
    let ten = 10_u128.checked_pow(power.unsigned_abs());
    let bytes = match (power >= 0, ten) {
        (true, Some(ten)) => number.checked_mul(binary).and_then(|n| n.checked_mul(ten)),
        (true, None) => None,
        (false, Some(ten)) => product_over(number, binary, ten),
        // Below a byte however many digits there are, and never nothing.
        (false, None) => Some(1),
    };
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or(Fault::TooLarge)
}

/// `number · binary / ten`, rounded up; the twos that both factors share are left out, and the
/// whole part is split off, so that digits behind the point do not overflow.
fn product_over(number: u128, binary: u128, ten: u128) -> Option<u128> {
    let shared = binary.trailing_zeros().min(ten.trailing_zeros());
    let (binary, ten) = (binary >> shared, ten >> shared);
    let (whole, rest) = (number / ten, number % ten);
    let rest = rest.checked_mul(binary)?.div_ceil(ten);
    whole.checked_mul(binary)?.checked_add(rest)
}

fn scale(unit: &str) -> Result<Scale, Fault> {
    let binary = |shift: u32| {
        Ok(Scale {
            binary: 1 << shift,
            power: 0,
        })
    };
    let decimal = |power: i32| Ok(Scale { binary: 1, power });
    match unit {
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        _ => exponent(unit).and_then(decimal),
    }
}

fn exponent(unit: &str) -> Result<i32, Fault> {
    let digits = unit.strip_prefix(['e', 'E']).ok_or(Fault::Unit)?;
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Unit);
    }
    digits.parse().map_err(|_| Fault::TooLarge)
}
