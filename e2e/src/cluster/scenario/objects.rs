//! What the API server says to objects: good ones are taken, bad ones refused with their message.
//! Layer: shell

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::Notes;
use crate::cluster::{
    CheckError, images,
    manifest::Manifest,
    world::{World, hold},
};

/// One entry of the table that the object's own tests evaluate offline; described there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BadObject {
    name: String,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    before: BTreeMap<String, Value>,
    field: String,
    says: String,
}

/// Every example is taken, every bad object refused with the message of the table.
pub(super) fn bad_objects(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let root = images::repository().join("crds");
    let examples = good(&root.join("examples"))?;
    let mut faults = Vec::new();
    for (name, text) in &examples {
        let said = world.kubectl.refusal(text)?;
        faults.extend(said.map(|said| format!("{name} was refused: {said}")));
    }
    let table = root.join("tests/bad_objects");
    let base = Manifest::of(read(&table.join("base.yaml"))?);
    let bad: Vec<BadObject> = read(&table.join("objects.yaml"))?;
    let said = world.kubectl.refusal(&base.text())?;
    faults.extend(said.map(|said| format!("the base was refused: {said}")));
    for (number, bad) in bad.iter().enumerate() {
        let said = refusal(world, &base, bad, number)?.unwrap_or_default();
        if !said.contains(&bad.field) || !said.contains(&bad.says) || said.is_empty() {
            faults.push(format!("{}: {said:?}", bad.name));
        }
    }
    hold!(faults.is_empty(), || faults.join("\n    "))?;
    Ok(vec![format!(
        "{} examples taken, {} bad objects refused",
        examples.len(),
        bad.len()
    )])
}

/// What the API server says to one of them, as a new object or as a change of a stored one.
fn refusal(
    world: &World<'_>,
    base: &Manifest,
    bad: &BadObject,
    number: usize,
) -> Result<Option<String>, CheckError> {
    let edited = |manifest: &Manifest, edits: &BTreeMap<String, Value>| {
        let edits = edits.iter();
        edits.fold(manifest.clone(), |all, (path, value)| {
            all.with(path, value.clone())
        })
    };
    if bad.before.is_empty() {
        return Ok(world.kubectl.refusal(&edited(base, &bad.set).text())?);
    }
    let base = base.clone().named(&format!("stored-{number}"));
    world.kubectl.apply(&edited(&base, &bad.before).text())?;
    Ok(world
        .kubectl
        .change_refusal(&edited(&base, &bad.set).text())?)
}

fn good(folder: &Path) -> Result<Vec<(String, String)>, CheckError> {
    let read = || -> io::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            found.push((name, fs::read_to_string(&path)?));
        }
        found.sort();
        Ok(found)
    };
    read().map_err(|error| unreadable(folder, &error))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CheckError> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    serde_saphyr::from_str(&text).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> CheckError {
    CheckError::broken(format!("{}: {error}", path.display()))
}
