//! Giving a file new content: a copy of the old one kept, the new one checked by a program, then put in place whole.

use crate::files::{Atomic, Attributes, parent};
use crate::modules::ownership::kind_of;
use crate::{Arg, Context, Failure, Kind, words};
use rustix::fs::{Access, access};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Longer content isn't shown in a diff.
pub(crate) const MAX_DIFF: u64 = 1 << 20;

/// Longer files aren't edited in memory.
const MAX_EDITED: u64 = 256 << 20;

/// How a file is rewritten, as a part of the arguments of a module (`#[serde(flatten)]`).
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Rewrite {
    backup: bool,
    validate: Option<String>,
    unsafe_writes: bool,
}

/// The arguments, for the specification of a module.
pub(crate) const ARGS: [Arg; 3] = [
    Arg::new(
        "backup",
        Kind::Bool,
        "Keep the old file, with the time in its name.",
    )
    .default("no"),
    Arg::new(
        "validate",
        Kind::Str,
        "Command that checks the new content before it counts; %s is its file.",
    ),
    Arg::new(
        "unsafe_writes",
        Kind::Bool,
        "Overwrite a file that can't be replaced, such as one that is mounted into a container.",
    )
    .default("no"),
];

/// Content on its way, and how much of it there is.
pub(crate) struct Content<'a> {
    pub(crate) input: &'a mut dyn Read,
    pub(crate) size: u64,
}

impl Rewrite {
    /// Fails as [`Self::put`] would for what can be known without trying.
    pub(crate) fn would(&self, dest: &Path) -> Result<(), Failure> {
        self.check_validate()?;
        let old = self.look(dest)?;
        let dir = parent(dest);
        let blocked = access(dir, Access::WRITE_OK).err().filter(|_| {
            // What can't be replaced may still be overwritten.
            !(self.unsafe_writes && old.is_some() && access(dest, Access::WRITE_OK).is_ok())
        });
        match blocked {
            // A directory that isn't there yet may be made by an earlier task.
            None | Some(rustix::io::Errno::NOENT) => Ok(()),
            Some(error) => Err(Failure::io("cannot write in", dir, &error.into())),
        }
    }

    /// Replaces `dest`, which must not be a link (or is a link that shall become a file). Returns the backup, if one
    /// was asked for and there was a file.
    pub(crate) fn put(
        &self,
        cx: &Context,
        dest: &Path,
        attributes: Attributes,
        content: &mut Content<'_>,
    ) -> Result<Option<PathBuf>, Failure> {
        self.check_validate()?;
        let old = self.look(dest)?;
        let needed = content.size;
        let failed = |error: &io::Error| write_failure(dest, needed, old.is_some(), error);
        let mut file = match Atomic::replace(dest, attributes) {
            Ok(file) => file,
            Err(error) if self.unsafe_writes && old.is_some() && is_closed(&error) => {
                return self.overwrite(cx, dest, old.as_ref(), content);
            }
            Err(error) => return Err(failed(&error)),
        };
        pour(content, &mut file, &failed)?;
        self.validate(cx, file.temporary())?;
        let backup = self.back_up(dest, old.as_ref())?;
        if self.unsafe_writes {
            file.commit_or_overwrite()
        } else {
            file.commit()
        }
        .map_err(|error| match error.kind() {
            ErrorKind::ResourceBusy => Failure::io("cannot replace", dest, &error)
                .during("it is a mount point; unsafe_writes: true overwrites it in place"),
            _ => failed(&error),
        })?;
        Ok(backup)
    }

    /// The directory is closed to us and the file isn't.
    fn overwrite(
        &self,
        cx: &Context,
        dest: &Path,
        old: Option<&Metadata>,
        content: &mut Content<'_>,
    ) -> Result<Option<PathBuf>, Failure> {
        if self.validate.is_some() || self.backup {
            return Err(Failure::new(format!(
                "the directory of {} can't be written to, so neither backup nor validate are possible",
                dest.display()
            )));
        }
        let failed = |error: &io::Error| Failure::io("cannot overwrite", dest, error);
        let mut all = Vec::new();
        content
            .input
            .read_to_end(&mut all)
            .map_err(|error| Failure::new(format!("cannot read the content: {error}")))?;
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(old.is_some())
            .open(dest)
            .map_err(|error| failed(&error))?;
        file.write_all(&all)
            .and_then(|()| file.sync_all())
            .map_err(|error| failed(&error))?;
        cx.warn(format!(
            "{} was overwritten in place: its directory can't be written to",
            dest.display()
        ));
        Ok(None)
    }

