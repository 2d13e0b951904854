//! Single changes of a running etcd, each behind the rules that keep its quorum and its data.

use super::engine::Failure;
use super::site::Site;
use super::status;
use crate::cluster::quorum::{Change, Voters, may_remove};
use crate::cluster::{Etcd, LeaseError, Leased, Member, Seen, View};
use crate::journal::{Event, Holder, Level, Lock, Sink, is_dead};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A learner may be this many entries behind the leader and be promoted.
const LEVEL: u64 = 1_000;
/// How long the members may take to be well again after one was busy.
const SETTLE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);
/// Alarms of space are taken back only when the databases are smaller than this part of their quota.
const ROOM: f64 = 0.9;

/// A change of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Add a learner with this peer URL.
    Add(String),
    Remove(String),
    Promote(String),
    MoveLeader(String),
    /// Rewrite databases of which at least so many percent are free; of one member or of all, the leader last.
    Defragment {
        member: Option<String>,
        free: u8,
    },
    /// Forget the history but for the last so many revisions.
    Compact {
        keep: i64,
    },
    /// Take alarms back whose cause is gone.
    Disarm {
        corrupt: bool,
    },
}

/// What is going to happen, after every rule was asked.
pub struct Prepared {
    etcd: Arc<Etcd>,
    view: View,
    deed: Deed,
    /// One line each, for the person who is asked.
    pub plan: Vec<String>,
}

/// Look at the cluster and judge.
///
/// # Errors
/// The change would cost the quorum or data, or there is no such member.
pub async fn prepare(site: &Site, deed: Deed, sink: &dyn Sink) -> Result<Prepared, Failure> {
    let (etcd, closed) = status::open(site).await?;
    for (host, why) in closed {
        sink.emit(Event::Note {
            level: Level::Warning,
            text: format!("not reached: {why}"),
            host: Some(host),
        });
    }
    let view = etcd.view().await?;
    let plan = judge(&view, &deed)?;
    Ok(Prepared {
        etcd: Arc::new(etcd),
        view,
        deed,
        plan,
    })
}

/// The rules, from what is seen. Pure.
fn judge(view: &View, deed: &Deed) -> Result<Vec<String>, Failure> {
    let voters = view.voters();
    if view.stale || !voters.has_quorum() {
        return Err(Failure::new(format!(
            "quorum is lost: {} of {} voters serve, {} are needed, so nothing can be changed",
            voters.healthy,
            voters.total,
            voters.quorum()
        ))
        .hint("kopsrun restore etcd brings it back from a backup"));
    }
    match deed {
        Deed::Add(url) => add(view, voters, url),
        Deed::Remove(name) => remove(view, voters, name),
        Deed::Promote(name) => promote(view, voters, name),
        Deed::MoveLeader(name) => move_leader(view, name),
        Deed::Defragment { member, free } => {
            let chosen = defragment(view, member.as_deref(), *free)?;
            Ok(chosen
                .iter()
                .map(|seen| {
                    format!(
                        "rewrite the database of {}: {}",
                        seen.member.label(),
                        sizes(seen)
                    )
                })
                .collect())
        }
        Deed::Compact { keep } => {
            let to = compact_to(view, *keep);
            Ok(vec![format!("forget the history before revision {to}")])
        }
        Deed::Disarm { corrupt } => disarm(view, *corrupt),
    }
}

fn after(voters: Voters, change: Change) -> Result<String, Failure> {
    let then = voters
        .step(change)
        .map_err(|why| Failure::new(why.to_string()))?;
    Ok(format!(
        "then {} voters, {} healthy, {} needed: {} more may fail",
        then.total,
        then.healthy,
        then.quorum(),
        then.tolerance()
    ))
}

fn add(view: &View, voters: Voters, url: &str) -> Result<Vec<String>, Failure> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    if !rest.is_some_and(|rest| rest.contains(':') && !rest.contains('/')) {
        return Err(Failure::new(format!(
            "'{url}' is not a peer URL: https://ADDRESS:2380 is"
        )));
    }
    if let Some(taken) = view
        .members
        .iter()
        .find(|s| s.member.peer_urls.iter().any(|u| u == url))
    {
        return Err(Failure::new(format!(
            "{url} belongs to {} already",
            taken.member.label()
        )));
    }
    if voters.learners > 0 {
        return Err(Failure::new(
            "there is a learner already: promote or remove it first",
        ));
    }
    if let Some(dead) = view.members.iter().find(|s| !s.healthy()) {
        return Err(Failure::new(format!(
            "{} is unwell: etcd adds nobody while a voter is down",
            dead.member.label()
        ))
        .hint("replace it: kopsrun replace-node NODE"));
    }
    Ok(vec![
        format!("add {url} as a learner, which doesn't count for the quorum"),
        after(voters, Change::AddLearner)?,
    ])
}

