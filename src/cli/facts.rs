//! `kopsrun facts`: gathers, shows and clears what is known of hosts.

use super::args::{Connection, Escalation, Format, Hosts, Records, Run};
use super::context::Context;
use super::failure::{Failure, Kind};
use super::{connections, plays, record};
use crate::content::inventory::Unknown;
use crate::journal::Sink;
use crate::play::facts::{self, Cache};
use crate::play::{Links, Request, Source};
use crate::ui::table::Table;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kopsrun facts -i inventory.yml              what is cached, with its age
  kopsrun facts -i inventory.yml --gather all
  kopsrun facts -i inventory.yml --show node1
  kopsrun facts -i inventory.yml --clear node3

Plays use them, also for hosts that are down or outside of --limit, with fact_caching = jsonfile in ansible.cfg or with
ANSIBLE_CACHE_PLUGIN=jsonfile.";

/// Gather facts of hosts, show them with their age, clear them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Facts {
    /// Gather the facts of the hosts of a pattern now
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, default_missing_value = "all", conflicts_with_all = ["show", "clear"])]
    gather: Option<String>,
    /// The cached facts of one host, as JSON
    #[arg(long, value_name = "HOST", conflicts_with = "clear")]
    show: Option<String>,
    /// Forget the facts of the hosts of a pattern
    #[arg(long, value_name = "PATTERN")]
    clear: Option<String>,
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    run: Run,
    #[command(flatten)]
    escalation: Escalation,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    records: Records,
}

pub(super) fn run(args: &Facts, context: &Context) -> Result<u8, Failure> {
    let settings = plays::facts(context);
    let cache = Cache::new(&folder(context), &settings.prefix, settings.ttl);
    if let Some(pattern) = &args.gather {
        return gather(pattern, args, context);
    }
    if let Some(host) = &args.show {
        let facts = cache
            .load(host)
            .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
        let facts = facts.ok_or_else(|| {
            Failure::new(Kind::Input, format!("no fresh facts of {host} are cached"))
                .hint(format!("gather them: kopsrun facts --gather {host}"))
        })?;
        context.print_json(&facts.into())?;
        return Ok(0);
    }
    if let Some(pattern) = &args.clear {
        let inventory = context.inventory(&args.hosts)?;
        for host in inventory
            .select(pattern, args.hosts.limit.as_deref(), Unknown::Fault)?
            .hosts
        {
            let known = cache
                .clear(&host)
                .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
            context.print(&format!(
                "{host}: {}\n",
                if known {
                    "forgotten"
                } else {
                    "nothing was known"
                }
            ))?;
        }
        return Ok(0);
    }
    list(&cache, context)
}

/// The cache of the settings (`fact_caching = jsonfile`), which plays use too; without one a folder of kopsrun's own.
fn folder(context: &Context) -> PathBuf {
    let configured = plays::facts(context).cache;
    configured.unwrap_or_else(|| plays::own_facts(context))
}

fn list(cache: &Cache, context: &Context) -> Result<u8, Failure> {
    let entries = cache
        .list()
        .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
    if context.format == Format::Json {
        let rows: Vec<_> = entries
            .iter()
            .map(|entry| serde_json::json!({"host": entry.host, "age_seconds": entry.age.as_secs(), "stale": entry.stale}))
            .collect();
        context.print_json(&rows.into())?;
        return Ok(0);
    }
    let mut table = Table::new(["HOST", "AGE", "STATE"]);
    for entry in &entries {
        let state = if entry.stale { "too old" } else { "fresh" };
        table.row([entry.host.clone(), age(entry.age), state.to_owned()]);
    }
    context.print(&if entries.is_empty() {
        "no facts are cached\n".to_owned()
    } else {
        table.text()
    })?;
    Ok(0)
}

/// `42 s`, `7 min`, `5 h 12 min`, `3 d 4 h`.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn gather(pattern: &str, args: &Facts, context: &Context) -> Result<u8, Failure> {
    let inventory = context.inventory(&args.hosts)?;
    inventory.select(pattern, args.hosts.limit.as_deref(), Unknown::Fault)?;
    let mut request = Request::new(Source::Playbooks(Vec::new()), inventory);
    request.limit.clone_from(&args.hosts.limit);
    plays::fill(
        &mut request,
        &args.run,
        &args.connection,
        &args.escalation,
        context,
    )?;
    request.facts.cache = Some(folder(context));
    let pool = connections::pool(&args.connection, context)?;
    let record = record::create(
        "facts",
        &context.typed,
        &context.sources(&args.hosts)?,
        &args.records,
        context,
    )?;
    let record = Arc::new(record);
    super::block_on(context, async {
        let sink: Arc<dyn Sink> = Arc::clone(&record) as Arc<dyn Sink>;
        let result = facts::gather(&request, pattern, Arc::new(Links::new(pool)), sink).await;
        plays::finish(result, record.as_ref())
    })
}
