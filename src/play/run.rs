//! A run from its first playbook to its recap.

use super::batch::{Batch, Section, percentage};
use super::facts::Cache;
use super::hands::Connect;
use super::hosts::Recap;
use super::keep::{as_text, boolean, number, render};
use super::request::{Gathering, PlayError, Request, Source, Summary};
use super::store::{Store, lock};
use super::tags::Tags;
use super::view::fault;
use crate::content::inventory::{HostName, Unknown, Var, Vars};
use crate::content::place::{Fault, Place};
use crate::content::playbook::{Args, Frame, Keyword, Keywords, Loader, Play, Settings, Task};
use crate::content::template::{Templar, TemplateSettings};
use crate::content::value::Value;
use crate::content::vars::{HostScope, Learned};
use crate::journal::{Event, Level, Sink};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// How many hosts work at the same time when nobody says.
const FORKS: usize = 50;

/// What all plays of a run share.
pub(super) struct Run {
    pub request: Request,
    pub connect: Arc<dyn Connect>,
    pub sink: Arc<dyn Sink>,
    pub loader: Loader,
    pub store: Store,
    pub recap: Recap,
    pub extra: Arc<Vars>,
    /// Directory of the playbook.
    pub dir: PathBuf,
    pub tags: Tags,
    pub forks: Arc<Semaphore>,
    pub width: usize,
    pub cache: Option<Cache>,
    pub warned: Mutex<HashSet<String>>,
    /// The task of `start_at` wasn't reached yet.
    waiting: Mutex<bool>,
    broken: Mutex<Option<Fault>>,
}

/// Why a list of tasks isn't run to its end.
pub(super) enum Stop {
    /// `meta: end_play`.
    Play,
    /// `meta: end_batch`.
    Batch,
    TooManyFailed,
    Cancelled,
    /// Something that ends the run.
    Fault(Fault),
}

/// The variables that `-e` gives.
pub(super) fn extra_vars(request: &Request) -> Arc<Vars> {
    let place = Place::file(Path::new("-e"));
    let vars = request.extra_vars.iter().map(|(name, value)| {
        let value = value.clone();
        let place = place.clone();
        (name.clone(), Var { value, place })
    });
    Arc::new(vars.collect())
}