fn remove(view: &View, voters: Voters, name: &str) -> Result<Vec<String>, Failure> {
    let seen = named(view, name)?;
    if seen.member.learner {
        return Ok(vec![format!("remove the learner {}", told(&seen.member))]);
    }
    if seen.healthy() && voters.total <= 3 {
        return Err(Failure::new(format!(
            "{} is healthy, and {} voters would be left, which bear no failure",
            seen.member.label(),
            voters.total - 1
        ))
        .hint("kopsrun replace-node NODE --with OTHER moves a member without a gap"));
    }
    may_remove(voters, !seen.healthy()).map_err(|why| Failure::new(why.to_string()))?;
    let change = match seen.healthy() {
        true => Change::RemoveHealthy,
        false => Change::RemoveDead,
    };
    let mut plan = Vec::new();
    if view.leader == Some(seen.member.id) {
        plan.push("move the leadership away first".to_owned());
    }
    plan.push(format!(
        "remove {}; its data stay on its disk",
        told(&seen.member)
    ));
    plan.push(after(voters, change)?);
    Ok(plan)
}

fn promote(view: &View, voters: Voters, name: &str) -> Result<Vec<String>, Failure> {
    let seen = named(view, name)?;
    if !seen.member.learner {
        return Err(Failure::new(format!("{} is a voter", seen.member.label())));
    }
    let index = |seen: &Seen| seen.status.as_ref().map(|s| s.applied_index);
    let leader = view.leader.and_then(|id| view.by_id(id)).and_then(index);
    match (index(seen), leader) {
        (None, _) => Err(Failure::new(format!(
            "{} doesn't answer: as a voter it would count as dead",
            seen.member.label()
        ))),
        (Some(here), Some(there)) if here + LEVEL < there => Err(Failure::new(format!(
            "{} is {} entries behind the leader",
            seen.member.label(),
            there - here
        ))
        .hint("wait until it has caught up")),
        _ => Ok(vec![
            format!("promote {} to a voter", told(&seen.member)),
            after(voters, Change::Promote)?,
        ]),
    }
}

fn move_leader(view: &View, name: &str) -> Result<Vec<String>, Failure> {
    let seen = named(view, name)?;
    match seen {
        seen if seen.member.learner => Err(Failure::new(format!(
            "{} is a learner, which can't lead",
            seen.member.label()
        ))),
        seen if !seen.healthy() => Err(Failure::new(format!("{} is unwell", seen.member.label()))),
        seen => Ok(vec![format!(
            "hand the leadership to {}",
            told(&seen.member)
        )]),
    }
}

/// Members whose databases are worth rewriting, followers first.
fn defragment<'a>(
    view: &'a View,
    member: Option<&str>,
    free: u8,
) -> Result<Vec<&'a Seen>, Failure> {
    if let Some(sick) = view.members.iter().find(|s| !s.healthy()) {
        return Err(Failure::new(format!(
            "{} is unwell: a member that rewrites its database serves nothing meanwhile, so all others have to be well",
            sick.member.label()
        )));
    }
    if let Some(alarm) = view.alarms.iter().find(|a| a.starts_with("CORRUPT")) {
        return Err(Failure::new(format!("an alarm is raised: {alarm}")));
    }
    let mut chosen: Vec<&Seen> = match member {
        Some(name) => vec![named(view, name)?],
        None => view.members.iter().collect(),
    };
    chosen.retain(|seen| free_percent(seen) >= f64::from(free));
    chosen.sort_by_key(|seen| view.leader == Some(seen.member.id));
    Ok(chosen)
}

fn free_percent(seen: &Seen) -> f64 {
    seen.status.as_ref().map_or(0.0, |s| {
        let size = s.db_size.max(1) as f64;
        100.0 * (size - s.db_in_use as f64) / size
    })
}

fn sizes(seen: &Seen) -> String {
    seen.status.as_ref().map_or_else(String::new, |s| {
        let mib = |bytes: i64| bytes as f64 / 1_048_576.0;
        format!("{:.1} MiB, {:.1} in use", mib(s.db_size), mib(s.db_in_use))
    })
}

