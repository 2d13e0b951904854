//! `kopsrun restore`: puts archives back.

mod etcd;

use crate::backup::RestoreOptions;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::journal::{Event, Holder, RunEnd, Sink};
use crate::ops::certs::{self, Restore as Wanted, RestoreFailure};
use clap::{Args, Subcommand};

/// Put backups back: certificates of a node, or etcd of a cluster that has lost its quorum
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Certs(Certs),
    Etcd(etcd::Etcd),
    Commit(etcd::Commit),
}

const EXAMPLES: &str = "\
Examples:
  kopsrun restore certs node3 -i inventory.yml --check
  kopsrun restore certs node3 -i inventory.yml --set certs-20261120-224000 --only /etc/ssl/etcd/ssl";

/// Put the certificates of a node back, with their exact mode and owner
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Certs {
    /// The node, as the inventory names it
    node: String,
    /// The set to take them from; otherwise the newest that has the node
    #[arg(long, value_name = "SET")]
    set: Option<String>,
    /// Only what is at or below this path; may be given several times
    #[arg(long, value_name = "PATH")]
    only: Vec<String>,
    /// Report what would change and change nothing
    #[arg(short = 'C', long)]
    check: bool,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    /// Go on although the certificate authority isn't the one that the cluster uses now
    #[arg(long = "force-ca")]
    force_ca: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Restore, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Certs(args) => certs(args, context),
        Verb::Etcd(args) => etcd::run(args, context),
        Verb::Commit(args) => etcd::commit(args, context),
    }
}

fn certs(args: &Certs, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    if !site.inventory.has_host(&args.node) {
        return Err(Failure::new(
            Kind::Input,
            format!("the inventory has no host '{}'", args.node),
        ));
    }
    let sources = context.sources(&args.operation.hosts)?;
    let record = record::create(
        "restore",
        &context.typed,
        &sources,
        &args.operation.records,
        context,
    )?;
    let wanted = Wanted {
        node: args.node.clone(),
        set: args.set.clone(),
        options: RestoreOptions {
            check: args.check,
            only: args.only.clone(),
            force_ca: args.force_ca,
            keys: site.backup_keys.clone(),
        },
        yes: args.yes,
    };
    block_on(context, async {
        let restored = certs::restore(&site, &wanted, &Holder::of(record.meta()), &record).await;
        let (end, exit_code, message) = match &restored {
            Ok(done) if done.declined => (
                RunEnd::Refused,
                Kind::Refused.code(),
                "not confirmed (--yes goes ahead without asking)".to_owned(),
            ),
            Ok(done) => {
                let would = if args.check {
                    "would change"
                } else {
                    "changed"
                };
                (
                    RunEnd::Done,
                    0,
                    format!(
                        "{} files {would} on {} from {}",
                        done.changed.len(),
                        args.node,
                        done.set
                    ),
                )
            }
            Err(error) => {
                let (end, kind) = ended(error);
                (end, kind.code(), error.failure().message.clone())
            }
        };
        let finished = Event::RunFinished {
            end,
            exit_code,
            message: Some(message),
            next: Vec::new(),
        };
        record.emit_synced(finished).map_err(record::unwritable)?;
        restored.map(|_| exit_code).map_err(|error| Failure {
            kind: ended(&error).1,
            ..Failure::from(error.failure().clone())
        })
    })
}

fn ended(error: &RestoreFailure) -> (RunEnd, Kind) {
    match error {
        RestoreFailure::Refused(_) => (RunEnd::Refused, Kind::Refused),
        RestoreFailure::Unreachable(_) => (RunEnd::Failed, Kind::Input),
        RestoreFailure::Locked(_) => (RunEnd::Refused, Kind::Locked),
        RestoreFailure::Failed(_) => (RunEnd::Failed, Kind::Failed),
    }
}
