//! `kopsrun restore etcd` and `restore commit`.

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::journal::{Event, Holder, RunEnd, Sink};
use crate::ops::restore_etcd::{self, Aside, Options, Wishes};
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kopsrun restore etcd cluster-20261121-093000 -i inventory.yml --plan
  kopsrun restore etcd cluster-20261121-093000 -i inventory.yml --fenced node3 --programs /opt/etcd-v3.5.16

For a cluster that has lost its quorum. While it has one, replace the broken member instead (kopsrun replace-node): that
loses nothing. Everything written since the backup is lost; the plan says how much. It may be killed at any moment: the same
command, or kopsrun resume, goes on. Old data stay on the hosts until kopsrun restore commit.";

/// Restore etcd from a verified backup set on all hosts of the group, after the quorum was lost
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Etcd {
    /// Name of the set (kopsrun backup list)
    set: String,
    /// Show what will be lost and done; change nothing
    #[arg(long)]
    plan: bool,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    /// This host, which can't be reached, is off for certain and stays out; may be given several times
    #[arg(long = "fenced", value_name = "NODE")]
    fenced: Vec<String>,
    /// Directory of this machine with etcd and etcdutl (before 3.5: etcdctl), for machines that lack them
    #[arg(long, value_name = "DIR", env = "KOPSRUN_ETCD_PROGRAMS")]
    programs: Option<PathBuf>,
    /// Restore from a set that no drill has proven
    #[arg(long)]
    unverified: bool,
    /// Restore from a set that isn't known to be of this cluster
    #[arg(long = "other-cluster")]
    other_cluster: bool,
    #[command(flatten)]
    operation: Operation,
}

/// Remove the data that restores have moved aside; there is no way back to them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun restore commit -i inventory.yml")]
pub(super) struct Commit {
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Etcd, context: &Context) -> Result<u8, Failure> {
    let options = Options {
        set: args.set.clone(),
        wishes: Wishes {
            fenced: args.fenced.clone(),
            unverified: args.unverified,
            other_cluster: args.other_cluster,
        },
        programs: args.programs.as_deref().map(|dir| context.path(dir)),
        path: context
            .variable("PATH")
            .map_or_else(Vec::new, |path| std::env::split_paths(path).collect()),
        plan_only: args.plan,
        yes: args.yes,
    };
    let site = args.operation.site(context)?;
    let run = args
        .operation
        .begin(restore_etcd::COMMAND, &options, &site, context)?;
    block_on(context, async {
        let report = restore_etcd::run(&site, &options, &run, &context.cancel)
            .await
            .map_err(record::unwritable)?;
        Ok(report.exit_code)
    })
}

pub(super) fn commit(args: &Commit, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let sources = context.sources(&args.operation.hosts)?;
    block_on(context, async {
        let asides = restore_etcd::asides(&site).await?;
        if asides.is_empty() {
            context.print("no old data lie aside\n")?;
            return Ok(0);
        }
        let line = |aside: &Aside| {
            let mib = aside.size as f64 / 1_048_576.0;
            format!("{}: {} ({mib:.1} MiB)", aside.host, aside.path)
        };
        let lines: Vec<String> = asides.iter().map(line).collect();
        let question = "Remove these old data for good?".to_owned();
        if !args.yes && !site.ask(question, lines.clone()).await {
            return Err(Failure::new(
                Kind::Refused,
                "not confirmed (--yes goes ahead without asking)",
            )
            .hint(lines.join("; ")));
        }
        let operation = &args.operation;
        let verb = "restore commit";
        let run = record::create(verb, &context.typed, &sources, &operation.records, context)?;
        let removed = restore_etcd::commit(&site, &asides, &Holder::of(run.meta())).await;
        let (end, exit_code, message) = match &removed {
            Ok(()) => (RunEnd::Done, 0, format!("removed {}", lines.join("; "))),
            Err(why) => (RunEnd::Failed, Kind::Failed.code(), why.message.clone()),
        };
        run.emit_synced(Event::RunFinished {
            end,
            exit_code,
            message: Some(message),
            next: Vec::new(),
        })
        .map_err(record::unwritable)?;
        Ok(exit_code)
    })
}
