//! `kopsrun etcd members|add|remove|promote|move-leader|defrag|compact|alarms|hashkv|quorum`.

use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::cluster::quorum::{Voters, replacement};
use crate::journal::{Event, Holder, RunEnd, Sink};
use crate::ops::members::{self, Deed};
use crate::ops::status;
use crate::ui::table::Table;
use clap::Args;

/// What every change takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Show what would be done and change nothing
    #[arg(short = 'C', long, visible_alias = "dry-run")]
    check: bool,
    /// Don't ask before the change
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    operation: Operation,
}

/// List the members as a majority has them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun etcd members -i inventory.yml")]
pub(super) struct Members {
    #[command(flatten)]
    operation: Operation,
}

/// Add a learner by its peer URL; the machine is yours to prepare (replace-node does all of it)
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun etcd add https://10.0.0.14:2380 -i inventory.yml")]
pub(super) struct Add {
    /// https://ADDRESS:2380
    url: String,
    #[command(flatten)]
    common: Common,
}

/// Name of a member, or its id as `etcd members` shows it.
#[derive(Debug, Args)]
pub(super) struct OfMember {
    /// Name of the member, or its id
    member: String,
    #[command(flatten)]
    common: Common,
}

/// Rewrite databases one after the other, the leader last, where enough of them is free
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopsrun etcd defrag -i inventory.yml --free 30\n\nA member serves nothing while it rewrites; so all others have to be healthy before each."
)]
pub(super) struct Defrag {
    /// Only this member
    member: Option<String>,
    /// Only databases of which at least so many percent are free
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    free: u8,
    #[command(flatten)]
    common: Common,
}

/// Forget the history of keys but for the last revisions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun etcd compact -i inventory.yml --keep 10000")]
pub(super) struct Compact {
    /// Keep the last N revisions
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keep: i64,
    #[command(flatten)]
    common: Common,
}

/// Show alarms; exit code 2 when one is raised. Take them back with --disarm once their cause is gone
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun etcd alarms -i inventory.yml --disarm")]
pub(super) struct Alarms {
    /// Take alarms of space back, once all databases are below 90 % of their quota
    #[arg(long)]
    disarm: bool,
    /// Alarms of corruption too
    #[arg(long, requires = "disarm")]
    corrupt: bool,
    #[command(flatten)]
    common: Common,
}

/// Compare the data of all members by etcd's own hash; exit code 2 when they differ
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun etcd hashkv -i inventory.yml")]
pub(super) struct HashKv {
    #[command(flatten)]
    operation: Operation,
}

/// Show what the cluster can lose now, member by member, and at each step of a replacement
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopsrun etcd quorum -i inventory.yml\n  kopsrun etcd quorum -i inventory.yml --crashes 2"
)]
pub(super) struct Quorum {
    /// Try all crashes of up to N members
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    crashes: u8,
    #[command(flatten)]
    operation: Operation,
}

fn unreached(error: crate::ops::engine::Failure) -> Failure {
    Failure {
        kind: Kind::Input,
        ..Failure::from(error)
    }
}

pub(super) fn add(args: &Add, context: &Context) -> Result<u8, Failure> {
    change(
        "etcd add",
        Deed::Add(args.url.clone()),
        &args.common,
        context,
    )
}

pub(super) fn remove(args: &OfMember, context: &Context) -> Result<u8, Failure> {
    let deed = Deed::Remove(args.member.clone());
    change("etcd remove", deed, &args.common, context)
}

pub(super) fn promote(args: &OfMember, context: &Context) -> Result<u8, Failure> {
    let deed = Deed::Promote(args.member.clone());
    change("etcd promote", deed, &args.common, context)
}

pub(super) fn move_leader(args: &OfMember, context: &Context) -> Result<u8, Failure> {
    let deed = Deed::MoveLeader(args.member.clone());
    change("etcd move-leader", deed, &args.common, context)
}

