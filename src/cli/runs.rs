//! `kopsrun runs`: what was done, when, by whom, and how it ended.

use super::args::{Format, Records};
use super::context::Context;
use super::failure::{Failure, Kind};
use super::record;
use crate::journal::{self, RunEnd, State, Summary};
use crate::ui::human::Human;
use crate::ui::table::Table;
use clap::{Args, Subcommand};
use std::io;

const EXAMPLES: &str = "\
Examples:
  kopsrun runs                 the runs, the latest last
  kopsrun runs show last       draw the last run again
  kopsrun runs show 4f2a -v    with the results of all tasks";

/// List past runs, or draw one again
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Runs {
    #[command(flatten)]
    records: Records,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Draw one run again, from its record
    Show {
        /// The run: its id, the end of its id, or `last`
        id: String,
        #[command(flatten)]
        records: Records,
    },
}

pub(super) fn run(args: &Runs, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        None => list(&args.records, context),
        Some(Verb::Show { id, records }) => show(id, records, context),
    }
}

fn list(records: &Records, context: &Context) -> Result<u8, Failure> {
    let runs = journal::list(&record::root(records, context))?;
    if context.format == Format::Json {
        let rows: Vec<_> = runs
            .iter()
            .map(|run| {
                serde_json::json!({
                    "id": run.meta.id, "command": run.meta.command, "arguments": run.meta.arguments,
                    "user": run.meta.user, "host": run.meta.host, "started": run.meta.started, "last": run.last,
                    "state": state(run),
                })
            })
            .collect();
        context.print_json(&rows.into())?;
        return Ok(0);
    }
    let mut table = Table::new(["RUN", "STARTED", "TOOK", "BY", "STATE", "COMMAND"]);
    for run in &runs {
        let took = run.last.duration_since(run.meta.started).as_secs_f64();
        table.row([
            run.meta.id.clone(),
            run.meta
                .started
                .strftime("%Y-%m-%d %H:%M:%S UTC")
                .to_string(),
            format!("{took:.1} s"),
            format!("{}@{}", run.meta.user, run.meta.host),
            state(run).to_owned(),
            format!("{} {}", run.meta.command, run.meta.arguments.join(" ")),
        ]);
    }
    context.print(&if runs.is_empty() {
        "no runs yet\n".to_owned()
    } else {
        table.text()
    })?;
    Ok(0)
}

fn state(run: &Summary) -> &'static str {
    match run.state {
        State::Running => "running",
        State::Killed => "killed: resume it",
        State::Ended(RunEnd::Done) => "done",
        State::Ended(RunEnd::Refused) => "refused",
        State::Ended(RunEnd::Unwound) => "unwound",
        State::Ended(RunEnd::Stuck) => "stuck",
        State::Ended(RunEnd::Failed) => "failed",
        State::Ended(RunEnd::Interrupted) => "interrupted",
    }
}

fn show(id: &str, records: &Records, context: &Context) -> Result<u8, Failure> {
    let (meta, events) = journal::open(&record::root(records, context), id)?;
    if context.format == Format::Json {
        for event in &events {
            let line = serde_json::to_string(event)
                .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
            context.print(&(line + "\n"))?;
        }
        return Ok(0);
    }
    context.print(&format!(
        "{} {}\nby {}@{} at {}\n",
        meta.command,
        meta.arguments.join(" "),
        meta.user,
        meta.host,
        meta.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
    ))?;
    let mut human = Human::new(
        io::stdout().lock(),
        Box::new(io::stderr()),
        context.style(false)?,
    );
    for event in &events {
        if human.draw(event).is_err() {
            break;
        }
    }
    Ok(0)
}
