//! Reading the tar of one node: what is in it, and single files out of it.

use super::certificate::{CertificateInfo, hex};
use super::manifest::{EntryKind, FileEntry};
use crate::secret::Secret;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};
use tar::{Archive, Entry, EntryType};

/// Certificates are small; what is bigger isn't one.
const MAX_CERTIFICATE: u64 = 1 << 20;

/// SHA-256 of a whole file, hexadecimal, and its size.
pub fn digest(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hex(&hasher.finalize()), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

/// All that is in the archive, in its order.
pub fn entries(path: &Path) -> io::Result<Vec<FileEntry>> {
    let mut archive = Archive::new(File::open(path)?);
    archive
        .entries()?
        .filter_map(|entry| entry.and_then(read).transpose())
        .collect()
}

/// The content of one file of the archive, by its absolute path on the node.
pub fn content(archive: &Path, path: &str) -> io::Result<Secret<Vec<u8>>> {
    let mut archive = Archive::new(File::open(archive)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if absolute(&entry.path()?)? == path && entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(Secret::new(bytes));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("{path} is not in the archive"),
    ))
}

fn read(mut entry: Entry<'_, File>) -> io::Result<Option<FileEntry>> {
    let header = entry.header().clone();
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Link,
        _ => return Ok(None),
    };
    let path = absolute(&entry.path()?)?;
    let target = match kind {
        EntryKind::Link => entry.link_name()?.map(|t| t.to_string_lossy().into_owned()),
        _ => None,
    };
    let (mut sha256, mut certificate) = (String::new(), None);
    if kind == EntryKind::File {
        let mut bytes = Vec::new();
        let mut hasher = Sha256::new();
        Read::by_ref(&mut entry)
            .take(MAX_CERTIFICATE)
            .read_to_end(&mut bytes)?;
        hasher.update(&bytes);
        certificate = CertificateInfo::read(&bytes);
        // Keys went through here too.
        drop(Secret::new(bytes));
        io::copy(&mut entry, &mut Hash(&mut hasher))?;
        sha256 = hex(&hasher.finalize());
    }
    let name = |name: Option<&[u8]>, id: u64| match name.map(String::from_utf8_lossy) {
        Some(name) if !name.is_empty() => name.into_owned(),
        _ => id.to_string(),
    };
    Ok(Some(FileEntry {
        path,
        kind,
        size: header.size()?,
        sha256,
        mode: format!("{:04o}", header.mode()? & 0o7777),
        owner: name(header.username_bytes(), header.uid()?),
        group: name(header.groupname_bytes(), header.gid()?),
        target,
        certificate,
    }))
}

struct Hash<'a>(&'a mut Sha256);

impl io::Write for Hash<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `etc/ssl/x` or `/etc/ssl/x` → `/etc/ssl/x`. A path that climbs is refused.
fn absolute(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => {
                text.push('/');
                text.push_str(&name.to_string_lossy());
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} leads out of the archive", path.display()),
                ));
            }
        }
    }
    Ok(text)
}
