//! Gates, then steps. Pure: facts and options in, a plan or a refusal out.

use super::facts::{Branch, Certificates, Data, Facts, Hosts, Intent, Machine};
use crate::cluster::quorum::{Change, Unsafe, Voters};
use crate::cluster::{Health, Member, Seen, View};
use crate::journal::Tolerance;
use crate::ops::engine::Failure;

/// Applied entries by which a voter may be behind the most advanced one; more means that it is in trouble.
const MAX_LAG: u64 = 10_000;

/// What the person asked for beyond the node's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Replace a healthy member on its own machine, although tolerance is lower meanwhile.
    pub in_place: bool,
    /// Data of the old member that still lie on the machine may be moved aside.
    pub discard_data: bool,
}

/// One kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    ConfirmHostKey,
    /// Make sure that no old etcd can come back on the machine: stopped, its data moved aside.
    Fence,
    /// Put the member's certificates back.
    Certify,
    Prepare,
    MoveLeader,
    Remove,
    AddLearner,
    Start,
    CatchUp,
    Promote,
    /// Stop the removed member's etcd and move its data aside.
    Retire,
    Verify,
}

/// An action and what the cluster can bear after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    pub action: Action,
    /// True already, as far as the facts show.
    pub done: bool,
    pub after: Tolerance,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub branch: Branch,
    /// The member that goes; none when it is gone already.
    pub old: Option<Member>,
    /// The new member as far as it exists already.
    pub new: Option<Member>,
    /// Sentences for the person who decides.
    pub notes: Vec<String>,
    pub steps: Vec<Planned>,
}

impl Plan {
    pub fn intent(&self, facts: &Facts) -> Intent {
        Intent {
            node: facts.node.host.clone(),
            home: facts.home.host.clone(),
            old: match (&self.old, &facts.earlier) {
                (Some(old), _) => Some(format!("{:x}", old.id)),
                (None, Some(earlier)) => earlier.old.clone(),
                (None, None) => None,
            },
            branch: self.branch,
        }
    }
}

/// Decide. The error says why nothing is done and what can be done instead.
pub fn plan(facts: &Facts, wishes: Wishes) -> Result<Plan, Failure> {
    cluster_gates(facts)?;
    let (old, new) = who_is_who(facts);
    others_gate(facts, old, new)?;
    let branch = branch(facts, wishes, old, new)?;
    machine_gates(facts, wishes, old, new)?;
    if let Certificates::Missing(why) = &facts.certificates
        && new.is_none_or(|m| m.learner)
        && !matches!(facts.machine, Machine::NewKey { .. })
    {
        return Err(why.clone());
    }
    let steps = lay_out(facts, branch, old, new)?;
    Ok(Plan {
        branch,
        notes: notes(facts, branch, old, new),
        old: old.cloned(),
        new: new.cloned(),
        steps,
    })
}

/// Conditions that have nothing to do with the node.
fn cluster_gates(facts: &Facts) -> Result<(), Failure> {
    let view = &facts.view;
    let voters = view.voters();
    if view.stale || !voters.has_quorum() {
        return Err(quorum_lost(view, &facts.hosts));
    }
    if facts.static_pod {
        return Err(Failure::new(
            "etcd runs as a static pod of kubeadm here; replace-node handles etcd as a service of the host only",
        ));
    }
    if !view.alarms.is_empty() {
        return Err(Failure::new(format!("etcd has raised an alarm: {}", view.alarms.join(", ")))
            .hint("NOSPACE: compact and defragment, then disarm it; CORRUPT: replace the corrupt member first")
            .hint("members aren't changed while an alarm stands, because a new member copies the trouble"));
    }
    if view.leader.is_none() {
        return Err(Failure::new(
            "the healthy members name different leaders, or none: an election is going on",
        )
        .hint(
            "wait some seconds and try again; if it stays, look at the network between the members",
        ));
    }
    if !facts.term_stable {
        return Err(Failure::new("leadership changed while the cluster was looked at")
            .hint("wait until it stays with one member and try again; slow disks and lossy networks cause this"));
    }
    versions(facts)?;
    lag(facts)
}

