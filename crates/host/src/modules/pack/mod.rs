//! `archive`: files and trees of the host as one archive or compressed file, written by the host's own programs.

mod targets;
#[cfg(test)]
mod tests;
mod write;

use crate::modules::ownership::{self, Changes, Ownership, describe};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, files};
use serde::Deserialize;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use targets::{Targets, text};

#[derive(Deserialize)]
pub struct Pack {
    path: Vec<String>,
    dest: Option<String>,
    format: String,
    #[serde(default)]
    exclude_path: Vec<String>,
    #[serde(default)]
    exclusion_patterns: Vec<String>,
    force_archive: bool,
    remove: bool,
    #[serde(flatten)]
    ownership: Ownership,
}

const OWN: [Arg; 8] = [
    Arg::new("path", Kind::List, "Files, directories and patterns; absolute.")
        .of(Kind::Path)
        .required(),
    Arg::new("dest", Kind::Path, "The archive. Needed for more than one file."),
    Arg::new("format", Kind::Str, "How it is compressed; tar isn't. A single file is compressed without an archive around it, but for tar and zip.")
        .choices(&["bz2", "gz", "tar", "xz", "zip"])
        .default("gz"),
    Arg::new("exclude_path", Kind::List, "Paths and patterns to leave out of those in path (not of what is below them).").of(Kind::Path),
    Arg::new("exclusion_patterns", Kind::List, "Patterns of names in the archive to leave out.").of(Kind::Path),
    Arg::new("force_archive", Kind::Bool, "An archive also of a single file.").default("no"),
    Arg::new("remove", Kind::Bool, "Remove what was archived, directories with all that is in them.").default("no"),
    Arg::new("unsafe_writes", Kind::Bool, "Has no effect.").default("no"),
];

const ALL: [Arg; 16] = join(OWN, ownership::ARGS);

