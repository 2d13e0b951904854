//! One entry of a directory, held open so that nobody can put a link in its place between a look and a change.

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, openat};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Handle {
    /// Opened with O_PATH: nothing of it is read, no right to it is needed.
    file: File,
    path: PathBuf,
}

impl Handle {
    /// Opens what is at `path`; a link itself, not what it leads to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self {
            file: openat(CWD, path, flags, Mode::empty())?.into(),
            path: path.to_path_buf(),
        })
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub(super) fn chown(&self, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
        Ok(chownat(
            &self.file,
            "",
            owner.map(Uid::from_raw),
            group.map(Gid::from_raw),
            AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    pub(super) fn chmod(&self, mode: u32) -> io::Result<()> {
        // fchmod refuses such a descriptor; its name in /proc doesn't.
        let name = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match fs::set_permissions(name, Permissions::from_mode(mode)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::set_permissions(&self.path, Permissions::from_mode(mode))
            }
            other => other,
        }
    }
}
