//! `kopsrun schedule`: backups at their times.

mod job;

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use super::site::Operation;
use crate::ops::schedule::{self, Job, Jobs, Timing, crontab, put};
use crate::ui::table::Table;
use clap::{Args, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const UNITS: &str = "/etc/systemd/system";

/// Take backups at their times: systemd timers on this machine
#[derive(Debug, Args)]
pub(super) struct Schedule {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Box<Add>),
    List(List),
    Run(Run),
    Remove(Remove),
}

const EXAMPLES: &str = "\
Examples:
  kopsrun schedule add etcd-backup --every 6h -i inventory.yml --drill --keep-last 4 --keep-daily 14 \\
      --metrics /var/lib/node_exporter/textfile/kopsrun.prom --ping https://hc.example.org/ping/etcd
  kopsrun schedule add etcd-backup --every 6h -i inventory.yml --print cron

A service and a timer are installed: hardened, with a random delay, never twice at once; a run that was missed while the
machine was off is caught up. After each success the URL is asked for by curl: whoever waits there notices when it doesn't
come.";

/// Install a service and a timer that take complete backup sets
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Add {
    /// Letters, digits and dashes
    name: String,
    /// 15m, 6h, 1d, 1w
    #[arg(long, value_name = "TIME", required_unless_present = "on_calendar")]
    every: Option<String>,
    /// A calendar expression of systemd instead: 'Mon..Fri 03:00'
    #[arg(long, value_name = "SPEC", conflicts_with = "every")]
    on_calendar: Option<String>,
    /// Prove each set by starting etcd from it
    #[arg(long)]
    drill: bool,
    /// Encrypt for this public key of age; may be given several times
    #[arg(long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// Let old sets go: keep the last N
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Keep one of each of the last N days
    #[arg(long, value_name = "N")]
    keep_daily: Option<usize>,
    /// Keep one of each of the last N weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<usize>,
    /// Keep one of each of the last N months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<usize>,
    /// Write how it went into this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Ask for this URL after each success
    #[arg(long, value_name = "URL")]
    ping: Option<String>,
    /// Print the units, or a line for crontab, and install nothing; the job is kept
    #[arg(long, value_enum, value_name = "WHAT")]
    print: Option<Printed>,
    #[command(flatten)]
    operation: Operation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Printed {
    Systemd,
    Cron,
}

/// List the jobs and how they went
#[derive(Debug, Args)]
struct List {}

/// Run a job now, as its timer does
#[derive(Debug, Args)]
struct Run {
    name: String,
}

/// Remove a job with its units; its sets stay
#[derive(Debug, Args)]
struct Remove {
    name: String,
}

pub(super) fn run(args: &Schedule, context: &Context) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Add(args) => add(args, context),
        Verb::List(_) => list(context),
        Verb::Run(args) => job::run(&args.name, context),
        Verb::Remove(args) => remove(&args.name, context),
    }
}

fn jobs(context: &Context) -> Jobs {
    Jobs(context.state().join("schedules"))
}

fn broken(error: impl ToString) -> Failure {
    Failure::new(Kind::Broken, error.to_string())
}

fn add(args: &Add, context: &Context) -> Result<u8, Failure> {
    if !Jobs::valid(&args.name) {
        return Err(
            Failure::new(Kind::Input, format!("'{}' is no name for a job", args.name))
                .hint("letters, digits and dashes are"),
        );
    }
    // What is wrong with the inventory or a key is told now, not at night.
    args.operation.site(context)?;
    let job = describe(args, context)?;
    let program = std::env::current_exe().map_err(broken)?;
    let units = schedule::units(&job, &program, &home(context)?, &writable(args, context));
    match args.print {
        Some(Printed::Cron) => {
            let line = crontab(&job, &program).ok_or_else(|| {
                Failure::new(Kind::Input, "cron has no such calendar: use --every")
            })?;
            context.print(&line)?;
        }
        Some(Printed::Systemd) => {
            for unit in &units {
                context.print(&format!("# {UNITS}/{}\n{}\n", unit.name, unit.text))?;
            }
        }
        None => {
            for path in writable(args, context) {
                std::fs::create_dir_all(&path).map_err(|e| wrong(&path, &e))?;
            }
            for unit in &units {
                let path = Path::new(UNITS).join(&unit.name);
                put(&path, unit.text.as_bytes(), 0o644).map_err(|e| wrong(&path, &e))?;
            }
        }
    }
    jobs(context).write(&job).map_err(broken)?;
    if args.print.is_none() {
        systemctl(&["daemon-reload"])?;
        systemctl(&["enable", "--now", &units[1].name])?;
        context.print(&format!(
            "{} is installed; run it now: systemctl start {}\n",
            units[1].name, units[0].name
        ))?;
    }
    Ok(0)
}

fn wrong(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Broken, format!("{}: {error}", path.display()))
}

fn home(context: &Context) -> Result<PathBuf, Failure> {
    let home = context.variable("HOME").map(PathBuf::from);
    home.ok_or_else(|| Failure::new(Kind::Input, "HOME isn't set"))
}

