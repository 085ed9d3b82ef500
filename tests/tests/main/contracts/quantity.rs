//! Object and memory law read a quantity alike, though each has a parser of its own.
//! Layer: test

use penstock_crds::quantity::Quantity;
use penstock_sizing::Bytes;
use proptest::prelude::*;

/// Bytes by the object's parser and by the law's. The object stops at the largest quantity of
/// Kubernetes, the law at the largest integer: above the first only the law may answer.
fn both(text: &str) -> (Option<u64>, Option<u64>) {
    let object = Quantity::parse(text).ok().map(Quantity::bytes);
    let law = text.parse::<Bytes>().ok().map(Bytes::get);
    (object, law.filter(|bytes| *bytes <= Quantity::MAX_BYTES))
}

#[test]
fn the_table_holds_for_both() {
    let table = [
        ("0", Some(0)),
        ("512Mi", Some(512 << 20)),
        ("1G", Some(1_000_000_000)),
        ("128974848000m", Some(128_974_848)),
        ("1e3", Some(1_000)),
        ("1E3", Some(1_000)),
        ("1E", Some(1_000_000_000_000_000_000)),
        ("5e+2", Some(500)),
        ("5e-1", Some(1)),
        ("0.5Gi", Some(1 << 29)),
        (".5Ki", Some(512)),
        ("1.Ki", Some(1024)),
        ("+7", Some(7)),
        ("1n", Some(1)),
        ("1.0000000001Ki", Some(1025)),
        ("1.000000000000000000000000001Ei", Some((1 << 60) + 1)),
        ("7Ei", Some(7 << 60)),
        ("9223372036854775807", Some(i64::MAX as u64)),
        ("9223372036854775808", None),
        ("8Ei", None),
        ("1e99", None),
        ("0e99", Some(0)),
        ("1e-99", Some(1)),
        ("-1", None),
        ("-0", None),
        ("", None),
        (".", None),
        ("1..0", None),
        ("1 Mi", None),
        (" 1", None),
        ("1mi", None),
        ("1K", None),
        ("1e", None),
        ("1e3Ki", None),
        ("0x10", None),
        ("1_000", None),
        ("١", None),
    ];
    for (text, bytes) in table {
        assert_eq!(both(text), (bytes, bytes), "{text:?}");
    }
}

/// Texts near a quantity: at most 28 digits, which is as many as the object allows.
fn texts() -> impl Strategy<Value = String> {
    let unit = prop::sample::select(vec![
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "ki",
        "e3", "e-3", "E+9", "e18", "e-18", "e30", "e-30", "e99", "e-99", "e",
    ]);
    ("[+-]?[0-9]{0,20}(\\.[0-9]{0,8})?", unit).prop_map(|(number, unit)| number + unit)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn two_parsers_agree(text in texts()) {
        let (object, law) = both(&text);
        prop_assert_eq!(object, law);
    }

    #[test]
    fn two_parsers_agree_on_any_text(text in "\\PC{0,8}") {
        let (object, law) = both(&text);
        prop_assert_eq!(object, law);
    }
}
