//! The program that kopsrun starts on a host. It speaks frames on standard input and output, and nothing else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match arguments.first().and_then(|argument| argument.to_str()) {
        None if arguments.is_empty() => run(),
        Some("--stdio") if arguments.len() == 1 => run(),
        Some("--version") if arguments.len() == 1 => {
            writeln!(io::stdout(), "kopsrun-agent {}", env!("CARGO_PKG_VERSION"))
        }
        _ => Err(io::Error::other(
            "usage: kopsrun-agent [--stdio | --version]",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be left to read this.
            writeln!(io::stderr(), "kopsrun-agent: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    // Not `io::stdout()`, which looks for line ends in everything.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    host::serve(io::stdin().lock(), output)
}
