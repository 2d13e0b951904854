//! `kopsrun certs`: looks at certificates.

mod list;

use super::context::Context;
use super::failure::Failure;
use clap::{Args, Subcommand};

/// Look at the certificates of all nodes
#[derive(Debug, Args)]
pub(super) struct Certs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::List),
}

pub(super) fn run(args: &Certs, context: &Context) -> Result<u8, Failure> {
    let Verb::List(args) = &args.verb;
    list::run(args, context)
}
