//! `etcd_health`: how well the members are, by a linearizable read on each.

use super::{described, open, refused};
use crate::cluster::{Health, View};
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

pub(in crate::play::actions) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let require = call.text("require").unwrap_or_else(|| "all".to_owned());
    let wait = call
        .text("wait")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(wait);
    loop {
        let done = look(call, &require).await?;
        if !done.is_failed() || Instant::now() >= until {
            return Ok(done);
        }
        sleep(PAUSE).await;
    }
}

async fn look(call: &Call<'_>, require: &str) -> Result<Done, Problem> {
    let etcd = match open(call).await? {
        Ok(etcd) => etcd,
        Err(done) => return Ok(done),
    };
    let view = match etcd.view().await {
        Ok(view) => view,
        Err(error) => return Ok(refused(&error)),
    };
    let wrong = wrong(&view, require);
    let done = if wrong.is_empty() {
        Done::changed(false).with("msg", "etcd is well")
    } else {
        Done::failed(wrong.join("; ")).with("changed", false)
    };
    Ok(described(done, &view))
}

/// What keeps the cluster from being as well as is required.
fn wrong(view: &View, require: &str) -> Vec<String> {
    let voters = view.voters();
    let mut wrong = Vec::new();
    if view.stale || !voters.has_quorum() {
        wrong.push(format!(
            "quorum is lost: {} of {} voters serve, {} are needed",
            voters.healthy,
            voters.total,
            voters.quorum()
        ));
    }
    if require == "quorum" {
        return wrong;
    }
    for seen in &view.members {
        let label = seen.member.label();
        match &seen.health {
            Health::Healthy { .. } => {}
            Health::Learning => wrong.push(format!("{label} is a learner")),
            Health::Unstarted => wrong.push(format!("{label} never started")),
            Health::Sick { reason } => wrong.push(format!("{label}: {reason}")),
        }
    }
    wrong.extend(view.alarms.iter().map(|alarm| format!("alarm {alarm}")));
    if view.leader.is_none() && wrong.is_empty() {
        wrong.push("the members don't agree on a leader".to_owned());
    }
    wrong
}
