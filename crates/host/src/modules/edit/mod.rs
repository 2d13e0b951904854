//! Modules that change a part of a text file: `lineinfile`, `blockinfile` and `replace`. Here is what they share: the
//! file as it is, and how it gets its new content.

pub(super) mod blockinfile;
pub(super) mod ini_file;
pub(super) mod lineinfile;
pub(super) mod replace;
#[cfg(test)]
mod tests;

use crate::files::{Attributes, parent, resolve, umask};
use crate::modules::ownership::{self, Changes, Ownership, Wanted, octal};
use crate::modules::rewrite::{self, Content, Rewrite, content_diff};
use crate::regex::{Flags, Regex};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Outcome};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What all of them take besides their own arguments.
const SHARED: [Arg; 12] = join([PATH], join::<8, 3, 11>(ownership::ARGS, rewrite::ARGS));

const PATH: Arg = Arg::new("path", Kind::Path, "File of the host.")
    .aliases(&["dest", "destfile", "name"])
    .required();

/// What Ansible says of a file whose mode or owner changed.
const ATTRIBUTES_CHANGED: &str = "ownership, perms or SE linux context changed";

/// A file that is edited.
struct Edited {
    /// As the task names it; may be a link.
    path: PathBuf,
    /// What is really written.
    real: PathBuf,
    /// Its content; `None` when it isn't there.
    before: Option<Vec<u8>>,
}

/// What became of it.
struct Finished {
    outcome: Outcome,
    backup: Option<PathBuf>,
}

impl Edited {
    fn open(cx: &Context, path: &str) -> Result<Self, Failure> {
        let path = cx.expand(path);
        if path.is_dir() {
            return Err(
                Failure::new(format!("Path {} is a directory !", path.display())).with("rc", 256),
            );
        }
        let real =
            resolve(&path).map_err(|error| Failure::io("cannot follow the link", &path, &error))?;
        let before = rewrite::read(&real)?;
        Ok(Self { path, real, before })
    }

    /// The same, where the file must be there unless it may be made; then the directories above it are made as well.
    fn open_or_create(
        cx: &Context,
        path: &str,
        create: bool,
        missing: &str,
    ) -> Result<Self, Failure> {
        let edited = Self::open(cx, path)?;
        if edited.before.is_none() {
            if !create {
                let text = format!(
                    "{missing} {} does not exist ! (create: true makes it)",
                    edited.path.display()
                );
                return Err(Failure::new(text).with("rc", 257));
            }
            let dir = parent(&edited.path);
            if !cx.check() && !dir.is_dir() {
                fs::create_dir_all(dir)
                    .map_err(|error| Failure::io("cannot make the directory", dir, &error))?;
            }
        }
        Ok(edited)
    }

    fn content(&self) -> &[u8] {
        self.before.as_deref().unwrap_or_default()
    }

    /// Gives the file its new content (`None`: the old one stays), then its mode and owner. `said` is what is reported
    /// of a new content.
    fn finish(
        &self,
        cx: &Context,
        after: Option<&[u8]>,
        said: &str,
        ownership: &Ownership,
        how: &Rewrite,
    ) -> Result<Finished, Failure> {
        let wanted = ownership.resolve(cx)?;
        let mut changes = Changes::of(&self.path);
        let mut attributes_changed = false;
        let mut backup = None;
        match after {
            Some(_) if cx.check() => how.would(&self.real)?,
            Some(after) => {
                backup = self.write(cx, after, &wanted, how)?;
                attributes_changed = self.before.is_none() && self.made_special(&mut changes);
            }
            None => {}
        }
        // A file that check mode didn't make has no mode to look at.
        if fs::symlink_metadata(&self.path).is_ok() {
            attributes_changed |= wanted.apply(cx, &self.path, &mut changes)?;
        }
        let said = if after.is_some() { said } else { "" };
        let message = match (said.is_empty(), attributes_changed) {
            (_, false) => said.to_owned(),
            (true, true) => ATTRIBUTES_CHANGED.to_owned(),
            (false, true) => format!("{said} and {ATTRIBUTES_CHANGED}"),
        };
        let outcome = Outcome::changed(after.is_some() || attributes_changed).msg(message);
        Ok(Finished {
            outcome: self.with_diff(cx, outcome, after, changes),
            backup,
        })
    }

    fn write(
        &self,
        cx: &Context,
        after: &[u8],
        wanted: &Wanted,
        how: &Rewrite,
    ) -> Result<Option<PathBuf>, Failure> {
        // An existing file keeps what it has until its content is right; a new one is never more open than asked.
        let attributes = match &self.before {
            Some(_) => Attributes::default(),
            None => wanted.attributes(None),
        };
        let mut content = Content {
            size: after.len() as u64,
            input: &mut &after[..],
        };
        how.put(cx, &self.real, attributes, &mut content)
    }

    /// Whether the file that was just made has another mode or owner than one for which nothing was asked.
    fn made_special(&self, changes: &mut Changes) -> bool {
        let Ok(meta) = fs::symlink_metadata(&self.real) else {
            return false;
        };
        let plain = 0o666 & !umask();
        let mode = meta.mode() & 0o7777;
        if mode != plain {
            changes.add("mode", octal(plain), octal(mode));
        }
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        for (key, plain, now) in [
            ("owner", uid.as_raw(), meta.uid()),
            ("group", gid.as_raw(), meta.gid()),
        ] {
            if plain != now {
                changes.add(key, plain, now);
            }
        }
        !changes.is_empty()
    }

    fn with_diff(
        &self,
        cx: &Context,
        outcome: Outcome,
        after: Option<&[u8]>,
        changes: Changes,
    ) -> Outcome {
        if !cx.diff() {
            return outcome;
        }
        let (before, path) = (self.content(), self.path.to_string_lossy());
        let mut content = content_diff(&self.path, before, after.unwrap_or(before));
        let mut attributes = changes.into_value();
        for (diff, what) in [
            (&mut content, "content"),
            (&mut attributes, "file attributes"),
        ] {
            for side in ["before_header", "after_header"] {
                diff[side] = Value::from(format!("{path} ({what})"));
            }
        }
        outcome.with("diff", json!([content, attributes]))
    }
}

/// A pattern for lines, which are bytes.
fn line_pattern(name: &str, pattern: &str) -> Result<Regex, Failure> {
    Regex::bytes(pattern, Flags::default()).map_err(|error| {
        Failure::new(format!(
            "{name} is no regular expression: {error}: {pattern}"
        ))
    })
}

fn is_in(regex: &Regex, line: &[u8]) -> Result<bool, Failure> {
    regex
        .find(line)
        .map(|found| found.is_some())
        .map_err(Failure::new)
}

/// The lines of a file, each with what ends it.
fn lines(content: &[u8]) -> Vec<Vec<u8>> {
    content
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// A line without what ends it.
fn bare(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
        .map_or(0, |at| at + 1);
    &line[..end]
}

/// A line with a line feed at its end.
fn ended(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    line
}
