//! `kopsrun backup`: takes and lists archives.

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use super::record;
use super::site::Operation;
use crate::backup::manifest::Snapshot;
use crate::backup::{self, BackupError, Found, Set};
use crate::content::inventory::Unknown;
use crate::content::place::Fault;
use crate::journal::{Event, RunEnd, Sink};
use crate::ops::{certs, snapshot};
use crate::ui::table::Table;
use clap::{Args, Subcommand};

/// Take archives, list and verify them
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Certs(Certs),
    List(List),
    Verify(Verify),
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

/// List the archives
#[derive(Debug, Args)]
struct List {
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
        Verb::Certs(args) => take(args, context),
        Verb::List(args) => list(args, context),
        Verb::Verify(args) => verify(args, context),
    }
}

fn take(args: &Certs, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let hosts: Vec<String> = site
        .inventory
        .select("all", args.operation.hosts.limit.as_deref(), Unknown::Fault)?
        .hosts
        .iter()
        .map(ToString::to_string)
        .collect();
    let paths = if args.paths.is_empty() {
        backup::PATHS.iter().map(|&path| path.to_owned()).collect()
    } else {
        args.paths.clone()
    };
    let sources = context.sources(&args.operation.hosts)?;
    let record = record::create(
        "backup",
        &context.typed,
        &sources,
        &args.operation.records,
        context,
    )?;
    super::block_on(context, async {
        let taken = certs::take(&site, &hosts, &paths, &record).await;
        let (end, exit_code, message) = match &taken {
            Ok(set) if set.manifest.missing.is_empty() => (
                RunEnd::Done,
                0,
                format!(
                    "{} nodes in {}",
                    set.manifest.nodes.len(),
                    set.dir.display()
                ),
            ),
            Ok(set) => {
                let missing: Vec<_> = set
                    .manifest
                    .missing
                    .iter()
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
        match taken {
            Ok(_) => Ok(exit_code),
            Err(error) => Err(Failure {
                kind: Kind::Failed,
                ..Failure::from(error)
            }),
        }
    })
}

fn list(args: &List, context: &Context) -> Result<u8, Failure> {
    let Found { sets, damaged } = backup::list(&args.operation.backups(context))
        .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
    if context.format == Format::Json {
        let manifests =
            serde_json::to_value(sets.iter().map(|set| &set.manifest).collect::<Vec<_>>());
        context.print_json(
            &manifests.map_err(|error| Failure::new(Kind::Broken, error.to_string()))?,
        )?;
        return whole(damaged);
    }
    let mut table = Table::new(["SET", "TAKEN", "NODES", "REVISION", "KEYS", "MISSING"]);
    for set in &sets {
        table.row([
            set.manifest.set.clone(),
            set.manifest
                .taken
                .strftime("%Y-%m-%d %H:%M:%S UTC")
                .to_string(),
            set.manifest.nodes.len().to_string(),
            of_snapshot(set, |s| s.summary.revision.to_string()),
            of_snapshot(set, |s| s.summary.keys.to_string()),
            set.manifest
                .missing
                .iter()
                .map(|m| m.node.as_str())
                .collect::<Vec<_>>()
                .join(" "),
        ]);
    }
    context.print(&if sets.is_empty() {
        "no archives yet\n".to_owned()
    } else {
        table.text()
    })?;
    whole(damaged)
}

fn of_snapshot(set: &Set, figure: impl Fn(&Snapshot) -> String) -> String {
    set.manifest
        .snapshot
        .as_ref()
        .map(figure)
        .unwrap_or_default()
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
    let chosen: Vec<_> = sets
        .iter()
        .filter(|set| wanted(&set.manifest.set))
        .collect();
    let verdicts: Vec<_> = chosen.iter().map(|set| snapshot::verify(set)).collect();
    if context.format == Format::Json {
        let document: Vec<_> = chosen
            .iter()
            .zip(&verdicts)
            .map(|(set, wrong)| serde_json::json!({ "set": set.manifest.set, "sound": wrong.is_empty(), "wrong": wrong }))
            .collect();
        context.print_json(&document.into())?;
    } else {
        for (set, wrong) in chosen.iter().zip(&verdicts) {
            let name = &set.manifest.set;
            context.print(&match wrong.as_slice() {
                [] => format!("{name}: sound\n"),
                wrong => format!("{name}: DAMAGED\n  {}\n", wrong.join("\n  ")),
            })?;
        }
    }
    let bad = verdicts.iter().any(|wrong| !wrong.is_empty());
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
