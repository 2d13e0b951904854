//! Steps that change or judge the cluster. Member lists are read anew before each of them.

use super::facts::Branch;
use super::shape;
use super::work::Work;
use crate::cluster::quorum;
use crate::cluster::{Health, LOCK_KEY, Member, Seen, View};
use crate::ops::engine::{Check, Failure};
use std::time::{Duration, Instant};

/// The learner is level when it is at most this many entries behind the leader…
const LEVEL: u64 = 100;
/// …this many times in a row.
const SAMPLES: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(100);
/// How long a learner may take without coming any nearer.
const STALLED: Duration = Duration::from_secs(120);
/// How long the cluster may take to be well again after the last change.
const SETTLE: Duration = Duration::from_secs(60);

pub(super) async fn check_leader(work: &Work) -> Result<Check, Failure> {
    let view = work.etcd.view().await?;
    Ok(match (view.leader, &work.old) {
        (Some(leader), Some(old)) if leader == old.id => Check::Needed,
        (Some(leader), _) => Check::Done(format!("{} leads", label(&view, leader))),
        (None, _) => Check::Blocked(Failure::new("the members agree on no leader")),
    })
}

fn label(view: &View, id: u64) -> String {
    view.by_id(id)
        .map_or_else(|| format!("{id:x}"), |s| s.member.label().to_owned())
}

/// The healthy voter that is furthest, other than the one that goes.
pub(super) async fn move_leader(work: &Work) -> Result<(), Failure> {
    let view = work.etcd.view().await?;
    let target = view
        .members
        .iter()
        .filter(|s| s.healthy() && !s.member.learner)
        .filter(|s| Some(s.member.id) != work.old.as_ref().map(|o| o.id))
        .max_by_key(|s| s.status.as_ref().map(|t| t.applied_index))
        .ok_or_else(|| Failure::new("there is no other healthy voter to lead"))?;
    Ok(work.etcd.move_leader(target.member.id).await?)
}

pub(super) async fn check_removed(work: &Work) -> Result<Check, Failure> {
    let Some(old) = &work.old else {
        return Ok(Check::Done("it is not in the list".to_owned()));
    };
    let view = work.etcd.view().await?;
    if view.stale {
        return Ok(Check::Blocked(Failure::new(
            "quorum is lost: the member list can't be confirmed",
        )));
    }
    let Some(seen) = view.by_id(old.id) else {
        return Ok(Check::Done(format!("{:x} is not in the list", old.id)));
    };
    Ok(judge_removal(work, &view, seen)
        .await?
        .map_or(Check::Needed, Check::Blocked))
}

/// The last look before the step that can't be taken back.
async fn judge_removal(work: &Work, view: &View, seen: &Seen) -> Result<Option<Failure>, Failure> {
    let dead = !seen.healthy();
    if !dead && work.branch == Branch::RemoveFirst {
        return Ok(Some(
            Failure::new(format!(
                "the member of {} has come back: it answers linearizable reads",
                work.node.host
            ))
            .hint("nothing was removed; look whether it needs replacing at all"),
        ));
    }
    if !seen.member.learner
        && let Err(why) = quorum::may_remove(view.voters(), dead)
    {
        return Ok(Some(Failure::new(format!(
            "{} can't be removed now: {why}",
            seen.member.label()
        ))));
    }
    // Proof that the old member can't come back: the machine at its address is in our hands, without etcd or its data.
    if work.branch == Branch::RemoveFirst && work.home.host == work.node.host {
        match shape::check_fence(work).await? {
            Check::Done(_) => {}
            Check::Needed => {
                let home = &work.home.host;
                return Ok(Some(Failure::new(format!(
                    "an earlier etcd has appeared on {home} again"
                ))));
            }
            Check::Blocked(why) => return Ok(Some(why)),
        }
    }
    Ok(None)
}