/// Why nothing can be done without a majority, and what can.
pub(super) fn quorum_lost(view: &View, hosts: &Hosts) -> Failure {
    let (voters, quorum) = (view.voters(), view.voters().quorum());
    if enough_run(view) {
        return Failure::new(format!(
            "enough of the {} voters run, but none answers a linearizable read: they have no leader",
            voters.total
        ))
        .hint("look at the network between the members and at their disks: journalctl -u etcd")
        .hint("nothing was changed; run this again when `kopsrun etcd status` names a leader");
    }
    // Without a majority none answers a linearizable read; those that say their status run and only lack the others.
    let (running, down): (Vec<&Seen>, Vec<&Seen>) = view
        .members
        .iter()
        .filter(|s| !s.member.learner)
        .partition(|s| s.status.is_some());
    let missing = quorum.saturating_sub(running.len()).max(1);
    let mut failure = Failure::new(format!(
        "quorum is lost: {} of {} voters run, {quorum} are needed; etcd accepts no change of members",
        running.len(),
        voters.total
    ));
    for seen in down {
        failure = failure.hint(format!("down: {}", describe(hosts, seen)));
    }
    failure
        .hint(format!(
            "bring back {missing} of them with its data: power the machine on, or `systemctl start etcd` there; \
             as soon as {quorum} run, run this command again"
        ))
        .hint(
            "all their disks are lost? then the cluster has to be restored from a snapshot \
             (etcdutl snapshot restore on one member, then the others join it); replacing members can't help",
        )
}

/// As many voters as a majority needs say their status, whether or not they have a leader.
pub(super) fn enough_run(view: &View) -> bool {
    let voters = view.members.iter().filter(|s| !s.member.learner);
    voters.filter(|s| s.status.is_some()).count() >= view.voters().quorum()
}

fn describe(hosts: &Hosts, seen: &Seen) -> String {
    let label = hosts.call(&seen.member);
    match &seen.health {
        Health::Sick { reason } => format!("{label} ({reason})"),
        Health::Unstarted => format!("{label} (never started)"),
        _ => label,
    }
}

/// Members may be one minor version apart, which is what etcd supports during an upgrade.
fn versions(facts: &Facts) -> Result<(), Failure> {
    let seen: Vec<(String, &str, (u64, u64))> = facts
        .view
        .members
        .iter()
        .filter_map(|s| {
            Some((
                facts.hosts.call(&s.member),
                s.status.as_ref()?.version.as_str(),
            ))
        })
        .filter_map(|(label, version)| {
            let mut parts = version.split('.').map(|p| p.parse().ok());
            Some((label, version, (parts.next()??, parts.next()??)))
        })
        .collect();
    let least = seen.iter().min_by_key(|(.., v)| *v);
    let most = seen.iter().max_by_key(|(.., v)| *v);
    match (least, most) {
        (Some((a, old, x)), Some((b, new, y))) if x.0 != y.0 || y.1 - x.1 > 1 => Err(Failure::new(
            format!("{a} runs etcd {old} and {b} runs {new}: more than one minor version apart"),
        )
        .hint("finish the upgrade first; a member must not skip a minor version")),
        _ => Ok(()),
    }
}

fn lag(facts: &Facts) -> Result<(), Failure> {
    let applied: Vec<(String, u64)> = facts
        .view
        .members
        .iter()
        .filter(|s| s.healthy())
        .filter_map(|s| {
            Some((
                facts.hosts.call(&s.member),
                s.status.as_ref()?.applied_index,
            ))
        })
        .collect();
    let most = applied.iter().map(|(_, a)| *a).max().unwrap_or_default();
    match applied.iter().find(|(_, a)| most - a > MAX_LAG) {
        Some((label, a)) => Err(Failure::new(format!(
            "{label} is {} entries behind: it doesn't keep up",
            most - a
        ))
        .hint("look at its disk and network first; it would be needed for the majority meanwhile")),
        None => Ok(()),
    }
}

