//! A run from its first playbook to its recap.

use super::batch::{Batch, Section, absolute, percentage};
use super::facts::Cache;
use super::hands::{Connect, Sums};
use super::hosts::Recap;
use super::keep::{Rendered, as_text, boolean, number, render};
use super::order::{batches, order};
use super::request::{Gathering, PlayError, Request};
use super::stats::Stats;
use super::store::{Store, lock};
use super::tags::Tags;
use super::view;
use crate::content::inventory::{HostName, Unknown, Var, Vars};
use crate::content::place::{Fault, Place};
use crate::content::playbook::{Args, Frame, Keyword, Keywords, Loader, Play, Task};
use crate::content::template::Templar;
use crate::content::value::Value;
use crate::journal::{Event, Level, NO_HOSTS, Sink};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// What all plays of a run share.
pub(super) struct Run {
    pub request: Request,
    pub connect: Arc<dyn Connect>,
    pub sink: Arc<dyn Sink>,
    pub loader: Loader,
    pub store: Arc<Store>,
    pub recap: Arc<Recap>,
    pub extra: Arc<Vars>,
    /// Directory of the playbook.
    pub dir: PathBuf,
    /// The directory whose `group_vars` and `host_vars` the inventory holds now.
    pub beside: Mutex<PathBuf>,
    pub tags: Tags,
    pub forks: Arc<Semaphore>,
    pub width: usize,
    pub cache: Option<Cache>,
    pub sums: Arc<Sums>,
    /// What `set_stats` keeps.
    pub stats: Arc<Stats>,
    pub warned: Mutex<HashSet<String>>,
    /// The task of `start_at` wasn't reached yet.
    pub waiting: Mutex<bool>,
    pub broken: Mutex<Option<Fault>>,
    /// `--step` asks; answered with `continue` it doesn't any more.
    pub steps: Mutex<bool>,
}

/// Why a list of tasks isn't run to its end.
pub(super) enum Stop {
    /// What the play says can't be taken: nothing of it was run.
    Refused(Fault),
    /// `meta: end_play`.
    Play,
    /// `meta: end_batch`.
    Batch,
    TooManyFailed,
    Cancelled,
    /// Something that ends the run.
    Fault(Fault),
}

