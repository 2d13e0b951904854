//! `kopsrun agent --stdio`: serves tasks for `connection: local`. Hidden: only kopsrun itself calls it.

use super::failure::{Failure, Kind};
use clap::Args;
use std::io;

#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Frames on standard input and output
    #[arg(long, required = true)]
    stdio: bool,
}

pub(super) fn run(_: &Agent) -> Result<u8, Failure> {
    host::serve(io::stdin(), io::stdout())
        .map(|()| 0)
        .map_err(|error| {
            Failure::new(
                Kind::Broken,
                format!("the agent's connection broke: {error}"),
            )
        })
}
