//! `kopsrun etcd`: looks at etcd and takes snapshots.

mod snapshot;
mod status;

use super::context::Context;
use super::failure::Failure;
use clap::{Args, Subcommand};

/// Look at etcd, and take snapshots of it
#[derive(Debug, Args)]
pub(super) struct Etcd {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Status(status::StatusArgs),
    Snapshot(snapshot::SnapshotArgs),
}

pub(super) fn run(args: &Etcd, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Status(args) => status::run(args, context),
        Verb::Snapshot(args) => snapshot::run(args, context),
    }
}
