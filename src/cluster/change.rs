//! Changes of the membership. Each can be repeated: what is already so counts as done, and every answer that may have
//! been lost is checked against the live list.

use super::error::EtcdError;
use super::etcd::{CALL, Etcd};
use super::member::Member;
use etcd_client::MemberAddOptions;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// etcd refuses changes until the voters have been connected for 5 s (its HealthInterval), and an election can come in
/// between.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

impl Etcd {
    /// Add a learner with these peer URLs and return its id.
    ///
    /// One that is already listed with exactly these URLs is taken for ours when it is a learner that never started.
    pub async fn add_learner(&self, peer_urls: &[String]) -> Result<u64, EtcdError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let added = self
                .any("add a learner", CALL, |mut client| async move {
                    let options = MemberAddOptions::new().with_is_learner();
                    client.member_add(peer_urls, Some(options)).await
                })
                .await;
            let error = match added {
                Ok(response) => match response.member() {
                    Some(member) => return Ok(member.id()),
                    None => EtcdError::Refused("etcd added a member but named none".to_owned()),
                },
                Err(error) => error,
            };
            if let Some(listed) = self.listed(peer_urls).await? {
                return own_learner(&listed);
            }
            if !not_yet(&error) || Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    async fn listed(&self, peer_urls: &[String]) -> Result<Option<Member>, EtcdError> {
        let members = self.members().await?;
        Ok(members
            .into_iter()
            .find(|m| m.peer_urls.iter().any(|u| peer_urls.contains(u))))
    }

    /// Make a learner a voter; etcd itself refuses one that is far behind, which is retried for a while.
    pub async fn promote(&self, id: u64) -> Result<(), EtcdError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let promoted = self
                .any("promote the learner", CALL, |mut client| async move {
                    client.member_promote(id).await
                })
                .await;
            let Err(error) = promoted else {
                return Ok(());
            };
            match self.members().await?.iter().find(|m| m.id == id) {
                Some(member) if !member.learner => return Ok(()),
                Some(_) => {}
                None => {
                    return Err(EtcdError::Refused(format!(
                        "member {id:x} is not in the list any more"
                    )));
                }
            }
            let passing = error.says("in sync with leader") || !error.definite();
            if !passing || Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Remove a member by id. Returns when it is gone from the list, a leader exists, and nobody else is missing.
    pub async fn remove(&self, id: u64) -> Result<(), EtcdError> {
        let before = self.members().await?;
        let until = Instant::now() + PATIENCE;
        let mut last = None;
        loop {
            match self.members().await {
                Ok(now) if !now.iter().any(|m| m.id == id) => {
                    return only_that_one_went(&before, &now, id);
                }
                Ok(_) => {}
                Err(error) => last = Some(error),
            }
            if Instant::now() > until {
                return Err(
                    last.unwrap_or_else(|| EtcdError::timeout("remove the member", PATIENCE))
                );
            }
            let removed = self
                .any("remove the member", CALL, |mut client| async move {
                    client.member_remove(id).await
                })
                .await;
            if let Err(error) = removed {
                if !not_yet(&error) && !error.says("member not found") {
                    return Err(error);
                }
                last = Some(error);
                sleep(PAUSE).await;
            }
        }
    }

    /// Hand leadership to `target`. Sent to the leader, as etcd demands; done when all agree on the new one.
    pub async fn move_leader(&self, target: u64) -> Result<(), EtcdError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let view = self.view().await?;
            let leader = view.leader.and_then(|id| view.by_id(id));
            let error = match leader {
                Some(seen) if seen.member.id == target => return Ok(()),
                Some(seen) => {
                    let mut client = self.client(&seen.member.client_urls).await?;
                    match timeout(CALL, client.move_leader(target)).await {
                        Ok(Ok(_)) => EtcdError::timeout("agree on the new leader", PATIENCE),
                        Ok(Err(e)) => EtcdError::call("move the leader", e),
                        Err(_) => EtcdError::timeout("move the leader", CALL),
                    }
                }
                None => EtcdError::Refused("the members agree on no leader".to_owned()),
            };
            if Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// The revision at which all of `members` were hashed, and whether the hashes are equal.
    ///
    /// Members compact on their own time and the hash covers what is left, so only equal beginnings are compared.
    pub async fn same_data(&self, members: &[Member]) -> Result<(i64, bool), EtcdError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let revision = self.revision().await?;
            let hashes =
                futures::future::join_all(members.iter().map(|m| self.hash_kv(m, revision)))
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>();
            let error = match hashes {
                Ok(hashes) => {
                    let (first, begin) = hashes.first().copied().unwrap_or_default();
                    if hashes.iter().all(|(_, b)| *b == begin) {
                        return Ok((revision, hashes.iter().all(|(h, _)| *h == first)));
                    }
                    EtcdError::Refused(
                        "the members have compacted their history to different revisions; \
                         their hashes can't be compared"
                            .to_owned(),
                    )
                }
                // A member that is a moment behind doesn't know the revision yet.
                Err(error) => error,
            };
            if Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }
}

/// An answer that time alone may change: etcd's strict reconfiguration check, or no answer at all.
fn not_yet(error: &EtcdError) -> bool {
    error.says("unhealthy cluster") || error.says("not enough started members") || !error.definite()
}

fn own_learner(listed: &Member) -> Result<u64, EtcdError> {
    if listed.learner && !listed.started() {
        return Ok(listed.id);
    }
    Err(EtcdError::Refused(format!(
        "the address {} belongs to member {} ({:x}) already",
        listed.peer_urls.join(","),
        listed.label(),
        listed.id
    )))
}

fn only_that_one_went(before: &[Member], now: &[Member], id: u64) -> Result<(), EtcdError> {
    let missing: Vec<&str> = before
        .iter()
        .filter(|m| m.id != id && !now.iter().any(|n| n.id == m.id))
        .map(Member::label)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(EtcdError::Refused(format!(
        "{} went from the member list at the same time: something else changes this cluster",
        missing.join(", ")
    )))
}
