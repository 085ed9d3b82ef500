//! `penstock plan`: the memory plan of a pipeline, or why there is none.
//! Layer: shell

mod answer;

use std::{
    error::Error,
    fs,
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use self::answer::{Answer, answer};
use crate::arguments::{PlanArguments, TableOrJson};

/// Exit code of a refusal and of a file with faults.
const REFUSED: u8 = 2;

/// Runs the command: 0 with a plan, 2 with a refusal or with faults of the file.
///
/// # Errors
/// When the file cannot be read or the answer not be written.
pub fn command(arguments: &PlanArguments) -> Result<ExitCode, Box<dyn Error>> {
    let path = &arguments.file;
    let text = fs::read_to_string(path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    let answer = answer(&text, arguments);
    match (arguments.output, &answer) {
        (TableOrJson::Json, _) => writeln!(stdout(), "{}", answer.json())?,
        (TableOrJson::Table, Answer::Plan(_)) => writeln!(stdout(), "{answer}")?,
        (TableOrJson::Table, _) => writeln!(stderr(), "{answer}")?,
    }
    Ok(match answer {
        Answer::Plan(_) => ExitCode::SUCCESS,
        Answer::Refusal(_) | Answer::Faults(_) => ExitCode::from(REFUSED),
    })
}
