//! The lock that a cluster keeps itself: a key that goes away with its holder.
//!
//! It keeps runs from two controllers apart. The key lives as long as its lease is renewed, so a dead controller blocks
//! nobody for longer than [`TTL`].

use super::error::EtcdError;
use super::etcd::{CALL, Etcd};
use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

pub const KEY: &str = "/kopsrun/lock";
pub const TTL: Duration = Duration::from_secs(30);

/// The key in our hands. Renewed in the background until it is released or the process ends.
pub struct Leased {
    etcd: Arc<Etcd>,
    lease: i64,
    value: String,
    renewal: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it; this is what they wrote into it.
    #[error("the cluster is locked: {0}")]
    Held(String),
    #[error(transparent)]
    Etcd(#[from] EtcdError),
}

impl Leased {
    /// Take the key and write `value` into it. A key whose value `ours` recognises (a run of this controller that is
    /// dead) is taken over without waiting for its lease to end.
    pub async fn take(
        etcd: Arc<Etcd>,
        value: String,
        ours: impl Fn(&str) -> bool,
    ) -> Result<Self, LeaseError> {
        let lease = grant(&etcd).await?;
        match write(&etcd, lease, &value, ours).await {
            Ok(()) => {}
            Err(error) => {
                revoke(&etcd, lease).await;
                return Err(error);
            }
        }
        let renewal = tokio::spawn(renew(Arc::clone(&etcd), lease));
        Ok(Self {
            etcd,
            lease,
            value,
            renewal,
        })
    }

    /// Make sure that the key is still ours, after a time in which the cluster may not have answered. A key that ran
    /// out is taken again; one that somebody else took is theirs.
    pub async fn confirm(&mut self) -> Result<(), LeaseError> {
        match self.etcd.get(KEY).await? {
            Some(value) if value == self.value.as_bytes() => Ok(()),
            _ => {
                self.renewal.abort();
                self.lease = grant(&self.etcd).await?;
                write(&self.etcd, self.lease, &self.value, |_| false).await?;
                self.renewal = tokio::spawn(renew(Arc::clone(&self.etcd), self.lease));
                Ok(())
            }
        }
    }

    /// Let go at once.
    pub async fn release(self) {
        self.renewal.abort();
        revoke(&self.etcd, self.lease).await;
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// What holds the lock now, as it was written.
pub async fn holder(etcd: &Etcd) -> Result<Option<String>, EtcdError> {
    let value = etcd.get(KEY).await?;
    Ok(value.map(|v| String::from_utf8_lossy(&v).into_owned()))
}

async fn grant(etcd: &Etcd) -> Result<i64, EtcdError> {
    let ttl = TTL.as_secs().cast_signed();
    etcd.any("get a lease", CALL, |mut client| async move {
        client.lease_grant(ttl, None).await
    })
    .await
    .map(|lease| lease.id())
}

/// A lease that can't be given back ends by itself.
async fn revoke(etcd: &Etcd, lease: i64) {
    etcd.any("give the lease back", CALL, |mut client| async move {
        client.lease_revoke(lease).await
    })
    .await
    .ok();
}

async fn write(
    etcd: &Etcd,
    lease: i64,
    value: &str,
    ours: impl Fn(&str) -> bool,
) -> Result<(), LeaseError> {
    // The revision of the key that may be replaced; 0: there is none.
    let mut expected = 0;
    loop {
        let response = etcd
            .any("take the lock", CALL, |mut client| async move {
                let put = PutOptions::new().with_lease(lease);
                let txn = Txn::new()
                    .when([Compare::mod_revision(KEY, CompareOp::Equal, expected)])
                    .and_then([TxnOp::put(KEY, value, Some(put))])
                    .or_else([TxnOp::get(KEY, None::<GetOptions>)]);
                client.txn(txn).await
            })
            .await?;
        if response.succeeded() {
            return Ok(());
        }
        let found = response.op_responses().into_iter().find_map(|r| match r {
            etcd_client::TxnOpResponse::Get(get) => get.kvs().first().map(|kv| {
                (
                    kv.mod_revision(),
                    String::from_utf8_lossy(kv.value()).into_owned(),
                )
            }),
            _ => None,
        });
        match found {
            // Our own answer was lost on the way, or our lease ran out and this is what it left.
            Some((revision, held)) if held == value || ours(&held) => expected = revision,
            Some((_, held)) => return Err(LeaseError::Held(held)),
            None => expected = 0,
        }
    }
}

/// Renew three times as often as needed. Failures are left to [`Leased::confirm`].
async fn renew(etcd: Arc<Etcd>, lease: i64) {
    loop {
        tokio::time::sleep(TTL / 6).await;
        etcd.any("renew the lease", CALL / 4, |mut client| async move {
            // Opening the stream renews once; it isn't kept, because its member may be the one that goes away.
            client.lease_keep_alive(lease).await
        })
        .await
        .ok();
    }
}
