//! Programs of the operator: executable inventories.

use super::context::Context;
use crate::content::inventory::RunProgram;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Runs a program with the environment of the command, from the current directory.
pub(super) fn runner(context: &Context) -> RunProgram {
    let directory = context.directory.clone();
    Arc::new(move |program, args| {
        let output = Command::new(program)
            .args(args)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("it can't be started: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}", output.status, said.trim()));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| "it printed other things than UTF-8 text".to_owned())
    })
}
