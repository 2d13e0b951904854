//! Restore etcd from a backup set, when its quorum is lost.
//!
//! Every member gets the same snapshot as a new cluster with new ids; what its data must be is known before (the ids follow
//! from addresses and a token), so each step finds out by itself how far it came, whoever ran it. Old data are moved aside.

mod facts;
mod form;
pub(super) mod gather;
pub(super) mod host;
mod plan;
mod steps;
mod work;

pub use facts::Wishes;

use super::drill;
use super::engine::{self, Ended, Failure, Step};
use super::locks;
use super::replace_node::GROUP;
use super::report::{Report, Stop, ended, record};
use super::site::Site;
use crate::cluster::identity;
use crate::journal::{Event, Holder, Lock, PlannedStep, Run, RunEnd, Sink};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The verb, as runs record it.
pub const COMMAND: &str = "restore etcd";
/// The file of a run that says what it set out to do.
const INTENT: &str = "intent.json";

/// What the person asked for. Kept in the run, so that it can be resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Name of the set.
    pub set: String,
    pub wishes: Wishes,
    /// Directory of the controller with etcd and etcdutl or etcdctl, for machines that lack them.
    pub programs: Option<PathBuf>,
    /// Where etcd for the last drill is looked for beside that.
    pub path: Vec<PathBuf>,
    /// Show the plan and change nothing.
    pub plan_only: bool,
    /// Don't ask before the first change.
    pub yes: bool,
}

/// Restore, or go on with a restore that was interrupted: both look at the hosts and do what is missing.
///
/// The end is recorded as `run_finished`. An error is one of the record itself.
pub async fn run(
    site: &Site,
    options: &Options,
    run: &Arc<Run>,
    stop: &CancellationToken,
) -> std::io::Result<Report> {
    record(attempt(site, options, run, stop).await, run)
}

async fn attempt(
    site: &Site,
    options: &Options,
    run: &Arc<Run>,
    stop: &CancellationToken,
) -> Result<Report, Stop> {
    // Without a quorum there is no lock in the cluster: the one here has to do.
    let _lock = locks::here(site, run, options.plan_only)?;
    let ground = gather::gather(site, options, run).await?;
    let plan = plan::plan(
        &ground.facts,
        &options.wishes,
        &format!("kopsrun-{}", run.id()),
    )?;
    run.emit_synced(announce(&plan, options))?;
    if options.plan_only {
        let text = "this is the plan; nothing was changed";
        return Err(Stop::Nothing(text, RunEnd::Done, 0));
    }
    if !options.yes {
        let question = format!("Restore etcd from {}?", options.set);
        if !site.ask(question, plan.notes.clone()).await {
            let text = "not confirmed; nothing was changed (--yes goes ahead without asking)";
            return Err(Stop::Nothing(text, RunEnd::Refused, 5));
        }
    }
    let intent = serde_json::to_vec_pretty(&plan.intent).unwrap_or_default();
    run.keep(INTENT, &intent)?;
    let work = Arc::new(work::Work {
        site: site.clone(),
        run: Arc::clone(run),
        set: ground.set,
        snapshot: ground.snapshot,
        hosts: ground.hosts,
        intent: plan.intent,
        known: ground.known,
        programs: drill::Wanted {
            configured: options.programs.clone(),
            path: options.path.clone(),
        },
        verified: std::sync::RwLock::default(),
        stop: stop.clone(),
    });
    work.check_step_file()?;
    let steps: Vec<Box<dyn Step>> = steps::ALL
        .iter()
        .map(|&action| {
            Box::new(steps::Doing {
                action,
                work: Arc::clone(&work),
            }) as Box<dyn Step>
        })
        .collect();
    let ended_as = engine::run(&steps, run.as_ref(), stop).await?;
    Ok(report(&work, ended_as))
}

fn announce(plan: &plan::Plan, options: &Options) -> Event {
    let steps = steps::ALL.iter().map(|&action| PlannedStep {
        id: steps::id(action).to_owned(),
        title: steps::title(action).to_owned(),
        sentence: steps::sentence(action).to_owned(),
        done: plan.running && action <= steps::Action::Start,
        point_of_no_return: action == steps::Action::Start,
        tolerance: None,
    });
    Event::Plan {
        title: format!("Restore etcd from {}", options.set),
        notes: plan.notes.clone(),
        steps: steps.collect(),
    }
}

/// What is true now, for the person who goes on.
fn report(work: &work::Work, ended_as: Ended) -> Report {
    let resume = format!("kopsrun resume {}", work.run.id());
    let failure = ended_as.failure;
    let why = failure
        .as_ref()
        .map(|(step, f)| format!("{step}: {}", f.message));
    let mut next = failure.map(|(_, f)| f.hints).unwrap_or_default();
    match ended_as.end {
        RunEnd::Done => {
            let verified = work.verified.read();
            let verified = verified
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone();
            next.push("when all is well, old data can go: kopsrun restore commit".to_owned());
            ended(RunEnd::Done, 0, verified, next)
        }
        RunEnd::Interrupted => {
            next.push(format!("to go on: {resume}"));
            ended(RunEnd::Interrupted, 99, why, next)
        }
        RunEnd::Unwound => {
            next.push(format!(
                "old data are where they were, and what ran was started again; once that is mended: {resume}"
            ));
            ended(RunEnd::Unwound, 2, why, next)
        }
        end => {
            next.push(format!("once that is mended: {resume}"));
            next.push("to look at the members: kopsrun etcd status".to_owned());
            ended(end, 3, why, next)
        }
    }
}

/// Old data on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    pub host: String,
    pub path: String,
    /// Bytes on the disk.
    pub size: u64,
}

/// Old data that restores have left on the hosts of the group. Refused while any host can't be looked at, or the cluster
/// isn't well: then they may still be needed.
pub async fn asides(site: &Site) -> Result<Vec<Aside>, Failure> {
    let (etcd, closed) = super::status::open(site).await?;
    if let Some((host, why)) = closed.first() {
        return Err(Failure::new(format!("{host} can't be looked at: {why}")));
    }
    let view = etcd.view().await?;
    if let Some(unwell) = view.members.iter().find(|seen| !seen.healthy()) {
        return Err(Failure::new(format!(
            "{} is not healthy: old data stay while they may be needed",
            unwell.member.label()
        ))
        .hint("look at the members: kopsrun etcd status"));
    }
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    let found = join_all(group.iter().map(|name| async move {
        let hand = site.host(name).await?;
        let settings = identity::settings(&hand)
            .await
            .map_err(|e| Failure::new(e.to_string()))?;
        let dir = settings.as_ref().and_then(|s| s.data_dir());
        let found = host::asides(&hand, dir.unwrap_or("/var/lib/etcd")).await?;
        let aside = |(path, size)| Aside {
            host: name.to_string(),
            path,
            size,
        };
        Ok::<_, Failure>(found.into_iter().map(aside).collect::<Vec<_>>())
    }))
    .await;
    let all: Vec<Vec<Aside>> = found.into_iter().collect::<Result<_, Failure>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// Remove old data: from here on there is no way back to them.
pub async fn commit(site: &Site, asides: &[Aside], holder: &Holder) -> Result<(), Failure> {
    let _lock = Lock::take(&site.locks, &site.cluster, holder)
        .map_err(|error| Failure::new(error.to_string()))?;
    for aside in asides {
        let hand = site.host(&aside.host).await?;
        let args = serde_json::json!({ "path": aside.path, "state": "absent" });
        hand.run(hand.task("file", args), indexmap::IndexMap::new())
            .await?;
    }
    Ok(())
}
