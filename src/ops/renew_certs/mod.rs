//! Make certificates anew with the cluster's own authorities, one node at a time.
//!
//! Keys, names and extensions stay, so a certificate and its key fit at every moment, and one rename puts the new one in
//! place. etcd reads its files for every new connection and isn't restarted; parts of Kubernetes' control plane are.

mod facts;
mod gather;
mod health;
mod node;
mod processes;
mod steps;
mod work;

pub use facts::{Options, Realm};

use super::engine::{self, Ended, Failure, Step};
use super::locks;
use super::replace_node::GROUP;
use super::report::{Report, Stop, ended, record};
use super::site::Site;
use crate::journal::{Event, Run, RunEnd, Sink};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The verb, as runs record it.
pub const COMMAND: &str = "certs renew";
/// The file of a run that says what it set out to do.
const INTENT: &str = "intent.json";

/// Renew, or go on with a renewal that was interrupted: both look at the hosts and do what is missing.
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
    let intent = gather::intent(site, run, options)?;
    let ground = gather::gather(site, options).await?;
    let now = Timestamp::now();
    let mut plan = facts::plan(ground.leaves, &ground.authorities, &intent, now)?;
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    let members: Vec<String> = group.iter().map(ToString::to_string).collect();
    let health = health::Health::judge(site, &members, &plan.targets, now).await?;
    plan.notes.extend(health.notes());
    let hosts = order(&plan.targets, &members);
    run.emit_synced(announce(&plan.notes, &hosts))?;
    if plan.targets.is_empty() {
        let text = "there is no certificate to be made anew; nothing was changed";
        return Err(Stop::Nothing(text, RunEnd::Done, 0));
    }
    if options.plan_only {
        let text = "this is the plan; nothing was changed";
        return Err(Stop::Nothing(text, RunEnd::Done, 0));
    }
    if !options.yes {
        let question = format!("Make {} certificates anew?", plan.targets.len());
        if !site.ask(question, plan.notes.clone()).await {
            let text = "not confirmed; nothing was changed (--yes goes ahead without asking)";
            return Err(Stop::Nothing(text, RunEnd::Refused, 5));
        }
    }
    let lease = match health.etcd() {
        Some(etcd) => Some(locks::there(site, run, etcd, &locks::mark(run)).await?),
        None => None,
    };
    run.keep(
        INTENT,
        &serde_json::to_vec_pretty(&intent).unwrap_or_default(),
    )?;
    let work = Arc::new(work::Work {
        run: Arc::clone(run),
        hands: ground.hands,
        signed: tokio::sync::Mutex::default(),
        targets: plan.targets,
        intent,
        health,
        done: std::sync::RwLock::default(),
        stop: stop.clone(),
    });
    let steps: Vec<Box<dyn Step>> = hosts
        .iter()
        .map(|host| steps::Doing::node(host, &work))
        .chain([steps::Doing::verify(&work)])
        .collect();
    let ended_as = engine::run(&steps, run.as_ref(), stop).await;
    locks::release(lease).await;
    Ok(report(&work, ended_as?))
}

/// Hosts that have something to change: members of etcd first, as the inventory has them.
fn order(targets: &[facts::Target], members: &[String]) -> Vec<String> {
    let with: BTreeSet<&String> = targets
        .iter()
        .flat_map(|target| target.places.iter().map(|place| &place.host))
        .collect();
    let first = members.iter().filter(|host| with.contains(host));
    let others = with.iter().filter(|host| !members.contains(host));
    first.chain(others.copied()).cloned().collect()
}

fn announce(notes: &[String], hosts: &[String]) -> Event {
    let nodes = hosts.iter().map(|host| steps::planned_node(host));
    Event::Plan {
        title: "Make certificates anew".to_owned(),
        notes: notes.to_vec(),
        steps: nodes.chain([steps::planned_verify()]).collect(),
    }
}

/// What is true now, for the person who goes on.
fn report(work: &work::Work, ended_as: Ended) -> Report {
    let resume = format!("kopsrun resume {}", work.run.id());
    let failure = ended_as.failure;
    let why = failure
        .as_ref()
        .map(|(step, f): &(String, Failure)| format!("{step}: {}", f.message));
    let mut next = failure.map(|(_, f)| f.hints).unwrap_or_default();
    match ended_as.end {
        RunEnd::Done => {
            let told = work.done.read();
            let told = told.unwrap_or_else(std::sync::PoisonError::into_inner);
            next.push(format!(
                "the old ones lie beside them as *{}{}",
                crate::backup::inspect::BEFORE,
                work.run.id()
            ));
            next.push("take a new backup of them: kopsrun backup certs".to_owned());
            ended(RunEnd::Done, 0, told.clone(), next)
        }
        RunEnd::Interrupted => {
            next.push(format!("to go on: {resume}"));
            ended(RunEnd::Interrupted, 99, why, next)
        }
        RunEnd::Unwound => {
            next.push(format!(
                "that node has its old certificates; once that is mended: {resume}"
            ));
            ended(RunEnd::Unwound, 2, why, next)
        }
        end => {
            next.push(format!("once that is mended: {resume}"));
            next.push("to look at what there is: kopsrun certs list".to_owned());
            ended(end, 3, why, next)
        }
    }
}