pub(super) async fn remove(work: &Work) -> Result<(), Failure> {
    work.still_ours().await?;
    match &work.old {
        Some(old) => Ok(work.etcd.remove(old.id).await?),
        None => Ok(()),
    }
}

pub(super) async fn check_added(work: &Work) -> Result<Check, Failure> {
    Ok(match work.newcomer().await? {
        Some(m) => Check::Done(format!(
            "{:x} is {}",
            m.id,
            if m.learner { "a learner" } else { "a voter" }
        )),
        None => Check::Needed,
    })
}

pub(super) async fn add_learner(work: &Work) -> Result<(), Failure> {
    work.still_ours().await?;
    let urls = [work.home.peer_url.clone()];
    work.etcd.add_learner(&urls).await?;
    Ok(())
}

/// A learner is free to go; a voter is not touched.
pub(super) async fn undo_add(work: &Work) -> Result<String, Failure> {
    match work.newcomer().await? {
        Some(m) if m.learner => {
            work.etcd.remove(m.id).await?;
            Ok(format!("the learner {:x} was removed", m.id))
        }
        _ => Ok("there is no learner".to_owned()),
    }
}

/// Entries by which the newcomer is behind the leader; none: it is a voter already.
async fn behind(work: &Work) -> Result<Option<u64>, Failure> {
    let newcomer = work
        .newcomer()
        .await?
        .ok_or_else(|| Failure::new("the new member is not in the list any more"))?;
    if !newcomer.learner {
        return Ok(None);
    }
    let view = work.etcd.view().await?;
    let applied = |id: u64| {
        view.by_id(id)
            .and_then(|s| s.status.as_ref())
            .map(|s| s.applied_index)
    };
    let leader = view.leader.and_then(applied);
    match (leader, applied(newcomer.id)) {
        (Some(leader), Some(learner)) => Ok(Some(leader.saturating_sub(learner))),
        (None, _) => Err(Failure::new("the members agree on no leader")),
        (_, None) => Err(Failure::new("the learner doesn't answer").hint(format!(
            "look at it: kopsrun exec {} -b -m command -a 'journalctl -u etcd -n 50'",
            work.home.host
        ))),
    }
}

pub(super) async fn check_level(work: &Work) -> Result<Check, Failure> {
    for sample in 0..SAMPLES {
        match behind(work).await {
            Ok(None) => return Ok(Check::Done("it is a voter".to_owned())),
            Ok(Some(lag)) if lag <= LEVEL => {}
            // Not level, or not answering yet: waiting for it is what the step is for.
            Ok(Some(_)) | Err(_) => return Ok(Check::Needed),
        }
        if sample + 1 < SAMPLES {
            tokio::time::sleep(BETWEEN).await;
        }
    }
    Ok(Check::Done(format!(
        "at most {LEVEL} entries behind, {SAMPLES} times in a row"
    )))
}

pub(super) async fn catch_up(work: &Work) -> Result<(), Failure> {
    let begin = Instant::now();
    let (mut first, mut least, mut nearer) = (None, u64::MAX, Instant::now());
    loop {
        if matches!(check_level(work).await?, Check::Done(_)) {
            return Ok(());
        }
        work.go_on()?;
        let result = behind(work).await;
        if let Ok(Some(lag)) = result {
            let first = *first.get_or_insert(lag);
            if lag < least {
                (least, nearer) = (lag, Instant::now());
            }
            let text = format!("{lag} entries behind{}", eta(begin.elapsed(), first, lag));
            work.progress(
                "catch-up",
                text,
                Some(first.saturating_sub(lag)),
                Some(first),
            );
        }
        if nearer.elapsed() > STALLED {
            return Err(match result {
                Err(why) => why,
                Ok(_) => Failure::new(format!(
                    "the learner has come no nearer for {} s: it is {least} entries behind",
                    STALLED.as_secs()
                ))
                .hint("writes come faster than it can follow: look at its disk, or lower the load on the cluster"),
            });
        }
        tokio::time::sleep(BETWEEN * 3).await;
    }
}

