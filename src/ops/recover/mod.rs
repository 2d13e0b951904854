//! Bring back an etcd that has lost its quorum from the data of a member that survived.
//!
//! The member whose log goes furthest is stopped, its data are copied here, and a throwaway etcd makes a cluster of its own
//! of the copy. What it serves becomes a backup set, proven like any other; from there on it is a restore of that set. So
//! nothing on the hosts has changed before there is a set that holds everything that was left.

mod choose;
mod rescue;

use super::engine::{self, Check, Failure, Step};
use super::locks;
use super::replace_node::GROUP;
use super::report::{Report, Stop, ended, record};
use super::restore_etcd::{self, Wishes};
use super::site::Site;
use crate::backup::Seal;
use crate::journal::{self, Event, Run, RunEnd, Sink, State};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The verb, as runs record it.
pub const COMMAND: &str = "etcd recover";
/// The file of a run that names the set that was made.
const RESCUED: &str = "rescued.json";
const STEP: &str = "rescue";

/// What the person asked for. Kept in the run, so that it can be resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Hosts and members that are off for certain.
    pub fenced: Vec<String>,
    /// Take the data of this host instead of those that go furthest.
    pub from: Option<String>,
    /// Directory of the controller with etcd and etcdutl or etcdctl.
    pub programs: Option<PathBuf>,
    /// Where etcd is looked for beside that.
    pub path: Vec<PathBuf>,
    /// Show the plan and change nothing.
    pub plan_only: bool,
    /// Don't ask before the first change.
    pub yes: bool,
}

/// How the set that is made is encrypted: as the passphrase of the site says.
pub(super) fn seal(site: &Site) -> Seal {
    match &site.backup_keys.passphrase {
        Some(passphrase) => Seal::Passphrase(passphrase.clone()),
        None => match site.backup_keys.identities.as_slice() {
            [] => Seal::Open,
            keys => Seal::Recipients(keys.iter().map(age::x25519::Identity::to_public).collect()),
        },
    }
}

/// Recover, or go on with a recovery that was interrupted.
///
/// The end is recorded as `run_finished`. An error is one of the record itself.
pub async fn run(
    site: &Site,
    options: &Options,
    run: &Arc<Run>,
    stop: &CancellationToken,
) -> std::io::Result<Report> {
    let set = match rescued(site, options, run, stop).await {
        Ok(Ok(set)) => set,
        Ok(Err(report)) => return record(Ok(report), run),
        Err(stop) => return record(Err(stop), run),
    };
    let restore = restore_etcd::Options {
        set,
        wishes: Wishes {
            fenced: options.fenced.clone(),
            ..Wishes::default()
        },
        programs: options.programs.clone(),
        path: options.path.clone(),
        plan_only: false,
        // What is going to happen was shown and confirmed.
        yes: true,
    };
    restore_etcd::run(site, &restore, run, stop).await
}

