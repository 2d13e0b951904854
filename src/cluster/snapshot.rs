//! A member's database as a stream.

use super::error::EtcdError;
use super::etcd::Etcd;
use super::member::Member;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long the next piece may take. A member that writes a large database out is slow to begin, not to go on.
const PIECE: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// The stream was fine, the place where it should go wasn't.
    #[error("{0}")]
    Write(#[from] io::Error),
}

impl Etcd {
    /// Write the database of exactly this member to `into`, in pieces of 32 KiB; the SHA-256 of it comes last, 32 bytes.
    /// Returns the number of bytes. `progress` is told how many are done, and how many there will be.
    pub async fn snapshot(
        &self,
        member: &Member,
        into: &mut (dyn AsyncWrite + Unpin + Send),
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<u64, SnapshotError> {
        const WHAT: &str = "take a snapshot";
        let mut client = self.client(&member.client_urls).await?;
        let mut stream = timeout(PIECE, client.snapshot())
            .await
            .map_err(|_| EtcdError::timeout(WHAT, PIECE))?
            .map_err(|e| EtcdError::call(WHAT, e))?;
        let mut done = 0;
        loop {
            let piece = timeout(PIECE, stream.message())
                .await
                .map_err(|_| EtcdError::timeout(WHAT, PIECE))?
                .map_err(|e| EtcdError::call(WHAT, e))?;
            let Some(piece) = piece else {
                into.flush().await?;
                return Ok(done);
            };
            into.write_all(piece.blob()).await?;
            done += piece.blob().len() as u64;
            progress(done, done + piece.remaining_bytes());
        }
    }
}
