//! Start the members of a stopped etcd together: none of them serves before there is a majority, so one after the other
//! would wait for ever.

use super::engine::{self, Check, Failure, Step};
use super::locks;
use super::parts::Parts;
use super::replace_node::{Data, GROUP};
use super::report::{Report, Stop, ended, record};
use super::restore_etcd::host::{self, Host};
use super::site::Site;
use super::status;
use crate::cluster::door::Door;
use crate::cluster::identity;
use crate::cluster::quorum::quorum;
use crate::journal::{Event, Level, PlannedStep, Run, RunEnd, Sink};
use futures::future::{BoxFuture, join_all, try_join_all};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The verb, as runs record it.
pub const COMMAND: &str = "etcd coldstart";
const STEP_FILE: &str = "restore-etcd.yml";
/// How long the members may take to find each other.
const FORMING: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(1);

/// What the person asked for. Kept in the run, so that it can be resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Show the plan and change nothing.
    pub plan_only: bool,
    /// Don't ask before the first change.
    pub yes: bool,
}

/// Start, or go on with a start that was interrupted.
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
    let (hosts, mut notes) = look(site).await?;
    let names: Vec<String> = hosts.iter().map(|host| host.hand.name.clone()).collect();
    notes.insert(
        0,
        format!("data of one cluster are on {}", names.join(", ")),
    );
    let work = Arc::new(Work {
        site: site.clone(),
        run: Arc::clone(run),
        hosts,
        stop: stop.clone(),
    });
    let steps: Vec<Box<dyn Step>> = [Action::Start, Action::ControlPlane]
        .map(|action| {
            Box::new(Doing {
                action,
                work: Arc::clone(&work),
            }) as Box<dyn Step>
        })
        .into();
    let planned: Vec<PlannedStep> = steps
        .iter()
        .map(|step| engine::planned(step.as_ref(), false))
        .collect();
    run.emit_synced(Event::Plan {
        title: "Start all members of etcd together".to_owned(),
        notes: notes.clone(),
        steps: planned,
    })?;
    if options.plan_only {
        let text = "this is the plan; nothing was changed";
        return Err(Stop::Nothing(text, RunEnd::Done, 0));
    }
    if !options.yes {
        let question = format!("Start etcd on {}?", names.join(", "));
        if !site.ask(question, notes).await {
            let text = "not confirmed; nothing was changed (--yes goes ahead without asking)";
            return Err(Stop::Nothing(text, RunEnd::Refused, 5));
        }
    }
    let ended_as = engine::run(&steps, run.as_ref(), stop).await?;
    let why = ended_as
        .failure
        .as_ref()
        .map(|(step, f)| format!("{step}: {}", f.message));
    let mut next = ended_as.failure.map(|(_, f)| f.hints).unwrap_or_default();
    let resume = format!("to go on: kopsrun resume {}", run.id());
    Ok(match ended_as.end {
        RunEnd::Done => ended(RunEnd::Done, 0, work.told().await, next),
        RunEnd::Interrupted => {
            next.push(resume);
            ended(RunEnd::Interrupted, 99, why, next)
        }
        end => {
            // What was started stays started: it is where it belongs.
            next.push(resume);
            ended(end, 3, why, next)
        }
    })
}

/// Hosts with data of the cluster, and what a person should know. Refused where a majority can't come of them.
async fn look(site: &Site) -> Result<(Vec<Host>, Vec<String>), Failure> {
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    let connected = join_all(group.iter().map(|name| site.host(name))).await;
    let (mut hosts, mut notes) = (Vec::new(), Vec::new());
    for (name, result) in group.iter().zip(connected) {
        let hand = match result {
            Ok(hand) => hand,
            Err(why) => {
                notes.push(format!(
                    "{name} can't be reached, and is left out: {}",
                    Failure::from(why).message
                ));
                continue;
            }
        };
        let failed = |error: std::io::Error| Failure::new(format!("{name}: {error}"));
        let Some(settings) = identity::settings(&hand).await.map_err(failed)? else {
            notes.push(format!("{name} has no settings of etcd, and is left out"));
            continue;
        };
        let unit = hand.read(host::UNIT).await.map_err(failed)?;
        let unit = unit.map(|text| String::from_utf8_lossy(text.expose()).into_owned());
        let host = host::look(&hand, settings, unit.as_deref(), false).await?;
        match host.data {
            Some(Data::Of(_)) if host.machine.pod => {
                return Err(Failure::new(format!(
                    "etcd of {name} is a static pod: its kubelet starts it"
                ))
                .hint("start the kubelets together: kopsrun exec etcd -m systemd -a 'name=kubelet state=started' -b"));
            }
            Some(Data::Of(_)) => hosts.push(host),
            _ => notes.push(format!(
                "{name} has no data of etcd: it would begin a cluster of its own, and is left out"
            )),
        }
    }
    judge(&hosts, group.len())?;
    Ok((hosts, notes))
}

fn judge(hosts: &[Host], all: usize) -> Result<(), Failure> {
    let clusters: Vec<(String, u64)> = hosts
        .iter()
        .filter_map(|host| match host.data {
            Some(Data::Of(identity)) => Some((host.hand.name.clone(), identity.cluster)),
            _ => None,
        })
        .collect();
    enough(&clusters, all)
}

/// Pure: enough hosts, of one cluster.
fn enough(clusters: &[(String, u64)], all: usize) -> Result<(), Failure> {
    if let Some((first, id)) = clusters.first()
        && let Some((host, other)) = clusters.iter().find(|(_, other)| other != id)
    {
        return Err(Failure::new(format!(
            "the data of {first} are of the cluster {id:x}, those of {host} of {other:x}: they never form one"
        )));
    }
    match clusters.len() >= quorum(all) {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{} of {all} hosts of the group have data of etcd and can be reached; {} are needed",
            clusters.len(),
            quorum(all)
        ))
        .hint("bring the others back; or, when they are lost: kopsrun etcd recover")),
    }
}

