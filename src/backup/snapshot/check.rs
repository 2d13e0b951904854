//! Is a snapshot file whole and sound? Answered from the file alone.

use super::bolt::{Store, Unsound};
use super::keyspace::{Reader, Summary};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// etcd puts the SHA-256 of the database behind it (etcd server/etcdserver/api/v3rpc, `Snapshot`).
pub(super) const SEAL: u64 = 32;
/// Pages are multiples of this, so a seal shows in the size of the file.
const SECTOR: u64 = 512;

/// What was found in a sound file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Bytes of the file, the seal included.
    pub size: u64,
    /// Of the whole file, in hexadecimal.
    pub sha256: String,
    pub summary: Summary,
    /// Ids of the members that it lists, in hexadecimal without leading zeros.
    pub members: Vec<String>,
}

/// Read the whole file twice: once for the seal, once for what is in it.
///
/// # Errors
/// It has no seal (a copied data directory rather than a snapshot), the seal is broken, or the database is damaged.
pub fn check(path: &Path) -> Result<Checked, Unsound> {
    let reading = |e: std::io::Error| Unsound::Reading(e.to_string());
    let mut file = File::open(path).map_err(reading)?;
    let size = file.metadata().map_err(reading)?.len();
    if size % SECTOR != SEAL {
        return Err(Unsound::new(format!(
            "its length of {size} bytes is not that of a snapshot, which ends in a checksum: it is cut off, \
             or a copy of a member's own file"
        )));
    }
    let sha256 = sealed(&mut file, size)?;
    let mut reader = Reader::default();
    Store::open(file, size - SEAL)?.walk(&mut reader)?;
    Ok(Checked {
        size,
        sha256,
        members: reader.members().to_vec(),
        summary: reader.finish()?,
    })
}

/// The hash of the whole file, after the one at its end was compared with what comes before it.
fn sealed(file: &mut File, size: u64) -> Result<String, Unsound> {
    let reading = |e: std::io::Error| Unsound::Reading(e.to_string());
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut left = size - SEAL;
    while left > 0 {
        let length = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        file.read_exact(&mut buffer[..length]).map_err(reading)?;
        sum.update(&buffer[..length]);
        left -= length as u64;
    }
    let mut seal = [0; 32];
    file.read_exact(&mut seal).map_err(reading)?;
    if sum.clone().finalize().as_slice() != seal {
        return Err(Unsound::new(
            "its content doesn't match the checksum at its end: bytes were changed",
        ));
    }
    file.seek(SeekFrom::Start(0)).map_err(reading)?;
    sum.update(seal);
    Ok(crate::backup::hex(&sum.finalize()))
}
