//! `kopsrun play`: runs playbooks.

use super::args::{Connection, Escalation, Format, Hosts, Records, Run};
use super::context::Context;
use super::failure::{Failure, Kind};
use super::profile::Wanted;
use super::{listing, plays, record};
use crate::play::{Asker, Request, Retry, Source};
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  kopsrun play site.yml -i inventory.yml
  kopsrun play site.yml -i inventory.yml -l 'kube_node:!node5' --check --diff
  kopsrun play site.yml -i inventory.yml -t etcd -e version=3.5.16 -e @site-vars.yml
  kopsrun play site.yml -i inventory.yml --list-tasks";

/// Run Ansible playbooks
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Play {
    /// Playbooks, run one after the other
    #[arg(required = true, value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    run: Run,
    /// Only plays, roles, blocks and tasks with one of these tags
    #[arg(short, long, value_name = "TAGS", value_delimiter = ',')]
    tags: Vec<String>,
    /// Not those with one of these tags
    #[arg(long = "skip-tags", value_name = "TAGS", value_delimiter = ',')]
    skip_tags: Vec<String>,
    /// Start at the task of this name
    #[arg(long = "start-at-task", value_name = "NAME")]
    start_at: Option<String>,
    /// Ask before every task whether it is run
    #[arg(long)]
    step: bool,
    /// Look for Python modules in these directories (between colons); may be given several times
    #[arg(short = 'M', long = "module-path", value_name = "PATH")]
    module_path: Vec<String>,
    /// Run notified handlers also on hosts that failed
    #[arg(long = "force-handlers")]
    force_handlers: bool,
    /// Forget the cached facts of the hosts first
    #[arg(long = "flush-cache")]
    flush_cache: bool,
    /// Show afterwards where the time went; a trace for chrome://tracing goes into FILE, else into the record of the run
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    profile: Option<String>,
    #[command(flatten)]
    only: Only,
    #[command(flatten)]
    escalation: Escalation,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    records: Records,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Look, don't run")]
#[group(multiple = true)]
struct Only {
    /// Load everything, report every mistake, connect to nothing
    #[arg(long = "syntax-check")]
    syntax_check: bool,
    /// List the tasks that would run
    #[arg(long = "list-tasks")]
    list_tasks: bool,
    /// List the hosts of each play
    #[arg(long = "list-hosts")]
    list_hosts: bool,
    /// List the tags
    #[arg(long = "list-tags")]
    list_tags: bool,
}

pub(super) fn run(args: &Play, context: &Context) -> Result<u8, Failure> {
    let inventory = context.inventory_or_none(&args.hosts)?;
    for path in &args.playbooks {
        exists(&context.path(path))?;
    }
    let playbooks = args
        .playbooks
        .iter()
        .map(|path| context.path(path))
        .collect();
    let mut request = Request::new(Source::Playbooks(playbooks), inventory);
    request.limit.clone_from(&args.hosts.limit);
    let config = &context.config;
    request.tags = config.list("TAGS_RUN");
    request.tags.extend(args.tags.iter().cloned());
    request.skip_tags = config.list("TAGS_SKIP");
    request.skip_tags.extend(args.skip_tags.iter().cloned());
    request.start_at.clone_from(&args.start_at);
    request.force_handlers = args.force_handlers || config.flag("DEFAULT_FORCE_HANDLERS");
    plays::fill(
        &mut request,
        &args.run,
        &args.connection,
        &args.escalation,
        context,
    )?;
    request.facts.flush = args.flush_cache;
    request.step = args.step.then(|| Arc::new(Steps) as Arc<dyn Asker>);
    if config.flag("RETRY_FILES_ENABLED") {
        let dir = config.path("RETRY_FILES_SAVE_PATH");
        request.retry = dir.map_or(Retry::BesidePlaybook, Retry::In);
    }
    request.library = library(&args.module_path, context);
    plays::some_hosts(&request.inventory, "all", request.limit.as_deref(), context)?;
    let only = &args.only;
    if only.syntax_check || only.list_tasks || only.list_hosts || only.list_tags {
        if only.list_tags && request.tags.is_empty() {
            // Without tags that were asked for, ansible-playbook also lists those of tasks that only run when they are asked for.
            request.tags = vec!["all".to_owned(), "never".to_owned()];
        }
        let look = listing::Look {
            hosts: only.list_hosts,
            tasks: only.list_tasks,
            tags: only.list_tags,
        };
        return listing::look(&request, look, context);
    }
    if context.verbosity > 0 && context.format == Format::Text {
        let config = &context.config.file;
        let config = config.as_ref().map(|path| path.display());
        context.print(&match config {
            Some(path) => format!("Using {path} as config file\n"),
            None => "No config file found; using defaults\n".to_owned(),
        })?;
    }
    let record = record::create(
        "play",
        &context.typed,
        &context.named_sources(&args.hosts),
        &args.records,
        context,
    )?;
    let profile = Wanted::of(args.profile.as_deref(), context);
    plays::run(request, &args.connection, record, &profile, context)
}

/// Whoever types at standard input: `--step` asks there, also where it is no terminal, as ansible-playbook does.
struct Steps;

impl Asker for Steps {
    fn ask(&self, question: &str, _echo: bool) -> io::Result<String> {
        let mut out = io::stdout().lock();
        out.write_all(question.as_bytes())?;
        out.flush()?;
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? == 0 {
            return Err(io::Error::other("standard input has ended"));
        }
        Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// A playbook is a file that is there.
fn exists(path: &Path) -> Result<(), Failure> {
    // `namespace.collection.playbook` is looked for in collections.
    let in_collection = path
        .to_str()
        .and_then(|path| path.rsplit('/').next())
        .is_some_and(|name| name.split('.').count() > 2);
    let message = match std::fs::metadata(path) {
        Err(_) if in_collection => return Ok(()),
        Err(error) => format!(
            "the playbook: {} could not be found: {error}",
            path.display()
        ),
        Ok(meta) if meta.is_dir() => format!(
            "the playbook: {} does not appear to be a file",
            path.display()
        ),
        Ok(_) => return Ok(()),
    };
    Err(Failure::new(Kind::Error, message))
}

/// Directories of Python modules: those of the arguments before those of the settings.
fn library(typed: &[String], context: &Context) -> Vec<PathBuf> {
    let typed = typed.iter().flat_map(|paths| paths.split(':'));
    let typed = typed.filter(|path| !path.is_empty());
    let mut library: Vec<PathBuf> = typed.map(|path| context.path(Path::new(path))).collect();
    library.extend(context.config.paths("DEFAULT_MODULE_PATH"));
    library
}