impl Module for Pack {
    const SPEC: Spec = Spec::new(
        "archive",
        "Archives files and directories of the host. gz, bz2 and xz need the host's program of that kind, zip its zip and unzip.",
        &ALL,
    )
    .returns(&[
        Return::new("archived", "What is in it."),
        Return::new("arcroot", "The directory that names in it are relative to."),
        Return::new("missing", "Paths that aren't there."),
        Return::new("expanded_paths, expanded_exclude_paths", "What the patterns stand for."),
        Return::new("dest", "The archive."),
        Return::new("dest_state", "archive, compress (one file without an archive), incomplete (some paths are missing) or absent."),
        Return::new("owner, group, uid, gid, mode, size, state", "Whose the archive is, its mode, its length and its kind."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let targets = Targets::find(cx, &self.path, &self.exclude_path)?;
        let single = targets.is_single_file(&self.path) && !self.force_archive;
        let format = Format::of(&self.format);
        let plain = single && !matches!(format, Format::Tar | Format::Zip);
        let dest = self.destination(cx, &targets, single)?;
        let mut work = Work {
            cx,
            task: &self,
            targets: &targets,
            dest: &dest,
            format,
            plain,
        };
        let outcome = work.run()?;
        Ok(outcome
            .with("dest", text(&dest))
            .with(
                "arcroot",
                format!("{}/", text(&targets.root).trim_end_matches('/')),
            )
            .with(
                "missing",
                targets
                    .missing
                    .iter()
                    .map(|path| text(path))
                    .collect::<Vec<_>>(),
            )
            .with("expanded_paths", targets.expanded.clone())
            .with(
                "expanded_exclude_paths",
                targets
                    .excluded
                    .iter()
                    .map(|path| text(path))
                    .collect::<Vec<_>>(),
            ))
    }
}

impl Pack {
    fn destination(
        &self,
        cx: &Context,
        targets: &Targets,
        single: bool,
    ) -> Result<PathBuf, Failure> {
        if let Some(dest) = &self.dest {
            return Ok(cx.expand(dest));
        }
        match targets.expanded.first() {
            Some(path) if single => Ok(PathBuf::from(format!("{path}.{}", self.format))),
            _ => Err(Failure::new(
                "Error, must specify \"dest\" when archiving multiple files or trees",
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    Zip,
    /// A program, and what it adds to a name.
    Packed(&'static str, &'static str),
}

impl Format {
    fn of(name: &str) -> Self {
        match name {
            "tar" => Self::Tar,
            "zip" => Self::Zip,
            "bz2" => Self::Packed("bzip2", "bz2"),
            "xz" => Self::Packed("xz", "xz"),
            _ => Self::Packed("gzip", "gz"),
        }
    }
}

struct Work<'a> {
    cx: &'a Context,
    task: &'a Pack,
    targets: &'a Targets,
    dest: &'a Path,
    format: Format,
    /// One file, compressed and not archived.
    plain: bool,
}

impl Work<'_> {
    fn run(&mut self) -> Result<Outcome, Failure> {
        let there = match fs::metadata(self.dest) {
            Ok(meta) if meta.is_dir() => {
                return Err(Failure::new(format!(
                    "dest {} is a directory; it has to be the archive itself",
                    self.dest.display()
                )));
            }
            found => found.is_ok(),
        };
        let wanted = self.task.ownership.resolve(self.cx)?;
        let (mut changed, mut archived) = (false, Vec::new());
        if !self.targets.found.is_empty() {
            let patterns = self.task.exclusion_patterns.iter();
            let patterns: Vec<String> = patterns
                .map(|pattern| text(&self.cx.expand(pattern)))
                .collect();
            let members = self.targets.members(self.dest, &patterns)?;
            archived = members.iter().map(|member| text(&member.path)).collect();
            changed = self.write(&members, there)?;
            if self.task.remove {
                changed = true;
                self.remove()?;
            }
        }
        if self.dest.symlink_metadata().is_ok() {
            changed |= wanted.apply(self.cx, self.dest, &mut Changes::default())?;
        }
        let mut outcome = Outcome::changed(changed)
            .with("archived", archived)
            .with("dest_state", self.state(there));
        let known = describe(self.dest);
        if self.dest.symlink_metadata().is_ok() {
            outcome.data.extend(known);
        }
        Ok(outcome)
    }

    fn state(&self, there: bool) -> &'static str {
        if self.targets.found.is_empty() {
            return match there {
                false => "absent",
                true if is_archive(self.dest) => "archive",
                true => "compress",
            };
        }
        match (self.plain, self.targets.missing.is_empty()) {
            (true, _) => "compress",
            (false, true) => "archive",
            (false, false) => "incomplete",
        }
    }

    /// Writes the archive beside its place and puts it there if it holds something else than the one that is there.
    fn write(&self, members: &[targets::Member], there: bool) -> Result<bool, Failure> {
        let parent = files::parent(self.dest);
        if self.cx.check() && !parent.is_dir() {
            return Ok(true);
        }
        // In check mode the archive is made as well, to say whether it would differ, but not beside its place.
        let dir = if self.cx.check() {
            std::env::temp_dir()
        } else {
            parent.to_path_buf()
        };
        let room = write::Room::new(&dir)?;
        let new = write::write(self.cx, &room, self.format, self.plain, members)?;
        if there && write::same(self.cx, &room, self.format, self.plain, &new, self.dest)? {
            return Ok(false);
        }
        if !self.cx.check() {
            write::place(&new, self.dest)?;
        }
        Ok(true)
    }

    fn remove(&self) -> Result<(), Failure> {
        if self.cx.check() {
            return Ok(());
        }
        for path in &self.targets.found {
            let is_dir = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
            if is_dir && self.dest.starts_with(path) {
                return Err(Failure::new(format!(
                    "{} was archived and isn't removed, because the archive is in it",
                    path.display()
                )));
            }
            let gone = if is_dir {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            gone.map_err(|error| Failure::io("cannot remove", path, &error))?;
        }
        Ok(())
    }
}

/// By its name or its first bytes.
fn is_archive(path: &Path) -> bool {
    let name = text(path);
    let ends = [
        ".tar", ".tar.gz", ".tgz", ".tbz2", ".tar.bz2", ".tar.xz", ".txz", ".zip",
    ];
    let mut head = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        file.take(262).read_to_end(&mut head).ok();
    }
    ends.iter().any(|end| name.ends_with(end))
        || head.starts_with(b"PK\x03\x04")
        || head.get(257..262) == Some(b"ustar")
}
