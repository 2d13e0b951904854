//! From the start on: the new cluster is formed, its revision raised, its data compared, a set of it taken.

use super::host::Host;
use super::work::{PAUSE, Work};
use crate::backup::{self, Known, Seal, Seen, Set};
use crate::cluster::door::Door;
use crate::cluster::{Etcd, Seen as MemberSeen, View};
use crate::journal::{Event, Level, Sink};
use crate::ops::backup as sets;
use crate::ops::drill;
use crate::ops::engine::{Check, Failure};
use futures::future::try_join_all;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the members may take to find each other.
const FORMING: Duration = Duration::from_secs(300);

impl Work {
    // --- start

    async fn etcd(&self) -> Result<Etcd, Failure> {
        let doors = self
            .hosts
            .iter()
            .map(|host| Arc::new(host.hand.clone()) as Arc<dyn Door>)
            .collect();
        Ok(Etcd::open(doors).await?)
    }

    /// Why the cluster isn't formed yet; none: all members serve, under the ids that they should have.
    fn unformed(&self, view: &View) -> Option<String> {
        let wanted = self.intent.cluster_id();
        if view.cluster_id != wanted {
            return Some(format!(
                "the cluster has the id {:x} instead of {wanted:x}",
                view.cluster_id
            ));
        }
        for place in &self.intent.members {
            let id = self.intent.member_id(place);
            if !view.by_id(id).is_some_and(MemberSeen::healthy) {
                return Some(format!("{} doesn't serve yet", place.host));
            }
        }
        match (view.stale, view.leader) {
            (false, Some(_)) => None,
            _ => Some("the members agree on no leader yet".to_owned()),
        }
    }

    pub(super) async fn check_started(&self) -> Result<Check, Failure> {
        let running = try_join_all(self.hosts.iter().map(Host::running)).await?;
        if running.iter().any(|r| !r.etcd) {
            return Ok(Check::Needed);
        }
        let Ok(etcd) = self.etcd().await else {
            return Ok(Check::Needed);
        };
        Ok(match etcd.view().await {
            Ok(view) if self.unformed(&view).is_none() => {
                Check::Done(format!("{} members serve", view.members.len()))
            }
            _ => Check::Needed,
        })
    }

