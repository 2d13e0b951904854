//! Writing files so that a reader sees the old content or the new, whole, whatever happens in between.

mod mode;
mod scratch;

pub use mode::{Clause, Mode, umask};
pub(crate) use scratch::{Scratch, write_new};

use sha1::{Digest, Sha1};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Who owns a file that is written, and its mode; what is `None` stays as it is (for a new file: as the umask says).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

/// A file being written beside the one that it replaces.
///
/// Mode and owner are set before the first byte. Dropped without [`Self::commit`], nothing has happened.
#[derive(Debug)]
pub struct Atomic {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Atomic {
    /// Opens a temporary file beside `target`. A symbolic link is followed, so that the link stays one.
    pub fn create(target: &Path, attributes: Attributes) -> io::Result<Self> {
        Self::beside(resolve(target)?, attributes)
    }

    /// The same, but a symbolic link itself is replaced by the file.
    pub fn replace(target: &Path, attributes: Attributes) -> io::Result<Self> {
        Self::beside(target.to_path_buf(), attributes)
    }

    fn beside(target: PathBuf, attributes: Attributes) -> io::Result<Self> {
        let old = fs::symlink_metadata(&target)
            .ok()
            .filter(fs::Metadata::is_file);
        let (file, temporary) = temporary_beside(&target)?;
        let this = Self {
            file,
            temporary,
            target,
            committed: false,
        };
        this.set_attributes(attributes, old.as_ref())?;
        Ok(this)
    }

    fn set_attributes(&self, attributes: Attributes, old: Option<&fs::Metadata>) -> io::Result<()> {
        let mode = attributes
            .mode
            .or(old.map(|old| old.mode() & 0o7777))
            .unwrap_or(0o666 & !umask());
        let now = self.file.metadata()?;
        let owner = attributes
            .owner
            .or(old.map(MetadataExt::uid))
            .filter(|uid| *uid != now.uid());
        let group = attributes
            .group
            .or(old.map(MetadataExt::gid))
            .filter(|gid| *gid != now.gid());
        if owner.is_some() || group.is_some() {
            let result = std::os::unix::fs::fchown(&self.file, owner, group);
            // Only what was asked for must succeed: a user who may write the file need not be its owner.
            if attributes.owner.is_some() || attributes.group.is_some() {
                result?;
            }
        }
        self.file
            .set_permissions(fs::Permissions::from_mode(mode))?;
        if old.is_some() {
            copy_label(&self.target, &self.temporary);
        }
        Ok(())
    }

    /// The temporary file, for programs that check it before it counts (`validate: visudo -cf %s`).
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes the content durable and puts it in the place of the old one.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        self.rename()
    }

    /// The same; where the file can't be replaced (it is a mount point, as /etc/hosts in containers), its content is
    /// overwritten. A crash in between leaves a part of it.
    pub fn commit_or_overwrite(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        match self.rename() {
            Err(error) if !self.committed && error.kind() == io::ErrorKind::ResourceBusy => {
                self.file.seek(io::SeekFrom::Start(0))?;
                let mut target = OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .open(&self.target)?;
                io::copy(&mut self.file, &mut target)?;
                target.sync_all()
            }
            other => other,
        }
    }

    /// Makes the content durable and lets go of the open file; [`Parked::commit`] puts it in place.
    pub(crate) fn park(mut self) -> io::Result<Parked> {
        self.file.sync_all()?;
        self.committed = true;
        Ok(Parked {
            temporary: std::mem::take(&mut self.temporary),
            target: std::mem::take(&mut self.target),
        })
    }

    fn rename(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        sync_parent(&self.target)
    }
}

impl Write for Atomic {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Atomic {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing more can be done about a temporary file that can't be removed.
            fs::remove_file(&self.temporary).ok();
        }
    }
}

/// A file that is written, beside the one that it will replace. Dropped without [`Self::commit`], nothing has happened.
#[derive(Debug)]
pub(crate) struct Parked {
    temporary: PathBuf,
    target: PathBuf,
}

impl Parked {
    /// Puts the file in its place; whoever puts many syncs their directories at the end.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        self.temporary = PathBuf::new();
        Ok(())
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            fs::remove_file(&self.temporary).ok();
        }
    }
}

/// Writes a whole file as [`Atomic`] does.
pub fn write(target: &Path, content: &[u8], attributes: Attributes) -> io::Result<()> {
    let mut file = Atomic::create(target, attributes)?;
    file.write_all(content)?;
    file.commit()
}

/// Makes a symbolic link, in the place of whatever file or link is there.
pub fn symlink(content: &Path, link: &Path) -> io::Result<()> {
    let name = file_name(link)?;
    for _ in 0..100 {
        let temporary = parent(link).join(temporary_name(name));
        match std::os::unix::fs::symlink(content, &temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        }
        if let Err(error) = fs::rename(&temporary, link) {
            fs::remove_file(&temporary).ok();
            return Err(error);
        }
        return sync_parent(link);
    }
    Err(no_free_name())
}

