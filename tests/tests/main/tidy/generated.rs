//! Files and tables that a program writes are what that program would write now.
//! Layer: test
//!
//! `PENSTOCK_REWRITE=1` writes them anew.

use std::{env, fs};

use super::{readme, source};

/// A committed file and what it must hold.
struct Generated {
    /// From the repository's root.
    path: &'static str,
    /// The text that should be there, from the one that is.
    content: fn(&str) -> String,
}

/// Every generated file of the repository.
const GENERATED: [Generated; 2] = [
    Generated {
        path: "crds/eventpipeline.schema.json",
        content: schema,
    },
    Generated {
        path: "README.md",
        content: readme::written,
    },
];

/// Compared as trees: the order of fields says nothing and depends on features of other crates.
fn schema(committed: &str) -> String {
    let generated = penstock_crds::schema::object();
    if serde_json::from_str(committed).is_ok_and(|tree: serde_json::Value| tree == *generated) {
        return committed.to_owned();
    }
    format!("{generated:#}\n")
}

fn fault(file: &Generated, committed: Option<&str>) -> Option<String> {
    let path = file.path;
    let rewrite = "run the tests with PENSTOCK_REWRITE=1 and commit the file";
    match committed {
        None => Some(format!("{path} is missing; {rewrite}")),
        Some(text) if text != (file.content)(text) => {
            Some(format!("{path} is out of step; {rewrite}"))
        }
        Some(_) => None,
    }
}

/// Faults of all generated files.
pub(super) fn repository() -> Vec<String> {
    let rewrite = env::var_os("PENSTOCK_REWRITE").is_some_and(|value| value == "1");
    let check = |file: &Generated| {
        let path = source::root().join(file.path);
        let committed = fs::read_to_string(&path).ok();
        if rewrite {
            let content = (file.content)(committed.as_deref().unwrap_or_default());
            fs::write(path, content).expect("the repository can be written");
            return None;
        }
        fault(file, committed.as_deref())
    };
    GENERATED.iter().filter_map(check).collect()
}

#[test]
fn files_out_of_step_are_found() {
    let file = Generated {
        path: "a.yaml",
        content: |_| "now".to_owned(),
    };
    assert_eq!(fault(&file, Some("now")), None);
    let found = fault(&file, Some("then")).expect("a fault");
    assert!(found.starts_with("a.yaml is out of step; run"), "{found}");
    let found = fault(&file, None).expect("a fault");
    assert!(found.starts_with("a.yaml is missing; run"), "{found}");
}

#[test]
fn each_committed_file_is_compared() {
    for file in &GENERATED {
        let committed = fs::read_to_string(source::root().join(file.path)).expect("a file");
        let changed = committed.replace("stage", "stale");
        assert!(fault(file, Some(&changed)).is_some(), "{}", file.path);
    }
}
