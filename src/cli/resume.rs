//! `kopsrun resume`: goes on with an operation that was interrupted.

use super::context::Context;
use super::failure::Failure;
use super::record;
use super::site::Operation;
use crate::journal::{self, Run};
use crate::ops;
use clap::Args;
use std::sync::Arc;

/// Go on with an operation that was interrupted; what is already true is skipped
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun resume last --yes\n  kopsrun resume 4f2a")]
pub(super) struct Resume {
    /// The run: its id, the end of its id, or `last`
    id: String,
    /// Don't ask before the first change
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Resume, context: &Context) -> Result<u8, Failure> {
    let root = record::root(&args.operation.records, context);
    let id = journal::find(&root, &args.id)?;
    let (meta, _) = journal::open(&root, &id)?;
    let mut operation = args.operation.clone();
    if operation.hosts.inventory.is_empty() {
        operation.hosts.inventory.clone_from(&meta.inventory);
    }
    let site = operation.site(context)?;
    let (run, _) = Run::reopen(
        &root,
        &id,
        &record::user(context),
        Some(record::observer(context)),
    )?;
    let run = Arc::new(run);
    super::block_on(context, async {
        let report = ops::resume(&site, &run, args.yes, &context.cancel)
            .await
            .map_err(record::unwritable)??;
        Ok(report.exit_code)
    })
}
