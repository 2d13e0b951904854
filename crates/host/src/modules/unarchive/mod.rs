//! `unarchive`: the files of an archive, unpacked by the host's tar or unzip.

mod tar;
#[cfg(test)]
mod tests;
mod zip;

use crate::files::random_hex;
use crate::modules::ownership::{self, Changes, Ownership, describe};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Return, Rule, Spec, globs};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the controller calls the archive.
const BLOB: &str = "content";

#[derive(Deserialize)]
pub struct Unarchive {
    src: Option<String>,
    dest: String,
    remote_src: bool,
    copy: bool,
    creates: Option<String>,
    list_files: bool,
    keep_newer: bool,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    extra_opts: Option<Vec<String>>,
    #[serde(flatten)]
    ownership: Ownership,
}

const OWN: [Arg; 14] = [
    Arg::new(
        "src",
        Kind::Path,
        "The archive, of the controller; of the host with remote_src.",
    )
    .required(),
    Arg::new(
        "dest",
        Kind::Path,
        "Directory that it is unpacked into; must be there.",
    )
    .required(),
    Arg::new("remote_src", Kind::Bool, "src is on the host.").default("no"),
    Arg::new(
        "copy",
        Kind::Bool,
        "The opposite of remote_src, as it was once written.",
    )
    .default("yes"),
    Arg::new("creates", Kind::Path, "Do nothing when this is there."),
    Arg::new("list_files", Kind::Bool, "Return the names in the archive.").default("no"),
    Arg::new(
        "keep_newer",
        Kind::Bool,
        "Don't replace files that are newer.",
    )
    .default("no"),
    Arg::new("include", Kind::List, "Only these of the archive."),
    Arg::new("exclude", Kind::List, "Not these of the archive."),
    Arg::new("extra_opts", Kind::List, "Options for tar or unzip."),
    Arg::new(
        "validate_certs",
        Kind::Bool,
        "For a src that is a URL, which isn't supported.",
    )
    .default("yes"),
    Arg::new(
        "decrypt",
        Kind::Bool,
        "Decrypt a vaulted src at the controller.",
    )
    .default("yes"),
    Arg::new("io_buffer_size", Kind::Int, "Has no effect.").default("65536"),
    Arg::new("unsafe_writes", Kind::Bool, "Has no effect.").default("no"),
];

const ALL: [Arg; 22] = join(OWN, ownership::ARGS);

impl Module for Unarchive {
    const SPEC: Spec = Spec::new(
        "unarchive",
        "Unpacks an archive: tar (also compressed with gzip, bzip2, xz, zstd) with the host's tar, zip with its unzip.",
        &ALL,
    )
    .rules(&[Rule::Exclusive(&["include", "exclude"])])
.returns(&[Return::new("dest, src, handler", "The directory, the archive, and the kind of archive."),Return::new("files", "What the archive holds, with list_files."),Return::new("owner, group, uid, gid, mode, size, state", "Whose the file is, its mode, its length and its kind.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let dest = cx.expand(&self.dest);
        if let Some(creates) = &self.creates
            && !globs::glob(&cx.expand(creates).to_string_lossy()).is_empty()
        {
            let mut skipped = Outcome::ok().msg(format!("skipped, since {creates} exists"));
            skipped.skipped = true;
            return Ok(skipped);
        }
        if !dest.is_dir() {
            return Err(Failure::new(format!(
                "dest '{}' must be an existing dir (make it with `file: state=directory`)",
                dest.display()
            )));
        }
        let sent = self.receive(cx)?;
        let named = self.src.as_deref().map(|src| cx.expand(src));
        let src = match (&sent, named) {
            (Some(sent), _) => sent.0.clone(),
            (None, Some(src)) => src,
            (None, None) => return Err(Failure::new("unarchive needs src")),
        };
        if src.to_string_lossy().contains("://") {
            return Err(Failure::new(
                "unarchive: a src that is a URL isn't supported: download it with get_url first",
            ));
        }
        let format = Format::of(&src)?;
        let archive = Archive {
            cx,
            task: &self,
            src: &src,
            dest: &dest,
            format,
        };
        archive.unpack()
    }
}

/// An archive of the controller, while it is here.
struct Sent(PathBuf);

impl Drop for Sent {
    fn drop(&mut self) {
        // Nothing more can be done about a file that can't be removed.
        fs::remove_file(&self.0).ok();
    }
}

impl Unarchive {
    /// The archive that the controller offers, as a file of this host.
    fn receive(&self, cx: &Context) -> Result<Option<Sent>, Failure> {
        if cx.blob_ref(BLOB).is_none() {
            return if self.remote_src || !self.copy {
                Ok(None)
            } else {
                Err(Failure::new(
                    "unarchive needs a src of the controller, or remote_src: true",
                ))
            };
        }
        let path = std::env::temp_dir().join(format!(".kopsrun-{}", random_hex()));
        let failed = |error: &std::io::Error| Failure::io("cannot write", &path, error);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&error))?;
        let sent = Sent(path.clone());
        std::io::copy(&mut cx.blob(BLOB)?, &mut file).map_err(|error| failed(&error))?;
        Ok(Some(sent))
    }
}

