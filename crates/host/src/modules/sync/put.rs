//! `_sync_put`: compares a list with the destination, and with the content that it asked for brings it up to date.

use super::compare::{Compare, Plan, Step, Todo, Wanted};
use super::delete::{self, Deletions, Search};
use super::place::{Place, make_dir};
use super::rules::Rules;
use super::{Entry, Kind, Manifest, Options, list, path_of};
use crate::files::{self, Atomic, Attributes, Parked};
use crate::modules::rewrite::write_failure;
use crate::{Arg, Context, Failure, Module, Outcome, Spec, users};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The blob with the content of many files.
const BUNDLE: &str = "bundle";

#[derive(Deserialize)]
pub struct Put {
    dest: String,
    manifest: Value,
    options: Options,
    #[serde(default)]
    arrow: Option<char>,
    /// Say what would be done, whether or not this is check mode.
    #[serde(default)]
    plan: bool,
    /// Entries whose content is in the bundle, in its order.
    #[serde(default)]
    bundled: Vec<usize>,
    /// Entries whose content is a blob of its own, named by their number.
    #[serde(default)]
    single: Vec<usize>,
}

impl Module for Put {
    const SPEC: Spec = Spec::new(
        "_sync_put",
        "Brings a destination to what a list says. Returns `lines` as rsync itemizes them, and `need`: entries whose content is asked for.",
        &[
            Arg::new("dest", crate::Kind::Str, "As synchronize takes it.").required(),
            Arg::new("manifest", crate::Kind::Raw, "What `_sync_list` returned.").required(),
            Arg::new("options", crate::Kind::Raw, "Rsync's options.").required(),
            Arg::new("arrow", crate::Kind::Str, "How a transfer is itemized."),
            Arg::new("plan", crate::Kind::Bool, "Only tell.").default("no"),
            Arg::new("bundled", crate::Kind::List, "Entries in the bundle.").of(crate::Kind::Int),
            Arg::new(
                "single",
                crate::Kind::List,
                "Entries with a blob of their own.",
            )
            .of(crate::Kind::Int),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let manifest = list::read(self.manifest.clone())?;
        self.check_chown()?;
        if manifest.entries.is_empty() {
            return Ok(Outcome::ok()
                .with("lines", [""; 0].as_slice())
                .with("need", [0_u64; 0].as_slice()));
        }
        let place = Place::new(cx, &self.dest, &manifest)?;
        let compare = Compare::new(cx, &self.options, &place, self.arrow.unwrap_or('>'));
        let plan = compare.all(&manifest)?;
        let gone = self.deletions(cx, &manifest, &place, &plan)?;
        let mut lines: Vec<String> = place.made(&self.dest).into_iter().collect();
        let made = lines.len();
        lines.extend(plan.lines.iter().chain(&gone.lines).cloned());
        let changed = lines.len() > made
            && lines[made..]
                .iter()
                .any(|line| !line.starts_with("cannot delete"));
        let need: Vec<usize> = plan
            .steps
            .iter()
            .filter(|step| needs_content(step, &manifest.entries[step.index]))
            .map(|step| step.index)
            .collect();
        if !self.plan && !cx.check() {
            let mut work = Work {
                cx,
                put: &self,
                manifest: &manifest,
                parked: Vec::new(),
                dirs: BTreeSet::new(),
            };
            work.all(&place, &plan, &gone)?;
        }
        Ok(Outcome::changed(changed)
            .with("lines", lines)
            .with("need", need))
    }
}

fn needs_content(step: &Step, entry: &Entry) -> bool {
    entry.kind == Kind::File && matches!(step.todo, Todo::Make | Todo::Replace)
}

impl Put {
    /// A name in --chown has to mean somebody here.
    fn check_chown(&self) -> Result<(), Failure> {
        let Some(chown) = &self.options.chown else {
            return Ok(());
        };
        let (user, group) = chown.split_once(':').unwrap_or((chown, ""));
        if !user.is_empty() && users::uid_of(user).is_none() {
            return Err(Failure::new(format!(
                "--chown: there is no user {user:?} at the destination"
            )));
        }
        if !group.is_empty() && users::gid_of(group).is_none() {
            return Err(Failure::new(format!(
                "--chown: there is no group {group:?} at the destination"
            )));
        }
        Ok(())
    }

