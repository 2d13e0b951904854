//! `kopsrun inventory`: the hosts, groups and variables that an inventory means.

use super::args::{Format, Hosts};
use super::context::Context;
use super::failure::Failure;
use crate::content::inventory::Unknown;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun inventory -i inventory.yml --graph
  kopsrun inventory -i inventory.yml --list -l 'kube_node:!node5'
  kopsrun inventory -i inventory.yml --host node1";

/// Show the hosts, groups and variables that an inventory means
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inventory {
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    what: What,
    /// With --graph: the variables of hosts and groups too
    #[arg(long, requires = "graph")]
    vars: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// All groups and all variables of all hosts, as JSON
    #[arg(long)]
    list: bool,
    /// The groups as a tree, from all or from GROUP
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "all")]
    graph: Option<String>,
    /// The variables of one host, as JSON
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The names of the hosts that a pattern means, one a line
    #[arg(long, value_name = "PATTERN")]
    hosts_of: Option<String>,
}

pub(super) fn run(args: &Inventory, context: &Context) -> Result<u8, Failure> {
    let inventory = context.inventory_or_none(&args.hosts)?;
    if let Some(host) = &args.what.host {
        inventory.select(host, None, Unknown::Fault)?;
        context.print(&document(&inventory.to_host_json(host)))?;
    } else if let Some(group) = &args.what.graph {
        context.print(&format!("{}\n", inventory.graph(group, args.vars)?))?;
    } else if let Some(pattern) = &args.what.hosts_of {
        let hosts = inventory
            .select(pattern, args.hosts.limit.as_deref(), Unknown::Fault)?
            .hosts;
        match context.format {
            Format::Json => context.print_json(&hosts.iter().map(ToString::to_string).collect())?,
            Format::Text => context.print(
                &hosts
                    .iter()
                    .map(|host| format!("{host}\n"))
                    .collect::<String>(),
            )?,
        }
    } else {
        context.print(&document(&inventory.to_list_json()))?;
    }
    Ok(0)
}

/// JSON as ansible-inventory indents it.
fn document(json: &serde_json::Value) -> String {
    format!("{}\n", crate::ui::json::indented(json))
}
