//! Opens the record of a run and draws its events as they come.

use super::args::{Format, Records};
use super::context::Context;
use super::failure::{Failure, Kind};
use crate::journal::{Meta, Observer, Run, RunError};
use crate::ui::advice::advice;
use crate::ui::human::Human;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

/// The folder that holds the records of runs.
pub(super) fn root(records: &Records, context: &Context) -> PathBuf {
    records
        .runs_dir
        .as_deref()
        .map_or_else(|| context.state().join("runs"), |dir| context.path(dir))
}

/// Starts the record of a run of `verb`, drawn on standard output as it goes.
pub(super) fn create(
    verb: &str,
    arguments: &[String],
    inventory: &[PathBuf],
    records: &Records,
    context: &Context,
) -> Result<Run, Failure> {
    let sources = inventory
        .iter()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        .collect();
    let mut meta = Meta::new(verb, arguments, sources);
    meta.user = user(context);
    meta.options = serde_json::json!({ "directory": context.directory });
    Run::create(
        &root(records, context),
        meta,
        Some(observer(context, verb == "play")?),
    )
    .map_err(Failure::from)
}

/// The same paths from any directory.
pub(super) fn absolute(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths
        .iter()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        .collect()
}

/// The record itself failed: nothing more may be done.
pub(super) fn unwritable(error: io::Error) -> Failure {
    Failure::new(
        Kind::Broken,
        format!("the record of the run can't be written: {error}"),
    )
}

/// The person who works here, as far as the environment tells.
pub(super) fn user(context: &Context) -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| context.variable(name))
        .unwrap_or("root")
        .to_owned()
}

/// Draws events on standard output: for people, or one JSON object a line. `plays`: by the callback that settings name.
pub(super) fn observer(context: &Context, plays: bool) -> Result<Observer, Failure> {
    Ok(match context.format {
        Format::Json => Box::new(|record| {
            if let Ok(line) = serde_json::to_string(record) {
                // A reader that went away must not end an operation half-way.
                let _closed = writeln!(io::stdout().lock(), "{line}");
            }
        }),
        Format::Text => {
            let style = context.style(plays)?;
            let terminal = style.terminal;
            let human = Mutex::new(Human::new(io::stdout(), Box::new(io::stderr()), style));
            Box::new(move |record| {
                if let Ok(mut human) = human.lock() {
                    let _closed = human.draw(record);
                }
                // On a terminal it stands below the line itself.
                if !terminal {
                    let _closed = io::stderr().write_all(advice(&record.event).as_bytes());
                }
            })
        }
    })
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match &error {
            RunError::Running { id } => Failure::new(Kind::Locked, error.to_string())
                .hint(format!("see what it does: kopsrun runs show {id}")),
            RunError::Io { .. } => Failure::new(Kind::Broken, error.to_string()).hint(
                "records of runs go to --runs-dir, KOPSRUN_RUNS, or ~/.local/state/kopsrun/runs",
            ),
            _ => Failure::new(Kind::Input, error.to_string()).hint("list the runs: kopsrun runs"),
        }
    }
}
