//! Replace the etcd member of one node.
//!
//! The order is that of a dead member unless the old one answers: remove by id, add a learner, start it, wait until it
//! is level, promote it, verify. What can fail without the cluster noticing (the machine, its certificates) is done
//! before the first member changes.

mod act;
mod environment;
mod facts;
mod gather;
pub(super) mod machine;
mod parts;
mod plan;
mod shape;
mod steps;
mod work;

pub use facts::{Branch, Certificates, Data, Facts, Intent, Machine, Place};
pub use gather::GROUP;
pub use plan::{Action, Plan, Planned, Wishes, plan};

use super::engine::{self, Ended, Failure, Step};
use super::locks::{self, release};
use super::report::{Report, Stop, ended, record};
use super::site::Site;
use crate::cluster::Leased;
use crate::journal::{Event, Level, PlannedStep, Run, RunEnd, Sink};
use crate::play::facts::Cache;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The program and the user of a unit file, where it names them.
pub(super) fn unit(text: &str) -> (Option<String>, Option<String>) {
    work::Donor::read_unit(text)
}

/// The verb, as runs record it.
pub const COMMAND: &str = "replace-node";
/// The file of a run that says what it set out to do.
const INTENT: &str = "intent.json";

/// What the person asked for. Kept in the run, so that it can be resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Inventory name of the node whose member is replaced.
    pub node: String,
    /// The inventory name of another node that takes its place.
    pub with: Option<String>,
    pub in_place: bool,
    pub discard_data: bool,
    /// The machine's new host key was confirmed on the command line.
    pub accept_new_host_key: bool,
    /// Show the plan and change nothing.
    pub plan_only: bool,
    /// Don't ask before the first change.
    pub yes: bool,
}

impl Options {
    /// Where the new member will live.
    pub fn home(&self) -> &str {
        self.with.as_deref().unwrap_or(&self.node)
    }

    fn wishes(&self) -> Wishes {
        Wishes {
            in_place: self.in_place,
            discard_data: self.discard_data,
        }
    }
}

/// Replace the member, or go on with a run that was interrupted: both look at the live cluster and do what is missing.
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
    let _lock = locks::here(site, run, options.plan_only)?;
    let ground = gather::connect(site, options, run).await?;
    gather::majority(site, &ground).await?;
    let mark = locks::mark(run);
    let lease = match options.plan_only {
        true => None,
        false => Some(locks::there(site, run, &ground.etcd, &mark).await?),
    };
    let result = locked(site, options, run, stop, ground, (lease, mark)).await;
    result.map_err(|why| match (stop.is_cancelled(), why) {
        (true, Stop::Refused(why)) => {
            Stop::Refused(why.hint("it was interrupted; nothing was changed"))
        }
        (_, why) => why,
    })
}

/// With the cluster's lock in hand: look, decide, ask, do.
async fn locked(
    site: &Site,
    options: &Options,
    run: &Arc<Run>,
    stop: &CancellationToken,
    ground: gather::Ground,
    (lease, mark): (Option<Leased>, String),
) -> Result<Report, Stop> {
    let looked = gather::facts(site, options, run, &ground).await;
    let decided = looked.and_then(|(facts, donor, hand, set)| {
        let plan = plan(&facts, options.wishes())?;
        Ok((facts, plan, donor, hand, set))
    });
    let (facts, plan, donor, donor_hand, set) = match decided {
        Ok(decided) => decided,
        Err(why) => {
            release(lease).await;
            return Err(why.into());
        }
    };
    let names = names(&facts, &plan);
    run.emit_synced(announce(&facts, &plan, &names))?;
    if options.plan_only {
        return Err(Stop::Nothing(
            "this is the plan; nothing was changed",
            RunEnd::Done,
            0,
        ));
    }
    let Some(hand) = ground.hands.get(options.home()).cloned() else {
        release(lease).await;
        return Err(Failure::new(format!("{} is not connected", options.home())).into());
    };
    if !options.yes {
        let question = format!("Replace the member of {}?", options.node);
        if !site.ask(question, Vec::new()).await {
            release(lease).await;
            return Err(Stop::Nothing(
                "not confirmed; nothing was changed (--yes goes ahead without asking)",
                RunEnd::Refused,
                5,
            ));
        }
    }
    let intent = serde_json::to_vec_pretty(&plan.intent(&facts)).unwrap_or_default();
    run.keep(INTENT, &intent)?;
    let old_hand = (options.home() != options.node)
        .then(|| ground.hands.get(&options.node).cloned())
        .flatten();
    let work = Arc::new(work::Work {
        site: site.clone(),
        run: Arc::clone(run),
        etcd: Arc::clone(&ground.etcd),
        branch: plan.branch,
        old: plan.old.clone(),
        voters: plan.steps.last().map_or(0, |s| s.after.voters),
        node: facts.node,
        home: facts.home,
        hand,
        old_hand,
        donor_hand,
        donor,
        set,
        lock: tokio::sync::Mutex::new(lease),
        mark,
        verified: std::sync::RwLock::default(),
        stop: stop.clone(),
    });
    let steps: Vec<Box<dyn Step>> = plan
        .steps
        .iter()
        .map(|planned| {
            Box::new(steps::Doing {
                planned: *planned,
                names: names.clone(),
                work: Arc::clone(&work),
            }) as Box<dyn Step>
        })
        .collect();
    if let Err(why) = work.check_step_file().await {
        release(work.lock.lock().await.take()).await;
        return Err(why.into());
    }
    let ended = engine::run(&steps, run.as_ref(), stop).await?;
    if ended.end == RunEnd::Done {
        forget_facts(site, &work.home.host, run);
    }
    let report = report(&work, ended).await;
    release(work.lock.lock().await.take()).await;
    Ok(report)
}

