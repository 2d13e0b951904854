//! What of a manifest differs from what is at the destination, and how rsync would itemize it.

use super::names::Numbers;
use super::place::Place;
use super::{Entry, Kind, Manifest, Options, below, path_of};
use crate::files::{self, umask};
use crate::{Context, Failure};
use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What is to be done about one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Todo {
    /// Nothing is there, or something of another kind.
    Make,
    /// Its content (or a link's target) differs.
    Replace,
    /// Times, mode or owner differ.
    Attributes,
    /// A directory that is as it is to be; its time may have to be set again after its files came.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Step {
    /// Of the entry in the manifest.
    pub(super) index: usize,
    pub(super) path: PathBuf,
    pub(super) todo: Todo,
    /// Something of another kind is there and has to go first.
    pub(super) in_the_way: bool,
    pub(super) attributes: Wanted,
}

/// Attributes that an entry is to have; `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) mtime: Option<(i64, i64)>,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) lines: Vec<String>,
    /// Directories of the source that aren't made, because only what is there is updated.
    pub(super) left_out: HashSet<String>,
}

pub(super) struct Compare<'a> {
    pub(super) cx: &'a Context,
    pub(super) options: &'a Options,
    pub(super) place: &'a Place,
    pub(super) numbers: Numbers,
    /// May give files away.
    pub(super) is_root: bool,
    pub(super) my_groups: Vec<u32>,
    /// `<` to another machine, `>` from one or on the same.
    pub(super) arrow: char,
    pub(super) plan: Plan,
    /// Directories that are made now: below them is nothing, whatever a link there leads to.
    fresh: HashSet<String>,
    kinds: HashMap<String, Kind>,
}

impl<'a> Compare<'a> {
    pub(super) fn new(
        cx: &'a Context,
        options: &'a Options,
        place: &'a Place,
        arrow: char,
    ) -> Self {
        Self {
            cx,
            options,
            place,
            numbers: Numbers::default(),
            is_root: rustix::process::geteuid().is_root(),
            my_groups: rustix::process::getgroups()
                .unwrap_or_default()
                .into_iter()
                .chain([rustix::process::getegid()])
                .map(|group| group.as_raw())
                .collect(),
            arrow,
            plan: Plan::default(),
            fresh: HashSet::new(),
            kinds: HashMap::new(),
        }
    }

    pub(super) fn all(mut self, manifest: &Manifest) -> Result<Plan, Failure> {
        for (index, entry) in manifest.entries.iter().enumerate() {
            self.cx.check_cancelled()?;
            self.check_parent(entry)?;
            if self.kinds.insert(entry.name.clone(), entry.kind).is_some() {
                return Err(Failure::new(format!(
                    "the source told twice of {:?}",
                    entry.name
                )));
            }
            let above = parent_of(&entry.name);
            if above.is_some_and(|above| self.plan.left_out.contains(above)) {
                if entry.kind == Kind::Directory {
                    self.plan.left_out.insert(entry.name.clone());
                }
                continue;
            }
            let path = match &self.place.only {
                Some(file) => file.clone(),
                None => below(&self.place.root, &entry.name)?,
            };
            let fresh = self.place.is_new || above.is_some_and(|above| self.fresh.contains(above));
            let now = if fresh {
                None
            } else {
                self.look(entry, &path)?
            };
            self.one(index, entry, path, now)?;
        }
        Ok(self.plan)
    }

    /// What is written below a name must be below a directory of the manifest: a link there could lead anywhere.
    fn check_parent(&self, entry: &Entry) -> Result<(), Failure> {
        match parent_of(&entry.name) {
            Some(above) if self.kinds.get(above) != Some(&Kind::Directory) => {
                Err(Failure::new(format!(
                    "the source told of {:?} and of no directory that holds it",
                    entry.name
                )))
            }
            _ => Ok(()),
        }
    }

    fn look(&self, entry: &Entry, path: &std::path::Path) -> Result<Option<Metadata>, Failure> {
        // The destination itself may be a link to a directory.
        let meta = if entry.name == "." {
            fs::metadata(path)
        } else {
            fs::symlink_metadata(path)
        };
        match meta {
            Ok(meta) => Ok(Some(meta)),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(Failure::io("cannot stat", path, &error)),
        }
    }

