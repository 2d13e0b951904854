//! This program, where another user can execute it.

use super::refuse;
use crate::context::lock;
use crate::files;
use crate::users::User;
use crate::wire::{Refusal, RefusalKind};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where a program can be put that everybody may execute.
const SHARED: &[&str] = &["/var/tmp", "/dev/shm", "/tmp"];

/// This program, as other users can start it.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) arguments: Vec<OsString>,
    copy: Mutex<Option<PathBuf>>,
}

impl Program {
    pub(crate) fn new(arguments: Vec<OsString>) -> Self {
        Self {
            arguments,
            copy: Mutex::default(),
        }
    }

    pub(super) fn path_for(&self, user: &User) -> Result<PathBuf, Refusal> {
        match fs::read_link("/proc/self/exe") {
            // A replaced program shows as "... (deleted)", which isn't there.
            Ok(path) if path.is_file() && (user.uid == 0 || everyone_can_execute(&path)) => {
                Ok(path)
            }
            _ => self.shared_copy(),
        }
    }

    /// A copy that everybody can execute, made at the first call.
    pub(super) fn shared_copy(&self) -> Result<PathBuf, Refusal> {
        let mut copy = lock(&self.copy);
        if let Some(path) = &*copy {
            return Ok(path.clone());
        }
        let mut reasons = Vec::new();
        for dir in SHARED.iter().map(Path::new) {
            match place_copy(dir) {
                Ok(path) => {
                    *copy = Some(path.clone());
                    return Ok(path);
                }
                Err(error) => reasons.push(format!("{}: {error}", dir.display())),
            }
        }
        Err(refuse(
            RefusalKind::NoProgram,
            format!(
                "the other user can't execute the agent, and there is no directory for a copy ({})",
                reasons.join("; ")
            ),
        ))
    }

    pub(crate) fn remove_copy(&self) {
        if let Some(dir) = lock(&self.copy).take().as_deref().and_then(Path::parent) {
            fs::remove_dir_all(dir).ok();
        }
    }
}

/// Whether any user can get at a file and execute it.
fn everyone_can_execute(file: &Path) -> bool {
    let open =
        |path: &Path, bits: u32| fs::metadata(path).is_ok_and(|meta| meta.mode() & bits == bits);
    open(file, 0o005) && file.ancestors().skip(1).all(|dir| open(dir, 0o001))
}

fn place_copy(parent: &Path) -> io::Result<PathBuf> {
    if rustix::fs::statvfs(parent)?
        .f_flag
        .contains(rustix::fs::StatVfsMountFlags::NOEXEC)
    {
        return Err(io::Error::other("mounted noexec"));
    }
    remove_leftovers(parent);
    let dir = parent.join(format!(
        "{}{}-{}",
        prefix(),
        std::process::id(),
        files::random_hex()
    ));
    DirBuilder::new().mode(0o700).create(&dir)?;
    let path = dir.join("kopsrun-agent");
    let written = (|| {
        let mut to = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        io::copy(&mut File::open("/proc/self/exe")?, &mut to)?;
        to.set_permissions(Permissions::from_mode(0o555))?;
        fs::set_permissions(&dir, Permissions::from_mode(0o711))
    })();
    if let Err(error) = written {
        fs::remove_dir_all(&dir).ok();
        return Err(error);
    }
    Ok(path)
}

fn prefix() -> String {
    format!(".kopsrun-{}-", rustix::process::geteuid().as_raw())
}

/// Removes copies of agents that were killed.
fn remove_leftovers(parent: &Path) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name
            .strip_prefix(&prefix())
            .and_then(|rest| rest.split('-').next());
        let Some(pid) = pid else { continue };
        let ours =
            fs::symlink_metadata(entry.path()).is_ok_and(|meta| meta.is_dir() && meta.uid() == me);
        if ours && !Path::new("/proc").join(pid).exists() {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}