    fn deletions(
        &self,
        cx: &Context,
        manifest: &Manifest,
        place: &Place,
        plan: &Plan,
    ) -> Result<Deletions, Failure> {
        if !self.options.delete || place.only.is_some() {
            return Ok(Deletions::default());
        }
        let search = Search {
            cx,
            options: &self.options,
            rules: Rules {
                of_task: &self.options.rules,
                of_dirs: &manifest.own_rules,
            },
            found: Deletions::default(),
        };
        search.all(manifest, &place.root, &plan.left_out)
    }
}

/// Bringing about what was planned.
struct Work<'a> {
    cx: &'a Context,
    put: &'a Put,
    manifest: &'a Manifest,
    /// Files that are written and not yet in their places.
    parked: Vec<(Parked, PathBuf)>,
    /// Directories in which names changed.
    dirs: BTreeSet<PathBuf>,
}

impl Work<'_> {
    fn all(&mut self, place: &Place, plan: &Plan, gone: &Deletions) -> Result<(), Failure> {
        if place.is_new {
            place.make()?;
        }
        for step in &plan.steps {
            self.cx.check_cancelled()?;
            if !needs_content(step, self.entry(step)) {
                self.plain(step)?;
            }
        }
        self.contents(plan)?;
        for (parked, path) in std::mem::take(&mut self.parked) {
            parked
                .commit()
                .map_err(|error| Failure::io("cannot put in place", &path, &error))?;
        }
        delete::remove(&gone.paths)?;
        self.dirs.extend(
            gone.paths
                .iter()
                .map(|(path, _)| files::parent(path).to_path_buf()),
        );
        // Inner directories first: setting their modes may close them, and names in them changed their times.
        for step in plan.steps.iter().rev() {
            if self.entry(step).kind == Kind::Directory {
                self.finish_directory(step)?;
            }
        }
        for dir in &self.dirs {
            // A directory that was removed again has nothing to be synced.
            if dir.is_dir() {
                files::sync_parent(&dir.join("x"))
                    .map_err(|error| Failure::io("cannot sync", dir, &error))?;
            }
        }
        Ok(())
    }

    fn entry(&self, step: &Step) -> &Entry {
        &self.manifest.entries[step.index]
    }

    /// Directories, links, and files of which only attributes change.
    fn plain(&mut self, step: &Step) -> Result<(), Failure> {
        let entry = &self.manifest.entries[step.index];
        if step.in_the_way {
            let options = &self.put.options;
            delete::make_room(&step.path, options.delete || options.force)?;
        }
        match (entry.kind, step.todo) {
            (Kind::Directory, Todo::Make) => {
                // The destination was made as a whole.
                if !(entry.name == "." && step.path.is_dir()) {
                    make_dir(&step.path)?;
                }
                self.touched(&step.path);
            }
            (Kind::Directory, _) => {}
            (Kind::Link, Todo::Make | Todo::Replace) => {
                let target = path_of(entry.target.as_deref().unwrap_or_default())?;
                files::symlink(&target, &step.path)
                    .map_err(|error| Failure::io("cannot make the link", &step.path, &error))?;
                let all = Wanted {
                    mtime: self.put.options.times.then_some(entry.mtime),
                    ..step.attributes
                };
                apply(&step.path, all)?;
            }
            _ => apply(&step.path, step.attributes)?,
        }
        Ok(())
    }

    /// Files with content: those of the bundle, then those that come one by one.
    fn contents(&mut self, plan: &Plan) -> Result<(), Failure> {
        let changed = || {
            Failure::new(
                "the destination changed while its files were on their way: run the task again",
            )
        };
        let steps: HashMap<usize, &Step> = plan
            .steps
            .iter()
            .filter(|step| needs_content(step, self.entry(step)))
            .map(|step| (step.index, step))
            .collect();
        if steps.len() != self.put.bundled.len() + self.put.single.len() {
            return Err(changed());
        }
        let step_of = |index: usize| steps.get(&index).copied().ok_or_else(changed);
        if !self.put.bundled.is_empty() {
            let mut bundle = self.cx.blob(BUNDLE)?;
            for index in &self.put.bundled {
                let length = length(&mut bundle)?;
                self.file(step_of(*index)?, &mut (&mut bundle).take(length), length)?;
            }
            // The end tells whether all came as it was sent.
            io::copy(&mut bundle, &mut io::sink())
                .map_err(|error| Failure::new(format!("the files didn't arrive: {error}")))?;
        }
        for index in &self.put.single {
            let step = step_of(*index)?;
            let mut blob = self.cx.blob(&index.to_string())?;
            let length = blob.size();
            self.file(step, &mut blob, length)?;
        }
        Ok(())
    }

    fn file(&mut self, step: &Step, content: &mut dyn Read, length: u64) -> Result<(), Failure> {
        self.cx.check_cancelled()?;
        let options = &self.put.options;
        let entry = &self.manifest.entries[step.index];
        if step.in_the_way {
            delete::make_room(&step.path, options.delete || options.force)?;
        }
        let there = step.todo == Todo::Replace;
        let failed = |error: &io::Error| write_failure(&step.path, length, there, error);
        // As rsync does: what isn't carried over is that of who writes.
        let mine = rustix::process::geteuid().as_raw();
        let my_group = rustix::process::getegid().as_raw();
        let attributes = Attributes {
            mode: step.attributes.mode,
            owner: step.attributes.owner.or((!options.owner).then_some(mine)),
            group: step
                .attributes
                .group
                .or((!options.group).then_some(my_group)),
        };
        let mut file = Atomic::replace(&step.path, attributes).map_err(|error| failed(&error))?;
        let count = pour(content, &mut file, &failed)?;
        if count != length {
            return Err(Failure::new(format!(
                "{} didn't arrive whole",
                step.path.display()
            )));
        }
        if options.times {
            set_time(file.temporary(), entry.mtime)?;
        }
        let parked = file.park().map_err(|error| failed(&error))?;
        self.touched(&step.path);
        if options.at_once {
            parked
                .commit()
                .map_err(|error| Failure::io("cannot put in place", &step.path, &error))?;
        } else {
            self.parked.push((parked, step.path.clone()));
        }
        Ok(())
    }

    fn finish_directory(&self, step: &Step) -> Result<(), Failure> {
        let entry = self.entry(step);
        let options = &self.put.options;
        let keeps_time = options.times && !options.omit_dir_times;
        let now = fs::metadata(&step.path)
            .map_err(|error| Failure::io("cannot stat", &step.path, &error))?;
        let late = keeps_time && now.mtime() != entry.mtime.0;
        let mtime = (late || step.attributes.mtime.is_some()).then_some(entry.mtime);
        apply(
            &step.path,
            Wanted {
                mtime: mtime.filter(|_| keeps_time),
                ..step.attributes
            },
        )
    }

    fn touched(&mut self, path: &Path) {
        self.dirs.insert(files::parent(path).to_path_buf());
    }
}

