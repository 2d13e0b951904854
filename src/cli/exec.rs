//! `kopsrun exec`: one task on some hosts.

use super::args::{Connection, Escalation, Hosts, Records, Run};
use super::context::Context;
use super::failure::Failure;
use super::profile::Wanted;
use super::{plays, record};
use crate::content::inventory::Unknown;
use crate::play::{Request, Source};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun exec etcd -i inventory.yml -a uptime
  kopsrun exec 'kube_node:!node5' -i inventory.yml -m service -a 'name=containerd state=restarted' -b
  kopsrun exec all -i inventory.yml -m setup -a 'filter=ansible_distribution*' -v";

/// Run one module on the hosts of a pattern
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Exec {
    /// The hosts: all, a group, a host, or a pattern such as 'etcd:!node3'
    pattern: String,
    /// The module to run
    #[arg(
        short,
        long = "module-name",
        visible_alias = "module",
        value_name = "MODULE",
        default_value = "command"
    )]
    module: String,
    /// Its arguments: k=v, JSON, or a command line
    #[arg(
        short,
        long,
        value_name = "ARGS",
        default_value = "",
        allow_hyphen_values = true
    )]
    args: String,
    /// List the hosts that are meant, and do nothing else
    #[arg(long = "list-hosts")]
    list_hosts: bool,
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    run: Run,
    #[command(flatten)]
    escalation: Escalation,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    records: Records,
}

pub(super) fn run(args: &Exec, context: &Context) -> Result<u8, Failure> {
    let inventory = context.inventory_or_none(&args.hosts)?;
    let limit = args.hosts.limit.as_deref();
    let selection = inventory.select(&args.pattern, limit, Unknown::Fault)?;
    if args.list_hosts {
        let names = selection.hosts.iter().map(|host| format!("    {host}\n"));
        let names: String = names.collect();
        context.print(&format!("  hosts ({}):\n{names}", selection.hosts.len()))?;
        return Ok(0);
    }
    let task = Source::Task {
        pattern: args.pattern.clone(),
        module: args.module.clone(),
        args: args.args.clone(),
    };
    let mut request = Request::new(task, inventory);
    request.limit.clone_from(&args.hosts.limit);
    plays::fill(
        &mut request,
        &args.run,
        &args.connection,
        &args.escalation,
        context,
    )?;
    let record = record::create(
        "exec",
        &context.typed,
        &context.named_sources(&args.hosts),
        &args.records,
        context,
    )?;
    plays::run(request, &args.connection, record, &Wanted::Nothing, context)
}
