//! kopsrun's own actions on etcd: what the operations use, for plays. Each goes through the host that the task works on,
//! so a play on the group of members can call them.

pub(super) mod health;
pub(super) mod member;
pub(super) mod snapshot;

use crate::cluster::{Etcd, EtcdError, View};
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::door::HostDoor;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The cluster through the task's host.
async fn open(call: &Call<'_>) -> Result<Result<Etcd, Done>, Problem> {
    let door = HostDoor::new(call)?;
    Ok(Etcd::open(vec![Arc::new(door)])
        .await
        .map_err(|error| refused(&error)))
}

fn refused(error: &EtcdError) -> Done {
    Done::failed(error.to_string())
}

/// Everything that was seen, under names of their own.
fn described(done: Done, view: &View) -> Done {
    let voters = view.voters();
    let members = serde_json::to_value(&view.members).unwrap_or_default();
    let leader = view.leader.and_then(|id| view.by_id(id));
    done.with("members", members)
        .with("cluster_id", format!("{:x}", view.cluster_id))
        .with(
            "leader",
            leader.map_or(Json::Null, |seen| seen.member.label().into()),
        )
        .with("alarms", view.alarms.clone())
        .with(
            "voters",
            json!({
                "total": voters.total, "healthy": voters.healthy, "learners": voters.learners,
                "quorum": voters.quorum(), "tolerance": voters.tolerance(),
            }),
        )
}
