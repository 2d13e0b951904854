//! `kopsrun backup drill`: proves that a set can be restored.

use super::{begin, named};
use crate::backup::{self, Mark, Set};
use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::journal::{Event, RunEnd, Sink};
use crate::ops::drill::{self, Wanted};
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kopsrun backup drill -i inventory.yml
  kopsrun backup drill -i inventory.yml cluster-20261121-093000 --programs /opt/etcd-v3.5.16

A throwaway etcd is started on this machine from the set, behind sockets that only you can open. It must serve a linearizable
read, the revision and the number of keys of the set, and the hash that the member had. Then the set is VERIFIED: list shows
it, prune keeps it, restore takes it. Whatever fails takes an earlier proof away.";

/// Start a throwaway etcd from a set and compare what it serves; exit code 2 when it fails
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Drill {
    /// Name of the set; otherwise the newest with a snapshot
    set: Option<String>,
    /// Directory with etcd and etcdutl (before 3.5: etcdctl); otherwise those of PATH, else those of a node
    #[arg(long, value_name = "DIR", env = "KOPSRUN_ETCD_PROGRAMS")]
    programs: Option<PathBuf>,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Drill, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let set = match &args.set {
        Some(name) => named(&args.operation, name, context)?,
        None => newest(&args.operation, context)?,
    };
    let wanted = Wanted {
        configured: args.programs.as_deref().map(|dir| context.path(dir)),
        path: context
            .variable("PATH")
            .map_or_else(Vec::new, |path| std::env::split_paths(path).collect()),
    };
    let record = begin("backup drill", &args.operation, context)?;
    block_on(context, async {
        let name = &set.manifest.set;
        let proven = drill::drill(&site, &set, &wanted, &record).await;
        let (end, exit_code, message, next) = match &proven {
            Ok(mark) => (RunEnd::Done, 0, sentence(name, mark), Vec::new()),
            Err(why) => (
                RunEnd::Failed,
                Kind::Failed.code(),
                format!("{name} is NOT verified: {}", why.message),
                why.hints.clone(),
            ),
        };
        record
            .emit_synced(Event::RunFinished {
                end,
                exit_code,
                message: Some(message),
                next,
            })
            .map_err(record::unwritable)?;
        Ok(exit_code)
    })
}

fn newest(operation: &Operation, context: &Context) -> Result<Set, Failure> {
    let found = backup::list(&operation.backups(context))
        .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
    if let Some((name, error)) = found.damaged.into_iter().next_back()
        && context.format == Format::Text
    {
        context.print(&format!("not considered: {name}: {error}\n"))?;
    }
    let with_etcd = |set: &Set| set.manifest.snapshot.is_some();
    found.sets.into_iter().rev().find(with_etcd).ok_or_else(|| {
        Failure::new(
            Kind::Input,
            "there is no backup set with a snapshot of etcd",
        )
        .hint("take one: kopsrun backup create")
    })
}

fn sentence(name: &str, mark: &Mark) -> String {
    let hash = match mark.hash_compared {
        true => "the member's hash",
        false => "no hash to compare with",
    };
    format!(
        "VERIFIED {name}: etcd {} served {} keys at revision {}, {hash}, ready after {:.1} s",
        mark.etcd_version, mark.keys, mark.revision, mark.seconds
    )
}