    fn one(
        &mut self,
        index: usize,
        entry: &Entry,
        path: PathBuf,
        now: Option<Metadata>,
    ) -> Result<(), Failure> {
        let same_kind = now.as_ref().filter(|now| match entry.kind {
            Kind::Directory => now.is_dir(),
            Kind::Link => now.is_symlink(),
            Kind::File | Kind::Other => now.is_file(),
        });
        let in_the_way = now.is_some() && same_kind.is_none();
        if same_kind.is_none() && self.options.existing {
            if entry.kind == Kind::Directory {
                self.plan.left_out.insert(entry.name.clone());
            }
            return Ok(());
        }
        let is_dir = entry.kind == Kind::Directory;
        if now.is_some() && self.options.ignore_existing && !is_dir {
            return Ok(());
        }
        let Some(now) = same_kind else {
            if is_dir {
                self.fresh.insert(entry.name.clone());
            }
            let attributes = self.wanted(entry, None);
            let sign = if entry.kind == Kind::File {
                self.arrow
            } else {
                'c'
            };
            self.note(&format!("{sign}{}+++++++++", letter(entry)), entry);
            self.plan.steps.push(Step {
                index,
                path,
                todo: Todo::Make,
                in_the_way,
                attributes,
            });
            return Ok(());
        };
        let attributes = self.wanted(entry, Some(now));
        let differs = match entry.kind {
            Kind::Directory => false,
            Kind::Link => {
                let target = fs::read_link(&path)
                    .map_err(|error| Failure::io("cannot read", &path, &error))?;
                target != path_of(entry.target.as_deref().unwrap_or_default())?
            }
            Kind::File | Kind::Other => {
                if self.options.update && newer(now, entry) {
                    return Ok(());
                }
                self.content_differs(entry, &path, now)?
            }
        };
        let flags = self.flags(entry, now, differs, &attributes);
        let todo = if differs {
            Todo::Replace
        } else if flags.chars().any(|flag| flag != '.') {
            Todo::Attributes
        } else {
            Todo::Nothing
        };
        if todo != Todo::Nothing {
            let sign = match (differs, entry.kind) {
                (false, _) => '.',
                (true, Kind::File) => self.arrow,
                (true, _) => 'c',
            };
            self.note(&format!("{sign}{}{flags}", letter(entry)), entry);
        }
        if todo != Todo::Nothing || is_dir {
            self.plan.steps.push(Step {
                index,
                path,
                todo,
                in_the_way: false,
                attributes,
            });
        }
        Ok(())
    }

    fn content_differs(
        &self,
        entry: &Entry,
        path: &std::path::Path,
        now: &Metadata,
    ) -> Result<bool, Failure> {
        if self.options.ignore_times || now.size() != entry.size {
            return Ok(true);
        }
        if self.options.size_only {
            return Ok(false);
        }
        if self.options.checksum {
            let sum =
                files::sha1(path).map_err(|error| Failure::io("cannot read", path, &error))?;
            return Ok(entry.sum.as_ref() != Some(&sum));
        }
        Ok(now.mtime() != entry.mtime.0)
    }

    /// What is to be changed of `now`; of what is new, all that it gets.
    fn wanted(&mut self, entry: &Entry, now: Option<&Metadata>) -> Wanted {
        let is_link = entry.kind == Kind::Link;
        let mode = match now {
            _ if is_link => None,
            None if self.options.perms => Some(entry.mode),
            None => Some(entry.mode & 0o777 & !umask()),
            Some(now) => {
                Some(entry.mode).filter(|mode| self.options.perms && now.mode() & 0o7777 != *mode)
            }
        };
        let owner = (self.options.owner && self.is_root)
            .then(|| self.numbers.user(&entry.user, entry.uid))
            .filter(|uid| now.is_none_or(|now| now.uid() != *uid));
        let group = (self.options.group)
            .then(|| self.numbers.group(&entry.group, entry.gid))
            .filter(|gid| self.is_root || self.my_groups.contains(gid))
            .filter(|gid| now.is_none_or(|now| now.gid() != *gid));
        let keeps_time =
            self.options.times && !(entry.kind == Kind::Directory && self.options.omit_dir_times);
        let mtime = keeps_time
            .then_some(entry.mtime)
            .filter(|mtime| now.is_none_or(|now| now.mtime() != mtime.0));
        Wanted {
            mode,
            owner,
            group,
            mtime,
        }
    }

    /// rsync's nine letters after the kind.
    fn flags(&self, entry: &Entry, now: &Metadata, differs: bool, wanted: &Wanted) -> String {
        let is_link = entry.kind == Kind::Link;
        let time = if wanted.mtime.is_some() {
            't'
        } else if differs && !self.options.times {
            'T'
        } else {
            '.'
        };
        let flag = |on: bool, letter: char| if on { letter } else { '.' };
        [
            flag(differs && (is_link || self.options.checksum), 'c'),
            flag(differs && !is_link && now.size() != entry.size, 's'),
            time,
            flag(wanted.mode.is_some(), 'p'),
            flag(wanted.owner.is_some(), 'o'),
            flag(wanted.group.is_some(), 'g'),
            '.',
            '.',
            '.',
        ]
        .iter()
        .collect()
    }

    fn note(&mut self, flags: &str, entry: &Entry) {
        let end = match (entry.kind, &entry.target) {
            (Kind::Directory, _) => "/".to_owned(),
            (Kind::Link, Some(target)) => format!(" -> {target}"),
            _ => String::new(),
        };
        self.plan.lines.push(format!("{flags} {}{end}", entry.name));
    }
}

fn letter(entry: &Entry) -> char {
    match entry.kind {
        Kind::Directory => 'd',
        Kind::Link => 'L',
        Kind::File | Kind::Other => 'f',
    }
}

fn newer(now: &Metadata, entry: &Entry) -> bool {
    now.mtime() > entry.mtime.0
}

/// The directory of the manifest that holds a name; none for what stands at the top.
pub(super) fn parent_of(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(above, _)| above)
}