fn compact_to(view: &View, keep: i64) -> i64 {
    let statuses = view.members.iter().filter_map(|s| s.status.as_ref());
    let revision = statuses.map(|s| s.revision).max().unwrap_or_default();
    // The last revision stays: etcd 3.4 gives no hash of data that are compacted to their end.
    (revision - keep.max(1)).max(1)
}

fn disarm(view: &View, corrupt: bool) -> Result<Vec<String>, Failure> {
    if view.alarms.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(alarm) = view.alarms.iter().find(|a| a.starts_with("CORRUPT"))
        && !corrupt
    {
        return Err(Failure::new(format!(
            "an alarm says that data differ: {alarm}. Taking it back doesn't mend them"
        ))
        .hint("replace that member: kopsrun replace-node NODE; kopsrun etcd hashkv compares the members")
        .hint("when they are equal again: --corrupt"));
    }
    Ok(view
        .alarms
        .iter()
        .map(|a| format!("take back {a}"))
        .collect())
}

/// A member by its name or id.
fn named<'a>(view: &'a View, name: &str) -> Result<&'a Seen, Failure> {
    let id = u64::from_str_radix(name, 16).ok();
    let mut found = view
        .members
        .iter()
        .filter(|s| s.member.name == name || Some(s.member.id) == id);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::new(format!(
            "several members are called {name}: name it by its id"
        ))),
        (None, _) => {
            let all: Vec<String> = view.members.iter().map(|s| told(&s.member)).collect();
            Err(Failure::new(format!("there is no member {name}"))
                .hint(format!("there are {}", all.join(", "))))
        }
    }
}

fn told(member: &Member) -> String {
    format!("{} ({:x})", member.label(), member.id)
}

impl Prepared {
    /// Do it, with the cluster locked. Returns what came of it, in words.
    pub async fn run(
        self,
        site: &Site,
        holder: &Holder,
        sink: &dyn Sink,
    ) -> Result<String, Failure> {
        let _here = Lock::take(&site.locks, &site.cluster, holder)
            .map_err(|error| Failure::new(error.to_string()))?;
        let mark = serde_json::to_string(holder).unwrap_or_default();
        let dead = |held: &str| {
            serde_json::from_str::<Holder>(held).is_ok_and(|h| is_dead(&site.runs, &h.run))
        };
        let lease = match Leased::take(Arc::clone(&self.etcd), mark, dead).await {
            Ok(lease) => Some(lease),
            Err(LeaseError::Held(held)) => {
                let who = serde_json::from_str::<Holder>(&held).map_or(held, |h| h.to_string());
                return Err(Failure::new(format!("the cluster is locked by {who}")));
            }
            // Without room etcd takes no key, and making room is what is wanted.
            Err(LeaseError::Etcd(_)) if self.makes_room() => None,
            Err(LeaseError::Etcd(error)) => return Err(error.into()),
        };
        let done = self.act(sink).await;
        if let Some(lease) = lease {
            lease.release().await;
        }
        done
    }

    fn makes_room(&self) -> bool {
        matches!(
            self.deed,
            Deed::Compact { .. } | Deed::Defragment { .. } | Deed::Disarm { .. }
        )
    }

    async fn act(&self, sink: &dyn Sink) -> Result<String, Failure> {
        let (etcd, view) = (&self.etcd, &self.view);
        match &self.deed {
            Deed::Add(url) => {
                let id = etcd.add_learner(std::slice::from_ref(url)).await?;
                Ok(format!(
                    "{url} is the learner {id:x}; start it with ETCD_INITIAL_CLUSTER_STATE=existing, then: kopsrun etcd promote {id:x}"
                ))
            }
            Deed::Remove(name) => {
                let seen = named(view, name)?;
                if view.leader == Some(seen.member.id) {
                    let heir = heir(view, seen.member.id)?;
                    etcd.move_leader(heir.id).await?;
                }
                etcd.remove(seen.member.id).await?;
                Ok(format!("{} is removed", told(&seen.member)))
            }
            Deed::Promote(name) => {
                let member = &named(view, name)?.member;
                etcd.promote(member.id).await?;
                Ok(format!("{} is a voter", told(member)))
            }
            Deed::MoveLeader(name) => {
                let member = &named(view, name)?.member;
                etcd.move_leader(member.id).await?;
                Ok(format!("{} leads", told(member)))
            }
            Deed::Defragment { member, free } => self.rewrite(member.as_deref(), *free, sink).await,
            Deed::Compact { keep } => {
                let to = compact_to(view, *keep);
                etcd.compact(to).await?;
                Ok(format!("the history begins at revision {to}"))
            }
            Deed::Disarm { corrupt } => self.take_back(*corrupt).await,
        }
    }