/// Makes a hard link to `existing`, in the place of whatever file or link is there.
pub fn hard_link(existing: &Path, link: &Path) -> io::Result<()> {
    let name = file_name(link)?;
    for _ in 0..100 {
        let temporary = parent(link).join(temporary_name(name));
        match fs::hard_link(existing, &temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        }
        let renamed = fs::rename(&temporary, link);
        // Where both were the same file already, rename does nothing and the temporary name stays.
        fs::remove_file(&temporary).ok();
        renamed?;
        return sync_parent(link);
    }
    Err(no_free_name())
}

/// Makes a rename or a removal in the directory of `path` durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match File::open(parent(path)).and_then(|dir| dir.sync_all()) {
        // Some file systems can't sync a directory.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Hexadecimal SHA-1 of a file, as Ansible's `checksum`.
pub fn sha1(path: &Path) -> io::Result<String> {
    sha1_of(&mut File::open(path)?)
}

/// Hexadecimal SHA-1 of all that can be read.
pub fn sha1_of(input: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha1::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hexadecimal MD5 of a file, as Ansible's `md5sum`.
pub fn md5(path: &Path) -> io::Result<String> {
    digest::<md5::Md5>(path)
}

pub(crate) fn digest<D: Digest>(path: &Path) -> io::Result<String> {
    let mut hasher = D::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The directory that holds a path.
pub fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Where a chain of links ends, even when nothing is there yet; what is no link is itself.
pub fn resolve(link: &Path) -> io::Result<PathBuf> {
    let mut path = link.to_path_buf();
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(next) => path = parent(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} is a link that leads back to itself", link.display()),
    ))
}

/// A new file, 0600, with a name that nobody could have prepared.
fn temporary_beside(target: &Path) -> io::Result<(File, PathBuf)> {
    let name = file_name(target)?;
    for _ in 0..100 {
        let path = parent(target).join(temporary_name(name));
        match OpenOptions::new()
            .write(true)
            .read(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(no_free_name())
}

fn no_free_name() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "no free name for a temporary file",
    )
}

fn file_name(path: &Path) -> io::Result<&OsStr> {
    path.file_name().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} names no file", path.display()),
        )
    })
}

fn temporary_name(name: &OsStr) -> OsString {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let mut temporary = OsString::from(".");
    // Names are limited to 255 bytes; keep enough of this one to recognise it.
    let bytes = name.as_bytes();
    temporary.push(OsStr::from_bytes(&bytes[..bytes.len().min(150)]));
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(
        ".kopsrun-{}-{count}-{}",
        std::process::id(),
        random_hex()
    ));
    temporary
}

/// Eight random bytes in hexadecimal.
pub(crate) fn random_hex() -> String {
    let mut bytes = [0; 8];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    if read.is_err() {
        // A chroot without /dev: O_EXCL still refuses what somebody prepared.
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        bytes = now.to_ne_bytes();
    }
    hex(&bytes)
}

/// A replaced file keeps its SELinux label. Where there is none, or no right to set it, there is nothing to keep.
fn copy_label(from: &Path, to: &Path) {
    const LABEL: &str = "security.selinux";
    let mut label = [0; 512];
    if let Ok(size) = rustix::fs::getxattr(from, LABEL, &mut label[..]) {
        rustix::fs::setxattr(to, LABEL, &label[..size], rustix::fs::XattrFlags::empty()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").mode() & 0o7777
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        write(
            &file,
            b"one",
            Attributes {
                mode: Some(0o640),
                ..Attributes::default()
            },
        )
        .expect("written");
        std::os::unix::fs::symlink("file", &link).expect("a link");
        write(&link, b"two", Attributes::default()).expect("written");
        assert_eq!(fs::read(&file).expect("there"), b"two");
        assert_eq!(mode_of(&file), 0o640);
        assert!(
            fs::symlink_metadata(&link)
                .expect("there")
                .file_type()
                .is_symlink()
        );
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2);
    }

    #[test]
    fn the_mode_is_set_before_the_content_and_a_drop_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("secret");
        let half = Atomic::create(
            &file,
            Attributes {
                mode: Some(0o400),
                ..Attributes::default()
            },
        )
        .expect("opened");
        assert_eq!(mode_of(half.temporary()), 0o400);
        drop(half);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
    }

    #[test]
    fn checksums_are_ansibles() {
        assert_eq!(
            sha1_of(&mut &b"hello\n"[..]).expect("readable"),
            "f572d396fae9206628714fb2ce00f72e94f2258f"
        );
    }
}