pub(super) fn defrag(args: &Defrag, context: &Context) -> Result<u8, Failure> {
    let deed = Deed::Defragment {
        member: args.member.clone(),
        free: args.free,
    };
    change("etcd defrag", deed, &args.common, context)
}

pub(super) fn compact(args: &Compact, context: &Context) -> Result<u8, Failure> {
    let deed = Deed::Compact { keep: args.keep };
    change("etcd compact", deed, &args.common, context)
}

pub(super) fn alarms(args: &Alarms, context: &Context) -> Result<u8, Failure> {
    if args.disarm {
        let deed = Deed::Disarm {
            corrupt: args.corrupt,
        };
        return change("etcd alarms", deed, &args.common, context);
    }
    let site = args.common.operation.site(context)?;
    block_on(context, async {
        let alarms = status::etcd(&site).await.map_err(unreached)?.view.alarms;
        match context.format {
            Format::Json => context.print_json(&serde_json::json!(alarms))?,
            Format::Text => context.print(&match alarms.as_slice() {
                [] => "no alarm is raised\n".to_owned(),
                all => format!("{}\n", all.join("\n")),
            })?,
        }
        Ok(if alarms.is_empty() {
            0
        } else {
            Kind::Failed.code()
        })
    })
}

/// Judge, show, ask, do.
fn change(verb: &str, deed: Deed, common: &Common, context: &Context) -> Result<u8, Failure> {
    let operation = &common.operation;
    let site = operation.site(context)?;
    let sources = context.sources(&operation.hosts)?;
    let run = record::create(verb, &context.typed, &sources, &operation.records, context)?;
    block_on(context, async {
        let prepared = members::prepare(&site, deed, &run).await;
        let (end, exit_code, message, next) = match prepared {
            Err(why) => (RunEnd::Refused, 5, why.message, why.hints),
            Ok(prepared) if prepared.plan.is_empty() => {
                (RunEnd::Done, 0, "nothing to do".to_owned(), Vec::new())
            }
            Ok(prepared) if common.check => {
                let text = format!("would: {}", prepared.plan.join("; "));
                (RunEnd::Done, 0, text, Vec::new())
            }
            Ok(prepared) => {
                let plan = prepared.plan.clone();
                if common.yes || site.ask("Go on?".to_owned(), plan.clone()).await {
                    match prepared.run(&site, &Holder::of(run.meta()), &run).await {
                        Ok(done) => (RunEnd::Done, 0, done, Vec::new()),
                        Err(why) => (RunEnd::Failed, Kind::Failed.code(), why.message, why.hints),
                    }
                } else {
                    let text = "not confirmed (--yes goes ahead without asking)".to_owned();
                    (RunEnd::Refused, 5, text, plan)
                }
            }
        };
        run.emit_synced(Event::RunFinished {
            end,
            exit_code,
            message: Some(message),
            next,
        })
        .map_err(record::unwritable)?;
        Ok(exit_code)
    })
}

pub(super) fn list(args: &Members, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    block_on(context, async {
        let view = status::etcd(&site).await.map_err(unreached)?.view;
        let members: Vec<_> = view.members.iter().map(|s| &s.member).collect();
        if context.format == Format::Json {
            let document = serde_json::to_value(&members)
                .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
            context.print_json(&document)?;
            return Ok(0);
        }
        let mut table = Table::new(["MEMBER", "ID", "VOTES", "PEER URLS", "CLIENT URLS"]);
        for member in members {
            table.row([
                member.label().to_owned(),
                format!("{:x}", member.id),
                if member.learner { "learner" } else { "yes" }.to_owned(),
                member.peer_urls.join(","),
                member.client_urls.join(","),
            ]);
        }
        let old = "no majority confirms this list: it may be old\n";
        context.print(&format!(
            "{}{}",
            table.text(),
            if view.stale { old } else { "" }
        ))?;
        Ok(0)
    })
}

