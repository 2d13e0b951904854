//! Whether a restore is the right thing, and what it will do. Pure.

use super::facts::{Facts, Intent, Machine, Wishes};
use crate::cluster::quorum::quorum;
use crate::ops::engine::Failure;

/// How far the revision is raised by writing, where etcd's tool can't: beyond what was seen, by at least this…
const MARGIN: i64 = 1_000;
/// …and at most this, because each costs a write.
const MOST: i64 = 200_000;

/// What will be done, and what a person has to know first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub intent: Intent,
    pub notes: Vec<String>,
    /// The new cluster runs already: an earlier try came so far.
    pub running: bool,
}

/// Judge. `token` is for a restore that nobody has begun yet.
pub fn plan(facts: &Facts, wishes: &Wishes, token: &str) -> Result<Plan, Failure> {
    let ours = facts.earlier.as_ref().filter(|intent| same(intent, facts));
    let running = match (&facts.quorum, ours) {
        (Some(quorum), Some(intent)) => quorum.cluster_id == intent.cluster_id(),
        _ => false,
    };
    if !running {
        gates(facts, wishes)?;
    }
    let intent = match ours {
        Some(intent) => intent.clone(),
        None => decide(facts, token),
    };
    Ok(Plan {
        notes: notes(facts, &intent, wishes),
        intent,
        running,
    })
}

/// The earlier try was for this set and these members.
fn same(intent: &Intent, facts: &Facts) -> bool {
    intent.set == facts.set
        && intent
            .members
            .iter()
            .eq(facts.machines.iter().map(|m| &m.place))
}

fn gates(facts: &Facts, wishes: &Wishes) -> Result<(), Failure> {
    if let Some(now) = &facts.quorum {
        let failure = Failure::new(format!(
            "the cluster has its quorum: {} of {} voters are healthy. A restore would throw away everything written since the backup",
            now.healthy, now.voters
        ));
        return Err(match now.unwell.as_slice() {
            [] => {
                failure.hint("there is nothing to restore; kopsrun etcd status shows the members")
            }
            unwell => unwell.iter().fold(failure, |f, member| {
                f.hint(format!(
                    "replace what is broken instead ({member}): kopsrun replace-node NODE"
                ))
            }),
        });
    }
    whose(facts, wishes)?;
    who_may_run(facts, wishes)?;
    machines(facts)
}

fn whose(facts: &Facts, wishes: &Wishes) -> Result<(), Failure> {
    if let Some(why) = facts.foreign.as_ref().filter(|_| !wishes.other_cluster) {
        return Err(
            Failure::new(format!("{} is of another cluster: {why}", facts.set)).hint(
                "if you know that it has to be this one: --other-cluster (certificates of the set then replace none that are there)",
            ),
        );
    }
    if !facts.verified && !wishes.unverified {
        return Err(Failure::new(format!(
            "{} is not verified: nobody knows whether etcd starts from it",
            facts.set
        ))
        .hint(format!(
            "prove it first: kopsrun backup drill {}",
            facts.set
        ))
        .hint("or take the risk: --unverified"));
    }
    Ok(())
}

/// Nobody may run who still believes in the old cluster.
fn who_may_run(facts: &Facts, wishes: &Wishes) -> Result<(), Failure> {
    let closed = facts
        .closed
        .iter()
        .find(|(host, _)| !wishes.fenced.contains(host));
    if let Some((host, why)) = closed {
        return Err(Failure::new(format!(
            "{host} can't be reached, and its etcd may still run: {why}"
        ))
        .hint("two clusters at the same addresses would destroy each other's data")
        .hint(format!(
            "bring it back; or cut its power for certain, then: --fenced {host}"
        )));
    }
    let stranger = facts
        .strangers
        .iter()
        .find(|member| !wishes.fenced.contains(member));
    if let Some(member) = stranger {
        return Err(Failure::new(format!(
            "the member {member} of the backed-up cluster is on no host of the inventory, and may still run"
        ))
        .hint(format!("add its host to the group; or, when it is off for certain: --fenced {member}")));
    }
    match facts.machines.is_empty() {
        true => Err(Failure::new("no host is left to restore on")),
        false => Ok(()),
    }
}

