//! Quantities as Kubernetes reads and prints them.
//! Layer: test

use super::*;

#[test]
fn quantities_are_exact() {
    let table = [
        ("512Mi", 512 << 20),
        ("1G", 1_000_000_000),
        ("128974848000m", 128_974_848),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 1_000_000_000_000_000_000),
        ("1.5Gi", 3 << 29),
        ("0.1Gi", 107_374_183), // 107374182.4, rounded up
        ("1500e-3", 2),
        ("1n", 1),
        ("+64Mi", 64 << 20),
        (".5Ki", 512),
        ("5.", 5),
        ("0", 0),
        ("0e99999", 0),
        ("00012k", 12_000),
        ("15Ei", 15 << 60),
        ("18446744073709551615", u64::MAX),
        ("1e-40", 1),
    ];
    for (text, bytes) in table {
        assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
    }
}

#[test]
fn faults_name_the_text_and_what_is_legal() {
    let table = [
        ("", "begins with no decimal number"),
        ("Mi", "begins with no decimal number"),
        ("1.2.3", "begins with no decimal number"),
        (".", "begins with no decimal number"),
        ("-1Mi", "is negative"),
        ("1mi", "unknown unit"),
        ("1KB", "unknown unit"),
        ("1 Mi", "unknown unit"),
        ("1e", "unknown unit"),
        ("1e+-3", "unknown unit"),
        ("16Ei", "too large"),
        ("1e20", "too large"),
        ("1e2147483648", "too large"),
        ("99999999999999999999999999999999999999999", "too large"),
    ];
    for (text, part) in table {
        let error = text.parse::<Bytes>().expect_err(text).to_string();
        assert!(
            error.contains(part) && error.contains(&format!("{text:?}")),
            "{error}"
        );
    }
}

#[test]
fn printing_uses_the_largest_unit_that_divides() {
    let table = [
        (0, "0"),
        (1, "1"),
        (1000, "1000"),
        (1024, "1Ki"),
        (3 << 29, "1536Mi"),
        (1 << 60, "1Ei"),
        (u64::MAX, "18446744073709551615"),
    ];
    for (bytes, text) in table {
        assert_eq!(Bytes(bytes).to_string(), text);
        assert_eq!(text.parse(), Ok(Bytes(bytes)));
    }
}

#[test]
fn approximation_is_rounded_down() {
    let table = [
        (1023, "1023"),
        (1024, "1Ki"),
        ((65 << 20) + (350 << 10), "65.3Mi"),
        (2 << 30, "2048Mi"),
        (12 << 30, "12Gi"),
    ];
    for (bytes, text) in table {
        assert_eq!(Bytes(bytes).approximate(), text);
    }
}
