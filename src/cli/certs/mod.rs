//! `kopsrun certs`: looks at certificates and makes them anew.

mod check;
mod diff;
mod list;
mod renew;

use super::context::Context;
use super::failure::Failure;
use clap::{Args, Subcommand};

/// Look at the certificates of all nodes, compare them, make them anew
#[derive(Debug, Args)]
pub(super) struct Certs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::List),
    Check(check::Check),
    Diff(diff::Diff),
    Renew(renew::Renew),
}

pub(super) fn run(args: &Certs, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::List(args) => list::run(args, context),
        Verb::Check(args) => check::run(args, context),
        Verb::Diff(args) => diff::run(args, context),
        Verb::Renew(args) => renew::run(args, context),
    }
}
