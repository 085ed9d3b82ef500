//! `kubectl proxy`, which speaks plain HTTP to the API server for us.
//! Layer: shell

use std::{
    io::{self, BufRead, BufReader},
    process::{Child, Stdio},
};

use serde_json::Value;

use super::{CheckError, ground::Ground};
use crate::http::{self, Question};

/// A running one; it ends with this.
pub(crate) struct Proxy {
    child: Child,
    address: String,
}

impl Proxy {
    /// Starts one at a port of its choice, which it prints first.
    pub(crate) fn start(ground: &Ground) -> Result<Self, CheckError> {
        let mut command = ground.program("kubectl");
        command.args(["proxy", "--port=0"]).stdout(Stdio::piped());
        let child = command.spawn().map_err(said)?;
        let address = String::new();
        let mut proxy = Self { child, address };
        if let Some(output) = proxy.child.stdout.take() {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map_err(said)?;
            line.trim()
                .rsplit(' ')
                .next()
                .unwrap_or_default()
                .clone_into(&mut proxy.address);
        }
        Ok(proxy)
    }

    /// What the API server answers, when it does what was asked.
    pub(crate) fn ask(&self, question: Question<'_>) -> Result<Value, CheckError> {
        let answer = http::ask(&self.address, question).map_err(said)?;
        if !answer.is_success() {
            let (line, body) = (question.line, answer.body);
            return Err(CheckError::broken(format!("{line}: {body}")));
        }
        serde_json::from_str(&answer.body).map_err(|error| said(error.into()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It has ended already when this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(error: io::Error) -> CheckError {
    CheckError::broken(format!("kubectl proxy: {error}"))
}
