//! `kopsrun backup`: takes backup sets, keeps them, proves them.

mod catalogue;
mod create;
mod drill;
mod explore;
mod prune;

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use super::site::Operation;
use super::{block_on, record};
use crate::backup::{self, BackupError, Found, Set};
use crate::content::inventory::Unknown;
use crate::content::place::Fault;
use crate::journal::{Event, Run, RunEnd, Sink};
use crate::ops::engine;
use crate::ops::site::Site;
use crate::ops::{certs, snapshot};
use clap::{Args, Subcommand};

/// Take backup sets, list them, prove them
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(create::Create),
    Certs(Certs),
    List(catalogue::List),
    Show(catalogue::Show),
    Diff(explore::Diff),
    Cat(explore::Cat),
    Verify(Verify),
    Drill(drill::Drill),
    Prune(prune::Prune),
    Fetch(catalogue::Fetch),
}

const EXAMPLES: &str = "\
Examples:
  kopsrun backup certs -i inventory.yml
  kopsrun backup certs -i inventory.yml -l etcd --path /etc/ssl/etcd/ssl
  kopsrun backup list";

/// Archive the certificates and keys of all nodes, with a manifest
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Certs {
    /// A file or directory to archive, instead of the usual ones; may be given several times
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    operation: Operation,
}

/// Read backup sets again and compare them with what was written down; exit code 2 when anything differs
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopsrun backup verify\n  kopsrun backup verify etcd-20261121-093000 certs-20261121-093000"
)]
struct Verify {
    /// Sets to read; all of them where none is named
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Backup, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Create(args) => create::run(args, context),
        Verb::Certs(args) => take(args, context),
        Verb::List(args) => catalogue::list(args, context),
        Verb::Show(args) => catalogue::show(args, context),
        Verb::Diff(args) => explore::diff(args, context),
        Verb::Cat(args) => explore::cat(args, context),
        Verb::Verify(args) => verify(args, context),
        Verb::Drill(args) => drill::run(args, context),
        Verb::Prune(args) => prune::run(args, context),
        Verb::Fetch(args) => catalogue::fetch(args, context),
    }
}

fn take(args: &Certs, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let hosts = hosts(&site, &args.operation)?;
    let paths = if args.paths.is_empty() {
        backup::PATHS.iter().map(|&path| path.to_owned()).collect()
    } else {
        args.paths.clone()
    };
    let record = begin("backup", &args.operation, context)?;
    block_on(context, async {
        let taken = certs::take(&site, &hosts, &paths, &record).await;
        finish(&record, taken, |set| {
            format!(
                "{} nodes in {}",
                set.manifest.nodes.len(),
                set.dir.display()
            )
        })
    })
}

/// Hosts of the inventory that `--limit` leaves.
fn hosts(site: &Site, operation: &Operation) -> Result<Vec<String>, Failure> {
    let limit = operation.hosts.limit.as_deref();
    let chosen = site.inventory.select("all", limit, Unknown::Fault)?;
    Ok(chosen.hosts.iter().map(ToString::to_string).collect())
}

/// The record of a run of `verb`.
fn begin(verb: &str, operation: &Operation, context: &Context) -> Result<Run, Failure> {
    let sources = context.sources(&operation.hosts)?;
    record::create(verb, &context.typed, &sources, &operation.records, context)
}

/// Write the end of a backup into its record; a set that lacks nodes is a failure that leaves something.
fn finish(
    record: &Run,
    taken: Result<Set, engine::Failure>,
    sentence: impl Fn(&Set) -> String,
) -> Result<u8, Failure> {
    let (end, exit_code, message) = match &taken {
        Ok(set) if set.manifest.missing.is_empty() => (RunEnd::Done, 0, sentence(set)),
        Ok(set) => {
            let missing = set.manifest.missing.iter();
            let missing: Vec<_> = missing
                .map(|m| format!("{}: {}", m.node, m.reason))
                .collect();
            let message = format!(
                "PARTIAL set in {}; missing: {}",
                set.dir.display(),
                missing.join("; ")
            );
            (RunEnd::Failed, Kind::Failed.code(), message)
        }
        Err(error) => (RunEnd::Failed, Kind::Failed.code(), error.message.clone()),
    };
    let finished = Event::RunFinished {
        end,
        exit_code,
        message: Some(message),
        next: Vec::new(),
    };
    record.emit_synced(finished).map_err(record::unwritable)?;
    taken.map(|_| exit_code).map_err(|error| Failure {
        kind: Kind::Failed,
        ..Failure::from(error)
    })
}

/// The set of this name.
fn named(operation: &Operation, name: &str, context: &Context) -> Result<Set, Failure> {
    let Found { sets, damaged } = backup::list(&operation.backups(context))
        .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
    if let Some((_, error)) = damaged.into_iter().find(|(set, _)| set == name) {
        return Err(Failure::new(
            Kind::Refused,
            format!("the backup set {name} can't be used: {error}"),
        ));
    }
    sets.into_iter()
        .find(|set| set.manifest.set == name)
        .ok_or_else(|| {
            Failure::new(Kind::Input, format!("there is no backup set {name}"))
                .hint("list them: kopsrun backup list")
        })
}

fn verify(args: &Verify, context: &Context) -> Result<u8, Failure> {
    let Found { sets, damaged } = backup::list(&args.operation.backups(context))
        .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
    let wanted = |name: &str| args.sets.is_empty() || args.sets.iter().any(|set| set == name);
    let known = |name: &String| {
        sets.iter().any(|set| set.manifest.set == *name) || damaged.iter().any(|(d, _)| d == name)
    };
    if let Some(name) = args.sets.iter().find(|name| !known(name)) {
        return Err(
            Failure::new(Kind::Input, format!("there is no backup set {name}"))
                .hint("list them: kopsrun backup list"),
        );
    }
    let keys = args.operation.backup_keys(context)?;
    let chosen: Vec<_> = sets
        .iter()
        .filter(|set| wanted(&set.manifest.set))
        .collect();
    let verdicts: Vec<_> = chosen
        .iter()
        .map(|set| snapshot::verify(set, &keys))
        .collect();
    if context.format == Format::Json {
        let document: Vec<_> = chosen
            .iter()
            .zip(&verdicts)
            .map(|(set, verdict)| {
                let wrong = &verdict.wrong;
                serde_json::json!({ "set": set.manifest.set, "sound": wrong.is_empty(), "wrong": wrong })
            })
            .collect();
        context.print_json(&document.into())?;
    } else {
        for (set, verdict) in chosen.iter().zip(&verdicts) {
            let name = &set.manifest.set;
            context.print(&match verdict.wrong.as_slice() {
                [] => format!("{name}: sound\n"),
                wrong => {
                    let what = if verdict.locked {
                        "NOT READ"
                    } else {
                        "DAMAGED"
                    };
                    format!("{name}: {what}\n  {}\n", wrong.join("\n  "))
                }
            })?;
        }
    }
    let bad = verdicts.iter().any(|verdict| !verdict.wrong.is_empty());
    whole(
        damaged
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .collect(),
    )?;
    Ok(if bad { Kind::Failed.code() } else { 0 })
}

/// Sets that can't be read are told after those that can.
fn whole(damaged: Vec<(String, BackupError)>) -> Result<u8, Failure> {
    if damaged.is_empty() {
        return Ok(0);
    }
    let told = damaged.into_iter().map(|(name, error)| {
        Fault::new(format!("the set {name} is damaged: {error}"))
            .hint("nothing can be restored from it; if no copy of it is elsewhere, remove it")
    });
    Err(Failure {
        kind: Kind::Failed,
        faults: told.collect(),
    })
}
