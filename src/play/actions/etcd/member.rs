//! `etcd_member`: one member added as a learner, promoted, or removed, behind the gates of `kopsrun replace-node`.

use super::{described, open, refused};
use crate::cluster::quorum::{Change, Unsafe, Voters, may_remove};
use crate::cluster::{Etcd, EtcdError, Health, Leased, Member, Seen, View};
use crate::journal::Holder;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Members are changed one after the other: a play on several hosts does it at the same time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

pub(in crate::play::actions) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let _guard = ONE_AT_A_TIME.lock().await;
    let etcd = match open(call).await? {
        Ok(etcd) => Arc::new(etcd),
        Err(done) => return Ok(done),
    };
    let view = match etcd.view().await {
        Ok(view) => view,
        Err(error) => return Ok(refused(&error)),
    };
    let wanted = Wanted {
        state: call.text("state").unwrap_or_else(|| "present".to_owned()),
        name: call.text("name"),
        id: call.text("id"),
        peer_urls: call.list("peer_urls"),
    };
    let todo = match wanted.todo(&view) {
        Ok(Some(todo)) => todo,
        Ok(None) => return Ok(described(Done::changed(false), &view)),
        Err(why) => return Ok(described(Done::failed(why).with("changed", false), &view)),
    };
    if call.check {
        let done = Done::changed(true).with("msg", todo.sentence());
        return Ok(described(done, &view));
    }
    let sentence = todo.sentence();
    match carry_out(call, &etcd, &wanted, todo).await {
        Ok(id) => {
            let view = match etcd.view().await {
                Ok(view) => view,
                Err(error) => return Ok(refused(&error)),
            };
            let done = Done::changed(true)
                .with("msg", sentence)
                .with("id", format!("{id:x}"));
            Ok(described(done, &view))
        }
        Err(why) => Ok(described(Done::failed(why), &view)),
    }
}

/// What the task asks for.
struct Wanted {
    state: String,
    name: Option<String>,
    id: Option<String>,
    peer_urls: Vec<String>,
}

/// One change of the membership.
enum Todo {
    Add(Vec<String>),
    Promote(Member),
    Remove(Member),
}

impl Todo {
    fn sentence(&self) -> String {
        match self {
            Self::Add(urls) => format!("{} is added as a learner", urls.join(",")),
            Self::Promote(member) => {
                format!("{} ({:x}) becomes a voter", member.label(), member.id)
            }
            Self::Remove(member) => format!("{} ({:x}) is removed", member.label(), member.id),
        }
    }
}

impl Wanted {
    /// The member that is meant: by id, by name, or by an address.
    fn find<'a>(&self, view: &'a View) -> Option<&'a Seen> {
        view.members.iter().find(|seen| {
            let member = &seen.member;
            let by_id = self
                .id
                .as_ref()
                .map(|id| u64::from_str_radix(id, 16) == Ok(member.id));
            let by_name = self.name.as_ref().filter(|_| self.peer_urls.is_empty());
            match (by_id, by_name) {
                (Some(is_it), _) => is_it,
                (None, Some(name)) => member.name == *name,
                (None, None) => member
                    .peer_urls
                    .iter()
                    .any(|url| self.peer_urls.contains(url)),
            }
        })
    }

    /// The change that is needed and may be made.
    fn todo(&self, view: &View) -> Result<Option<Todo>, String> {
        if view.stale {
            return Err("quorum is lost: no member can be added, promoted or removed".to_owned());
        }
        let voters = view.voters();
        match (self.state.as_str(), self.find(view)) {
            ("absent", None) => Ok(None),
            ("absent", Some(seen)) => {
                if seen.member.learner {
                    voters
                        .step(Change::RemoveLearner)
                        .map_err(|why| words(why, voters))?;
                } else {
                    if seen.healthy() && !view.alarms.is_empty() {
                        return Err(format!(
                            "etcd has raised an alarm ({}): no healthy member is removed",
                            view.alarms.join(", ")
                        ));
                    }
                    may_remove(voters, !seen.healthy()).map_err(|why| words(why, voters))?;
                }
                Ok(Some(Todo::Remove(seen.member.clone())))
            }
            ("promoted", Some(seen)) if !seen.member.learner => Ok(None),
            ("promoted", Some(seen)) => {
                if seen.health != Health::Learning {
                    return Err(format!(
                        "{} doesn't answer: a learner has to run and to follow before it is promoted",
                        seen.member.label()
                    ));
                }
                voters
                    .step(Change::Promote)
                    .map_err(|why| words(why, voters))?;
                Ok(Some(Todo::Promote(seen.member.clone())))
            }
            ("promoted", None) => {
                Err("there is no such member to promote: add it first (state: present)".to_owned())
            }
            (_, Some(_)) => Ok(None),
            (_, None) if self.peer_urls.is_empty() => {
                Err("etcd_member: a member is added by its peer_urls".to_owned())
            }
            (_, None) => {
                if !view.alarms.is_empty() {
                    return Err(format!(
                        "etcd has raised an alarm ({}): nobody is added",
                        view.alarms.join(", ")
                    ));
                }
                if voters.learners > 0 {
                    return Err(words(Unsafe::LearnerPresent, voters));
                }
                if voters.dead() > 0 {
                    return Err(words(
                        Unsafe::OtherDead {
                            dead: voters.dead(),
                        },
                        voters,
                    ));
                }
                Ok(Some(Todo::Add(self.peer_urls.clone())))
            }
        }
    }
}

