//! `_sync_list`: what there is at the source.

use super::names::Names;
use super::rules::{self, Rules};
use super::{Entry, Kind, Manifest, Options, order, text_of};
use crate::files::{self, Mode};
use crate::{Arg, Context, Failure, Module, Outcome, Spec, users};
use serde::Deserialize;
use serde_json::Value;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Rules that stand in the directories themselves (rsync's option -F).
const OWN_RULES: &str = ".rsync-filter";

#[derive(Deserialize)]
pub struct List {
    src: String,
    options: Options,
}

impl Module for List {
    const SPEC: Spec = Spec::new(
        "_sync_list",
        "Lists what synchronize would carry over. Returns `manifest`, `root` and `said` (lines about what isn't).",
        &[
            Arg::new("src", crate::Kind::Str, "As synchronize takes it.").required(),
            Arg::new("options", crate::Kind::Raw, "Rsync's options.").required(),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let root = cx.expand(&self.src);
        let mut walk = Walk::new(cx, &self.options)?;
        let manifest = walk.whole(&root, self.src.ends_with('/'))?;
        let manifest = serde_json::to_value(manifest)
            .map_err(|error| Failure::new(format!("the list can't be written: {error}")))?;
        Ok(Outcome::ok()
            .with("manifest", manifest)
            .with("said", walk.skipped)
            .with("root", root.to_string_lossy()))
    }
}

struct Walk<'a> {
    cx: &'a Context,
    options: &'a Options,
    names: Names,
    chmod: Vec<Chmod>,
    chown: (Option<String>, Option<String>),
    entries: Vec<Entry>,
    own_rules: Vec<(String, Vec<rules::Rule>)>,
    skipped: Vec<String>,
}

/// `D755`: for directories, files, or both.
struct Chmod {
    dirs: bool,
    files: bool,
    mode: Mode,
}

impl<'a> Walk<'a> {
    fn new(cx: &'a Context, options: &'a Options) -> Result<Self, Failure> {
        let chown = options.chown.as_deref().unwrap_or_default();
        let (user, group) = chown.split_once(':').unwrap_or((chown, ""));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            cx,
            options,
            names: Names::default(),
            chmod: options
                .chmod
                .iter()
                .map(|text| chmod(text))
                .collect::<Result<_, _>>()?,
            chown: (given(user), given(group)),
            entries: Vec::new(),
            own_rules: Vec::new(),
            skipped: Vec::new(),
        })
    }

    fn whole(&mut self, root: &Path, content_only: bool) -> Result<Manifest, Failure> {
        // A slash at the end means what a link leads to.
        let meta = if content_only || self.options.copy_links {
            fs::metadata(root)
        } else {
            fs::symlink_metadata(root)
        };
        let meta = meta.map_err(|error| Failure::io("cannot read", root, &error).with("rc", 23))?;
        let name = match root.file_name() {
            Some(name) if !content_only => text_of(name)?,
            _ => ".".to_owned(),
        };
        let single = !meta.is_dir();
        if single {
            self.add(root, name, &meta)?;
        } else if self.options.recursive || self.options.dirs {
            self.directory(root, name, &meta)?;
        } else {
            self.skipped.push(format!("skipping directory {name}"));
        }
        self.entries.sort_by(order);
        Ok(Manifest {
            entries: std::mem::take(&mut self.entries),
            single,
            own_rules: std::mem::take(&mut self.own_rules),
        })
    }

    fn directory(&mut self, path: &Path, name: String, meta: &Metadata) -> Result<(), Failure> {
        self.cx.check_cancelled()?;
        let top = self.entries.is_empty();
        self.read_own_rules(path, &name)?;
        let inside = self.options.recursive || (top && name == ".");
        self.add(path, name.clone(), meta)?;
        if !inside {
            return Ok(());
        }
        let failed = |error: std::io::Error| Failure::io("cannot read", path, &error);
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let own = text_of(&entry.file_name())?;
            let name = if name == "." {
                own
            } else {
                format!("{name}/{own}")
            };
            let path = entry.path();
            let meta = if self.options.copy_links {
                fs::metadata(&path)
            } else {
                entry.metadata()
            };
            let meta = match meta {
                Ok(meta) => meta,
                // It went away meanwhile.
                Err(_) if fs::symlink_metadata(&path).is_err() => continue,
                Err(error) => {
                    let failure = Failure::io("cannot read what the link leads to:", &path, &error);
                    return Err(failure.with("rc", 23));
                }
            };
            let rules = Rules {
                of_task: &self.options.rules,
                of_dirs: &self.own_rules,
            };
            if !rules.includes(&name, meta.is_dir()) {
                continue;
            }
            if meta.is_dir() {
                self.directory(&path, name, &meta)?;
            } else {
                self.add(&path, name, &meta)?;
            }
        }
        Ok(())
    }

    fn read_own_rules(&mut self, dir: &Path, name: &str) -> Result<(), Failure> {
        let file = dir.join(OWN_RULES);
        if let Ok(text) = fs::read_to_string(&file) {
            let rules = rules::own(&text, &file.to_string_lossy())?;
            self.own_rules.push((name.to_owned(), rules));
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, name: String, meta: &Metadata) -> Result<(), Failure> {
        let kind = if meta.is_dir() {
            Kind::Directory
        } else if meta.is_symlink() {
            Kind::Link
        } else if meta.is_file() {
            Kind::File
        } else {
            Kind::Other
        };
        match kind {
            Kind::Other if self.options.devices => {
                self.cx.warn(format!(
                    "{} is no file, directory or link and was left out",
                    path.display()
                ));
                return Ok(());
            }
            Kind::Other => {
                self.skipped
                    .push(format!("skipping non-regular file \"{name}\""));
                return Ok(());
            }
            Kind::Link if !self.options.links => {
                self.skipped
                    .push(format!("skipping non-regular file \"{name}\""));
                return Ok(());
            }
            _ => {}
        }
        let failed = |error: std::io::Error| Failure::io("cannot read", path, &error);
        let target = match kind {
            Kind::Link => Some(text_of(fs::read_link(path).map_err(failed)?.as_os_str())?),
            _ => None,
        };
        let sum = if self.options.checksum && kind == Kind::File {
            Some(files::sha1(path).map_err(failed)?)
        } else {
            None
        };
        let (user, uid) = self.owner(meta)?;
        let (group, gid) = self.group(meta)?;
        self.entries.push(Entry {
            kind,
            size: if kind == Kind::File { meta.size() } else { 0 },
            mtime: (meta.mtime(), meta.mtime_nsec()),
            mode: self.mode(meta),
            uid,
            gid,
            user,
            group,
            target,
            sum,
            name,
        });
        Ok(())
    }

    fn mode(&self, meta: &Metadata) -> u32 {
        let is_dir = meta.is_dir();
        let fitting = self.chmod.iter().filter(|chmod| {
            if is_dir {
                chmod.dirs
            } else {
                chmod.files && meta.is_file()
            }
        });
        fitting.fold(meta.mode() & 0o7777, |mode, chmod| {
            chmod.mode.apply(mode, is_dir)
        })
    }

    /// By name and number; without a name where numbers count.
    fn owner(&mut self, meta: &Metadata) -> Result<(String, u32), Failure> {
        match &self.chown.0 {
            None if self.options.numeric_ids => Ok((String::new(), meta.uid())),
            None => Ok((self.names.user(meta.uid()), meta.uid())),
            Some(name) => match users::uid_of(name) {
                Some(uid) => Ok((name.clone(), uid)),
                None => Ok((name.clone(), meta.uid())),
            },
        }
    }

    fn group(&mut self, meta: &Metadata) -> Result<(String, u32), Failure> {
        match &self.chown.1 {
            None if self.options.numeric_ids => Ok((String::new(), meta.gid())),
            None => Ok((self.names.group(meta.gid()), meta.gid())),
            Some(name) => match users::gid_of(name) {
                Some(gid) => Ok((name.clone(), gid)),
                None => Ok((name.clone(), meta.gid())),
            },
        }
    }
}

fn chmod(text: &str) -> Result<Chmod, Failure> {
    let (dirs, files, mode) = match text.split_at_checked(1) {
        Some(("D", mode)) => (true, false, mode),
        Some(("F", mode)) => (false, true, mode),
        _ => (true, true, text),
    };
    let mode =
        Mode::parse(mode).ok_or_else(|| Failure::new(format!("--chmod: {text:?} is no mode")))?;
    Ok(Chmod { dirs, files, mode })
}

/// A manifest that came as JSON.
pub(super) fn read(value: Value) -> Result<Manifest, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::new(format!("the list of the source can't be read: {error}")))
}
