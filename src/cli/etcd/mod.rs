//! `kopsrun etcd`: looks at etcd, takes snapshots, changes its members, keeps it small, brings it back.

mod members;
mod recover;
mod snapshot;
mod status;

use super::context::Context;
use super::failure::Failure;
use clap::{Args, Subcommand};

/// Look at etcd, take snapshots, change its members
#[derive(Debug, Args)]
pub(super) struct Etcd {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Status(status::StatusArgs),
    Members(members::Members),
    Quorum(members::Quorum),
    #[command(name = "hashkv")]
    HashKv(members::HashKv),
    Alarms(members::Alarms),
    Snapshot(snapshot::SnapshotArgs),
    Add(members::Add),
    /// Make a learner a voter, once it has caught up
    Promote(members::OfMember),
    /// Hand the leadership to a member
    MoveLeader(members::OfMember),
    /// Remove a member by name or id, where the quorum bears it; its data stay on its disk
    Remove(members::OfMember),
    Compact(members::Compact),
    Defrag(members::Defrag),
    Recover(recover::Recover),
    Coldstart(recover::Coldstart),
}

pub(super) fn run(args: &Etcd, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Status(args) => status::run(args, context),
        Verb::Snapshot(args) => snapshot::run(args, context),
        Verb::Members(args) => members::list(args, context),
        Verb::Quorum(args) => members::quorum(args, context),
        Verb::HashKv(args) => members::hashkv(args, context),
        Verb::Alarms(args) => members::alarms(args, context),
        Verb::Add(args) => members::add(args, context),
        Verb::Promote(args) => members::promote(args, context),
        Verb::MoveLeader(args) => members::move_leader(args, context),
        Verb::Remove(args) => members::remove(args, context),
        Verb::Compact(args) => members::compact(args, context),
        Verb::Defrag(args) => members::defrag(args, context),
        Verb::Recover(args) => recover::recover(args, context),
        Verb::Coldstart(args) => recover::coldstart(args, context),
    }
}
