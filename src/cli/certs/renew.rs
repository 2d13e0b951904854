//! `kopsrun certs renew`: certificates made anew, one node at a time.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::content::inventory::Unknown;
use crate::ops::renew_certs::{self, Options, Realm};
use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  kopsrun certs renew -i inventory.yml --plan
  kopsrun certs renew -i inventory.yml --only etcd --within 60
  kopsrun certs renew -i inventory.yml --days 365 --yes

Signed are certificates whose authority's key lies on a host of the inventory, by the openssl of that host; the key stays
there. Subject, names, extensions and private keys stay. All copies of a certificate become the same. Old files are kept
beside the new ones. One node at a time, and the next one only when every member of etcd serves through new connections.
etcd needs no restart; of the control plane, what reads a changed file is ended for its kubelet to start it again. The
kubelet's own certificates are left to the kubelet. It may be killed at any moment: the same command, or kopsrun resume,
goes on.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Etcd,
    Kubernetes,
}

/// Make leaf certificates anew with the cluster's own authorities, one node at a time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Renew {
    /// Only those that etcd's or Kubernetes' authorities have signed
    #[arg(long, value_enum)]
    only: Option<Which>,
    /// Only those that end within so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(0..=36_500))]
    within: Option<i64>,
    /// How many days the new ones last; otherwise as long as the old ones
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    days: Option<i64>,
    /// Another file or directory with certificates; may be given several times
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// Show what would be made anew; change nothing
    #[arg(long)]
    plan: bool,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Renew, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let limit = args.operation.hosts.limit.as_deref();
    let chosen = site.inventory.select("all", limit, Unknown::Fault)?;
    let options = Options {
        hosts: chosen.hosts.iter().map(ToString::to_string).collect(),
        paths: args.paths.clone(),
        only: args.only.map(|which| match which {
            Which::Etcd => Realm::Etcd,
            Which::Kubernetes => Realm::Kubernetes,
        }),
        within: args.within,
        days: args.days,
        plan_only: args.plan,
        yes: args.yes,
    };
    let run = args
        .operation
        .begin(renew_certs::COMMAND, &options, &site, context)?;
    block_on(context, async {
        let report = renew_certs::run(&site, &options, &run, &context.cancel)
            .await
            .map_err(record::unwritable)?;
        Ok(report.exit_code)
    })
}
