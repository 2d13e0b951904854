//! Writing files so that a reader sees the old content or the new, whole, whatever happens in between.

use sha1::{Digest, Sha1};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file mode as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// `0644`: exactly these bits (12 of them).
    Bits(u32),
    /// `u+x,g-w`: a change of what is there.
    Symbolic(Vec<Clause>),
}

/// `u+rw`: for whom, how, what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// `u`, `g`, `o`; none of them means all, less the umask.
    who: Vec<char>,
    operator: char,
    /// Of `rwxXst`, or of `ugo` (the bits of another class).
    what: Vec<char>,
}

impl Mode {
    /// Octal text (`644`, `0644`, `0o644`) or symbolic (`u=rw,g=r,o=r`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return u32::from_str_radix(digits, 8)
                .ok()
                .filter(|bits| *bits <= 0o7777)
                .map(Self::Bits);
        }
        text.split(',')
            .map(Clause::parse)
            .collect::<Option<Vec<_>>>()
            .map(|clauses| Self::Symbolic(clauses.into_iter().flatten().collect()))
    }

    /// The mode that a file gets which has the mode `current` now (for a new one: what the umask leaves).
    pub fn apply(&self, current: u32, is_dir: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Symbolic(clauses) => clauses.iter().fold(current & 0o7777, |mode, clause| {
                clause.apply(mode, is_dir, umask())
            }),
        }
    }
}

impl Clause {
    /// `u+r-w` is two clauses for the same people.
    fn parse(text: &str) -> Option<Vec<Self>> {
        let start = text.find(['+', '-', '='])?;
        let (who, mut rest) = text.split_at(start);
        if !who.chars().all(|who| "ugoa".contains(who)) {
            return None;
        }
        let who: Vec<char> = if who.contains('a') {
            vec!['u', 'g', 'o']
        } else {
            who.chars().collect()
        };
        let mut clauses = Vec::new();
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..]
                .find(['+', '-', '='])
                .map_or(rest.len(), |at| at + 1);
            let what: Vec<char> = rest[1..end].chars().collect();
            let copies = what.len() == 1 && "ugo".contains(what[0]);
            if !copies && !what.iter().all(|bit| "rwxXst".contains(*bit)) {
                return None;
            }
            clauses.push(Self {
                who: who.clone(),
                operator,
                what,
            });
            rest = &rest[end..];
        }
        Some(clauses)
    }

    fn apply(&self, mode: u32, is_dir: bool, umask: u32) -> u32 {
        let everyone = ['u', 'g', 'o'];
        let (who, mask) = if self.who.is_empty() {
            (&everyone[..], !umask)
        } else {
            (&self.who[..], !0)
        };
        who.iter().fold(mode, |mode, who| {
            let shift = shift_of(*who);
            let bits = self
                .what
                .iter()
                .fold(0, |bits, what| bits | bits_of(*what, *who, mode, is_dir))
                & mask;
            let own = 0o7 << shift | special_of(*who);
            match self.operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                _ => mode & !own | bits,
            }
        })
    }
}

fn shift_of(who: char) -> u32 {
    match who {
        'u' => 6,
        'g' => 3,
        _ => 0,
    }
}

fn special_of(who: char) -> u32 {
    match who {
        'u' => 0o4000,
        'g' => 0o2000,
        _ => 0o1000,
    }
}

fn bits_of(what: char, who: char, mode: u32, is_dir: bool) -> u32 {
    let shift = shift_of(who);
    match what {
        'r' => 4 << shift,
        'w' => 2 << shift,
        'x' => 1 << shift,
        'X' if is_dir || mode & 0o111 != 0 => 1 << shift,
        's' if who != 'o' => special_of(who),
        't' if who == 'o' => 0o1000,
        'u' | 'g' | 'o' => (mode >> shift_of(what) & 0o7) << shift,
        _ => 0,
    }
}

/// The umask of this process, read without changing it (other threads create files meanwhile).
pub fn umask() -> u32 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        })
        .unwrap_or(0o022)
}

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
        let target = match fs::symlink_metadata(target) {
            Ok(meta) if meta.file_type().is_symlink() => resolve_link(target)?,
            _ => target.to_path_buf(),
        };
        let old = fs::metadata(&target).ok();
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

/// Writes a whole file as [`Atomic`] does.
pub fn write(target: &Path, content: &[u8], attributes: Attributes) -> io::Result<()> {
    let mut file = Atomic::create(target, attributes)?;
    file.write_all(content)?;
    file.commit()
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

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Where a chain of links ends, even when nothing is there yet.
fn resolve_link(link: &Path) -> io::Result<PathBuf> {
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
    let name = target.file_name().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} names no file", target.display()),
        )
    })?;
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
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "no free name for a temporary file",
    ))
}

fn temporary_name(name: &OsStr) -> OsString {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let mut temporary = OsString::from(".");
    // Names are limited to 255 bytes; keep enough of this one to recognise it.
    let bytes = name.as_encoded_bytes();
    temporary.push(String::from_utf8_lossy(&bytes[..bytes.len().min(150)]).as_ref());
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
    fn modes_are_read_as_chmod_reads_them() {
        let apply =
            |text: &str, current, dir| Mode::parse(text).map(|mode| mode.apply(current, dir));
        assert_eq!(apply("0644", 0, false), Some(0o644));
        assert_eq!(apply("2755", 0, true), Some(0o2755));
        assert_eq!(apply("0o600", 0, false), Some(0o600));
        assert_eq!(apply("u=rw,g=r,o=", 0o777, false), Some(0o640));
        assert_eq!(apply("a+X", 0o644, false), Some(0o644));
        assert_eq!(apply("a+X", 0o644, true), Some(0o755));
        assert_eq!(apply("u+x,g-w", 0o664, false), Some(0o744));
        assert_eq!(apply("g=u", 0o640, false), Some(0o660));
        assert_eq!(apply("u+s,o+t", 0o755, true), Some(0o5755));
        assert_eq!(apply("u+r-w", 0o200, false), Some(0o400));
        for wrong in ["rw", "0999", "77777", "u=rw;", "z+x", ""] {
            assert_eq!(Mode::parse(wrong), None, "{wrong}");
        }
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

    proptest::proptest! {
        #[test]
        fn any_octal_mode_means_itself(bits in 0u32..0o10000) {
            proptest::prop_assert_eq!(Mode::parse(&format!("{bits:04o}")), Some(Mode::Bits(bits)));
        }

        #[test]
        fn no_text_panics_and_no_mode_leaves_its_12_bits(text in "\\PC{0,12}", current in 0u32..0o10000) {
            if let Some(mode) = Mode::parse(&text) {
                proptest::prop_assert!(mode.apply(current, false) <= 0o7777);
            }
        }
    }
}