    /// What is there now; only a regular file can be replaced by one.
    fn look(&self, dest: &Path) -> Result<Option<Metadata>, Failure> {
        let meta = match fs::symlink_metadata(dest) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io("cannot stat", dest, &error)),
        };
        if meta.is_symlink() {
            return Ok(None);
        }
        if !meta.is_file() {
            return Err(Failure::new(format!(
                "{} is a {}, not a file",
                dest.display(),
                kind_of(&meta)
            )));
        }
        Ok(Some(meta))
    }

    fn check_validate(&self) -> Result<(), Failure> {
        match &self.validate {
            Some(command) if !command.contains("%s") => Err(Failure::new(format!(
                "validate must contain %s: {command} (%s stands for the file to check)"
            ))),
            _ => Ok(()),
        }
    }

    fn validate(&self, cx: &Context, file: &Path) -> Result<(), Failure> {
        let Some(command) = &self.validate else {
            return Ok(());
        };
        let mut words = words::split(command)?.into_iter().map(|word| {
            let parts: Vec<_> = word
                .split("%s")
                .map(|part| part.replace("%%", "%").into_bytes())
                .collect();
            let bytes = parts.join(file.as_os_str().as_bytes());
            std::ffi::OsStr::from_bytes(&bytes).to_owned()
        });
        let program = words
            .next()
            .ok_or_else(|| Failure::new("validate is empty"))?;
        let output = cx.process(program).args(words).system().run()?;
        if output.ok() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "failed to validate: `{command}` ended with {}; the old file is untouched",
            output.rc
        ))
        .with("exit_status", output.rc)
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text()))
    }

    fn back_up(&self, dest: &Path, old: Option<&Metadata>) -> Result<Option<PathBuf>, Failure> {
        if !self.backup || old.is_none() {
            return Ok(None);
        }
        keep_copy(dest).map(Some)
    }
}

/// A copy of a file as `dest.PID.YYYY-MM-DD@HH:MM:SS~`, as Ansible names it, with its mode and owner. One process makes
/// the copies of a whole run, so the number is the next one that is free: an earlier copy of this second is kept.
pub(crate) fn keep_copy(dest: &Path) -> Result<PathBuf, Failure> {
    let time = jiff::Zoned::now().strftime("%Y-%m-%d@%H:%M:%S");
    let named = |number: u32| {
        let mut name = dest.as_os_str().to_owned();
        name.push(format!(".{number}.{time}~"));
        PathBuf::from(name)
    };
    let mut number = std::process::id();
    while named(number).symlink_metadata().is_ok() {
        number += 1;
    }
    let backup = named(number);
    let failed = |size: u64, error: &io::Error| {
        write_failure(&backup, size, true, error)
            .during(format!("could not make a backup of {}", dest.display()))
    };
    let mut input = File::open(dest).map_err(|error| failed(0, &error))?;
    let old = input.metadata().map_err(|error| failed(0, &error))?;
    let attributes = Attributes {
        mode: Some(old.mode() & 0o7777),
        owner: Some(old.uid()),
        group: Some(old.gid()),
    };
    let mut copy =
        Atomic::replace(&backup, attributes).map_err(|error| failed(old.size(), &error))?;
    io::copy(&mut input, &mut copy)
        .and_then(|_| copy.commit())
        .map_err(|error| failed(old.size(), &error))?;
    Ok(backup)
}

/// The directory, and not the disk, is what refuses.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

fn pour(
    content: &mut Content<'_>,
    file: &mut Atomic,
    failed: &impl Fn(&io::Error) -> Failure,
) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match content.input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Failure::new(format!(
                    "cannot read the content: {error}; nothing was changed"
                )));
            }
        };
        file.write_all(&buffer[..count])
            .map_err(|error| failed(&error))?;
    }
}

/// Why a file could not be written, with what a full disk would need.
pub(crate) fn write_failure(dest: &Path, needed: u64, there: bool, error: &io::Error) -> Failure {
    let rest = if there {
        "the old file is untouched"
    } else {
        "nothing was written"
    };
    let limit = match error.kind() {
        ErrorKind::StorageFull => "no space left",
        ErrorKind::QuotaExceeded => "the quota is used up",
        _ => {
            let failure = Failure::io("cannot write", dest, error);
            return Failure {
                message: format!("{}; {rest}", failure.message),
                ..failure
            };
        }
    };
    Failure::new(format!(
        "{limit} on the file system of {} for {}: {needed} bytes needed; {rest}",
        parent(dest).display(),
        dest.display(),
    ))
}

