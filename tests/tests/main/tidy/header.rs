//! Every file opens with its purpose and its layer.
//! Layer: test

use super::source::{Fault, Source};

/// First line `//! purpose`, second line `//! Layer: core`, `shell` or, in test files, `test`.
pub(super) fn rule(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let first = source.text.lines().next().unwrap_or_default();
    if !first.starts_with("//! ") || first.starts_with("//! Layer") || first.len() < 10 {
        faults.push(source.fault(1, "the first line is not `//! purpose in one sentence`"));
    }
    let expected: &[&str] = match (source.is_test(), source.serves_tests()) {
        (true, _) => &["test"],
        (false, true) => &["core", "shell", "test"],
        (false, false) => &["core", "shell"],
    };
    if !source
        .layer()
        .is_some_and(|layer| expected.contains(&layer))
    {
        let expected = expected.join("|");
        faults.push(source.fault(2, format!("the second line is not `//! Layer: {expected}`")));
    }
    faults
}

#[test]
fn bad_headers_are_found() {
    let faults = |path, text| rule(&Source::new(path, text)).len();
    assert_eq!(
        faults("a/src/b.rs", "//! Says why it exists.\n//! Layer: core\n"),
        0
    );
    assert_eq!(faults("a/src/b.rs", "fn main() {}\n"), 2);
    assert_eq!(faults("a/src/b.rs", "//! Layer: core\n"), 2);
    assert_eq!(
        faults("a/src/b.rs", "//! Says why it exists.\n//! Layer: test\n"),
        1
    );
    assert_eq!(
        faults(
            "a/tests/b.rs",
            "//! Says why it exists.\n//! Layer: shell\n"
        ),
        1
    );
    assert_eq!(
        faults(
            "a/src/b.rs",
            "//! Says why it exists.\n//!\n//! Layer: core\n"
        ),
        1
    );
    let stand_in = "//! Says why it exists.\n//! Layer: test\n";
    assert_eq!(faults("e2e/src/b.rs", stand_in), 0);
    assert_eq!(faults("cli/examples/b.rs", stand_in), 0);
}
