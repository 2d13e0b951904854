//! Cluster operations: gates, a pure plan from facts, steps that can be repeated and undone, and the engine for them.

pub mod backup;
pub mod certificates;
pub mod certs;
pub mod check_certs;
pub mod drill;
pub mod engine;
pub mod fetch;
mod identity;
mod locks;
pub mod members;
mod parts;
pub mod prune;
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
use replace_node::Options;
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
    let unreadable = |error: serde_json::Error| {
        Failure::new(format!(
            "the settings of run {} can't be read: {error}",
            meta.id
        ))
    };
    if meta.command == restore_etcd::COMMAND {
        let options: restore_etcd::Options = match serde_json::from_value(meta.options.clone()) {
            Ok(options) => options,
            Err(error) => return Ok(Err(unreadable(error))),
        };
        let options = restore_etcd::Options {
            yes: options.yes || yes,
            plan_only: false,
            ..options
        };
        return restore_etcd::run(site, &options, run, stop).await.map(Ok);
    }
    if meta.command == renew_certs::COMMAND {
        let options: renew_certs::Options = match serde_json::from_value(meta.options.clone()) {
            Ok(options) => options,
            Err(error) => return Ok(Err(unreadable(error))),
        };
        let options = renew_certs::Options {
            yes: options.yes || yes,
            plan_only: false,
            ..options
        };
        return renew_certs::run(site, &options, run, stop).await.map(Ok);
    }
    if meta.command != replace_node::COMMAND {
        return Ok(Err(Failure::new(format!(
            "a run of '{}' can't be resumed: run the command again, it skips what is done",
            meta.command
        ))));
    }
    let options: Options = match serde_json::from_value(meta.options.clone()) {
        Ok(options) => options,
        Err(error) => return Ok(Err(unreadable(error))),
    };
    let options = Options {
        yes: options.yes || yes,
        plan_only: false,
        ..options
    };
    replace_node::run(site, &options, run, stop).await.map(Ok)
}