    pub(super) async fn start(&self) -> Result<(), Failure> {
        // Together: none of them is ready before there is a majority.
        self.parts_on(self.hosts.iter().collect(), "start").await?;
        let begin = Instant::now();
        loop {
            let why = match self.etcd().await {
                Ok(etcd) => match etcd.view().await {
                    Ok(view) => match self.unformed(&view) {
                        None => return Ok(()),
                        Some(why) => why,
                    },
                    Err(error) => error.to_string(),
                },
                Err(failure) => failure.message,
            };
            if begin.elapsed() > FORMING {
                return Err(Failure::new(format!(
                    "the cluster doesn't form within {} s: {why}",
                    FORMING.as_secs()
                ))
                .hint("see what etcd says: journalctl -u etcd on the hosts"));
            }
            self.run.emit(Event::Progress {
                step: Some("start".to_owned()),
                text: why,
                done: None,
                total: None,
            });
            self.go_on()?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    // --- revision

    pub(super) async fn check_revision(&self) -> Result<Check, Failure> {
        let etcd = self.etcd().await?;
        let revision = etcd.revision().await?;
        if revision < self.intent.revision {
            return match self.intent.bump {
                Some(_) => Err(Failure::new(format!(
                    "the revision is {revision}, although etcd's tool should have raised it to {}",
                    self.intent.revision
                ))),
                None => Ok(Check::Needed),
            };
        }
        let past = self.set_revision();
        Ok(match etcd.compacted(past).await? {
            true => Check::Done(format!(
                "revision {revision}; whoever watches from {past} or before is told to start anew"
            )),
            false => Check::Needed,
        })
    }

    pub(super) async fn raise_revision(&self) -> Result<(), Failure> {
        let etcd = self.etcd().await?;
        let told = std::sync::Mutex::new(Instant::now());
        let progress = |done: u64, total: u64| {
            let mut told = told
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if told.elapsed() > PAUSE {
                *told = Instant::now();
                self.run.emit(Event::Progress {
                    step: Some("revision".to_owned()),
                    text: format!("{done} of {total} writes"),
                    done: Some(done),
                    total: Some(total),
                });
            }
        };
        if etcd.revision().await? < self.intent.revision {
            etcd.advance(self.intent.revision, &progress).await?;
        }
        // The last revision itself stays: etcd 3.4 gives no hash of data that are compacted to their end.
        Ok(etcd.compact(self.intent.revision - 1).await?)
    }

    fn set_revision(&self) -> i64 {
        let snapshot = self.set.manifest.snapshot.as_ref();
        snapshot.map_or(0, |s| s.summary.revision)
    }

    // --- verify

    pub(super) async fn check_verified(&self) -> Result<Check, Failure> {
        let told = self.verified.read();
        let told = told.unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(told.clone().map_or(Check::Needed, Check::Done))
    }

    pub(super) async fn verify(&self) -> Result<(), Failure> {
        let etcd = self.etcd().await?;
        let view = etcd.view().await?;
        if let Some(why) = self.unformed(&view) {
            return Err(Failure::new(why));
        }
        let members: Vec<_> = view.members.iter().map(|s| s.member.clone()).collect();
        let (revision, same) = etcd.same_data(&members).await?;
        if !same {
            return Err(Failure::new(format!(
                "the members don't have the same data at revision {revision}"
            )));
        }
        let (_, keys) = etcd.count().await?;
        let wanted = self.set.manifest.snapshot.as_ref().map(|s| s.summary.keys);
        let sentence = format!(
            "{} members serve the same {keys} keys at revision {revision}; the set has {}",
            members.len(),
            wanted.unwrap_or_default()
        );
        // Nobody but kopsrun has written since, unless a try before this one came to its end.
        if wanted.is_some_and(|wanted| keys < wanted) {
            return Err(Failure::new(sentence));
        }
        self.remember(&view)?;
        *self
            .verified
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(sentence);
        Ok(())
    }

    /// The cluster has a new id from now on, and its sets from before are still its own.
    fn remember(&self, view: &View) -> Result<(), Failure> {
        let id = format!("{:x}", view.cluster_id);
        let manifest = &self.set.manifest;
        let mut fingerprint = manifest.cluster.clone().unwrap_or_default();
        fingerprint.etcd_cluster_id.clone_from(&id);
        let mut earlier = self
            .known
            .as_ref()
            .map(|seen| seen.earlier.clone())
            .unwrap_or_default();
        earlier.extend(
            self.known
                .iter()
                .map(|s| s.fingerprint.etcd_cluster_id.clone()),
        );
        earlier.extend(manifest.snapshot.iter().map(|s| s.cluster_id.clone()));
        earlier.remove(&id);
        let status = || view.members.iter().filter_map(|s| s.status.as_ref());
        let now = Seen {
            at: Timestamp::now(),
            fingerprint,
            earlier,
            revision: status().map(|s| s.revision).max().unwrap_or_default(),
            raft_index: status().map(|s| s.raft_index).max().unwrap_or_default(),
        };
        let mut known = Known::read(&self.site.backups)?;
        known.0.insert(self.site.cluster.clone(), now);
        Ok(known.write(&self.site.backups)?)
    }

    // --- control plane

    pub(super) async fn check_control_plane(&self) -> Result<Check, Failure> {
        let script = "ls /etc/kubernetes/kopsrun-restore/*.yaml 2>/dev/null; exit 0";
        for host in &self.hosts {
            if !host.hand.script(script).await?.trim().is_empty() {
                return Ok(Check::Needed);
            }
        }
        Ok(Check::Done("no manifest lies aside".to_owned()))
    }

    pub(super) async fn start_control_plane(&self) -> Result<(), Failure> {
        self.parts_on(self.hosts.iter().collect(), "control-plane")
            .await
    }

    // --- backup

    /// A set of the new cluster.
    pub(super) async fn check_backup(&self) -> Result<Check, Failure> {
        let id = format!("{:x}", self.intent.cluster_id());
        let found = backup::list(&self.site.backups)?.sets.into_iter().rev();
        let of_it = |set: &Set| {
            let snapshot = set.manifest.snapshot.as_ref();
            snapshot.is_some_and(|s| s.cluster_id == id)
        };
        Ok(match found.into_iter().find(of_it) {
            Some(set) if set.mark().is_some() => {
                Check::Done(format!("{} is VERIFIED", set.manifest.set))
            }
            Some(set) => Check::Done(format!("{} is taken, unverified", set.manifest.set)),
            None => Check::Needed,
        })
    }

    pub(super) async fn take_backup(&self) -> Result<(), Failure> {
        let seal = match (
            self.set.manifest.encryption(),
            &self.site.backup_keys.passphrase,
        ) {
            (None, _) => Seal::Open,
            (Some(_), Some(passphrase)) => Seal::Passphrase(passphrase.clone()),
            (Some(_), None) => {
                let keys = self.site.backup_keys.identities.iter();
                Seal::Recipients(keys.map(age::x25519::Identity::to_public).collect())
            }
        };
        let create = sets::Create {
            hosts: self
                .hosts
                .iter()
                .map(|host| host.hand.name.clone())
                .collect(),
            more: Vec::new(),
            seal,
        };
        let set = sets::create(&self.site, &create, self.run.as_ref()).await?;
        if let Err(why) = drill::drill(&self.site, &set, &self.programs, self.run.as_ref()).await {
            self.note(
                Level::Warning,
                format!("{} is not verified: {}", set.manifest.set, why.message),
            );
        }
        Ok(())
    }
}
