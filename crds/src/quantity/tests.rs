//! Quantities against exact rationals.
//! Layer: test

use proptest::prelude::*;

use super::*;

/// Every suffix as a fraction of whole numbers.
const SUFFIXES: [(&str, i128, i128); 18] = [
    ("", 1, 1),
    ("n", 1, 1_000_000_000),
    ("u", 1, 1_000_000),
    ("m", 1, 1000),
    ("k", 1000, 1),
    ("M", 1_000_000, 1),
    ("G", 1_000_000_000, 1),
    ("T", 1_000_000_000_000, 1),
    ("P", 1_000_000_000_000_000, 1),
    ("E", 1_000_000_000_000_000_000, 1),
    ("Ki", 1 << 10, 1),
    ("Mi", 1 << 20, 1),
    ("Gi", 1 << 30, 1),
    ("Ti", 1 << 40, 1),
    ("Pi", 1 << 50, 1),
    ("Ei", 1 << 60, 1),
    ("e3", 1000, 1),
    ("E-2", 1, 100),
];

/// `ceil(digits / 10^places * up / down)`.
fn reference(digits: u64, places: u32, up: i128, down: i128) -> i128 {
    let down = 10_i128.pow(places) * down;
    let product = i128::from(digits) * up;
    (product + down - 1) / down
}

/// The digits with a point before the last `places`.
fn written(digits: u64, places: u32) -> String {
    let places = places as usize;
    let text = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    if places == 0 {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

proptest! {
    #[test]
    fn exact_and_rounded_up(
        digits in 0_u64..10_000_000_000_000_000,
        places in 0_u32..16,
        (suffix, up, down) in proptest::sample::select(&SUFFIXES[..]),
    ) {
        let text = format!("{}{suffix}", written(digits, places));
        let expected = reference(digits, places, up, down);
        match Quantity::parse(&text) {
            Ok(quantity) => prop_assert_eq!(i128::from(quantity.bytes()), expected, "{}", text),
            Err(fault) => {
                prop_assert_eq!(&fault, &QuantityFault::TooLarge(text));
                prop_assert!(expected > i128::from(Quantity::MAX_BYTES));
            }
        }
    }

    #[test]
    fn what_is_shown_reads_back(bytes in 0..=Quantity::MAX_BYTES) {
        let quantity = Quantity::from_bytes(bytes);
        prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
    }

    #[test]
    fn no_text_is_a_panic(text in "[-+0-9.eEKMGimnuk ]{0,40}") {
        let _ = (Quantity::parse(&text), Cpu::parse(&text));
    }
}

#[test]
fn the_quantities_of_the_documentation() {
    let bytes = |text| Quantity::parse(text).map(Quantity::bytes);
    assert_eq!(bytes("512Mi"), Ok(536_870_912));
    assert_eq!(bytes("128974848000m"), Ok(128_974_848));
    assert_eq!(bytes("1e3"), Ok(1000));
    assert_eq!(bytes("1G"), Ok(1_000_000_000));
    assert_eq!(bytes("0.1Gi"), Ok(107_374_183));
    assert_eq!(bytes("7Ei"), Ok(7 << 60));
    assert_eq!(bytes("9223372036854775807"), Ok(Quantity::MAX_BYTES));
    assert_eq!(Cpu::parse("500m").map(Cpu::millicores), Ok(500));
    assert_eq!(Cpu::parse("0.5").map(Cpu::millicores), Ok(500));
    assert_eq!(Cpu::parse("2").map(Cpu::millicores), Ok(2000));
}

#[test]
fn texts_that_are_no_quantity() {
    for text in [
        "", ".", "Mi", "1.2.3", "1 Mi", "1KiB", "1e", "1e1.5", "0x10", "1e999", "--1",
    ] {
        let fault = Quantity::parse(text).unwrap_err();
        assert!(
            !matches!(fault, QuantityFault::TooLarge(_)),
            "{text}: {fault}"
        );
    }
    assert!(matches!(
        Quantity::parse("1e40"),
        Err(QuantityFault::TooLarge(_))
    ));
    assert!(matches!(
        Quantity::parse("8Ei"),
        Err(QuantityFault::TooLarge(_))
    ));
}
