//! `file`: what a path is: a file, a directory, a link or nothing; its mode, owner and times.

mod absent;
mod directory;
mod link;
#[cfg(test)]
mod tests;
mod times;
mod touch;

use crate::modules::ownership::{self, Changes, Ownership, Wanted, describe, state_of};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, files};
use serde::Deserialize;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use times::Times;

#[derive(Deserialize)]
pub struct File {
    path: String,
    state: Option<String>,
    src: Option<String>,
    recurse: bool,
    force: bool,
    follow: bool,
    modification_time: Option<String>,
    modification_time_format: String,
    access_time: Option<String>,
    access_time_format: String,
    _original_basename: Option<String>,
    #[serde(flatten)]
    ownership: Ownership,
}

const TIME_FORMAT: &str = "%Y%m%d%H%M.%S";

const ARGS: [Arg; 20] = join(
    [
        Arg::new("path", Kind::Path, "The path.")
            .aliases(&["dest", "name"])
            .required(),
        Arg::new(
            "state",
            Kind::Str,
            "What it is to be. If not said, what it is now, or a file (a directory with recurse).",
        )
        .choices(&["absent", "directory", "file", "hard", "link", "touch"]),
        Arg::new(
            "src",
            Kind::Path,
            "What a link leads to: text of a symbolic link, path of a hard one.",
        ),
        Arg::new(
            "recurse",
            Kind::Bool,
            "Mode, owner and group also of everything in the directory.",
        )
        .default("no"),
        Arg::new(
            "force",
            Kind::Bool,
            "Make a link that leads nowhere, or in the place of a file or an empty directory.",
        )
        .default("no"),
        Arg::new(
            "follow",
            Kind::Bool,
            "Where the path is a link, change what it leads to.",
        )
        .default("yes"),
        Arg::new(
            "modification_time",
            Kind::Str,
            "preserve, now, or a time in the format given (now for touch, else preserve).",
        ),
        Arg::new(
            "modification_time_format",
            Kind::Str,
            "How modification_time is written.",
        )
        .default(TIME_FORMAT),
        Arg::new(
            "access_time",
            Kind::Str,
            "preserve, now, or a time in the format given (now for touch, else preserve).",
        ),
        Arg::new(
            "access_time_format",
            Kind::Str,
            "How access_time is written.",
        )
        .default(TIME_FORMAT),
        Arg::new(
            "unsafe_writes",
            Kind::Bool,
            "Has no effect: nothing is overwritten.",
        )
        .default("no"),
        Arg::new(
            "_original_basename",
            Kind::Str,
            "Set by the controller: name to use in a directory.",
        ),
    ],
    ownership::ARGS,
);