/// The old member and the new one, told apart by address and by what an earlier run wrote down.
fn who_is_who(facts: &Facts) -> (Option<&Member>, Option<&Member>) {
    let members = facts.view.members.iter().map(|s| &s.member);
    let at_home = facts.home.find(members.clone());
    if facts.home.host != facts.node.host {
        return (facts.node.find(members), at_home);
    }
    let replaced_before = |m: &Member| {
        facts.earlier.as_ref().is_some_and(|e| {
            e.home == facts.home.host && e.old.as_deref() != Some(format!("{:x}", m.id).as_str())
        })
    };
    // A learner that has started and whose data are gone can't start again under its id: it has to go like a dead voter.
    let lost_its_data = |m: &Member| {
        m.started()
            && match facts.machine {
                Machine::Reachable { running, data } => {
                    !running && !matches!(data, Data::Of(identity) if identity.member == m.id)
                }
                Machine::Unreachable(_) | Machine::NewKey { .. } => false,
            }
    };
    match at_home {
        Some(m) if m.learner && lost_its_data(m) => (Some(m), None),
        Some(m) if m.learner => (None, Some(m)),
        // What an interrupted run added and promoted is the new one, as long as it is well.
        Some(m) if replaced_before(m) && facts.view.by_id(m.id).is_some_and(Seen::healthy) => {
            (None, Some(m))
        }
        other => (other, None),
    }
}

/// Nobody but the old and the new member may be unwell or a learner.
fn others_gate(facts: &Facts, old: Option<&Member>, new: Option<&Member>) -> Result<(), Failure> {
    let others = facts.view.members.iter().filter(|s| {
        let id = Some(s.member.id);
        id != old.map(|m| m.id) && id != new.map(|m| m.id)
    });
    for seen in others {
        let label = facts.hosts.call(&seen.member);
        if seen.member.learner {
            return Err(Failure::new(format!(
                "{label} ({:x}) is a learner that this run knows nothing of: something else is changing the members",
                seen.member.id
            ))
            .hint("wait for it to be promoted, or remove it if nobody owns it, then run this again"));
        }
        if !seen.healthy() {
            let node = &facts.node.host;
            return Err(Failure::new(format!(
                "another member is dead: {}; {node} isn't touched while the cluster can't bear it",
                describe(&facts.hosts, seen)
            ))
            .hint(format!(
                "bring {label} back (power on, `systemctl start etcd`) or replace it first: kopsrun replace-node {}",
                facts.hosts.host(&seen.member)
            ))
            .hint("etcd itself refuses to add members while a voter is down ('unhealthy cluster')"));
        }
    }
    Ok(())
}

fn branch(
    facts: &Facts,
    wishes: Wishes,
    old: Option<&Member>,
    new: Option<&Member>,
) -> Result<Branch, Failure> {
    let elsewhere = facts.home.host != facts.node.host;
    let earlier = facts.earlier.as_ref().map(|e| e.branch);
    let Some(old) = old else {
        return Ok(earlier.unwrap_or(Branch::RemoveFirst));
    };
    let healthy = facts.view.by_id(old.id).is_some_and(Seen::healthy);
    let dead = !healthy;
    let node = &facts.node.host;
    if dead && new.is_none() {
        return Ok(Branch::RemoveFirst);
    }
    if elsewhere {
        return Ok(Branch::LearnerFirst);
    }
    if wishes.in_place {
        allowed(facts.view.voters(), false)?;
        return Ok(Branch::InPlace);
    }
    Err(Failure::new(format!(
        "the member of {node} is healthy: it answers linearizable reads; nothing was changed"
    ))
    .hint(format!(
        "to move it to another machine without losing tolerance: kopsrun replace-node {node} --with NEWNODE"
    ))
    .hint(format!(
        "to set it up anew on the same address: kopsrun replace-node {node} --in-place \
         (it leaves before it comes back, so {} of the others may fail meanwhile)",
        facts.view.voters().tolerance() - 1
    )))
}

fn allowed(voters: Voters, dead: bool) -> Result<(), Failure> {
    crate::cluster::quorum::may_replace(voters, dead, true)
        .map(drop)
        .map_err(|why: Unsafe| {
            Failure::new(why.to_string()).hint("add a member first, or use --with NEWNODE")
        })
}

