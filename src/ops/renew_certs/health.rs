//! Whether etcd bears it: before the first change, and after each node, no member may be worse than it was.

use super::facts::{Realm, Target};
use crate::cluster::{Etcd, Seen, View};
use crate::ops::engine::Failure;
use crate::ops::site::Site;
use crate::ops::status;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a member may take to be well after it got new certificates.
const SETTLE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);

/// What was found before the first change.
pub(super) enum Health {
    /// No host of the group has something to change.
    Apart,
    /// Certificates of etcd have ended: nobody can ask it before they are new.
    Ended(Site),
    Known {
        site: Site,
        etcd: Arc<Etcd>,
        /// Members that were unwell before.
        unwell: BTreeSet<u64>,
        voters: String,
    },
}

impl Health {
    pub(super) async fn judge(
        site: &Site,
        members: &[String],
        targets: &[Target],
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let mut places = targets.iter().flat_map(|t| &t.places);
        if !places.any(|place| members.contains(&place.host)) {
            return Ok(Self::Apart);
        }
        let ended = |t: &Target| t.authority.realm() == Realm::Etcd && t.issued.not_after <= now;
        let looked = look(site).await;
        let (etcd, view) = match looked {
            Ok(looked) => looked,
            Err(_) if targets.iter().any(ended) => return Ok(Self::Ended(site.clone())),
            Err(why) => return Err(why),
        };
        let voters = view.voters();
        if view.stale || !voters.has_quorum() {
            if targets.iter().any(ended) {
                return Ok(Self::Ended(site.clone()));
            }
            return Err(Failure::new(format!(
                "etcd has no quorum: {} of {} voters serve. Certificates are renewed only while their effect can be seen",
                voters.healthy, voters.total
            ))
            .hint("look at the members: kopsrun etcd status"));
        }
        Ok(Self::Known {
            site: site.clone(),
            etcd: Arc::new(etcd),
            unwell: unwell(&view).map(|seen| seen.member.id).collect(),
            voters: format!(
                "{} of {} voters of etcd are healthy, {} more may fail",
                voters.healthy,
                voters.total,
                voters.tolerance()
            ),
        })
    }

    /// A way into the cluster that keeps a lock there.
    pub(super) fn etcd(&self) -> Option<&Arc<Etcd>> {
        match self {
            Self::Known { etcd, .. } => Some(etcd),
            _ => None,
        }
    }

    pub(super) fn notes(&self) -> Vec<String> {
        match self {
            Self::Apart => Vec::new(),
            Self::Ended(_) => vec![
                "certificates of etcd have ended, so it can't be asked: its health is judged when all of them are new"
                    .to_owned(),
            ],
            Self::Known { unwell, voters, .. } => {
                let mut notes = vec![voters.clone()];
                if !unwell.is_empty() {
                    notes.push(format!(
                        "{} members are unwell already, which new certificates may not mend",
                        unwell.len()
                    ));
                }
                notes
            }
        }
    }

    /// Wait until all members that were well before are well, asked with the certificates that lie on the hosts now.
    ///
    /// `whole`: also when nobody could be asked before, because this is the end.
    pub(super) async fn gate(&self, whole: bool) -> Result<String, Failure> {
        let none = BTreeSet::new();
        let (site, before) = match self {
            Self::Apart => return Ok("etcd isn't concerned".to_owned()),
            Self::Ended(_) if !whole => return Ok("etcd is asked at the end".to_owned()),
            Self::Ended(site) => (site, &none),
            Self::Known { site, unwell, .. } => (site, unwell),
        };
        let begin = Instant::now();
        loop {
            let why = match look(site).await {
                Err(why) => why.message,
                Ok((_, view)) => match worse(&view, before) {
                    None => {
                        let voters = view.voters();
                        return Ok(format!(
                            "{} of {} voters are healthy",
                            voters.healthy, voters.total
                        ));
                    }
                    Some(why) => why,
                },
            };
            if begin.elapsed() > SETTLE {
                return Err(Failure::new(format!(
                    "etcd isn't well within {} s: {why}",
                    SETTLE.as_secs()
                ))
                .hint("look at the members: kopsrun etcd status"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Through new connections.
async fn look(site: &Site) -> Result<(Etcd, View), Failure> {
    let (etcd, _) = status::open(site).await?;
    let view = etcd.view().await?;
    Ok((etcd, view))
}

fn unwell(view: &View) -> impl Iterator<Item = &Seen> {
    view.members
        .iter()
        .filter(|s| !s.healthy() && !s.member.learner)
}

fn worse(view: &View, before: &BTreeSet<u64>) -> Option<String> {
    if view.stale || view.leader.is_none() {
        return Some("the members agree on no leader".to_owned());
    }
    let new = unwell(view).find(|seen| !before.contains(&seen.member.id))?;
    Some(format!("{} is unwell", new.member.label()))
}
