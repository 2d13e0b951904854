//! `kopsrun certs list`: what there is, how long it lasts, and whether keys fit.

use crate::backup::inspect::KeyState;
use crate::cli::args::Format;
use crate::cli::block_on;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::content::inventory::Unknown;
use crate::ops::certificates::{self, Limits, Line, Listing, State};
use crate::ui::table::Table;
use clap::Args;
use jiff::SignedDuration;

const EXAMPLES: &str = "\
Examples:
  kopsrun certs list -i inventory.yml
  kopsrun certs list -i inventory.yml --warning 60 --critical 14 --output json

Read are the files where kubespray and kubeadm keep certificates, what kubeconfigs carry, and what etcd, API server, kubelet,
controller manager and scheduler show on their ports. Exit code 2: a certificate has ended or ends within --critical days, a
key doesn't fit or everybody can read it, a process still shows an old certificate, or a node can't be read.";

/// List all certificates of all nodes, the first to end first
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Days before its end at which a certificate is marked
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    warning: i64,
    /// Days before its end at which the exit code is 2
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    critical: i64,
    /// Another file or directory to read; may be given several times
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// Only what is marked
    #[arg(long)]
    bad: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &List, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let limit = args.operation.hosts.limit.as_deref();
    let chosen = site.inventory.select("all", limit, Unknown::Fault)?;
    let hosts: Vec<String> = chosen.hosts.iter().map(ToString::to_string).collect();
    let days = |days: i64| SignedDuration::from_hours(days.saturating_mul(24).min(24 * 36_500));
    let limits = Limits {
        warning: days(args.warning),
        critical: days(args.critical),
    };
    block_on(context, async {
        let mut listing = certificates::list(&site, &hosts, &args.paths, limits).await;
        let code = if listing.bad() {
            Kind::Failed.code()
        } else {
            0
        };
        if args.bad {
            let marked = |line: &Line| line.state > State::Fine || !line.problems.is_empty();
            listing.certificates.retain(marked);
        }
        match context.format {
            Format::Json => {
                let document = serde_json::to_value(&listing)
                    .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
                context.print_json(&document)?;
            }
            Format::Text => context.print(&text(&listing))?,
        }
        Ok(code)
    })
}

fn text(listing: &Listing) -> String {
    let mut table = Table::new(["NODE", "DAYS", "STATE", "KEY", "SUBJECT", "WHERE"]);
    for line in &listing.certificates {
        let state = match line.state {
            State::Fine => "",
            State::Warning => "soon",
            State::Critical => "CRITICAL",
            State::Expired => "EXPIRED",
        };
        let key = match line.found.key {
            KeyState::Match if line.found.place.starts_with("tls:") => "on disk",
            KeyState::Match => "fits",
            KeyState::Mismatch => "MISMATCH",
            KeyState::Unread => "unread",
            KeyState::None => "",
        };
        table.row([
            line.node.clone(),
            line.days.to_string(),
            state.to_owned(),
            key.to_owned(),
            line.found.certificate.subject.clone(),
            line.found.place.clone(),
        ]);
    }
    let mut text = table.text();
    for line in &listing.certificates {
        for problem in &line.problems {
            text.push_str(&format!("{}: {}: {problem}\n", line.node, line.found.place));
        }
    }
    for (node, why) in &listing.unread {
        text.push_str(&format!("{node} can't be read: {why}\n"));
    }
    text
}