fn words(why: Unsafe, now: Voters) -> String {
    let reason = match why {
        Unsafe::QuorumLost { healthy, quorum } => {
            format!("quorum is lost: {healthy} voters serve, {quorum} are needed")
        }
        Unsafe::WouldLoseQuorum { healthy, quorum } => {
            format!("quorum would be lost: {healthy} voters would serve, {quorum} would be needed")
        }
        Unsafe::OtherDead { dead } => {
            format!("{dead} voter(s) don't serve: heal or remove them first")
        }
        Unsafe::LearnerPresent => {
            "there is a learner already: promote or remove it first".to_owned()
        }
        Unsafe::LastCopy => {
            "one voter would be left, and with it the only copy of the data".to_owned()
        }
        Unsafe::NoneToChange => "there is no such member".to_owned(),
    };
    format!(
        "refused ({} of {} voters serve): {reason}",
        now.healthy, now.total
    )
}

/// Under the lock that kopsrun's operations take, and judged once more when it is held.
async fn carry_out(
    call: &Call<'_>,
    etcd: &Arc<Etcd>,
    wanted: &Wanted,
    todo: Todo,
) -> Result<u64, String> {
    let text = |error: EtcdError| error.to_string();
    let holder = Holder {
        run: format!("play task at {}", call.attempt.task.place),
        user: String::new(),
        host: String::new(),
        pid: std::process::id(),
        command: format!("etcd_member on {}", call.host()),
        since: jiff::Timestamp::now(),
    };
    let holder = serde_json::to_string(&holder).map_err(|error| error.to_string())?;
    let lock = Leased::take(Arc::clone(etcd), holder, |_| false).await;
    let lock = lock.map_err(|error| format!("etcd is locked: {error}"))?;
    let result = async {
        let view = etcd.view().await.map_err(text)?;
        match (wanted.todo(&view)?, todo) {
            (Some(Todo::Add(urls)), Todo::Add(_)) => etcd.add_learner(&urls).await.map_err(text),
            (Some(Todo::Promote(member)), Todo::Promote(_)) => etcd
                .promote(member.id)
                .await
                .map(|()| member.id)
                .map_err(text),
            (Some(Todo::Remove(member)), Todo::Remove(_)) => {
                step_down(etcd, &view, &member).await?;
                etcd.remove(member.id)
                    .await
                    .map(|()| member.id)
                    .map_err(text)
            }
            _ => Err(
                "the cluster was changed by somebody else meanwhile: look and run it again"
                    .to_owned(),
            ),
        }
    }
    .await;
    lock.release().await;
    result
}

/// A leader hands over before it goes, so that no election holds up writes.
async fn step_down(etcd: &Etcd, view: &View, member: &Member) -> Result<(), String> {
    if view.leader != Some(member.id) {
        return Ok(());
    }
    let others = view
        .members
        .iter()
        .filter(|seen| seen.healthy() && seen.member.id != member.id);
    let applied = |seen: &&Seen| seen.status.as_ref().map(|status| status.applied_index);
    match others.max_by_key(applied) {
        Some(next) => etcd
            .move_leader(next.member.id)
            .await
            .map_err(|error| error.to_string()),
        None => Ok(()),
    }
}
