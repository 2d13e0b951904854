//! `kopsrun etcd snapshot`: takes one, and reads it back.

use crate::backup::Set;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cli::{block_on, record};
use crate::journal::{Event, RunEnd, Sink};
use crate::ops::snapshot;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun etcd snapshot -i inventory.yml
  kopsrun etcd snapshot -i inventory.yml --backups-dir /srv/backups
  kopsrun backup verify etcd-20261121-093000

The file is what `etcdctl snapshot save` writes. It comes from the healthy follower that has applied most, through SSH; the
nodes need no etcdctl. It appears under its name only after it was read back: checksum, every page, every key.";

/// Take a snapshot of etcd into a backup set of its own
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SnapshotArgs {
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &SnapshotArgs, context: &Context) -> Result<u8, Failure> {
    let operation = &args.operation;
    let site = operation.site(context)?;
    let sources = context.sources(&operation.hosts)?;
    let run = record::create(
        "etcd snapshot",
        &context.typed,
        &sources,
        &operation.records,
        context,
    )?;
    block_on(context, async {
        let taken = snapshot::take(&site, &run).await;
        let (end, exit_code, message, next) = match &taken {
            Ok(set) => (RunEnd::Done, 0, sentence(set), Vec::new()),
            Err(why) => {
                let (message, hints) = (why.message.clone(), why.hints.clone());
                (RunEnd::Failed, Kind::Failed.code(), message, hints)
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

fn sentence(set: &Set) -> String {
    let Some(snapshot) = &set.manifest.snapshot else {
        return set.dir.display().to_string();
    };
    let summary = &snapshot.summary;
    format!(
        "{} keys at revision {}, {:.1} MiB, sound, in {}",
        summary.keys,
        summary.revision,
        snapshot.size as f64 / 1_048_576.0,
        set.dir.display()
    )
}
