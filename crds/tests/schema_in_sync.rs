//! The committed schema is the generated one; `PENSTOCK_REWRITE=1` writes it anew.
//! Layer: test

use std::{env, fs};

#[test]
fn the_committed_schema_is_the_generated_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/eventpipeline.schema.json");
    let generated = penstock_crds::schema::object();
    if env::var_os("PENSTOCK_REWRITE").is_some_and(|value| value == "1") {
        fs::write(file, format!("{generated:#}\n")).expect("as the test has it");
    }
    // As trees: the order of fields says nothing and depends on features of other crates.
    let committed = fs::read_to_string(file).unwrap_or_default();
    let committed: Option<serde_json::Value> = serde_json::from_str(&committed).ok();
    assert!(
        committed.as_ref() == Some(generated),
        "{file} is behind the types: run this test with PENSTOCK_REWRITE=1 and commit the file"
    );
}