fn length(bundle: &mut impl Read) -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    bundle
        .read_exact(&mut bytes)
        .map_err(|error| Failure::new(format!("the files didn't arrive: {error}")))?;
    Ok(u64::from_be_bytes(bytes))
}

/// What was read and what was written fail in different words.
fn pour(
    content: &mut dyn Read,
    file: &mut Atomic,
    failed: &dyn Fn(&io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; 256 * 1024];
    let mut count = 0;
    loop {
        let read = content
            .read(&mut buffer)
            .map_err(|error| Failure::new(format!("the files didn't arrive: {error}")))?;
        if read == 0 {
            return Ok(count);
        }
        file.write_all(&buffer[..read])
            .map_err(|error| failed(&error))?;
        count += read as u64;
    }
}

/// Owner before mode: a change of owner clears bits of the mode.
fn apply(path: &Path, wanted: Wanted) -> Result<(), Failure> {
    if wanted.owner.is_some() || wanted.group.is_some() {
        std::os::unix::fs::lchown(path, wanted.owner, wanted.group)
            .map_err(|error| Failure::io("chown failed for", path, &error))?;
    }
    if let Some(mode) = wanted.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| Failure::io("chmod failed for", path, &error))?;
    }
    match wanted.mtime {
        Some(mtime) => set_time(path, mtime),
        None => Ok(()),
    }
}

fn set_time(path: &Path, (seconds, nanoseconds): (i64, i64)) -> Result<(), Failure> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| Failure::io("cannot set the time of", path, &error.into()))
}
