//! Programs of the operator: executable inventories, command lines of lookups.

use super::context::Context;
use crate::content::inventory::RunProgram;
use crate::content::template::RunCommand;
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

/// Runs a command line of `lookup('pipe')` by the shell, in a directory; what it writes to standard error is shown.
pub(super) fn shell() -> RunCommand {
    Arc::new(|line, directory| {
        let mut command = Command::new("/bin/sh");
        if directory.is_dir() {
            command.current_dir(directory);
        }
        let output = command
            .args(["-c", line])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("/bin/sh can't be started: {error}"))?;
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(code) => Err(format!("lookup_plugin.pipe({line}) returned {code}")),
            None => Err(format!(
                "lookup_plugin.pipe({line}) was killed: {}",
                output.status
            )),
        }
    })
}
