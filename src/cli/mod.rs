//! What was typed, what is meant, one verb, an exit code. The only room that reads the environment, the home
//! directory and the terminal.

#![allow(dead_code)]
mod args;
mod failure;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Orchestrates the life of Kubernetes clusters over SSH: replace, add and remove nodes, back up, restore, upgrade.
#[derive(Debug, Parser)]
#[command(
    name = "kopsrun",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = args::EXIT_CODES
)]
struct Cli {
    #[command(flatten)]
    output: args::Output,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// x
    X,
}
/// Entry
pub fn main() -> ExitCode {
    let _ = Cli::parse();
    ExitCode::SUCCESS
}