struct Work {
    site: Site,
    run: Arc<Run>,
    hosts: Vec<Host>,
    stop: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Start,
    ControlPlane,
}

struct Doing {
    action: Action,
    work: Arc<Work>,
}

impl Step for Doing {
    fn id(&self) -> &str {
        match self.action {
            Action::Start => "start",
            Action::ControlPlane => "control-plane",
        }
    }

    fn title(&self) -> String {
        match self.action {
            Action::Start => "Start all members together",
            Action::ControlPlane => "Let the control plane start",
        }
        .to_owned()
    }

    fn sentence(&self) -> String {
        match self.action {
            Action::Start => "start etcd on all of them, now and at boot, until a majority serves",
            Action::ControlPlane => {
                "give the kubelets manifests back that an interrupted restore took away"
            }
        }
        .to_owned()
    }

    fn point_of_no_return(&self) -> bool {
        true
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>> {
        Box::pin(async move {
            match self.action {
                Action::Start => self.work.check_started().await,
                Action::ControlPlane => self.work.check_control_plane().await,
            }
        })
    }

    fn run(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            match self.action {
                Action::Start => self.work.start().await,
                Action::ControlPlane => self.work.parts("control-plane").await,
            }
        })
    }
}

impl Work {
    async fn parts(&self, part: &str) -> Result<(), Failure> {
        let parts = Parts {
            site: &self.site,
            run: &self.run,
            file: STEP_FILE,
        };
        let all = self.hosts.iter();
        let all = all.map(|host| parts.run(&host.hand.name, part, IndexMap::new()));
        join_all(all).await.into_iter().collect()
    }

    /// Why it doesn't serve yet; none: all that were started do.
    async fn unformed(&self) -> Option<String> {
        let view = match status::open(&self.site).await {
            Ok((etcd, _)) => match etcd.view().await {
                Ok(view) => view,
                Err(error) => return Some(error.to_string()),
            },
            Err(why) => return Some(why.message),
        };
        let voters = view.voters();
        if view.stale || view.leader.is_none() || !voters.has_quorum() {
            return Some(format!(
                "{} of {} members serve, {} are needed",
                voters.healthy,
                voters.total,
                voters.quorum()
            ));
        }
        let started = |urls: Vec<String>| {
            let mut seen = view.members.iter();
            seen.find(|s| s.member.peer_urls.iter().any(|url| urls.contains(url)))
                .is_none_or(|s| s.healthy() || s.member.learner)
        };
        let late = self
            .hosts
            .iter()
            .find(|host| !started(host.settings.peer_urls()))?;
        Some(format!("{} doesn't serve yet", late.hand.name))
    }

    async fn check_started(&self) -> Result<Check, Failure> {
        let running = try_join_all(self.hosts.iter().map(Host::running)).await?;
        if running.iter().any(|running| !running.etcd) {
            return Ok(Check::Needed);
        }
        Ok(match self.unformed().await {
            None => Check::Done(format!("{} members serve", self.hosts.len())),
            Some(_) => Check::Needed,
        })
    }

    async fn start(&self) -> Result<(), Failure> {
        self.parts("start").await?;
        let begin = Instant::now();
        while let Some(why) = self.unformed().await {
            if begin.elapsed() > FORMING {
                return Err(Failure::new(format!(
                    "the cluster doesn't form within {} s: {why}",
                    FORMING.as_secs()
                ))
                .hint("see what etcd says: journalctl -u etcd on the hosts")
                .hint("when data are lost: kopsrun etcd recover"));
            }
            if self.stop.is_cancelled() {
                return Err(Failure::new("stopped by the operator"));
            }
            self.run.emit(Event::Progress {
                step: Some("start".to_owned()),
                text: why,
                done: None,
                total: None,
            });
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn check_control_plane(&self) -> Result<Check, Failure> {
        let script = "ls /etc/kubernetes/kopsrun-restore/*.yaml 2>/dev/null; exit 0";
        for host in &self.hosts {
            if !host.hand.script(script).await?.trim().is_empty() {
                return Ok(Check::Needed);
            }
        }
        Ok(Check::Done("no manifest lies aside".to_owned()))
    }

    async fn told(&self) -> Option<String> {
        let (etcd, _) = status::open(&self.site).await.ok()?;
        let view = etcd.view().await.ok()?;
        for seen in view.members.iter().filter(|seen| !seen.healthy()) {
            self.run.emit(Event::Note {
                level: Level::Warning,
                text: format!("{} doesn't serve", seen.member.label()),
                host: None,
            });
        }
        let voters = view.voters();
        Some(format!(
            "{} of {} voters serve, {} more may fail",
            voters.healthy,
            voters.total,
            voters.tolerance()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_a_majority_are_not_started() {
        let clusters = |ids: &[u64]| -> Vec<(String, u64)> {
            ids.iter()
                .enumerate()
                .map(|(n, id)| (format!("node{n}"), *id))
                .collect()
        };
        assert!(enough(&clusters(&[7, 7]), 3).is_ok());
        let few = enough(&clusters(&[7, 7]), 4).expect_err("2 of 4");
        assert!(few.message.contains("3 are needed") && few.hints[0].contains("recover"));
        let two = enough(&clusters(&[7, 8, 7]), 3).expect_err("two clusters");
        assert!(two.message.contains("never form one"));
    }
}
