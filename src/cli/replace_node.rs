//! `kopsrun replace-node`: replaces an etcd member.

use super::context::Context;
use super::failure::Failure;
use super::record;
use super::site::Operation;
use crate::ops::replace_node::{self, Options};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun replace-node node3 -i inventory.yml --plan
  kopsrun replace-node node3 -i inventory.yml --accept-new-host-key node3
  kopsrun replace-node node3 -i inventory.yml --with node6      a healthy member moves to another machine

The member's machine is dead or was replaced: its old member is removed by id, the machine is prepared, joins as a learner
and is promoted when it has caught up. Certificates come from the newest backup (kopsrun backup certs).";

/// Replace the etcd member of a node, in the safe order
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplaceNode {
    /// The node, as the inventory names it
    node: String,
    /// Another node of the inventory takes its place
    #[arg(long, value_name = "NODE")]
    with: Option<String>,
    /// Show the plan and what the cluster can lose after each step; change nothing
    #[arg(long)]
    plan: bool,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    /// Replace a healthy member on its own machine: it leaves before it comes back
    #[arg(long = "in-place")]
    in_place: bool,
    /// The data of the dead member on the machine may be moved aside
    #[arg(long = "discard-data")]
    discard_data: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &ReplaceNode, context: &Context) -> Result<u8, Failure> {
    let mut operation = args.operation.clone();
    let home = args.with.as_deref().unwrap_or(&args.node);
    // Only the operation accepts the key of the machine that it replaces, after it has looked at it.
    operation
        .connection
        .accept_new_host_key
        .retain(|host| host != home);
    let options = Options {
        node: args.node.clone(),
        with: args.with.clone(),
        in_place: args.in_place,
        discard_data: args.discard_data,
        accept_new_host_key: args
            .operation
            .connection
            .accept_new_host_key
            .iter()
            .any(|host| host == home),
        plan_only: args.plan,
        yes: args.yes,
    };
    let site = operation.site(context)?;
    let run = args
        .operation
        .begin(replace_node::COMMAND, &options, &site, context)?;
    super::block_on(context, async {
        let report = replace_node::run(&site, &options, &run, &context.cancel)
            .await
            .map_err(record::unwritable)?;
        Ok(report.exit_code)
    })
}
