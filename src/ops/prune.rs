//! `backup prune`: removes sets that the policy doesn't keep. Never another cluster's, never too many verified ones.

use super::engine::Failure;
use super::identity;
use super::site::Site;
use crate::backup::retention::{Candidate, Fate, Policy, plan};
use crate::backup::{self, Found, Set};
use crate::journal::{Holder, Lock};

/// What becomes of each set with a snapshot, the oldest first; and why some aren't this cluster's.
#[derive(Debug)]
pub struct Pruning {
    pub fates: Vec<(Set, Fate)>,
    pub foreign: Vec<(String, String)>,
    /// Sets that can't be read: they stay.
    pub damaged: Vec<String>,
}

/// Look at all sets and decide. Sets of certificates alone aren't considered: they are small, and nothing proves them.
pub async fn look(site: &Site, policy: &Policy) -> Result<Pruning, Failure> {
    if (Policy {
        verified: 0,
        ..*policy
    }) == Policy::default()
    {
        return Err(Failure::new("nothing says which sets are kept")
            .hint("for example: --keep-last 3 --keep-daily 7 --keep-weekly 4 --keep-monthly 12"));
    }
    let meant = identity::meant(site).await?.ok_or_else(|| {
        Failure::new("the cluster of this inventory can't be reached and was never seen from here: nobody knows which sets are its own")
            .hint("a set that is taken from it notes whose it is: kopsrun backup create")
    })?;
    let Found { sets, damaged } = backup::list(&site.backups)?;
    let sets: Vec<Set> = sets
        .into_iter()
        .filter(|set| set.manifest.snapshot.is_some())
        .collect();
    let mut foreign = Vec::new();
    let candidates: Vec<Candidate> = sets
        .iter()
        .map(|set| {
            let whose = identity::belongs(set, &meant);
            let ours = whose.is_ok();
            if let Err(why) = whose {
                foreign.push((set.manifest.set.clone(), why));
            }
            Candidate {
                taken: set.manifest.taken,
                verified: set.mark().is_some(),
                ours,
            }
        })
        .collect();
    let fates = plan(&candidates, policy);
    Ok(Pruning {
        fates: sets.into_iter().zip(fates).collect(),
        foreign,
        damaged: damaged.into_iter().map(|(name, _)| name).collect(),
    })
}

/// Remove what is to go, the oldest first. Returns the names.
pub fn remove(site: &Site, pruning: &Pruning, holder: &Holder) -> Result<Vec<String>, Failure> {
    // Nothing may be restored from a set while it goes.
    let _lock = Lock::take(&site.locks, &site.cluster, holder)
        .map_err(|error| Failure::new(error.to_string()).hint("wait for it to end, or stop it"))?;
    let mut removed = Vec::new();
    for (set, fate) in &pruning.fates {
        if *fate == Fate::Remove {
            set.remove()?;
            removed.push(set.manifest.set.clone());
        }
    }
    Ok(removed)
}