impl Run {
    /// Runs all plays of one playbook.
    pub(super) async fn plays(self: &Arc<Self>, plays: &[Arc<Play>]) -> Result<bool, PlayError> {
        for play in plays {
            match self.play(play).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(Stop::Cancelled) => {
                    return Ok(false);
                }
                Err(Stop::Fault(fault)) => return Err(PlayError::Stopped(fault)),
                Err(Stop::Refused(fault)) => return Err(PlayError::Refused(vec![fault])),
                Err(_) => {}
            }
            if let Some(fault) = lock(&self.broken).take() {
                return Err(PlayError::Stopped(fault));
            }
        }
        Ok(true)
    }

    /// Templates that know the play but no host.
    pub(super) fn play_templar(&self, play: &Play) -> Templar {
        let magic = self.magic(&play.dir());
        let extra = Arc::clone(&self.extra);
        view::play_templar(&self.request, magic, extra, &self.loader, play)
    }

    /// Parts of a pattern that match nothing, as `host_pattern_mismatch` has them.
    fn mismatched(&self, warnings: Vec<String>, place: &Place) -> Result<(), Stop> {
        let meant = self.request.config.get("HOST_PATTERN_MISMATCH");
        let meant = meant.map(Value::to_text).unwrap_or_default();
        for text in warnings {
            match meant.as_str() {
                "ignore" => {}
                "error" => return Err(Stop::Fault(Fault::new(text).at(place))),
                _ => self.warn(&text),
            }
        }
        Ok(())
    }

    /// False: the playbook ends here.
    async fn play(self: &Arc<Self>, play: &Arc<Play>) -> Result<bool, Stop> {
        self.enter(&play.dir()).map_err(Stop::Refused)?;
        let play = &self.answered(play).await?;
        let templar = self.play_templar(play);
        let at = |var: &Var| render(&templar, var).map_err(Stop::Refused);
        self.readable(play, &templar)?;
        let pattern = match at(&play.hosts)? {
            Value::List(items) => {
                let items = items.read().map(|items| items.clone()).unwrap_or_default();
                items.iter().map(as_text).collect::<Vec<_>>().join(",")
            }
            other => as_text(&other),
        };
        let name = render(&templar, &play.name).unwrap_or_else(|_| play.name.value.clone());
        let name = as_text(&name);
        let inventory = self.store.inventory();
        let selection = inventory
            .select(&pattern, self.request.limit.as_deref(), Unknown::Warn)
            .map_err(|fault| Stop::Fault(fault.at(&play.hosts.place)))?;
        self.mismatched(selection.warnings, &play.hosts.place)?;
        // `order:` changes who goes first, not what `ansible_play_hosts` names.
        let all = selection.hosts.clone();
        let mut hosts = selection.hosts;
        order(
            &mut hosts,
            play.order
                .as_ref()
                .map(at)
                .transpose()?
                .map(|value| as_text(&value))
                .as_deref(),
        );
        let check = Rendered {
            frame: &play.frame,
            templar: &templar,
        };
        let check = check.flag(Keyword::CheckMode).unwrap_or(None);
        let check = check.unwrap_or(self.request.check);
        let started = |hosts: &[HostName]| {
            self.sink.emit(Event::PlayStarted {
                name: name.clone(),
                hosts: hosts.iter().map(ToString::to_string).collect(),
                check,
                place: Some(absolute(&play.place)),
            });
        };
        if hosts.is_empty() {
            started(&hosts);
            self.sink.emit(Event::Note {
                level: Level::Info,
                text: NO_HOSTS.to_owned(),
                host: None,
            });
            return Ok(true);
        }
        let serial = play.serial.as_ref().map(at).transpose()?;
        let serial = serial.filter(|size| !Templar::is_omit(size));
        let batches =
            batches(&hosts, serial.as_ref()).map_err(|message| {
                let place = play.serial.as_ref().map_or(&play.place, |var| &var.place);
                Stop::Fault(Fault::new(message).at(place).hint(
                    "`serial:` takes a number of hosts, a share as `20%`, or a list of these.",
                ))
            })?;
        let force = ("force_handlers", play.force_handlers.as_ref());
        let force = self.of_play(force, &templar, "bool", boolean)?;
        let max_fail = ("max_fail_percentage", play.max_fail_percentage.as_ref());
        let max_fail = self.of_play(max_fail, &templar, "float", percentage)?;
        let gather = ("gather_facts", play.gather_facts.as_ref());
        self.of_play(gather, &templar, "bool", boolean)?;
        let timeout = ("gather_timeout", play.gather_timeout.as_ref());
        self.of_play(timeout, &templar, "int", number)?;
        for hosts_of_batch in batches {
            let before = self.recap.out();
            let count = hosts_of_batch.len();
            started(&hosts_of_batch);
            let mut batch = Batch::new(self, play, &name, hosts_of_batch, all.clone());
            batch.max_fail = max_fail;
            batch.force_handlers = force.unwrap_or(batch.force_handlers);
            let batch = Arc::new(batch);
            match batch.run_all().await {
                Ok(()) | Err(Stop::Batch) => {}
                Err(Stop::Play) => return Ok(true),
                Err(Stop::TooManyFailed) => return Ok(false),
                Err(other) => return Err(other),
            }
            // When all hosts of a batch are lost, nothing that follows can be meant.
            if self.recap.out() >= before + count {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The value of a play's keyword, as `convert` makes it; the error: it isn't of that kind.
    fn of_play<T>(
        &self,
        named: (&str, Option<&Var>),
        templar: &Templar,
        kind: &str,
        convert: fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        let (field, Some(var)) = named else {
            return Ok(None);
        };
        let value = render(templar, var).map_err(Stop::Refused)?;
        if matches!(value, Value::None) || Templar::is_omit(&value) {
            return Ok(None);
        }
        let converted = convert(&value);
        let converted = converted.ok_or_else(|| invalid(field, &value, kind, &var.place))?;
        Ok(Some(converted))
    }

    /// Files of the play's variables that need no host are read before the first host is worked on: one that is broken,
    /// or that no password opens, ends the run here.
    fn readable(&self, play: &Play, templar: &Templar) -> Result<(), Stop> {
        for entry in &play.vars_files {
            let Ok(value) = templar.render(&entry.value) else {
                continue;
            };
            if !names_files(&value) {
                let fault = Fault::new(format!("Invalid vars_files entry found: {}", value.repr()))
                    .hint("An entry is the name of a file, or a list of names of which the first that is there counts.");
                return Err(Stop::Fault(fault.at(&entry.place)));
            }
            let Some(path) = view::file_of_vars(&value, &[play.dir()]) else {
                continue;
            };
            let read = self.loader.vars_file(&path);
            read.map_err(|fault| Stop::Fault(fault.at(&entry.place)))?;
        }
        Ok(())
    }

    /// Variables of groups and hosts beside the playbook are those beside the file that the play stands in.
    fn enter(&self, dir: &Path) -> Result<(), Fault> {
        let mut beside = lock(&self.beside);
        if *beside != dir {
            self.store
                .replace(self.store.inventory().with_playbook_dir(dir)?);
            dir.clone_into(&mut beside);
        }
        Ok(())
    }

    /// True once the task that `start_at` names was reached.
    pub(super) fn has_started(&self, name: &str, task: &Task) -> bool {
        let mut waiting = lock(&self.waiting);
        if !*waiting {
            return true;
        }
        if task.handler {
            return false;
        }
        let wanted = self.request.start_at.as_deref().unwrap_or_default();
        let matches = wanted == name
            || task
                .frame
                .role()
                .is_some_and(|role| wanted == format!("{} : {name}", role.name))
            || glob::Pattern::new(wanted).is_ok_and(|pattern| pattern.matches(name));
        if matches {
            *waiting = false;
        }
        matches
    }

    pub(super) fn warn(&self, text: &str) {
        if lock(&self.warned).insert(text.to_owned()) {
            self.sink.emit(Event::Note {
                level: Level::Warning,
                text: text.to_owned(),
                host: None,
            });
        }
    }

    /// A file that the run can't do without can't be read.
    pub(super) fn broken_file(&self, fault: Fault) {
        lock(&self.broken).get_or_insert(fault);
    }

    pub(super) fn save_facts(&self, host: &HostName) {
        let Some(cache) = &self.cache else { return };
        if let Err(error) = cache.save(host, &self.store.learned(host).facts()) {
            self.warn(&format!("facts of {host} can't be kept: {error}"));
        }
    }
}

impl Batch {
    /// Facts, then the sections of the play, with handlers after each.
    async fn run_all(self: &Arc<Self>) -> Result<(), Stop> {
        if self.free.is_some() {
            return self.freely().await;
        }
        self.sections(&self.hosts).await
    }

    /// The play from facts to its last handlers, on some of its hosts.
    pub(super) async fn sections(self: &Arc<Self>, hosts: &[HostName]) -> Result<(), Stop> {
        self.gather(hosts).await?;
        let play = Arc::clone(&self.play);
        let body: Vec<_> = play.role_tasks.iter().chain(&play.tasks).cloned().collect();
        for section in [&play.pre_tasks, &body, &play.post_tasks] {
            // Forced handlers run once more for a host that fails here, not for one that failed before.
            let here = self.roster.remaining(hosts);
            self.items(section, hosts, Section::default()).await?;
            self.flush(&here).await?;
        }
        Ok(())
    }

    /// Gathers facts on the hosts that the play wants them of.
    async fn gather(self: &Arc<Self>, hosts: &[HostName]) -> Result<(), Stop> {
        let templar = self.run.play_templar(&self.play);
        let asked = match &self.play.gather_facts {
            Some(var) => boolean(&render(&templar, var).map_err(Stop::Fault)?),
            None => None,
        };
        let policy = self.run.request.facts.gathering;
        let mut hosts = self.roster.active(hosts);
        match (policy, asked) {
            (_, Some(false)) | (Gathering::Explicit, None) => return Ok(()),
            (Gathering::Smart, None | Some(true)) => {
                hosts.retain(|host| !self.run.store.learned(host).has_facts());
            }
            _ => {}
        }
        if hosts.is_empty() {
            return Ok(());
        }
        let mut args = Args::default();
        for (name, var) in [
            ("gather_subset", &self.play.gather_subset),
            ("gather_timeout", &self.play.gather_timeout),
            ("fact_path", &self.play.fact_path),
        ] {
            if let Some(var) = var {
                args.map.insert(name.to_owned(), var.clone());
            }
        }
        let task = gathering(&self.play, args);
        self.task(&Arc::new(task), &hosts, Section::default()).await
    }
}

/// True for a text or a list of texts.
fn names_files(entry: &Value) -> bool {
    match entry {
        Value::Str(_) => true,
        Value::List(names) => {
            let names = names.read();
            names.is_ok_and(|names| names.iter().all(|name| matches!(name, Value::Str(_))))
        }
        _ => false,
    }
}

/// The fault of a play's keyword whose value is of another kind.
fn invalid(field: &str, value: &Value, kind: &str, place: &Place) -> Stop {
    let value = value.repr();
    Stop::Refused(
        Fault::new(format!(
            "the field '{field}' has an invalid value ({value}), and could not be converted to {kind}."
        ))
        .at(place),
    )
}

/// The task that gathers facts; tagged `always`, as in Ansible.
fn gathering(play: &Play, args: Args) -> Task {
    let place = play
        .gather_facts
        .as_ref()
        .map_or(&play.place, |var| &var.place);
    let text = |text: &str| Var {
        value: Value::from(text),
        place: place.clone(),
    };
    let frame = Frame {
        keywords: Keywords {
            tags: vec![text("always")],
            // Each host has facts of its own, also where its tasks run once for all.
            set: [Keyword::CheckMode, Keyword::RunOnce]
                .map(|keyword| {
                    let value = Value::Bool(false);
                    let place = place.clone();
                    (keyword, Var { value, place })
                })
                .to_vec(),
            ..Keywords::default()
        },
        parent: Some(Arc::clone(&play.frame)),
        ..Frame::empty()
    };
    let name = text("Gathering Facts");
    Task::implied(0, name, ("setup", "gather_facts"), args, frame)
}