/// Reads playbooks as the request says.
pub(super) fn loader(request: &Request, extra: &Arc<Vars>) -> Loader {
    let environment = Arc::clone(&request.environment);
    Loader::new(Settings {
        roles_path: request.roles_path.clone(),
        extra_vars: Arc::clone(extra),
        render: Arc::new(move |var, layers| {
            let scope = HostScope {
                magic: Vec::new(),
                extra: Arc::new(Vars::new()),
                frame: None,
                play: None,
                files: layers.clone(),
                roles: Arc::from([]),
                learned: Arc::new(Learned::default()),
                inventory: Arc::new(Vars::new()),
            };
            let settings = TemplateSettings {
                environment: Arc::clone(&environment),
                ..TemplateSettings::default()
            };
            Templar::new(Arc::new(scope), Arc::new(settings))
                .render(&var.value)
                .map_err(|error| fault(error).at(&var.place))
        }),
    })
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
                Err(_) => {}
            }
            if let Some(fault) = lock(&self.broken).take() {
                return Err(PlayError::Stopped(fault));
            }
        }
        Ok(true)
    }

    /// Templates that know the play but no host.
    fn play_templar(&self, play: &Play) -> Templar {
        let scope = HostScope {
            magic: vec![Arc::new(self.magic())],
            extra: Arc::clone(&self.extra),
            frame: None,
            play: Some(Arc::clone(&play.frame)),
            files: Vec::new(),
            roles: Arc::from([]),
            learned: Arc::new(Learned::default()),
            inventory: Arc::new(Vars::new()),
        };
        Templar::new(
            Arc::new(scope),
            self.template_settings(play.frame.search.to_vec()),
        )
    }

    /// False: the playbook ends here.
    async fn play(self: &Arc<Self>, play: &Arc<Play>) -> Result<bool, Stop> {
        let templar = self.play_templar(play);
        let at = |var: &Var| render(&templar, var).map_err(Stop::Fault);
        let pattern = match at(&play.hosts)? {
            Value::List(items) => {
                let items = items.read().map(|items| items.clone()).unwrap_or_default();
                items.iter().map(as_text).collect::<Vec<_>>().join(",")
            }
            other => as_text(&other),
        };
        let name = match &play.name {
            Some(name) => as_text(&render(&templar, name).unwrap_or_else(|_| name.value.clone())),
            None => pattern.clone(),
        };
        let inventory = self.store.inventory();
        let selection = inventory
            .select(&pattern, self.request.limit.as_deref(), Unknown::Warn)
            .map_err(|fault| Stop::Fault(fault.at(&play.hosts.place)))?;
        for text in selection.warnings {
            self.warn(&text);
        }
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
        let started = |hosts: &[HostName]| {
            self.sink.emit(Event::PlayStarted {
                name: name.clone(),
                hosts: hosts.iter().map(ToString::to_string).collect(),
                place: Some(play.place.to_string()),
            });
        };
        if hosts.is_empty() {
            started(&hosts);
            self.sink.emit(Event::Note {
                level: Level::Info,
                text: "skipping: no hosts matched".to_owned(),
                host: None,
            });
            return Ok(true);
        }
        let serial = play.serial.as_ref().map(at).transpose()?;
        let batches =
            batches(&hosts, serial.as_ref()).map_err(|message| {
                let place = play.serial.as_ref().map_or(&play.place, |var| &var.place);
                Stop::Fault(Fault::new(message).at(place).hint(
                    "`serial:` takes a number of hosts, a share as `20%`, or a list of these.",
                ))
            })?;
        let force = play.force_handlers.as_ref().map(at).transpose()?;
        let max_fail = play.max_fail_percentage.as_ref().map(at).transpose()?;
        for hosts_of_batch in batches {
            let before = self.recap.out();
            let count = hosts_of_batch.len();
            started(&hosts_of_batch);
            let mut batch = Batch::new(self, play, &name, hosts_of_batch, hosts.clone());
            batch.max_fail = max_fail.as_ref().and_then(percentage);
            if let Some(force) = &force {
                batch.force_handlers = boolean(force).unwrap_or(batch.force_handlers);
            }
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
        self.gather().await?;
        let play = Arc::clone(&self.play);
        let body: Vec<_> = play.role_tasks.iter().chain(&play.tasks).cloned().collect();
        for section in [&play.pre_tasks, &body, &play.post_tasks] {
            self.items(section, &self.hosts, Section::default()).await?;
            self.flush().await?;
        }
        Ok(())
    }

    /// Gathers facts on the hosts that the play wants them of.
    async fn gather(self: &Arc<Self>) -> Result<(), Stop> {
        let templar = self.run.play_templar(&self.play);
        let asked = match &self.play.gather_facts {
            Some(var) => boolean(&render(&templar, var).map_err(Stop::Fault)?),
            None => None,
        };
        let policy = self.run.request.facts.gathering;
        let mut hosts = self.roster.active(&self.hosts);
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
        ] {
            if let Some(var) = var {
                args.map.insert(name.to_owned(), var.clone());
            }
        }
        let task = gathering(&self.play, args);
        self.task(&Arc::new(task), &hosts, Section::default()).await
    }
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
    Task {
        id: 0,
        place: place.clone(),
        name: Some(text("Gathering Facts")),
        module: Arc::from("setup"),
        module_place: place.clone(),
        args,
        frame: Arc::new(Frame {
            keywords: Keywords {
                tags: vec![text("always")],
                set: vec![(
                    Keyword::CheckMode,
                    Var {
                        value: Value::Bool(false),
                        place: place.clone(),
                    },
                )],
                ..Keywords::default()
            },
            parent: Some(Arc::clone(&play.frame)),
            ..Frame::empty()
        }),
        looping: None,
        register: None,
        changed_when: Vec::new(),
        failed_when: Vec::new(),
        until: Vec::new(),
        retries: None,
        delay: None,
        listen: Vec::new(),
        apply: None,
        handler: false,
    }
}