/// The name of the set that holds what was left, or how it ended without one.
async fn rescued(
    site: &Site,
    options: &Options,
    run: &Arc<Run>,
    stop: &CancellationToken,
) -> Result<Result<String, Report>, Stop> {
    if let Some(rescued) = earlier(site, run)?
        && choose::is_all(site, &rescued).await?
    {
        // Also the next try finds it.
        keep(run, &rescued)?;
        return Ok(Ok(rescued.set));
    }
    let _lock = locks::here(site, run, options.plan_only)?;
    let (survivor, notes) = choose::choose(site, options).await?;
    run.emit_synced(Event::Plan {
        title: format!("Recover etcd from the data of {}", survivor.host.hand.name),
        notes: notes.clone(),
        steps: vec![journal::PlannedStep {
            id: STEP.to_owned(),
            title: title(&survivor.host.hand.name),
            sentence: format!(
                "stop etcd on {}, copy its data here, make a proven backup set of them; then restore that set on all hosts of \
                 the group {GROUP}",
                survivor.host.hand.name
            ),
            done: false,
            point_of_no_return: false,
            tolerance: None,
        }],
    })?;
    if options.plan_only {
        let text = "this is the plan; nothing was changed";
        return Err(Stop::Nothing(text, RunEnd::Done, 0));
    }
    if !options.yes {
        let question = format!("Recover etcd from the data of {}?", survivor.host.hand.name);
        if !site.ask(question, notes).await {
            let text = "not confirmed; nothing was changed (--yes goes ahead without asking)";
            return Err(Stop::Nothing(text, RunEnd::Refused, 5));
        }
    }
    let rescue: Box<dyn Step> = Box::new(Rescue {
        site: site.clone(),
        run: Arc::clone(run),
        options: options.clone(),
        survivor,
    });
    let ended_as = engine::run(&[rescue], run.as_ref(), stop).await?;
    let resume = format!("to go on: kopsrun resume {}", run.id());
    let why = ended_as.failure.as_ref();
    let why_text = why.map(|(_, failure)| failure.message.clone());
    let mut next = ended_as.failure.map(|(_, f)| f.hints).unwrap_or_default();
    next.push(resume);
    Ok(match ended_as.end {
        RunEnd::Done => match read(&run.dir().join(RESCUED)) {
            Some(rescued) => Ok(rescued.set),
            None => Err(ended(
                RunEnd::Stuck,
                3,
                Some("the set is not named".to_owned()),
                next,
            )),
        },
        RunEnd::Interrupted => Err(ended(RunEnd::Interrupted, 99, why_text, next)),
        RunEnd::Unwound => Err(ended(RunEnd::Unwound, 2, why_text, next)),
        end => Err(ended(end, 3, why_text, next)),
    })
}

/// Written down when the set is on the disk and proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rescued {
    set: String,
    /// Whose data they were, of which cluster, and how far their log went.
    host: String,
    cluster: u64,
    index: u64,
}

fn read(path: &std::path::Path) -> Option<Rescued> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn keep(run: &Run, rescued: &Rescued) -> Result<(), Failure> {
    let text = serde_json::to_vec(rescued).unwrap_or_default();
    run.keep(RESCUED, &text)
        .map_err(|error| Failure::new(error.to_string()))
}

/// What the newest try has rescued, unless it came to its end: what is lost after that is another matter.
fn earlier(site: &Site, run: &Run) -> Result<Option<Rescued>, Failure> {
    let runs = journal::list(&site.runs).map_err(|e| Failure::new(e.to_string()))?;
    let mine = runs.into_iter().rev().filter(|other| {
        other.meta.command == COMMAND && other.meta.inventory == run.meta().inventory
    });
    let open = mine
        .take_while(|other| other.meta.id == run.id() || other.state != State::Ended(RunEnd::Done));
    Ok(open
        .filter_map(|other| read(&site.runs.join(&other.meta.id).join(RESCUED)))
        .next())
}

fn title(host: &str) -> String {
    format!("Make a backup set of the data of {host}")
}

struct Rescue {
    site: Site,
    run: Arc<Run>,
    options: Options,
    survivor: choose::Survivor,
}

impl Step for Rescue {
    fn id(&self) -> &str {
        STEP
    }

    fn title(&self) -> String {
        title(&self.survivor.host.hand.name)
    }

    fn sentence(&self) -> String {
        "nothing on the hosts has changed before it is proven".to_owned()
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>> {
        Box::pin(async {
            Ok(match read(&self.run.dir().join(RESCUED)) {
                Some(rescued) => Check::Done(format!("{} is VERIFIED", rescued.set)),
                None => Check::Needed,
            })
        })
    }

    fn run(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            let set = rescue::rescue(&self.site, &self.run, &self.options, &self.survivor).await?;
            let rescued = Rescued {
                set,
                host: self.survivor.host.hand.name.clone(),
                cluster: self.survivor.identity.cluster,
                index: self.survivor.position.index,
            };
            keep(&self.run, &rescued)
        })
    }

    fn undo(&self) -> Option<BoxFuture<'_, Result<String, Failure>>> {
        Some(Box::pin(rescue::start_again(
            &self.site,
            &self.run,
            &self.survivor,
        )))
    }
}
