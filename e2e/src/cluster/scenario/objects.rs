//! What the API server says to objects: the examples are taken, bad ones refused with their message.
//! Layer: shell

use std::fs;

use super::Notes;
use crate::cluster::{
    CheckError, images,
    world::{World, hold},
};

/// Every example is taken.
pub(super) fn bad_objects(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let examples = examples()?;
    for (name, text) in &examples {
        let said = world.kubectl.refusal(text)?;
        hold(said.is_none(), || {
            format!("{name} was refused: {}", said.unwrap_or_default())
        })?;
    }
    Ok(vec![format!("{} examples taken", examples.len())])
}

fn examples() -> Result<Vec<(String, String)>, CheckError> {
    let folder = images::repository().join("crds/examples");
    let read = || -> std::io::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, fs::read_to_string(&path)?));
            }
        }
        found.sort();
        Ok(found)
    };
    read().map_err(|e| CheckError::broken(format!("{}: {e}", folder.display())))
}
