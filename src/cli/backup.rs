//! `kopsrun backup`: takes and lists archives.

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use super::record;
use super::site::Operation;
use crate::backup::{self, BackupError, Found};
use crate::content::inventory::Unknown;
use crate::content::place::Fault;
use crate::journal::{Event, RunEnd, Sink};
use crate::ops::certs;
use crate::ui::table::Table;
use clap::{Args, Subcommand};

/// Take archives, and list them
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Certs(Certs),
    List(List),
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

pub(super) fn run(args: &Backup, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Certs(args) => take(args, context),
        Verb::List(args) => list(args, context),
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
    let mut table = Table::new(["SET", "TAKEN", "NODES", "MISSING"]);
    for set in &sets {
        table.row([
            set.manifest.set.clone(),
            set.manifest
                .taken
                .strftime("%Y-%m-%d %H:%M:%S UTC")
                .to_string(),
            set.manifest.nodes.len().to_string(),
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
