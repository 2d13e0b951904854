//! `kopsrun backup prune`: removes old sets.

use super::begin;
use crate::backup::retention::{Fate, Policy};
use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::journal::{Event, Holder, RunEnd, Sink};
use crate::ops::prune::{self, Pruning};
use crate::ui::table::Table;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun backup prune -i inventory.yml --keep-last 3 --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run
  kopsrun backup prune -i inventory.yml --keep-daily 14 --keep-verified 3

Of each hour, day, week and month that has sets, the newest is kept, for so many of them. Sets of other clusters stay, and so
do the newest verified ones; while fewer than --keep-verified are verified, nothing goes (kopsrun backup drill verifies).";

/// Remove sets that are too old by the rules that are given
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Prune {
    /// Keep the last N
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_last: usize,
    /// Keep one of each of the last N hours that have sets
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_hourly: usize,
    /// Keep one of each of the last N days that have sets
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_daily: usize,
    /// Keep one of each of the last N weeks that have sets
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_weekly: usize,
    /// Keep one of each of the last N months that have sets
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_monthly: usize,
    /// Keep at least N verified ones, whatever else is said
    #[arg(long, value_name = "N", default_value_t = 1)]
    keep_verified: usize,
    /// Show what would go and remove nothing
    #[arg(long, short = 'C', visible_alias = "check")]
    dry_run: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Prune, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let policy = Policy {
        last: args.keep_last,
        hourly: args.keep_hourly,
        daily: args.keep_daily,
        weekly: args.keep_weekly,
        monthly: args.keep_monthly,
        verified: args.keep_verified,
    };
    block_on(context, async {
        let pruning = prune::look(&site, &policy).await?;
        show(&pruning, context)?;
        let going = going(&pruning);
        if args.dry_run || going == 0 {
            return Ok(0);
        }
        let record = begin("backup prune", &args.operation, context)?;
        let removed = prune::remove(&site, &pruning, &Holder::of(record.meta()));
        let (end, exit_code, message) = match &removed {
            Ok(names) => (RunEnd::Done, 0, format!("removed {}", names.join(", "))),
            Err(why) => (RunEnd::Failed, Kind::Failed.code(), why.message.clone()),
        };
        let finished = Event::RunFinished {
            end,
            exit_code,
            message: Some(message),
            next: Vec::new(),
        };
        record.emit_synced(finished).map_err(record::unwritable)?;
        Ok(exit_code)
    })
}

fn going(pruning: &Pruning) -> usize {
    let goes = |(_, fate): &&(_, Fate)| *fate == Fate::Remove;
    pruning.fates.iter().filter(goes).count()
}

fn show(pruning: &Pruning, context: &Context) -> Result<(), Failure> {
    let word = |fate: &Fate| match fate {
        Fate::Keep(_) => "keep",
        Fate::Remove => "REMOVE",
        Fate::Foreign => "keep",
    };
    let why = |name: &str, fate: &Fate| match fate {
        Fate::Keep(reasons) => reasons.join(", "),
        Fate::Remove => String::new(),
        Fate::Foreign => {
            let found = pruning.foreign.iter().find(|(set, _)| set == name);
            found.map_or_else(String::new, |(_, why)| format!("another cluster's: {why}"))
        }
    };
    let rows = pruning.fates.iter().map(|(set, fate)| {
        let name = &set.manifest.set;
        let proof = if set.mark().is_some() {
            "VERIFIED"
        } else {
            "unverified"
        };
        (name.clone(), proof, word(fate), why(name, fate))
    });
    if context.format == Format::Json {
        let rows: Vec<_> = rows
            .map(|(set, state, fate, why)| {
                serde_json::json!({ "set": set, "state": state, "fate": fate.to_lowercase(), "why": why })
            })
            .collect();
        return context.print_json(&rows.into());
    }
    let mut table = Table::new(["SET", "STATE", "", "WHY"]);
    for (set, state, fate, why) in rows {
        table.row([set, state.to_owned(), fate.to_owned(), why]);
    }
    let mut text = table.text();
    for name in &pruning.damaged {
        text.push_str(&format!("{name} can't be read and stays\n"));
    }
    if going(pruning) == 0 {
        text.push_str("nothing goes\n");
    }
    context.print(&text)
}