impl Module for File {
    const SPEC: Spec = Spec::new(
        "file",
        "Makes, removes and links files and directories, and sets their modes and owners.",
        &ARGS,
    )
    .returns(&[
        Return::new(
            "path, dest",
            "The file: path for what is there, dest for what was made.",
        ),
        Return::new(
            "owner, group, uid, gid, mode, size, state",
            "Whose the file is, its mode, its length and its kind.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let path = self.path(cx);
        let state = self.state(&path)?;
        if self.recurse && state != "directory" {
            return Err(at(
                "recurse needs state: directory (the path is no directory now)",
                &path,
            ));
        }
        if self.src.is_some() && !matches!(state, "link" | "hard") {
            return Err(at("src needs state: link or state: hard", &path));
        }
        let job = Job {
            times: Times::new(&self, state)?,
            // What is removed needs no owner.
            wanted: if state == "absent" {
                Wanted::default()
            } else {
                self.ownership.resolve(cx)?
            },
            file: &self,
            cx,
        };
        match state {
            "absent" => job.absent(&path),
            "directory" => job.directory(&path),
            "hard" => job.hard_link(&path),
            "link" => job.link(&path),
            "touch" => job.touch(&path),
            _ => job.attributes(&path),
        }
    }
}

impl File {
    /// A path that is a directory stands for a file in it, where the name of one is known.
    fn path(&self, cx: &Context) -> PathBuf {
        let path = cx.expand(&self.path);
        // `dir/` is the directory, also where it is asked whether that is a link.
        let path = match path.to_string_lossy().trim_end_matches('/') {
            "" => path,
            trimmed if trimmed.len() < path.as_os_str().len() => PathBuf::from(trimmed),
            _ => path,
        };
        if matches!(self.state.as_deref(), Some("link" | "absent")) || !path.is_dir() {
            return path;
        }
        let name = self._original_basename.as_deref().or(self.src.as_deref());
        match name.and_then(|name| Path::new(name).file_name()) {
            Some(name) => path.join(name),
            None => path,
        }
    }

    /// What is asked for; when nothing is said, what is there.
    fn state(&self, path: &Path) -> Result<&str, Failure> {
        Ok(match &self.state {
            Some(state) => state,
            None => match look(path)? {
                Some(meta) => state_of(&meta),
                None if self.recurse => "directory",
                None => "file",
            },
        })
    }
}

/// One call, with names looked up and times read.
struct Job<'a> {
    file: &'a File,
    cx: &'a Context,
    wanted: Wanted,
    times: Times,
}

impl Job<'_> {
    /// Mode, owner and times of what is there. Says whether anything changed.
    fn finish(&self, path: &Path, changes: &mut Changes) -> Result<bool, Failure> {
        let changed = self.wanted.apply(self.cx, path, changes)?;
        Ok(self.times.apply(self.cx, path, changes)? | changed)
    }

    /// The same for a path that may be a link to what is meant.
    fn followed(&self, path: &Path) -> Result<PathBuf, Failure> {
        if !self.file.follow {
            return Ok(path.to_path_buf());
        }
        match look(path)? {
            Some(meta) if meta.is_symlink() => fs::canonicalize(path)
                .or_else(|_| files::resolve(path))
                .map_err(|error| Failure::io("cannot follow the link", path, &error)),
            _ => Ok(path.to_path_buf()),
        }
    }

    /// `state: file`: what is there already.
    fn attributes(&self, path: &Path) -> Result<Outcome, Failure> {
        let path = &self.followed(path)?;
        match look(path)? {
            Some(meta) if !meta.is_dir() && !meta.is_symlink() => {}
            found => {
                let state = found.as_ref().map_or("absent", state_of);
                let hint = if found.is_none() {
                    " (state: touch makes an empty file; copy and template make one with content)"
                } else {
                    ""
                };
                return Err(at(
                    format!(
                        "file ({}) is {state}, cannot continue{hint}",
                        path.display()
                    ),
                    path,
                )
                .with("state", state));
            }
        }
        let mut changes = Changes::of(path);
        let changed = self.finish(path, &mut changes)?;
        Ok(self.outcome("path", path, changed, changes))
    }

    fn outcome(&self, key: &str, path: &Path, changed: bool, changes: Changes) -> Outcome {
        let mut outcome = Outcome::changed(changed).with(key, path.to_string_lossy());
        if let Some(src) = self
            .file
            .src
            .as_deref()
            .filter(|_| matches!(self.file.state.as_deref(), Some("link" | "hard")))
        {
            outcome = outcome.with("src", src);
        }
        if self.cx.diff() {
            outcome = outcome.with("diff", changes.into_value());
        }
        outcome.data.extend(describe(path));
        outcome
    }
}

/// A failure that names the path in the result, as Ansible's does.
fn at(message: impl Into<String>, path: &Path) -> Failure {
    let message = message.into();
    let text = path.to_string_lossy();
    let message = if message.contains(&*text) {
        message
    } else {
        format!("{text}: {message}")
    };
    Failure::new(message).with("path", text)
}

/// What is at a path, a link itself; `None` when nothing is.
fn look(path: &Path) -> Result<Option<Metadata>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("cannot stat", path, &error)),
    }
}

fn state_at(path: &Path) -> Result<&'static str, Failure> {
    Ok(look(path)?.as_ref().map_or("absent", state_of))
}
