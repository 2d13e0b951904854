//! What keeps a healthy cluster healthy, and what a restored one needs: history, space, alarms.

use super::error::EtcdError;
use super::etcd::{CALL, Etcd};
use super::member::Member;
use etcd_client::{AlarmAction, AlarmType, CompactionOptions, GetOptions};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::time::timeout;

/// How long a member may take to rewrite its database; it serves nothing meanwhile.
const DEFRAGMENT: Duration = Duration::from_secs(600);
/// Writes that are under way at once.
const WRITERS: usize = 64;
/// A key that is written for its revision alone.
const FILLER: &str = "/kopsrun/revision";

impl Etcd {
    /// How many keys there are at the latest revision, and which that is.
    pub async fn count(&self) -> Result<(i64, u64), EtcdError> {
        let found = self
            .any("count the keys", CALL, |mut client| async move {
                let options = GetOptions::new().with_all_keys().with_count_only();
                client.get("", Some(options)).await
            })
            .await?;
        let revision = found
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        Ok((revision, found.count().unsigned_abs()))
    }

    /// Forget the history before `revision`; watchers that ask for it are told so.
    pub async fn compact(&self, revision: i64) -> Result<(), EtcdError> {
        let done = self
            .any("compact the history", CALL, |mut client| async move {
                let options = CompactionOptions::new().with_physical();
                client.compact(revision, Some(options)).await
            })
            .await;
        match done {
            Err(error) if error.says("has been compacted") => Ok(()),
            done => done.map(drop),
        }
    }

    /// Whether the history at `revision` is forgotten.
    pub async fn compacted(&self, revision: i64) -> Result<bool, EtcdError> {
        let read = self
            .any("read an old revision", CALL, |mut client| async move {
                let options = GetOptions::new().with_revision(revision);
                client.get("health", Some(options)).await
            })
            .await;
        match read {
            Ok(_) => Ok(false),
            Err(error) if error.says("has been compacted") => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Raise the revision to `wanted` by writing a key again and again, then remove it. What etcd's own tools do while
    /// restoring from 3.5.13 on is done here where they can't.
    pub async fn advance(
        &self,
        wanted: i64,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), EtcdError> {
        let begin = self.revision().await?;
        // The removal counts too.
        let writes = u64::try_from(wanted - begin - 1).unwrap_or_default();
        let mut done = 0;
        let mut writing = stream::iter(0..writes)
            .map(|number| async move { self.put(FILLER, &number.to_be_bytes()).await })
            .buffer_unordered(WRITERS);
        while writing.try_next().await?.is_some() {
            done += 1;
            progress(done, writes);
        }
        self.any("remove a key", CALL, |mut client| async move {
            client.delete(FILLER, None).await
        })
        .await
        .map(drop)
    }

    /// Give space that was freed back to the disk, on exactly this member.
    pub async fn defragment(&self, member: &Member) -> Result<(), EtcdError> {
        let mut client = self.client(&member.client_urls).await?;
        timeout(DEFRAGMENT, client.defragment())
            .await
            .map_err(|_| EtcdError::timeout("defragment", DEFRAGMENT))?
            .map_err(|e| EtcdError::call("defragment", e))
            .map(drop)
    }

    /// Take back the alarms of a kind on one member.
    pub async fn disarm(&self, member: u64, corrupt: bool) -> Result<(), EtcdError> {
        let kind = match corrupt {
            true => AlarmType::Corrupt,
            false => AlarmType::Nospace,
        };
        self.any("disarm an alarm", CALL, |mut client| async move {
            let mut of = etcd_client::AlarmOptions::new();
            of.with_member(member);
            client.alarm(AlarmAction::Deactivate, kind, Some(of)).await
        })
        .await
        .map(drop)
    }
}