pub(super) fn hashkv(args: &HashKv, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    block_on(context, async {
        let (revision, same, lines) = members::same_data(&site).await?;
        let verdict = match same {
            true => "the same data",
            false => "DIFFERENT DATA",
        };
        match context.format {
            Format::Json => context.print_json(&serde_json::json!({
                "revision": revision, "same": same, "members": lines,
            }))?,
            Format::Text => context.print(&format!(
                "{}\n{verdict} at revision {revision}\n",
                lines.join("\n")
            ))?,
        }
        Ok(if same { 0 } else { Kind::Failed.code() })
    })
}

pub(super) fn quorum(args: &Quorum, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    block_on(context, async {
        let view = status::etcd(&site).await.map_err(unreached)?.view;
        let voters = view.voters();
        let healthy: Vec<&str> = view
            .members
            .iter()
            .filter(|s| s.healthy() && !s.member.learner)
            .map(|s| s.member.label())
            .collect();
        let fatal = fatal(&healthy, voters, usize::from(args.crashes));
        if context.format == Format::Json {
            context.print_json(&serde_json::json!({
                "voters": voters.total, "healthy": voters.healthy, "quorum": voters.quorum(),
                "tolerance": voters.tolerance(), "fatal_crashes": fatal,
            }))?;
        } else {
            context.print(&text(voters, &fatal, args.crashes))?;
        }
        Ok(if voters.has_quorum() {
            0
        } else {
            Kind::Failed.code()
        })
    })
}

/// The smallest sets of members whose crash costs the majority, of up to `most` members.
fn fatal(healthy: &[&str], voters: Voters, most: usize) -> Vec<String> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for set in 0u32..1 << healthy.len().min(20) {
        let members: Vec<usize> = (0..healthy.len()).filter(|i| set >> i & 1 == 1).collect();
        let then = Voters {
            healthy: voters.healthy - members.len(),
            ..voters
        };
        if members.len() <= most && !then.has_quorum() {
            found.push(members);
        }
    }
    let smallest = found.iter().map(Vec::len).min().unwrap_or_default();
    found.retain(|set| set.len() == smallest);
    let names = |set: &Vec<usize>| {
        set.iter()
            .map(|&i| healthy[i])
            .collect::<Vec<_>>()
            .join(" + ")
    };
    found.iter().map(names).filter(|n| !n.is_empty()).collect()
}

fn text(voters: Voters, fatal: &[String], crashes: u8) -> String {
    let line = |voters: Voters| {
        format!(
            "{} of {} voters healthy, {} needed, {} more may fail",
            voters.healthy,
            voters.total,
            voters.quorum(),
            voters.tolerance()
        )
    };
    let mut text = format!("now: {}\n", line(voters));
    text.push_str(&match fatal {
        [] => format!("any {crashes} of the healthy members may crash\n"),
        fatal => format!("the quorum goes with: {}\n", fatal.join(", ")),
    });
    let dead = voters.dead() > 0;
    text.push_str("a replacement goes through:\n");
    let mut now = voters;
    for change in replacement(dead, dead) {
        match now.step(*change) {
            Ok(then) => now = then,
            Err(why) => {
                text.push_str(&format!("  {change:?}: refused: {why}\n"));
                break;
            }
        }
        text.push_str(&format!("  {change:?}: {}\n", line(now)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_that_cost_the_quorum_are_found() {
        let names = ["a", "b", "c", "d", "e"];
        for total in 1..=5usize {
            for healthy in 0..=total {
                let voters = Voters {
                    total,
                    healthy,
                    learners: 0,
                };
                for most in 1..=3 {
                    let found = fatal(&names[..healthy], voters, most);
                    // Needed to lose it: one more than may fail.
                    let needed = usize::try_from(voters.tolerance() + 1).unwrap_or_default();
                    let there = (1..=most).contains(&needed);
                    assert_eq!(!found.is_empty(), there, "{healthy} of {total}, {most}");
                }
            }
        }
    }
}
