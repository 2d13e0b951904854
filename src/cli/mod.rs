//! What was typed, what is meant, one verb, an exit code. The only room that reads the environment, the home
//! directory and the terminal.
#![expect(clippy::print_stderr, reason = "this room talks to the terminal")]
#![expect(
    clippy::disallowed_methods,
    reason = "the one room that reads the environment and ends the process"
)]

mod agent;
mod args;
mod arguments;
mod backup;
mod callbacks;
mod certs;
mod config;
mod connections;
mod context;
mod doc;
mod etcd;
mod exec;
mod extra_vars;
mod facts;
mod failure;
mod inventory;
mod listing;
mod machine;
mod play;
mod plays;
mod profile;
mod programs;
mod record;
mod replace_node;
mod restore;
mod resume;
mod runs;
mod schedule;
mod site;
mod vault;
mod warnings;

use args::Format;
use clap::{CommandFactory, Parser, Subcommand};
use context::Context;
use failure::{Failure, Kind};
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

/// Keeps Kubernetes clusters alive over SSH: replaces etcd members, backs up and restores, runs Ansible playbooks.
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
    Play(play::Play),
    Exec(exec::Exec),
    ReplaceNode(replace_node::ReplaceNode),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Etcd(etcd::Etcd),
    Certs(certs::Certs),
    Inventory(inventory::Inventory),
    Vault(vault::Vault),
    Config(config::Verb),
    Facts(facts::Facts),
    Schedule(schedule::Schedule),
    Runs(runs::Runs),
    Resume(resume::Resume),
    Doc(doc::Doc),
    #[command(hide = true)]
    Agent(agent::Agent),
}

/// The exit code after a defect of kopsrun's own, as that of an unexpected exception in Ansible.
const UNEXPECTED: u8 = 250;

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let words = arguments::typed(std::env::args_os());
    let cli = Cli::parse_from(&words);
    let plain = words
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    let context = match Context::new(&cli.output, typed(plain)) {
        Ok(context) => context,
        Err(failure) => {
            eprintln!(
                "error: {}",
                failure
                    .faults
                    .first()
                    .map(|fault| fault.message.as_str())
                    .unwrap_or_default()
            );
            return failure.kind.into();
        }
    };
    let work = std::panic::AssertUnwindSafe(|| dispatch(&cli.verb, &context));
    match std::panic::catch_unwind(work) {
        // The panic has told itself on standard error.
        Err(_) => ExitCode::from(UNEXPECTED),
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(failure)) => {
            report(&failure, &context);
            failure.kind.into()
        }
    }
}

/// What was typed, without the verb.
fn typed(words: impl Iterator<Item = String>) -> Vec<String> {
    let cli = Cli::command();
    let is_verb = |word: &str| cli.find_subcommand(word).is_some();
    let mut words: Vec<String> = words.collect();
    if let Some(verb) = words.iter().position(|word| is_verb(word)) {
        words.remove(verb);
    }
    words
}

/// Runs a command line that was typed before, in the directory where it was typed.
fn again(words: &[String], directory: &Path) -> Result<u8, Failure> {
    let line = || std::iter::once("kopsrun".to_owned()).chain(words.iter().cloned());
    let cli = Cli::try_parse_from(line()).map_err(|error| {
        Failure::new(
            Kind::Input,
            format!("what was typed then isn't understood now: {error}"),
        )
    })?;
    std::env::set_current_dir(directory).map_err(|error| {
        let dir = directory.display();
        Failure::new(
            Kind::Input,
            format!("the directory where it was started can't be entered: {dir}: {error}"),
        )
    })?;
    let context = Context::new(&cli.output, typed(words.iter().cloned()))?;
    dispatch(&cli.verb, &context)
}

fn dispatch(verb: &Verb, context: &Context) -> Result<u8, Failure> {
    match verb {
        Verb::Play(args) => play::run(args, context),
        Verb::Exec(args) => exec::run(args, context),
        Verb::Inventory(args) => inventory::run(args, context),
        Verb::ReplaceNode(args) => replace_node::run(args, context),
        Verb::Backup(args) => backup::run(args, context),
        Verb::Restore(args) => restore::run(args, context),
        Verb::Etcd(args) => etcd::run(args, context),
        Verb::Certs(args) => certs::run(args, context),
        Verb::Facts(args) => facts::run(args, context),
        Verb::Resume(args) => resume::run(args, context),
        Verb::Schedule(args) => schedule::run(args, context),
        Verb::Runs(args) => runs::run(args, context),
        Verb::Doc(args) => doc::run(args, context),
        Verb::Vault(args) => vault::run(args, context),
        Verb::Config(args) => config::run(args, context),
        Verb::Agent(args) => agent::run(args),
    }
}

/// Runs a verb that talks to hosts. Ctrl-C cancels it through the context.
fn block_on(
    context: &Context,
    work: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    machine::open_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Kind::Broken, format!("no threads can be started: {error}"))
        })?;
    let result = runtime.block_on(async {
        context::watch_signals(context.cancel.clone()).map_err(|error| {
            Failure::new(Kind::Broken, format!("signals can't be watched: {error}"))
        })?;
        work.await
    });
    // Connections that don't close must not keep the command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    result
}

/// Says why a verb ended early: on standard error for people, on standard output for machines.
fn report(failure: &Failure, context: &Context) {
    if context.format == Format::Json {
        let _closed = context.print(&format!("{}\n", failure.json()));
        return;
    }
    for fault in &failure.faults {
        eprint!("{}", crate::ui::snippet::draw(fault, context.color));
    }
}