fn machines(facts: &Facts) -> Result<(), Failure> {
    for machine in &facts.machines {
        let host = &machine.place.host;
        if machine.pod {
            return Err(Failure::new(format!(
                "etcd of {host} is a static pod, which isn't restored yet: its image has the tools, the host doesn't"
            ))
            .hint("restore it by hand with etcdutl: kopsrun backup fetch gives the plain snapshot"));
        }
        let fits = |version| {
            facts
                .set_version
                .is_none_or(|of| Version::takes(version, of))
        };
        match machine.version {
            None => {
                return Err(Failure::new(format!(
                    "{host} has no etcd with etcdutl or etcdctl, and no other host gives one"
                ))
                .hint("name a directory of this machine that holds them: --programs DIR"));
            }
            Some(version) if !fits(version) => {
                return Err(Failure::new(format!(
                    "{host} has etcd {version}, which doesn't start from data of {}",
                    facts
                        .set_version
                        .map_or_else(String::new, |v| v.to_string())
                )));
            }
            Some(_) => {}
        }
        // The snapshot and the database that is made of it.
        let needed = facts.set_size * 2 + (64 << 20);
        if machine.free.is_some_and(|free| free < needed) {
            return Err(Failure::new(format!(
                "{host} has {} MiB free where the data go, and needs {}",
                machine.free.unwrap_or_default() >> 20,
                needed >> 20
            )));
        }
    }
    Ok(())
}

use crate::cluster::throwaway::Version;

fn decide(facts: &Facts, token: &str) -> Intent {
    let all = facts.machines.iter().all(|machine: &Machine| machine.bumps);
    let index = i64::try_from(facts.raft_index).unwrap_or(i64::MAX / 4);
    // Every write takes an entry of raft's log, so the revision that was lost can't be further than the log was.
    let fifth = index.saturating_mul(6) / 5 + 1;
    let (bump, revision) = match all {
        true => (
            Some(fifth.unsigned_abs()),
            facts.set_revision.saturating_add(fifth),
        ),
        false => {
            let margin = (fifth - facts.seen_revision).clamp(MARGIN, MOST);
            (None, facts.seen_revision.max(facts.set_revision) + margin)
        }
    };
    Intent {
        set: facts.set.clone(),
        token: token.to_owned(),
        members: facts.machines.iter().map(|m| m.place.clone()).collect(),
        bump,
        revision,
    }
}

fn notes(facts: &Facts, intent: &Intent, wishes: &Wishes) -> Vec<String> {
    let lost = facts.seen_revision - facts.set_revision;
    let mut notes = vec![match lost {
        lost if lost > 0 => format!(
            "LOST: {lost} changes, from revision {} of the set to {}, {}",
            facts.set_revision, facts.seen_revision, facts.seen_where
        ),
        _ => format!(
            "nothing is known to be lost: revision {} of the set is the last that was seen, {}",
            facts.set_revision, facts.seen_where
        ),
    }];
    notes.push(match intent.bump {
        Some(bump) => format!(
            "the revision is raised by {bump} and marked as compacted, so that whoever watches starts anew"
        ),
        None => format!(
            "etcd's tools there can't raise the revision (3.5.13 and later can), so it is raised to {} by writing, \
             before the control plane starts; whoever connects to etcd before that may see the past",
            intent.revision
        ),
    });
    let members = intent.members.len();
    notes.push(format!(
        "the new cluster has {members} members, {} needed; its id will be {:x}",
        quorum(members),
        intent.cluster_id()
    ));
    if members.is_multiple_of(2) {
        notes.push(format!(
            "{members} members bear no more than {} would",
            members - 1
        ));
    }
    for host in &wishes.fenced {
        notes.push(format!(
            "{host} is left out, because you said that it is off; it must stay off until its data are gone"
        ));
    }
    notes.push(
        "data that are there are moved aside and stay until kopsrun restore commit".to_owned(),
    );
    notes
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