/// How long it will take at the rate so far.
fn eta(elapsed: Duration, first: u64, lag: u64) -> String {
    let gained = first.saturating_sub(lag);
    if gained == 0 {
        return String::new();
    }
    let left = elapsed.as_millis().saturating_mul(lag.into()) / u128::from(gained);
    format!(", about {} s left", left.div_ceil(1000))
}

pub(super) async fn check_promoted(work: &Work) -> Result<Check, Failure> {
    Ok(match work.newcomer().await? {
        Some(m) if !m.learner => Check::Done(format!("{:x} is a voter", m.id)),
        Some(_) => Check::Needed,
        None => Check::Blocked(Failure::new("the new member is not in the list any more")),
    })
}

pub(super) async fn promote(work: &Work) -> Result<(), Failure> {
    work.still_ours().await?;
    let newcomer = work
        .newcomer()
        .await?
        .ok_or_else(|| Failure::new("the new member is not in the list any more"))?;
    Ok(work.etcd.promote(newcomer.id).await?)
}

pub(super) async fn check_verified(work: &Work) -> Result<Check, Failure> {
    let verified = work
        .verified
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    Ok(verified.map_or(Check::Needed, Check::Done))
}

pub(super) async fn verify(work: &Work) -> Result<(), Failure> {
    let begin = Instant::now();
    loop {
        let judged = match work.etcd.view().await {
            Ok(view) => judge_end(work, &view).await,
            Err(error) => Err(error.into()),
        };
        match judged {
            Ok(sentence) => {
                let mut verified = work
                    .verified
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                *verified = Some(sentence);
                return Ok(());
            }
            Err(why) if begin.elapsed() > SETTLE => return Err(why),
            Err(_) => tokio::time::sleep(BETWEEN * 3).await,
        }
    }
}

/// Everything that has to be true in the end; the error names the first thing that isn't.
async fn judge_end(work: &Work, view: &View) -> Result<String, Failure> {
    let no = |text: String| Err(Failure::new(text));
    let voters = view.voters();
    if view.stale {
        return no("quorum is lost".to_owned());
    }
    if let Some(old) = work.old.as_ref().and_then(|o| view.by_id(o.id)) {
        return no(format!(
            "the old member {:x} is still in the list",
            old.member.id
        ));
    }
    if voters.learners > 0 {
        return no("there is still a learner".to_owned());
    }
    if voters.total != work.voters {
        return no(format!(
            "{} voters where {} were to be",
            voters.total, work.voters
        ));
    }
    if let Some(sick) = view.members.iter().find(|s| !s.healthy()) {
        let why = match &sick.health {
            Health::Sick { reason } => reason.as_str(),
            _ => "it never started",
        };
        return no(format!("{} is not healthy: {why}", sick.member.label()));
    }
    let Some(leader) = view.leader else {
        return no("the members agree on no leader".to_owned());
    };
    if !view.alarms.is_empty() {
        return no(format!("alarms: {}", view.alarms.join(", ")));
    }
    let members: Vec<Member> = view.members.iter().map(|s| s.member.clone()).collect();
    let Some(new) = work.home.find(members.iter()) else {
        return no(format!("{} has no member", work.home.host));
    };
    let mark = work.etcd.get_from(new, LOCK_KEY).await?;
    if mark.as_deref() != Some(work.mark.as_bytes()) {
        return no(format!(
            "{} doesn't have what was written before the change",
            work.home.host
        ));
    }
    let (revision, same) = work.etcd.same_data(&members).await?;
    if !same {
        return Err(Failure::new(format!(
            "the members hold different data at revision {revision}"
        ))
        .hint("compare them before anything else is changed: kopsrun etcd status"));
    }
    Ok(format!(
        "{} voters, all healthy, {} more may fail, {} leads, equal hashes at revision {revision}",
        voters.total,
        voters.tolerance(),
        label(view, leader)
    ))
}