/// The machine must be there, confirmed, and free of anything that could come back as the old member.
fn machine_gates(
    facts: &Facts,
    wishes: Wishes,
    old: Option<&Member>,
    new: Option<&Member>,
) -> Result<(), Failure> {
    let host = &facts.home.host;
    let (running, data) = match &facts.machine {
        Machine::Unreachable(why) => {
            let mut failure = Failure::new(format!(
                "the machine for the new member can't be worked on: {}",
                why.message
            ));
            failure.hints.clone_from(&why.hints);
            return Err(failure.hint(format!(
                "bring up the new machine for {host} at its address, or name another node: --with NEWNODE"
            )));
        }
        // Shown in the plan; the run asks before anything else.
        Machine::NewKey { .. } => return Ok(()),
        Machine::Reachable { running, data } => (*running, *data),
    };
    if wishes.discard_data || (wishes.in_place && new.is_none()) {
        return Ok(());
    }
    let listed = |id: u64| facts.view.by_id(id).is_some();
    match data {
        Data::None if running && new.is_none() => Err(Failure::new(format!(
            "an etcd process runs on {host}, but its data directory is empty: it is not clear what it is"
        ))
        .hint(format!("stop it there, then run this again: kopsrun exec {host} -b -m command -a 'systemctl stop etcd'"))),
        Data::None => Ok(()),
        Data::Of(identity) if new.is_some_and(|m| m.id == identity.member) => Ok(()),
        // The start of our learner was interrupted before it had written its log.
        Data::Unreadable if new.is_some_and(|m| m.learner) => Ok(()),
        Data::Of(identity) if old.is_some_and(|m| m.id == identity.member) => {
            let state = if running { "runs, but doesn't answer" } else { "is stopped" };
            Err(Failure::new(format!(
                "{host} still has the data of its member, whose etcd {state}: it may not need replacing"
            ))
            .hint(format!("try first: kopsrun exec {host} -b -m command -a 'systemctl restart etcd'"))
            .hint("if the data are damaged, move them aside and replace the member: --discard-data"))
        }
        // Left by a member that was removed: nobody can ever use it again. It is moved aside, not deleted.
        Data::Of(identity) if !listed(identity.member) && identity.cluster == facts.view.cluster_id => Ok(()),
        Data::Of(_) | Data::Unreadable => Err(Failure::new(format!(
            "the data directory of etcd on {host} holds something that isn't of this member"
        ))
        .hint("look at it; to have it moved aside (nothing is deleted): --discard-data")),
    }
}

/// The actions of the branch, which of them are true already, and the counts after each.
fn lay_out(
    facts: &Facts,
    branch: Branch,
    old: Option<&Member>,
    new: Option<&Member>,
) -> Result<Vec<Planned>, Failure> {
    use Action::{
        AddLearner, CatchUp, Certify, ConfirmHostKey, Fence, MoveLeader, Prepare, Promote, Remove,
        Retire, Start, Verify,
    };
    let order: &[Action] = match branch {
        Branch::RemoveFirst => &[
            ConfirmHostKey,
            Fence,
            Prepare,
            Certify,
            Remove,
            AddLearner,
            Start,
            CatchUp,
            Promote,
            Verify,
        ],
        Branch::LearnerFirst => &[
            ConfirmHostKey,
            Fence,
            Prepare,
            Certify,
            AddLearner,
            Start,
            CatchUp,
            Promote,
            MoveLeader,
            Remove,
            Retire,
            Verify,
        ],
        Branch::InPlace => &[
            ConfirmHostKey,
            MoveLeader,
            Remove,
            Fence,
            Prepare,
            Certify,
            AddLearner,
            Start,
            CatchUp,
            Promote,
            Verify,
        ],
    };
    let old_healthy = old
        .and_then(|m| facts.view.by_id(m.id))
        .is_some_and(Seen::healthy);
    let voter = new.is_some_and(|m| !m.learner);
    let leads = old.is_some_and(|m| facts.view.leader == Some(m.id));
    let mut now = facts.view.voters();
    let mut steps = Vec::new();
    for action in order {
        let done = match action {
            ConfirmHostKey => !matches!(facts.machine, Machine::NewKey { .. }),
            Fence | Prepare => voter,
            Certify => voter || facts.certificates == Certificates::OnMachine,
            MoveLeader => !leads,
            Remove => old.is_none(),
            AddLearner => new.is_some(),
            Start => voter || new.is_some_and(Member::started),
            CatchUp | Promote => voter,
            Retire | Verify => false,
        };
        // Steps that would only say that there is nothing to do aren't worth a line.
        if done && matches!(action, ConfirmHostKey | MoveLeader) {
            continue;
        }
        let change = match action {
            Remove if old.is_some_and(|m| m.learner) => Some(Change::RemoveLearner),
            Remove if old_healthy => Some(Change::RemoveHealthy),
            Remove => Some(Change::RemoveDead),
            AddLearner => Some(Change::AddLearner),
            Promote => Some(Change::Promote),
            _ => None,
        };
        if let Some(change) = change.filter(|_| !done) {
            now = now.step(change).map_err(|why| {
                Failure::new(format!("{why}; nothing was changed"))
                    .hint("add members first, so that the cluster can bear the loss of one")
            })?;
        }
        steps.push(Planned {
            action: *action,
            done,
            after: tolerance(now),
        });
    }
    Ok(steps)
}