/// Sorts the hosts of a play as `order:` says.
fn order(hosts: &mut [HostName], order: Option<&str>) {
    match order {
        Some("sorted") => hosts.sort(),
        Some("reverse_sorted") => {
            hosts.sort();
            hosts.reverse();
        }
        Some("reverse_inventory") => hosts.reverse(),
        Some("shuffle") => {
            use rand::seq::SliceRandom;
            hosts.shuffle(&mut rand::rng());
        }
        _ => {}
    }
}

/// Cuts the hosts of a play into batches; the last size goes on to the end.
fn batches(hosts: &[HostName], serial: Option<&Value>) -> Result<Vec<Vec<HostName>>, String> {
    let sizes = match serial {
        None | Some(Value::None) => return Ok(vec![hosts.to_vec()]),
        Some(Value::List(items)) => items.read().map(|items| items.clone()).unwrap_or_default(),
        Some(Value::Str(text)) if text.text.trim().is_empty() => return Ok(vec![hosts.to_vec()]),
        Some(one) => vec![one.clone()],
    };
    let mut counts = Vec::new();
    for size in &sizes {
        counts.push(batch_size(size, hosts.len())?);
    }
    let mut rest = hosts;
    let mut batches = Vec::new();
    let mut counts = counts.into_iter().peekable();
    let mut size = counts.next().unwrap_or(0);
    while !rest.is_empty() {
        if size == 0 {
            batches.push(rest.to_vec());
            break;
        }
        let (batch, left) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = left;
        if let Some(next) = counts.next() {
            size = next;
        }
    }
    Ok(batches)
}

/// `20%` of the hosts, at least one; 0 means all that are left.
fn batch_size(size: &Value, hosts: usize) -> Result<usize, String> {
    let wrong = || format!("`{}` is not a size of a batch", as_text(size));
    if let Value::Str(text) = size
        && let Some(share) = text.text.trim().strip_suffix('%')
    {
        let share: f64 = share.trim().parse().map_err(|_| wrong())?;
        return Ok(((share / 100.0 * hosts as f64) as usize).max(1));
    }
    let count = number(size).ok_or_else(wrong)?;
    Ok(if count <= 0.0 { 0 } else { count as usize })
}

