//! The two locks of an operation: a file here, which the kernel frees with the process, and a leased key in the cluster.

use super::engine::Failure;
use super::report::Stop;
use super::site::Site;
use crate::cluster::{Etcd, LeaseError, Leased};
use crate::journal::{Event, Holder, Level, Lock, LockError, Run, Sink, is_dead};
use std::sync::Arc;

/// The lock on this controller. None for a plan, which changes nothing and so waits for nobody.
pub(super) fn here(site: &Site, run: &Run, plan_only: bool) -> Result<Option<Lock>, Stop> {
    if plan_only {
        return Ok(None);
    }
    let holder = Holder::of(run.meta());
    let lock = Lock::take(&site.locks, &site.cluster, &holder).map_err(|error| {
        let failure = Failure::new(error.to_string());
        Stop::Locked(match error {
            LockError::Held { .. } => {
                failure.hint("wait for it to end, or stop it (Ctrl-C there undoes what it can)")
            }
            LockError::Io { .. } => failure,
        })
    })?;
    if let Some(dead) = &lock.left_by {
        run.emit(Event::Note {
            level: Level::Warning,
            text: format!("took over the lock of {dead}, which ended without letting go"),
            host: None,
        });
    }
    Ok(Some(lock))
}

/// What the key in the cluster holds while this run has it. Made once a run: it says since when.
pub(super) fn mark(run: &Run) -> String {
    serde_json::to_string(&Holder::of(run.meta())).unwrap_or_default()
}

/// The lock in the cluster, which holds `mark` while it is ours.
pub(super) async fn there(
    site: &Site,
    run: &Run,
    etcd: &Arc<Etcd>,
    mark: &str,
) -> Result<Leased, Stop> {
    // Left behind by this run before it was resumed, or by another that was recorded here and whose process is gone.
    let dead = |held: &str| {
        serde_json::from_str::<Holder>(held)
            .is_ok_and(|h| h.run == run.id() || is_dead(&site.runs, &h.run))
    };
    match Leased::take(Arc::clone(etcd), mark.to_owned(), dead).await {
        Ok(lease) => Ok(lease),
        Err(LeaseError::Held(held)) => {
            let holder = serde_json::from_str::<Holder>(&held).map_or(held, |h| h.to_string());
            Err(Stop::Locked(
                Failure::new(format!("the cluster is locked by {holder}"))
                    .hint("a run that died elsewhere lets go after half a minute"),
            ))
        }
        Err(LeaseError::Etcd(error)) => Err(Failure::from(error).into()),
    }
}

pub(super) async fn release(lease: Option<Leased>) {
    if let Some(lease) = lease {
        lease.release().await;
    }
}