    /// One after the other, each only when all are well.
    async fn rewrite(
        &self,
        member: Option<&str>,
        free: u8,
        sink: &dyn Sink,
    ) -> Result<String, Failure> {
        let chosen = defragment(&self.view, member, free)?;
        for seen in &chosen {
            self.all_well().await?;
            self.etcd.defragment(&seen.member).await?;
            let now = self.etcd.look(seen.member.clone()).await;
            sink.emit(Event::Note {
                level: Level::Info,
                text: format!("{}: {} → {}", seen.member.label(), sizes(seen), sizes(&now)),
                host: None,
            });
        }
        self.all_well().await?;
        Ok(match chosen.len() {
            0 => "no database has so much free space".to_owned(),
            count => format!("{count} databases are rewritten"),
        })
    }

    async fn all_well(&self) -> Result<(), Failure> {
        let begin = Instant::now();
        loop {
            let view = self.etcd.view().await?;
            let Some(sick) = view.members.iter().find(|s| !s.healthy()) else {
                return Ok(());
            };
            if begin.elapsed() > SETTLE {
                return Err(Failure::new(format!(
                    "{} isn't well after {} s; the others are left alone",
                    sick.member.label(),
                    SETTLE.as_secs()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn take_back(&self, corrupt: bool) -> Result<String, Failure> {
        let space = self.view.alarms.iter().any(|a| a.starts_with("NOSPACE"));
        if space {
            self.has_room()?;
        }
        for seen in &self.view.members {
            let label = seen.member.label();
            if self.view.alarms.contains(&format!("NOSPACE on {label}")) {
                self.etcd.disarm(seen.member.id, false).await?;
            }
            if corrupt && self.view.alarms.contains(&format!("CORRUPT on {label}")) {
                self.etcd.disarm(seen.member.id, true).await?;
            }
        }
        let left = self.etcd.view().await?.alarms;
        match left.as_slice() {
            [] => Ok("no alarm is left".to_owned()),
            left => Err(Failure::new(format!("still raised: {}", left.join(", ")))),
        }
    }

    /// Every database is well below its quota; else the alarm comes back at once.
    fn has_room(&self) -> Result<(), Failure> {
        for seen in &self.view.members {
            let quota = self
                .etcd
                .gates()
                .find(|gate| gate.settings.name() == Some(&seen.member.name))
                .and_then(|gate| {
                    gate.settings
                        .get("QUOTA_BACKEND_BYTES")?
                        .parse::<f64>()
                        .ok()
                })
                .filter(|quota| *quota > 0.0)
                // etcd's own.
                .unwrap_or(2_147_483_648.0);
            let size = seen.status.as_ref().map_or(0.0, |s| s.db_size as f64);
            if size > quota * ROOM {
                return Err(Failure::new(format!(
                    "{} fills {:.0} % of its quota: the alarm would come back",
                    seen.member.label(),
                    100.0 * size / quota
                ))
                .hint("make room first: kopsrun etcd compact, then kopsrun etcd defrag"));
            }
        }
        Ok(())
    }
}

/// The healthy voter that has applied most.
fn heir(view: &View, leaving: u64) -> Result<&Member, Failure> {
    view.members
        .iter()
        .filter(|s| s.healthy() && !s.member.learner && s.member.id != leaving)
        .max_by_key(|s| s.status.as_ref().map(|s| s.applied_index))
        .map(|s| &s.member)
        .ok_or_else(|| Failure::new("no other healthy voter can lead"))
}

/// Whether all members have the same keys and history, by etcd's own hash at one revision.
pub async fn same_data(site: &Site) -> Result<(i64, bool, Vec<String>), Failure> {
    let (etcd, _) = status::open(site).await?;
    let view = etcd.view().await?;
    if let Some(sick) = view.members.iter().find(|s| !s.healthy()) {
        return Err(Failure::new(format!(
            "{} is unwell, so not all can be compared",
            sick.member.label()
        )));
    }
    let members: Vec<Member> = view.members.into_iter().map(|s| s.member).collect();
    let (revision, same) = etcd.same_data(&members).await?;
    let mut lines = Vec::new();
    for member in &members {
        let (hash, begin) = etcd.hash_kv(member, revision).await?;
        lines.push(format!(
            "{}: {hash:08x} from revision {begin}",
            told(member)
        ));
    }
    Ok((revision, same, lines))
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