/// Reads everything, checks it, and runs it.
pub(super) async fn run(
    request: &Request,
    connect: Arc<dyn Connect>,
    sink: Arc<dyn Sink>,
) -> Result<Summary, PlayError> {
    let extra = extra_vars(request);
    let mut read = Vec::new();
    let mut faults = Vec::new();
    match &request.source {
        Source::Playbooks(paths) => {
            for path in paths {
                let loader = loader(request, &extra);
                match loader.playbook(path) {
                    Ok(playbook) => {
                        read.push((loader, playbook.dir, playbook.plays, playbook.warnings));
                    }
                    Err(mut found) => faults.append(&mut found),
                }
            }
        }
        Source::Task {
            pattern,
            module,
            args,
        } => {
            let loader = loader(request, &extra);
            let plays =
                super::adhoc::plays(&loader, pattern, module, args, &request.working_directory);
            match plays {
                Ok(plays) => {
                    read.push((loader, request.working_directory.clone(), plays, Vec::new()));
                }
                Err(mut found) => faults.append(&mut found),
            }
            if let Err(fault) =
                request
                    .inventory
                    .select(pattern, request.limit.as_deref(), Unknown::Fault)
            {
                faults.push(fault);
            }
        }
    }
    check_limit(request, &mut faults);
    if !faults.is_empty() {
        return Err(PlayError::Refused(faults));
    }
    let width = request.forks.filter(|forks| *forks > 0).unwrap_or(FORKS);
    let mut summary = Summary::default();
    let mut waiting = request.start_at.is_some();
    for (loader, dir, plays, warnings) in read {
        let inventory = request
            .inventory
            .with_playbook_dir(&dir)
            .map_err(|fault| PlayError::Refused(vec![fault]))?;
        let run = Arc::new(Run {
            request: request.clone(),
            connect: Arc::clone(&connect),
            sink: Arc::clone(&sink),
            loader,
            store: Store::new(Arc::new(inventory)),
            recap: Recap::default(),
            extra: Arc::clone(&extra),
            dir,
            tags: Tags::new(&request.tags, &request.skip_tags),
            forks: Arc::new(Semaphore::new(width)),
            width,
            cache: Cache::of(&request.facts),
            warned: Mutex::default(),
            waiting: Mutex::new(waiting),
            broken: Mutex::default(),
        });
        for warning in warnings {
            let at = warning
                .place
                .as_ref()
                .map(|place| format!(" ({place})"))
                .unwrap_or_default();
            run.warn(&format!("{}{at}", warning.message));
        }
        run.load_facts();
        let outcome = run.plays(&plays).await;
        waiting = *lock(&run.waiting);
        let order = run.store.inventory().hosts();
        summary.exit_code = run.recap.exit_code();
        merge(&mut summary.hosts, run.recap.table(&order));
        let go_on = match outcome {
            Ok(go_on) => go_on,
            Err(error) => {
                sink.emit(Event::Stats {
                    hosts: summary.hosts,
                });
                return Err(error);
            }
        };
        summary.interrupted = request.cancel.is_cancelled();
        if !go_on || summary.exit_code != 0 || summary.interrupted {
            break;
        }
    }
    if waiting && !summary.interrupted {
        return Err(PlayError::Stopped(
            Fault::new(format!(
                "no task is named `{}`",
                request.start_at.as_deref().unwrap_or_default()
            ))
            .hint("`kopsrun play --list-tasks` shows the names of all tasks."),
        ));
    }
    sink.emit(Event::Stats {
        hosts: summary.hosts.clone(),
    });
    Ok(summary)
}

/// A limit that names nobody is a mistake of the person who typed it.
fn check_limit(request: &Request, faults: &mut Vec<Fault>) {
    if let Some(limit) = &request.limit
        && let Err(fault) = request.inventory.select("all", Some(limit), Unknown::Fault)
    {
        faults.push(fault);
    }
}

fn merge(
    table: &mut IndexMap<String, crate::journal::Counts>,
    more: IndexMap<String, crate::journal::Counts>,
) {
    for (host, counts) in more {
        let all = table.entry(host).or_default();
        all.ok += counts.ok;
        all.changed += counts.changed;
        all.unreachable += counts.unreachable;
        all.failed += counts.failed;
        all.skipped += counts.skipped;
        all.rescued += counts.rescued;
        all.ignored += counts.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(hosts: usize, serial: Option<&Value>) -> Vec<usize> {
        let hosts: Vec<HostName> = (0..hosts)
            .map(|n| HostName::from(format!("h{n}")))
            .collect();
        let batches = batches(&hosts, serial).expect("sizes");
        assert_eq!(batches.concat(), hosts);
        batches.iter().map(Vec::len).collect()
    }

    // Sizes as ansible-playbook 2.18.19 cuts them.
    #[test]
    fn serial_cuts_hosts_into_batches() {
        let list = |items: &[Value]| Value::list(items.to_vec());
        assert_eq!(cut(5, None), [5]);
        assert_eq!(cut(5, Some(&Value::Int(2))), [2, 2, 1]);
        assert_eq!(cut(5, Some(&Value::Int(0))), [5]);
        assert_eq!(cut(5, Some(&Value::from("20%"))), [1, 1, 1, 1, 1]);
        assert_eq!(cut(10, Some(&Value::from("25%"))), [2, 2, 2, 2, 2]);
        assert_eq!(cut(3, Some(&Value::from("10%"))), [1, 1, 1]);
        assert_eq!(
            cut(6, Some(&list(&[Value::Int(1), Value::from("50%")]))),
            [1, 3, 2]
        );
    }
}