/// A file that is edited, whole; `None` when it isn't there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io("cannot read", path, &error)),
    };
    let mut content = Vec::new();
    file.take(MAX_EDITED + 1)
        .read_to_end(&mut content)
        .map_err(|error| Failure::io("cannot read", path, &error))?;
    if content.len() as u64 > MAX_EDITED {
        return Err(Failure::new(format!(
            "{} is longer than {} MiB, too long to be edited",
            path.display(),
            MAX_EDITED >> 20
        )));
    }
    Ok(Some(content))
}

/// The change of a file's content as Ansible's callbacks draw it. Content that isn't text, or is long, is only measured.
pub(crate) fn content_diff(path: &Path, before: &[u8], after: &[u8]) -> Value {
    let header = path.to_string_lossy();
    let text = |bytes: &[u8]| {
        let plain = bytes.len() as u64 <= MAX_DIFF && !bytes[..bytes.len().min(8192)].contains(&0);
        if plain {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            measure(bytes.len() as u64)
        }
    };
    json!({
        "before_header": header, "after_header": header,
        "before": text(before), "after": text(after),
    })
}

/// What stands for content that isn't shown.
pub(crate) fn measure(size: u64) -> String {
    format!("({size} bytes that aren't shown: binary or long)\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::mode;
    use std::os::unix::fs::PermissionsExt;

    fn put(rewrite: &Rewrite, dest: &Path, content: &str) -> Result<Option<PathBuf>, Failure> {
        let cx = Context::local(false, true);
        let mut content = Content {
            input: &mut content.as_bytes(),
            size: content.len() as u64,
        };
        rewrite.put(&cx, dest, Attributes::default(), &mut content)
    }

    #[test]
    fn a_backup_has_the_old_content_and_mode() {
        let dir = tempfile::tempdir().expect("a directory");
        let dest = dir.path().join("secret");
        fs::write(&dest, "old").expect("written");
        fs::set_permissions(&dest, fs::Permissions::from_mode(0o600)).expect("set");
        let rewrite = Rewrite {
            backup: true,
            ..Rewrite::default()
        };
        let backup = put(&rewrite, &dest, "new")
            .expect("written")
            .expect("a backup");
        assert_eq!(fs::read(&backup).expect("there"), b"old");
        assert_eq!((mode(&backup), mode(&dest)), (0o600, 0o600));
        assert!(backup.to_string_lossy().ends_with('~'));
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2);
    }

    #[test]
    fn content_that_fails_its_check_is_never_in_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let dest = dir.path().join("with space");
        fs::write(&dest, "old").expect("written");
        let rewrite = |command: &str| Rewrite {
            validate: Some(command.to_owned()),
            ..Rewrite::default()
        };
        put(&rewrite("grep -q new %s"), &dest, "new").expect("valid");
        let failure = put(&rewrite("grep -q new %s"), &dest, "other").expect_err("invalid");
        assert!(failure.message.starts_with("failed to validate"));
        assert_eq!(failure.data["exit_status"], 1);
        assert_eq!(fs::read(&dest).expect("there"), b"new");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
        let failure = put(&rewrite("true"), &dest, "other").expect_err("no %s");
        assert!(failure.message.contains("must contain %s"));
    }

    #[test]
    fn a_full_disk_says_how_much_is_needed() {
        let error = io::Error::from(ErrorKind::StorageFull);
        let failure = write_failure(Path::new("/etc/x"), 42, true, &error);
        assert_eq!(
            failure.message,
            "no space left on the file system of /etc for /etc/x: 42 bytes needed; the old file is untouched"
        );
    }

    #[test]
    fn only_files_are_replaced_by_files() {
        let failure = put(&Rewrite::default(), Path::new("/dev/null"), "x").expect_err("a device");
        assert_eq!(
            failure.message,
            "/dev/null is a character device, not a file"
        );
        assert!(Rewrite::default().would(Path::new("/dev")).is_err());
    }

    #[test]
    fn what_is_no_text_is_measured() {
        let diff = content_diff(Path::new("/x"), b"a\n", b"\0\0");
        assert_eq!(diff["before"], "a\n");
        assert_eq!(diff["after"], measure(2));
    }

    #[test]
    fn a_second_copy_leaves_the_first_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("conf");
        fs::write(&file, "first").expect("written");
        let first = keep_copy(&file).expect("a copy");
        fs::write(&file, "second").expect("written");
        let second = keep_copy(&file).expect("another");
        assert_ne!(first, second);
        assert_eq!(fs::read_to_string(first).expect("there"), "first");
        assert_eq!(fs::read_to_string(second).expect("there"), "second");
    }
}
