//! What all steps share.

use super::environment;
use super::facts::{Branch, Data, Place};
use super::machine::{self, Look};
use crate::backup::Set;
use crate::cluster::identity::{self, Settings};
use crate::cluster::{Etcd, Hand, Leased, Member};
use crate::journal::{Event, Run, Sink};
use crate::ops::engine::Failure;
use crate::ops::site::Site;
use indexmap::IndexMap;
use std::sync::{Arc, RwLock};
use tokio_util::sync::CancellationToken;

/// How a healthy member is set up; the new one becomes the same.
#[derive(Debug, Clone)]
pub(super) struct Donor {
    pub(super) host: String,
    pub(super) settings: Settings,
    /// Text of its unit file; empty: the step file brings its own.
    pub(super) unit: String,
    /// Path of the program.
    pub(super) program: String,
    /// First line of `etcd --version` there.
    pub(super) version: Option<String>,
    /// The user that etcd runs as.
    pub(super) user: String,
}

impl Donor {
    pub(super) fn data_dir(&self) -> &str {
        self.settings.data_dir().unwrap_or("/var/lib/etcd")
    }

    /// `ExecStart` and `User` of a unit file.
    pub(super) fn read_unit(unit: &str) -> (Option<String>, Option<String>) {
        let value = |key: &str| {
            unit.lines()
                .filter_map(|line| {
                    line.trim()
                        .strip_prefix(key)?
                        .trim_start()
                        .strip_prefix('=')
                })
                .map(|v| v.trim().to_owned())
                .next_back()
        };
        let program = value("ExecStart").and_then(|line| {
            let word = line
                .split_whitespace()
                .next()?
                .trim_start_matches(['-', '@', ':', '+', '!']);
            word.starts_with('/').then(|| word.to_owned())
        });
        (program, value("User"))
    }
}

/// Everything that the steps of one run work with.
pub(super) struct Work {
    pub(super) site: Site,
    pub(super) run: Arc<Run>,
    pub(super) etcd: Arc<Etcd>,
    pub(super) node: Place,
    pub(super) home: Place,
    pub(super) branch: Branch,
    /// The member that goes.
    pub(super) old: Option<Member>,
    /// Voters when all is done.
    pub(super) voters: usize,
    pub(super) hand: Hand,
    /// The old machine, where it is another one and can be reached.
    pub(super) old_hand: Option<Hand>,
    pub(super) donor_hand: Hand,
    pub(super) donor: Donor,
    pub(super) set: Option<Set>,
    pub(super) lock: tokio::sync::Mutex<Option<Leased>>,
    /// What this run wrote into the cluster before it changed anything.
    pub(super) mark: String,
    pub(super) verified: RwLock<Option<String>>,
    /// Cancelled by Ctrl-C. Looked at where a step only waits.
    pub(super) stop: CancellationToken,
}

impl Work {
    /// The member that lives at home now, when it isn't the old one.
    pub(super) async fn newcomer(&self) -> Result<Option<Member>, Failure> {
        let members = self.etcd.members().await?;
        let found = self.home.find(members.iter()).cloned();
        Ok(found.filter(|m| Some(m.id) != self.old.as_ref().map(|o| o.id)))
    }

    pub(super) async fn look(&self) -> Result<Look, Failure> {
        Ok(machine::look(&self.hand, self.donor.data_dir(), &self.donor.program).await?)
    }

    /// Before anything that can't be taken back: nobody else works on this cluster.
    pub(super) async fn still_ours(&self) -> Result<(), Failure> {
        let mut lock = self.lock.lock().await;
        match lock.as_mut() {
            Some(lease) => lease.confirm().await.map_err(|error| {
                Failure::new(format!("the lock of the cluster was lost: {error}")).hint(
                    "another run may be at work; look with `kopsrun runs` there before going on",
                )
            }),
            None => Err(Failure::new("the lock of the cluster is not held")),
        }
    }

    /// An error once the operator has stopped the run; for loops that change nothing while they wait.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        match self.stop.is_cancelled() {
            true => Err(Failure::new("stopped by the operator")),
            false => Ok(()),
        }
    }

    pub(super) fn progress(&self, step: &str, text: String, done: Option<u64>, total: Option<u64>) {
        self.run.emit(Event::Progress {
            step: Some(step.to_owned()),
            text,
            done,
            total,
        });
    }

    /// The settings that the new member has to have now.
    pub(super) async fn environment(&self) -> Result<IndexMap<String, String>, Failure> {
        let members = self.etcd.members().await?;
        let leaves = |m: &Member| {
            self.branch != Branch::LearnerFirst && self.old.as_ref().is_some_and(|o| o.id == m.id)
        };
        let staying = members.iter().filter(|m| !leaves(m));
        let initial = environment::initial_cluster(staying, &self.home);
        Ok(environment::environment(
            &self.donor.settings,
            &self.donor.host,
            &self.home,
            &initial,
        ))
    }

    /// What is missing for the member to be started; none: the machine is ready.
    pub(super) async fn unprepared(&self) -> Result<Option<&'static str>, Failure> {
        let look = self.look().await?;
        if look.program.is_none()
            || (self.donor.version.is_some() && look.program != self.donor.version)
        {
            return Ok(Some("etcd of the same version"));
        }
        if !look.unit {
            return Ok(Some("the service"));
        }
        if !look.directory {
            return Ok(Some("the data directory"));
        }
        let wanted = self.environment().await?;
        let there = identity::settings(&self.hand)
            .await
            .map_err(|e| Failure::new(e.to_string()))?;
        let same = there.is_some_and(|s| {
            wanted.iter().all(|(name, value)| {
                name.strip_prefix("ETCD_").and_then(|n| s.values.get(n)) == Some(value)
            })
        });
        Ok((!same).then_some("the settings"))
    }
}

/// Old data, of which nothing is left to lose: of nobody who is in the member list and answers.
pub(super) fn is_new(data: Data, new: Option<&Member>) -> bool {
    matches!((data, new), (Data::Of(identity), Some(m)) if identity.member == m.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_say_what_runs_and_as_whom() {
        let unit = "[Service]\nType=notify\nUser=etcd\nExecStart=-/usr/local/bin/etcd --x\nRestart=always\n";
        let (program, user) = Donor::read_unit(unit);
        assert_eq!(program.as_deref(), Some("/usr/local/bin/etcd"));
        assert_eq!(user.as_deref(), Some("etcd"));
        assert_eq!(Donor::read_unit("ExecStart=etcd\n"), (None, None));
    }
}
