//! Directories for what a task needs on the disk only while it runs.

use super::random_hex;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A directory of our own that nobody else can read, removed with what is in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Below the first directory that takes it; `executed`: programs must be executable from there.
    pub(crate) fn new(executed: bool) -> io::Result<Self> {
        let mut reasons = Vec::new();
        for parent in ["/var/tmp", "/tmp", "/dev/shm"].map(Path::new) {
            let dir = parent.join(format!(".kopsrun-{}", random_hex()));
            let made = statvfs(parent).map_err(io::Error::from).and_then(|disk| {
                if executed && disk.f_flag.contains(StatVfsMountFlags::NOEXEC) {
                    return Err(io::Error::other("mounted noexec"));
                }
                DirBuilder::new().mode(0o700).create(&dir)
            });
            match made {
                Ok(()) => return Ok(Self(dir)),
                Err(error) => reasons.push(format!("{}: {error}", parent.display())),
            }
        }
        Err(io::Error::other(reasons.join("; ")))
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, mode: u32, content: &mut dyn io::Read) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    io::copy(content, &mut file).map(drop)
}