/// The counts as the plan shows them.
pub fn tolerance(voters: Voters) -> Tolerance {
    Tolerance {
        voters: voters.total,
        healthy: voters.healthy,
        learners: voters.learners,
        quorum: voters.quorum(),
        tolerance: voters.tolerance(),
    }
}

fn notes(facts: &Facts, branch: Branch, old: Option<&Member>, new: Option<&Member>) -> Vec<String> {
    let mut notes = Vec::new();
    let node = &facts.node.host;
    let voters = facts.view.voters();
    notes.push(format!(
        "now: {} voters, {} healthy, {} needed, {} more may fail",
        voters.total,
        voters.healthy,
        voters.quorum(),
        voters.tolerance()
    ));
    match (old.and_then(|m| facts.view.by_id(m.id)), new) {
        (Some(seen), _) => notes.push(match &seen.health {
            Health::Healthy { .. } => {
                format!("the member of {node} ({:x}) is healthy", seen.member.id)
            }
            Health::Sick { reason } => format!(
                "the member of {node} ({:x}) is dead: {reason}",
                seen.member.id
            ),
            Health::Learning => {
                format!("the learner of {node} ({:x}) is in the way", seen.member.id)
            }
            Health::Unstarted => {
                format!("the member of {node} ({:x}) never started", seen.member.id)
            }
        }),
        (None, Some(m)) => notes.push(format!(
            "an interrupted run has added the new member already ({:x}); this goes on from there",
            m.id
        )),
        (None, None) => notes.push(format!(
            "{node} has no member in the list: taken as removed before"
        )),
    }
    if branch == Branch::InPlace {
        notes.push(
            "the old member leaves before the new one comes, because both need the same address"
                .to_owned(),
        );
    }
    match &facts.machine {
        Machine::NewKey { shown, expected } => {
            notes.push(format!(
                "the machine shows the host key {shown}{}",
                match expected.as_slice() {
                    [] => ", which is not known here".to_owned(),
                    known => format!("; known here was {}", known.join(", ")),
                }
            ));
            notes.push(
                "it has not been looked into yet: its key must be confirmed first".to_owned(),
            );
        }
        Machine::Reachable {
            data: Data::Of(_) | Data::Unreadable,
            ..
        } if new.is_none() => {
            notes.push("old data on the machine are moved aside, not deleted".to_owned());
        }
        _ => {}
    }
    if let (Certificates::Missing(why), Machine::NewKey { .. }) =
        (&facts.certificates, &facts.machine)
    {
        notes.push(format!("{}, unless they are on the machine", why.message));
    }
    if let Certificates::Backup(set) = &facts.certificates {
        notes.push(format!("its certificates come from the backup {set}"));
    }
    notes
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
