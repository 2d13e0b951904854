//! `kopsrun play`: runs playbooks.

use super::args::{Connection, Escalation, Hosts, Records, Run};
use super::context::Context;
use super::failure::Failure;
use super::{plays, record};
use crate::play::{Request, Source};
use clap::Args;
use std::path::PathBuf;

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
    /// Run notified handlers also on hosts that failed
    #[arg(long = "force-handlers")]
    force_handlers: bool,
    /// Forget the cached facts of the hosts first
    #[arg(long = "flush-cache")]
    flush_cache: bool,
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
    let inventory = context.inventory(&args.hosts)?;
    let playbooks = args
        .playbooks
        .iter()
        .map(|path| context.path(path))
        .collect();
    let mut request = Request::new(Source::Playbooks(playbooks), inventory);
    request.limit.clone_from(&args.hosts.limit);
    request.tags.clone_from(&args.tags);
    request.skip_tags.clone_from(&args.skip_tags);
    request.start_at.clone_from(&args.start_at);
    request.force_handlers = args.force_handlers;
    request.facts.flush = args.flush_cache;
    plays::fill(
        &mut request,
        &args.run,
        &args.connection,
        &args.escalation,
        context,
    )?;
    let only = &args.only;
    if only.syntax_check || only.list_tasks || only.list_hosts || only.list_tags {
        let look = plays::Look {
            hosts: only.list_hosts,
            tasks: only.list_tasks,
            tags: only.list_tags,
        };
        return plays::look(&request, look, context);
    }
    let record = record::create(
        "play",
        &context.typed,
        &context.sources(&args.hosts)?,
        &args.records,
        context,
    )?;
    plays::run(request, &args.connection, record, context)
}