/// Where a run writes.
fn writable(args: &Add, context: &Context) -> Vec<PathBuf> {
    let mut paths = vec![context.state(), args.operation.backups(context)];
    let metrics = args.metrics.as_deref().map(|file| context.path(file));
    paths.extend(metrics.and_then(|file| file.parent().map(Path::to_owned)));
    paths
}

fn describe(args: &Add, context: &Context) -> Result<Job, Failure> {
    let timing = match (&args.every, &args.on_calendar) {
        (Some(every), _) => Timing::every(every).map_err(|why| Failure::new(Kind::Input, why))?,
        (None, Some(spec)) => Timing::calendar(spec),
        (None, None) => {
            return Err(Failure::new(
                Kind::Input,
                "--every or --on-calendar is missing",
            ));
        }
    };
    let keeps = [
        ("--keep-last", args.keep_last),
        ("--keep-daily", args.keep_daily),
        ("--keep-weekly", args.keep_weekly),
        ("--keep-monthly", args.keep_monthly),
    ];
    let keeps: Vec<String> = keeps
        .iter()
        .filter_map(|(name, count)| Some(format!("{name}={}", (*count)?)))
        .collect();
    let words = |verb: &str, more: &[String]| -> Vec<String> {
        let own = ["backup".to_owned(), verb.to_owned()];
        own.iter()
            .chain(&shared(args, context))
            .chain(more)
            .cloned()
            .collect()
    };
    let recipients: Vec<String> = args
        .recipients
        .iter()
        .map(|key| format!("--recipient={key}"))
        .collect();
    Ok(Job {
        name: args.name.clone(),
        timing,
        directory: context.directory.clone(),
        create: words("create", &recipients),
        drill: args.drill.then(|| words("drill", &[])),
        prune: (!keeps.is_empty()).then(|| words("prune", &keeps)),
        metrics: args.metrics.as_deref().map(|file| context.path(file)),
        ping: args.ping.clone(),
    })
}

/// Words that all commands of the job share, with absolute paths.
fn shared(args: &Add, context: &Context) -> Vec<String> {
    let operation = &args.operation;
    let mut words = Vec::new();
    let mut path = |name: &str, path: &Path| {
        words.push(format!("{name}={}", context.path(path).display()));
    };
    for source in &operation.hosts.inventory {
        path("--inventory", source);
    }
    if let Some(dir) = &operation.backups_dir {
        path("--backups-dir", dir);
    }
    for file in &operation.identities {
        path("--identity", file);
    }
    if let Some(file) = &operation.passphrase_file {
        path("--passphrase-file", file);
    }
    if let Some(file) = &operation.connection.private_key {
        path("--private-key", file);
    }
    if let Some(user) = &operation.connection.user {
        words.push(format!("--user={user}"));
    }
    words
}

fn systemctl(words: &[&str]) -> Result<(), Failure> {
    let output = Command::new("systemctl")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Failure::new(Kind::Broken, format!("systemctl: {error}"))
                .hint("without systemd: --print cron gives a line for crontab")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(
        Kind::Failed,
        format!("systemctl {}: {said}", words.join(" ")),
    ))
}

fn list(context: &Context) -> Result<u8, Failure> {
    let jobs = jobs(context);
    let all = jobs.list().map_err(broken)?;
    if context.format == Format::Json {
        let rows: Vec<_> = all
            .iter()
            .map(|job| serde_json::json!({ "job": job, "history": jobs.history(&job.name) }))
            .collect();
        context.print_json(&rows.into())?;
        return Ok(0);
    }
    let mut table = Table::new(["JOB", "WHEN", "LAST SET", "TAKEN", "VERIFIED", "FAILURES"]);
    let time = |at: Option<jiff::Timestamp>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        )
    };
    for job in &all {
        let history = jobs.history(&job.name);
        table.row([
            job.name.clone(),
            job.timing.calendar.clone(),
            history.set.unwrap_or_default(),
            time(history.succeeded),
            time(history.verified),
            history.failures.to_string(),
        ]);
    }
    context.print(&match all.is_empty() {
        true => "no jobs yet\n".to_owned(),
        false => table.text(),
    })?;
    Ok(0)
}

fn remove(name: &str, context: &Context) -> Result<u8, Failure> {
    let jobs = jobs(context);
    known(&jobs, name)?;
    let timer = format!("kopsrun-{name}.timer");
    if Path::new(UNITS).join(&timer).exists() {
        systemctl(&["disable", "--now", &timer])?;
        for kind in ["service", "timer"] {
            let path = Path::new(UNITS).join(format!("kopsrun-{name}.{kind}"));
            std::fs::remove_file(&path).map_err(|e| wrong(&path, &e))?;
        }
        systemctl(&["daemon-reload"])?;
    }
    jobs.remove(name).map_err(broken)?;
    context.print(&format!("{name} is removed; its sets stay\n"))?;
    Ok(0)
}

/// The job of this name.
fn known(jobs: &Jobs, name: &str) -> Result<Job, Failure> {
    let there = Jobs::valid(name).then(|| jobs.read(name).ok()).flatten();
    there.ok_or_else(|| {
        Failure::new(Kind::Input, format!("there is no job {name}"))
            .hint("list them: kopsrun schedule list")
    })
}