/// How an archive is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Zip,
}

impl Format {
    /// By its first bytes, whatever its name is.
    fn of(path: &Path) -> Result<Self, Failure> {
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(262).read_to_end(&mut head))
            .map_err(|error| Failure::io("cannot read the archive", path, &error))?;
        let known: [(usize, &[u8], Self); 7] = [
            (0, b"\x1f\x8b", Self::Gzip),
            (0, b"BZh", Self::Bzip2),
            (0, b"\xfd7zXZ\0", Self::Xz),
            (0, b"\x28\xb5\x2f\xfd", Self::Zstd),
            (0, b"PK\x03\x04", Self::Zip),
            (0, b"PK\x05\x06", Self::Zip),
            (257, b"ustar", Self::Tar),
        ];
        known
            .iter()
            .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
            .map(|(.., format)| *format)
            .ok_or_else(|| {
                Failure::new(format!(
                    "Failed to find handler for \"{}\": it is no tar (gzip, bzip2, xz, zstd) and no zip",
                    path.display()
                ))
            })
    }

    /// What Ansible calls whoever unpacks it.
    fn handler(self) -> &'static str {
        match self {
            Self::Tar => "TarArchive",
            Self::Gzip => "TgzArchive",
            Self::Bzip2 => "TarBzipArchive",
            Self::Xz => "TarXzArchive",
            Self::Zstd => "TarZstdArchive",
            Self::Zip => "ZipArchive",
        }
    }
}

struct Archive<'a> {
    cx: &'a Context,
    task: &'a Unarchive,
    src: &'a Path,
    dest: &'a Path,
    format: Format,
}

impl Archive<'_> {
    fn unpack(&self) -> Result<Outcome, Failure> {
        let is_zip = self.format == Format::Zip;
        let names = if is_zip {
            zip::names(self)?
        } else {
            tar::names(self)?
        };
        let same = if is_zip {
            zip::is_unpacked(self)?
        } else {
            tar::is_unpacked(self)?
        };
        let mut outcome = Outcome::changed(!same)
            .with("dest", self.dest.to_string_lossy())
            .with("src", self.src.to_string_lossy())
            .with("handler", self.format.handler());
        if !same && !self.cx.check() {
            let (command, output) = if is_zip {
                zip::unpack(self)?
            } else {
                tar::unpack(self)?
            };
            outcome = outcome.with(
                "extract_results",
                serde_json::json!({
                    "cmd": command, "rc": output.rc,
                    "out": output.stdout_text(), "err": output.stderr_text(),
                }),
            );
            self.judge(&output)?;
        }
        outcome.changed |= self.own(&names)?;
        if self.task.list_files {
            outcome = outcome.with("files", names);
        }
        outcome.data.extend(describe(self.dest));
        Ok(outcome)
    }

    fn judge(&self, output: &Output) -> Result<(), Failure> {
        // 1 is a warning of unzip.
        if output.ok() || (self.format == Format::Zip && output.rc == 1) {
            return Ok(());
        }
        output
            .clone()
            .check(&format!("failed to unpack {}", self.src.display()))
            .map(drop)
    }

    /// Mode and owner of all that is in the archive.
    fn own(&self, names: &[String]) -> Result<bool, Failure> {
        let wanted = self.task.ownership.resolve(self.cx)?;
        let mut changed = false;
        if wanted.is_empty() {
            return Ok(false);
        }
        // Also of directories that the archive doesn't name itself.
        let mut paths = BTreeSet::new();
        for name in names {
            let path = self.dest.join(name.trim_start_matches('/'));
            let above = path.ancestors().skip(1);
            paths.extend(
                above
                    .take_while(|dir| dir.starts_with(self.dest) && *dir != self.dest)
                    .map(Path::to_path_buf),
            );
            paths.insert(path);
        }
        for path in paths {
            // In check mode it isn't there yet.
            if path.symlink_metadata().is_ok() {
                changed |= wanted.apply(self.cx, &path, &mut Changes::default())?;
            }
        }
        Ok(changed)
    }

    fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        self.cx.find_program(name).ok_or_else(|| {
            Failure::new(format!(
                "there is no {name} on this host, which unpacks this archive: install the package {name}"
            ))
        })
    }
}
