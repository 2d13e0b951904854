//! Cluster operations: gates, a pure plan from facts, steps that can be repeated and undone, and the engine for them.

pub mod backup;
pub mod certificates;
pub mod certs;
pub mod check_certs;
pub mod coldstart;
pub mod drill;
pub mod engine;
pub mod explore;
pub mod fetch;
mod identity;
mod locks;
pub mod members;
mod parts;
pub mod prune;
pub mod recover;
pub mod renew_certs;
pub mod replace_node;
pub mod report;
pub mod restore_etcd;
pub mod schedule;
pub mod site;
pub mod snapshot;
pub mod status;
pub mod stepfile;

use crate::journal::Run;
use engine::Failure;
use report::Report;
use site::Site;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Go on with a run that was reopened: the same look at the live cluster, the same steps, whatever is true is skipped.
///
/// The outer error is one of the record; the inner one says why this run can't be resumed.
pub async fn resume(
    site: &Site,
    run: &Arc<Run>,
    yes: bool,
    stop: &CancellationToken,
) -> std::io::Result<Result<Report, Failure>> {
    let meta = run.meta();
    let command = meta.command.as_str();
    // What was confirmed once needn't be confirmed again.
    macro_rules! again {
        ($verb:ident) => {{
            let mut options: $verb::Options = match serde_json::from_value(meta.options.clone()) {
                Ok(options) => options,
                Err(error) => {
                    return Ok(Err(Failure::new(format!(
                        "the settings of run {} can't be read: {error}",
                        meta.id
                    ))));
                }
            };
            options.yes |= yes;
            options.plan_only = false;
            $verb::run(site, &options, run, stop).await.map(Ok)
        }};
    }
    match command {
        replace_node::COMMAND => again!(replace_node),
        restore_etcd::COMMAND => again!(restore_etcd),
        recover::COMMAND => again!(recover),
        coldstart::COMMAND => again!(coldstart),
        renew_certs::COMMAND => again!(renew_certs),
        _ => Ok(Err(Failure::new(format!(
            "a run of '{command}' can't be resumed: run the command again, it skips what is done"
        )))),
    }
}
