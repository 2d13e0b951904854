//! Files of a set, compressed by zstd and encrypted by age on request: written, read back, unpacked. Streams throughout.

use super::certificate::hex;
use super::keys::{decrypted, encryptor};
use age::{Recipient, x25519};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// zstd's own default: most of what higher levels give, at the speed of a disk.
const LEVEL: i32 = 3;

/// Hash and length of what went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) sha256: String,
    pub(super) size: u64,
}

/// Passes on and hashes.
struct Hashed<W> {
    inner: W,
    sum: Sha256,
    size: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            sum: Sha256::new(),
            size: 0,
        }
    }

    fn finish(self) -> (W, Passed) {
        let passed = Passed {
            sha256: hex(&self.sum.finalize()),
            size: self.size,
        };
        (self.inner, passed)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compress `plain` into `into`, encrypted for `recipients` unless there are none. Returns what lies on the disk, synced.
pub(super) fn pack(
    plain: &mut File,
    into: File,
    recipients: &[x25519::Recipient],
) -> io::Result<Passed> {
    let into = Hashed::new(into);
    let into = match recipients {
        [] => compress(plain, into)?,
        _ => {
            let lock: Vec<&dyn Recipient> = recipients.iter().map(|r| r as _).collect();
            compress(plain, encryptor(&lock)?.wrap_output(into)?)?.finish()?
        }
    };
    let (file, passed) = into.finish();
    file.sync_all()?;
    Ok(passed)
}

fn compress<W: Write>(plain: &mut File, into: W) -> io::Result<W> {
    let mut encoder = zstd::Encoder::new(into, LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(plain, &mut encoder)?;
    encoder.finish()
}

/// What really lies on the disk: read anew, not from memory where the system lets go of it.
pub(super) fn on_disk(path: &Path) -> io::Result<Passed> {
    let mut file = File::open(path)?;
    // Advice: a file system that doesn't take it isn't an error.
    let _advised = fadvise(&file, 0, None, Advice::DontNeed);
    let mut sum = Hashed::new(io::sink());
    io::copy(&mut file, &mut sum)?;
    Ok(sum.finish().1)
}

/// Write the content of a packed file to `into`. `keys`: none where it isn't encrypted.
pub(super) fn unpack(
    path: &Path,
    keys: Option<&[x25519::Identity]>,
    into: impl Write,
) -> io::Result<Passed> {
    let file = File::open(path)?;
    let mut into = Hashed::new(into);
    match keys {
        None => decompress(file, &mut into)?,
        Some(keys) => decompress(decrypted(file, keys)?, &mut into)?,
    }
    into.flush()?;
    Ok(into.finish().1)
}

fn decompress(from: impl Read, into: &mut impl Write) -> io::Result<()> {
    let mut decoder = zstd::Decoder::new(from)?;
    io::copy(&mut decoder, into).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_only_with_the_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let plain = dir.path().join("plain");
        let content: Vec<u8> = (0..300_000u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect();
        std::fs::write(&plain, &content).expect("written");
        let (key, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        for recipients in [vec![], vec![key.to_public(), other.to_public()]] {
            let path = dir.path().join("packed");
            let mut from = File::open(&plain).expect("there");
            let into = File::create(&path).expect("made");
            let passed = pack(&mut from, into, &recipients).expect("packed");
            assert_eq!(on_disk(&path).expect("read"), passed);
            assert!(passed.size < content.len() as u64);
            let keys = [key.clone()];
            let keys = (!recipients.is_empty()).then_some(&keys[..]);
            let mut back = Vec::new();
            let seen = unpack(&path, keys, &mut back).expect("unpacked");
            assert!(back == content);
            assert_eq!(seen.sha256, hex(&Sha256::digest(&content)));
            if keys.is_some() {
                let stranger = [x25519::Identity::generate()];
                let error = unpack(&path, Some(&stranger), io::sink()).expect_err("locked");
                assert_eq!(error.to_string(), "the key doesn't fit");
            }
        }
    }
}
