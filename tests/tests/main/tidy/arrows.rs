//! Which crate may depend on which, read from the manifests.
//! Layer: test

use std::fs;

use super::source;

const CRDS: &str = "penstock-crds";
const SIZING: &str = "penstock-sizing";
const DEMAND: &str = "penstock-demand";

/// Crates of ours that a crate may depend on; `None` is all of them.
fn allowed(package: &str) -> Option<Option<&'static [&'static str]>> {
    Some(match package {
        CRDS | SIZING | "penstock-cgroup" => Some(&[]),
        DEMAND => Some(&[CRDS, SIZING]),
        "penstock-processor" | "penstock-operator" => Some(&[CRDS, SIZING, DEMAND]),
        "penstock-cli" | "penstock-tests" | "penstock-e2e" | "penstock-bench" => None,
        _ => return None,
    })
}

/// Faults of one manifest. A dependency is a line of a dependency table that begins with its name,
/// or a table of its own.
fn faults(manifest: &str) -> Vec<String> {
    let (mut table, mut package, mut found) = ("", "", Vec::new());
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
            if let Some((_, name)) = table.split_once("dependencies.") {
                found.push(name);
            }
        } else if table == "package" && line.starts_with("name") {
            package = line.split('"').nth(1).unwrap_or_default();
        } else if table.ends_with("dependencies") && table != "workspace.dependencies" {
            found.push(line.split(['.', '=', ' ']).next().unwrap_or_default());
        }
    }
    match allowed(package) {
        _ if package.is_empty() => Vec::new(),
        None => vec![format!(
            "{package}: no arrows are defined for it in tidy/arrows.rs"
        )],
        Some(None) => Vec::new(),
        Some(Some(allowed)) => found
            .into_iter()
            .filter(|name| name.starts_with("penstock") && !allowed.contains(name))
            .map(|name| format!("{package} depends on {name}"))
            .collect(),
    }
}

/// Faults of all manifests.
pub(super) fn repository() -> Vec<String> {
    let manifests = source::files(&source::root(), "toml");
    let manifests = manifests.iter().filter(|path| path.ends_with("Cargo.toml"));
    manifests
        .flat_map(|path| faults(&fs::read_to_string(path).expect("a walked file can be read")))
        .collect()
}

#[test]
fn wrong_arrows_are_found() {
    let with =
        |package: &str, rest: &str| faults(&format!("[package]\nname = \"{package}\"\n{rest}"));
    let crds = "[dependencies]\nserde = \"1\"\npenstock-crds.workspace = true\n";
    assert_eq!(
        with("penstock-sizing", crds),
        ["penstock-sizing depends on penstock-crds"]
    );
    let sizing = "[dev-dependencies]\npenstock-sizing = { workspace = true }\n";
    assert_eq!(
        with("penstock-crds", sizing),
        ["penstock-crds depends on penstock-sizing"]
    );
    let table = "[dependencies.penstock-processor]\npath = \"../processor\"\n";
    let expected = ["penstock-operator depends on penstock-processor"];
    assert_eq!(with("penstock-operator", table), expected);
    assert_eq!(with("penstock-processor", crds), [""; 0]);
    assert_eq!(with("penstock-cli", table), [""; 0]);
    assert_eq!(with("penstock-unheard-of", "").len(), 1);
}