fn names(facts: &Facts, plan: &Plan) -> steps::Names {
    steps::Names {
        node: facts.node.host.clone(),
        home: facts.home.host.clone(),
        address: facts.home.peer_url.clone(),
        old: plan
            .old
            .as_ref()
            .map_or_else(|| "(gone)".to_owned(), |m| format!("{:x}", m.id)),
        branch: plan.branch,
    }
}

fn announce(facts: &Facts, plan: &Plan, names: &steps::Names) -> Event {
    let title = match facts.home.host == facts.node.host {
        true => format!("Replace the etcd member of {}", names.node),
        false => format!(
            "Replace the etcd member of {} by one on {}",
            names.node, names.home
        ),
    };
    let steps = plan
        .steps
        .iter()
        .map(|planned| PlannedStep {
            id: steps::id(planned.action).to_owned(),
            title: steps::title(planned.action, names),
            sentence: steps::sentence(planned.action, names),
            done: planned.done,
            point_of_no_return: steps::last_way_back(planned.action),
            tolerance: Some(planned.after),
        })
        .collect();
    Event::Plan {
        title,
        notes: plan.notes.clone(),
        steps,
    }
}

/// What is true now, for the person who goes on.
async fn report(work: &work::Work, ended_as: Ended) -> Report {
    let resume = format!("kopsrun resume {}", work.run.id());
    let failure = ended_as.failure;
    let why = failure
        .as_ref()
        .map(|(step, f)| format!("{step}: {}", f.message));
    let hints = failure.map(|(_, f)| f.hints).unwrap_or_default();
    match ended_as.end {
        RunEnd::Done => {
            let verified = work
                .verified
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone();
            ended(RunEnd::Done, 0, verified, Vec::new())
        }
        RunEnd::Interrupted => ended(
            RunEnd::Interrupted,
            99,
            why,
            vec![format!("to go on: {resume}")],
        ),
        RunEnd::Unwound => {
            let mut next = hints;
            next.push(format!(
                "the members are as they were; once that is mended: {resume}"
            ));
            ended(RunEnd::Unwound, 2, why, next)
        }
        end => {
            let mut next = hints;
            next.push(half_true(work).await);
            next.push(format!("once that is mended: {resume}"));
            next.push("to look at the members: kopsrun etcd status".to_owned());
            ended(end, 3, why, next)
        }
    }
}

async fn half_true(work: &work::Work) -> String {
    match work.etcd.view().await {
        Ok(view) => {
            let voters = view.voters();
            let home = match work.home.find(view.members.iter().map(|s| &s.member)) {
                None => format!("{} has no member", work.home.host),
                Some(m) if m.learner => format!("{} is a learner", work.home.host),
                Some(_) => format!("{} is a voter", work.home.host),
            };
            format!(
                "now: {home}; {} voters, {} healthy, {} needed, {} more may fail",
                voters.total,
                voters.healthy,
                voters.quorum(),
                voters.tolerance()
            )
        }
        Err(error) => format!("the cluster can't be looked at now: {error}"),
    }
}

/// Facts of the machine that is gone would mislead the next play.
fn forget_facts(site: &Site, host: &str, run: &Run) {
    let Some(cache) = Cache::of(&site.request.facts) else {
        return;
    };
    if let Err(error) = cache.clear(host) {
        run.emit(Event::Note {
            level: Level::Warning,
            text: format!("the cached facts of the old machine stay: {error}"),
            host: Some(host.to_owned()),
        });
    }
}
