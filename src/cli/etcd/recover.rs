//! `kopsrun etcd recover` and `etcd coldstart`: a cluster that doesn't serve any more, and whose data are there.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::ops::coldstart;
use crate::ops::recover;
use clap::Args;
use std::path::PathBuf;

const RECOVER: &str = "\
Examples:
  kopsrun etcd recover -i inventory.yml --plan
  kopsrun etcd recover -i inventory.yml --fenced node2 --fenced node3

For a quorum that is lost while the data of a member are still there: that loses less than a backup. Taken is the member
whose log goes furthest. It is stopped, its data are copied here, a throwaway etcd makes a cluster of its own of the copy, and
what it serves becomes a backup set that is proven. That set then is restored on all hosts of the group, as by kopsrun restore
etcd; old data are moved aside. When all members are whole and only off: kopsrun etcd coldstart.";

/// Bring etcd back from the data of a surviving member, after the quorum was lost
#[derive(Debug, Args)]
#[command(after_help = RECOVER)]
pub(super) struct Recover {
    /// Show from which data, and what will be done; change nothing
    #[arg(long)]
    plan: bool,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    /// This host, which can't be reached, is off for certain and stays out; may be given several times
    #[arg(long = "fenced", value_name = "NODE")]
    fenced: Vec<String>,
    /// Take the data of this host instead of those that go furthest
    #[arg(long, value_name = "NODE")]
    from: Option<String>,
    /// Directory of this machine with etcd and etcdutl (before 3.5: etcdctl), for machines that lack them
    #[arg(long, value_name = "DIR", env = "KOPSRUN_ETCD_PROGRAMS")]
    programs: Option<PathBuf>,
    #[command(flatten)]
    operation: Operation,
}

const COLDSTART: &str = "\
Examples:
  kopsrun etcd coldstart -i inventory.yml

After a full stop, a member alone waits for the others in vain: all that can be reached are started together, and the control
plane is let go on when they serve. Nothing is changed in their data.";

/// Start all members of a stopped etcd together
#[derive(Debug, Args)]
#[command(after_help = COLDSTART)]
pub(super) struct Coldstart {
    /// Show what will be started; change nothing
    #[arg(long)]
    plan: bool,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn recover(args: &Recover, context: &Context) -> Result<u8, Failure> {
    let options = recover::Options {
        fenced: args.fenced.clone(),
        from: args.from.clone(),
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
        .begin(recover::COMMAND, &options, &site, context)?;
    block_on(context, async {
        let report = recover::run(&site, &options, &run, &context.cancel)
            .await
            .map_err(record::unwritable)?;
        Ok(report.exit_code)
    })
}

pub(super) fn coldstart(args: &Coldstart, context: &Context) -> Result<u8, Failure> {
    let options = coldstart::Options {
        plan_only: args.plan,
        yes: args.yes,
    };
    let site = args.operation.site(context)?;
    let run = args
        .operation
        .begin(coldstart::COMMAND, &options, &site, context)?;
    block_on(context, async {
        let report = coldstart::run(&site, &options, &run, &context.cancel)
            .await
            .map_err(record::unwritable)?;
        Ok(report.exit_code)
    })
}
