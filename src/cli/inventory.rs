//! `kopsrun inventory`: the hosts, groups and variables that an inventory means.

use super::args::{Format, Hosts};
use super::context::Context;
use super::extra_vars;
use super::failure::{Failure, Kind};
use super::vault::files;
use crate::content::inventory::output::{self, Shown};
use crate::content::inventory::{Inventory as Loaded, Unknown};
use crate::content::value::Value;
use crate::content::yaml;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kopsrun inventory -i inventory.yml --graph
  kopsrun inventory -i inventory.yml --list -l 'kube_node:!node5'
  kopsrun inventory -i inventory.ini --list --yaml --export --output inventory.yml
  kopsrun inventory -i inventory.yml --host node1";

/// Show the hosts, groups and variables that an inventory means
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inventory {
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    form: Form,
    /// Read group_vars/ and host_vars/ beside the playbooks in this directory too
    #[arg(long, value_name = "DIR")]
    playbook_dir: Option<PathBuf>,
    /// Variables of every host: name=value, JSON, YAML or @FILE
    #[arg(short, long = "extra-vars", value_name = "VARS")]
    extra_vars: Vec<String>,
}

/// One of these.
#[derive(Debug, Args)]
struct What {
    /// All groups and all variables of all hosts, as JSON
    #[arg(long)]
    list: bool,
    /// The groups as a tree, from all or from GROUP
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "all")]
    graph: Option<String>,
    /// The variables of one host, as JSON
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The names of the hosts that a pattern means, one a line
    #[arg(long, value_name = "PATTERN")]
    hosts_of: Option<String>,
}

#[derive(Debug, Args)]
struct Form {
    /// With --list or --host: YAML instead of JSON
    #[arg(short, long)]
    yaml: bool,
    /// With --list: variables stand with the group or host that they are written for
    #[arg(long)]
    export: bool,
    /// With --list: write into this file; `--output FILE` means the same, unless FILE is text or json
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// With --graph: the variables of hosts and groups too
    #[arg(long)]
    vars: bool,
}

pub(super) fn run(args: &Inventory, context: &Context) -> Result<u8, Failure> {
    let what = &args.what;
    let chosen = [
        what.list,
        what.graph.is_some(),
        what.host.is_some(),
        what.hosts_of.is_some(),
    ];
    let message = match chosen.into_iter().filter(|chosen| *chosen).count() {
        0 => "No action selected, at least one of --host, --graph or --list needs to be specified.",
        1 => return show(args, context),
        _ => {
            "Conflicting options used, only one of --host, --graph or --list can be used at the same time."
        }
    };
    Err(Failure::new(Kind::Usage, message))
}

fn show(args: &Inventory, context: &Context) -> Result<u8, Failure> {
    let mut inventory = context.inventory_or_none(&args.hosts)?;
    if let Some(dir) = &args.playbook_dir {
        inventory = inventory.with_playbook_dir(&context.path(dir))?.into();
    }
    let extra = extra_vars::parse(&args.extra_vars, context)?;
    let limit = args.hosts.limit.as_deref();
    let limit = limit
        .map(|limit| inventory.select("all", Some(limit), Unknown::Fault))
        .transpose()?;
    let shown = Shown {
        limit: limit.as_ref().map(|selection| &*selection.hosts),
        export: args.form.export,
        extra: Some(&extra),
    };
    let what = &args.what;
    if let Some(host) = &what.host {
        inventory.select(host, None, Unknown::Fault)?;
        let vars = output::host(&inventory, host, &shown);
        context.print(&args.form.document(&vars)?)?;
    } else if let Some(group) = &what.graph {
        context.print(&format!("{}\n", inventory.graph(group, args.form.vars)?))?;
    } else if let Some(pattern) = &what.hosts_of {
        names(&inventory, pattern, args, context)?;
    } else {
        let text = match args.form.yaml {
            true => yaml_text(&output::tree(&inventory, &shown))?,
            false => json(&output::list(&inventory, &shown)),
        };
        match &args.form.output_file {
            // As ansible-inventory writes it: without the last line's end.
            Some(file) => files::write(file, text.trim_end_matches('\n').as_bytes(), context)?,
            None => context.print(&text)?,
        }
    }
    Ok(0)
}

fn names(
    inventory: &Loaded,
    pattern: &str,
    args: &Inventory,
    context: &Context,
) -> Result<(), Failure> {
    let limit = args.hosts.limit.as_deref();
    let hosts = inventory.select(pattern, limit, Unknown::Fault)?.hosts;
    match context.format {
        Format::Json => context.print_json(&hosts.iter().map(ToString::to_string).collect()),
        Format::Text => {
            let lines = hosts.iter().map(|host| format!("{host}\n"));
            context.print(&lines.collect::<String>())
        }
    }
}

impl Form {
    fn document(&self, value: &Value) -> Result<String, Failure> {
        match self.yaml {
            true => yaml_text(value),
            false => Ok(json(&output::json(value))),
        }
    }
}

/// JSON as ansible-inventory indents it.
fn json(json: &serde_json::Value) -> String {
    format!("{}\n", crate::ui::json::indented(json))
}

fn yaml_text(value: &Value) -> Result<String, Failure> {
    let style = yaml::Style {
        flow: Some(false),
        ..yaml::Style::YAML
    };
    Ok(format!(
        "{}\n",
        yaml::dump(value, &style)?.trim_end_matches('\n')
    ))
}
