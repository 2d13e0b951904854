//! `kopsrun resume`: goes on with what was interrupted.

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use super::record;
use super::site::Operation;
use crate::journal::{self, Meta, Run, RunEnd, State};
use crate::ops;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Verbs that are gone on with by running them again: a task whose goal is reached changes nothing.
const REPEATABLE: &[&str] = &["play", "exec", "facts"];

/// Go on with what was interrupted; what is already true is skipped
///
/// An operation (replace-node) goes on with the step that isn't true yet. A play is run again as it was typed, in the
/// directory where it was typed: tasks whose goal is reached change nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun resume last --yes\n  kopsrun resume 4f2a")]
pub(super) struct Resume {
    /// The run: its id, the end of its id, or `last`
    id: String,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Resume, context: &Context) -> Result<u8, Failure> {
    let root = record::root(&args.operation.records, context);
    let id = journal::find(&root, &args.id)?;
    let (meta, _) = journal::open(&root, &id)?;
    if REPEATABLE.contains(&meta.command.as_str()) {
        return repeat(&root, &meta, context);
    }
    let mut operation = args.operation.clone();
    if operation.hosts.inventory.is_empty() {
        operation.hosts.inventory.clone_from(&meta.inventory);
    }
    let site = operation.site(context)?;
    let (run, _) = Run::reopen(
        &root,
        &id,
        &record::user(context),
        Some(record::observer(context, false)?),
    )?;
    let run = Arc::new(run);
    super::block_on(context, async {
        let report = ops::resume(&site, &run, args.yes, &context.cancel)
            .await
            .map_err(record::unwritable)??;
        Ok(report.exit_code)
    })
}

/// Runs what was typed again, unless it is running or went well.
fn repeat(root: &Path, meta: &Meta, context: &Context) -> Result<u8, Failure> {
    let typed = format!("kopsrun {} {}", meta.command, meta.arguments.join(" "));
    let runs = journal::list(root)?;
    let state = runs.iter().find(|run| run.meta.id == meta.id);
    match state.map(|run| run.state) {
        Some(State::Running) => {
            return Err(Failure::new(
                Kind::Locked,
                format!(
                    "the run {} is still going on (process {})",
                    meta.id, meta.pid
                ),
            )
            .hint(format!("see what it does: kopsrun runs show {}", meta.id)));
        }
        Some(State::Ended(RunEnd::Done)) => {
            return Err(Failure::new(
                Kind::Refused,
                format!(
                    "the run {} went to its end: there is nothing to go on with",
                    meta.id
                ),
            )
            .hint(format!("to run it once more: {typed}")));
        }
        _ => {}
    }
    if meta
        .arguments
        .iter()
        .any(|argument| argument.contains("***"))
    {
        return Err(Failure::new(
            Kind::Refused,
            "its command line held secrets, which the record doesn't keep",
        )
        .hint(format!("type it again, with them in place of ***: {typed}")));
    }
    let directory = meta.options.get("directory").and_then(|dir| dir.as_str());
    let directory = directory.map_or_else(|| context.directory.clone(), PathBuf::from);
    if context.format == Format::Text {
        context.print(&format!("again, in {}: {typed}\n", directory.display()))?;
    }
    let words: Vec<String> = std::iter::once(meta.command.clone())
        .chain(meta.arguments.iter().cloned())
        .collect();
    super::again(&words, &directory)
}
