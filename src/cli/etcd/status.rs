//! `kopsrun etcd status`: members, leader, health, what can be lost.

use crate::cli::args::Format;
use crate::cli::block_on;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cluster::{Health, Seen};
use crate::ops::status::{self, Status};
use crate::ui::table::Table;
use clap::Args;

/// Show members, leader, health by a linearizable read on each, and what can be lost; exit code 2 when a member is unwell
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopsrun etcd status -i inventory.yml\n  kopsrun etcd status -i inventory.yml --output json"
)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &StatusArgs, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    block_on(context, async {
        let status = status::etcd(&site).await.map_err(|error| Failure {
            kind: Kind::Input,
            ..Failure::from(error)
        })?;
        match context.format {
            Format::Json => {
                let document = serde_json::to_value(&status)
                    .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
                context.print_json(&document)?;
            }
            Format::Text => context.print(&text(&status))?,
        }
        let well = status.view.members.iter().all(Seen::healthy) && status.view.alarms.is_empty();
        Ok(if well { 0 } else { Kind::Failed.code() })
    })
}

fn text(status: &Status) -> String {
    let view = &status.view;
    let mut table = Table::new([
        "MEMBER", "ID", "STATE", "ROLE", "VERSION", "REVISION", "DB SIZE", "ADDRESS",
    ]);
    for seen in &view.members {
        let (version, revision, size) =
            seen.status
                .as_ref()
                .map_or_else(Default::default, |status| {
                    let mib = status.db_size as f64 / 1_048_576.0;
                    (
                        status.version.clone(),
                        status.revision.to_string(),
                        format!("{mib:.1} MiB"),
                    )
                });
        table.row([
            seen.member.label().to_owned(),
            format!("{:016x}", seen.member.id),
            state(seen).to_owned(),
            role(seen, view.leader).to_owned(),
            version,
            revision,
            size,
            seen.member.peer_urls.join(","),
        ]);
    }
    let voters = view.voters();
    let mut text = table.text();
    for seen in &view.members {
        if let Health::Sick { reason } = &seen.health {
            text.push_str(&format!("{}: {reason}\n", seen.member.label()));
        }
    }
    let spare = voters.tolerance();
    text.push_str(&match spare {
        spare if spare < 0 => format!(
            "\nQUORUM IS LOST: {} of {} voters serve, {} are needed; no write is possible\n",
            voters.healthy,
            voters.total,
            voters.quorum()
        ),
        spare => format!(
            "\n{} of {} voters healthy, quorum {}: {spare} more can be lost\n",
            voters.healthy,
            voters.total,
            voters.quorum()
        ),
    });
    for alarm in &view.alarms {
        text.push_str(&format!("ALARM: {alarm}\n"));
    }
    for (host, why) in &status.closed {
        text.push_str(&format!("not reached through {host}: {why}\n"));
    }
    if let Some(holder) = &status.lock {
        text.push_str(&format!("locked by {holder}\n"));
    }
    text
}

fn state(seen: &Seen) -> &'static str {
    match (&seen.health, &seen.status) {
        (Health::Healthy { .. }, _) => "healthy",
        (Health::Learning, _) => "learning",
        (Health::Unstarted, _) => "not started",
        // It runs, and lacks the others or doesn't keep up.
        (Health::Sick { .. }, Some(_)) => "NOT SERVING",
        (Health::Sick { .. }, None) => "DEAD",
    }
}

fn role(seen: &Seen, leader: Option<u64>) -> &'static str {
    match seen {
        seen if seen.member.learner => "learner",
        seen if leader == Some(seen.member.id) => "leader",
        _ => "voter",
    }
}
