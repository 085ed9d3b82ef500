//! A parsed Rust file, and the walk over all of them.
//! Layer: test

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use proc_macro2::Span;
use syn::{Attribute, Item, spanned::Spanned};

/// One Rust file.
pub(super) struct Source {
    /// From the repository's root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// Items outside `#[cfg(test)]`; everything in a test file.
    pub(super) production: syn::File,
    /// Items under `#[cfg(test)]`; everything in a test file.
    pub(super) tests: syn::File,
}

/// What breaks a rule, and where.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Source {
    /// Parses a file, or a sample.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).expect(path);
        let (mut production, mut tests) = (file.clone(), file);
        if !is_test(path) {
            production.items.retain(|item| !is_test_item(item));
            tests.items.retain(is_test_item);
            tests.attrs.clear();
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            production,
            tests,
        }
    }

    pub(super) fn is_test(&self) -> bool {
        is_test(&self.path)
    }

    /// Packages that exist for tests, and examples.
    pub(super) fn serves_tests(&self) -> bool {
        let first = self.path.split('/').next().unwrap_or_default();
        ["tests", "e2e", "bench"].contains(&first) || self.path.contains("/examples/")
    }

    pub(super) fn fault(&self, line: usize, what: impl Into<String>) -> Fault {
        Fault {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }

    pub(super) fn fault_at(&self, span: Span, what: impl Into<String>) -> Fault {
        self.fault(span.start().line, what)
    }

    /// Value of the header's layer line.
    pub(super) fn layer(&self) -> Option<&str> {
        self.text.lines().nth(1)?.strip_prefix("//! Layer: ")
    }

    /// Lines outside `#[cfg(test)]`.
    pub(super) fn production_lines(&self) -> usize {
        let tests = self.tests.items.iter().map(|item| lines(item.span()));
        self.text.lines().count() - tests.sum::<usize>()
    }
}

/// Lines from the first to the last of a span.
pub(super) fn lines(span: Span) -> usize {
    span.end().line - span.start().line + 1
}

fn is_test(path: &str) -> bool {
    let mut folders = path.split('/');
    let file = folders.next_back().unwrap_or_default();
    // The first folder is the crate: `tests/` holds one whose own library is no test.
    folders
        .skip(1)
        .any(|folder| folder == "tests" || folder == "benches")
        || file == "tests.rs"
}

fn is_test_item(item: &Item) -> bool {
    attributes(item).iter().any(|attribute| {
        let tokens = attribute
            .meta
            .require_list()
            .map(|list| list.tokens.to_string());
        attribute.path().is_ident("cfg") && tokens.is_ok_and(|tokens| tokens == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The repository's root.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package has a parent")
        .to_owned()
}

/// Every Rust file of the repository.
pub(super) fn repository() -> Vec<Source> {
    let root = root();
    files(&root, "rs")
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a walked file can be read");
            let relative = path
                .strip_prefix(&root)
                .expect("the walk began at the root");
            Source::new(&relative.to_string_lossy().replace('\\', "/"), &text)
        })
        .collect()
}

/// Files with that extension, outside build results and hidden folders.
pub(super) fn files(root: &Path, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a walked folder can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn test_code_is_told_from_production() {
    let source = Source::new("a/src/b.rs", "fn one() {}\n#[cfg(test)]\nmod tests {\n}\n");
    assert_eq!(
        (source.production.items.len(), source.tests.items.len()),
        (1, 1)
    );
    assert_eq!(source.production_lines(), 1);
    assert!(is_test("a/tests/b.rs") && is_test("a/src/b/tests.rs") && !is_test("tests/src/lib.rs"));
    assert!(is_test("tests/tests/main/main.rs"));
}
