//! One play on one batch of hosts, by the linear strategy: every host is through with a task before the next begins.

use super::attempt::Attempt;
use super::done::{Done, Effect, HostDone, Include};
use super::hosts::{Failure, Roster, Standing};
use super::keep::{Rendered, as_text, number, render};
use super::profile::Doing;
use super::run::{Run, Stop};
use super::store::lock;
use super::view::TaskView;
use crate::content::inventory::HostName;
use crate::content::place::Fault;
use crate::content::playbook::{Item, Keyword, Layers, Play, Role, Strategy, Task};
use crate::content::value::{Key, Value};
use crate::journal::{Event, Level, NO_MORE_HOSTS};
use futures::future::BoxFuture;
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A play that runs on a batch of its hosts.
pub(super) struct Batch {
    pub run: Arc<Run>,
    pub play: Arc<Play>,
    pub name: Arc<str>,
    /// The hosts of this batch, in the order of the play.
    pub hosts: Vec<HostName>,
    /// All hosts of the play, and those that it adds.
    pub all: RwLock<Vec<HostName>>,
    pub roster: Roster,
    /// In the order of definition; roles that are included add theirs.
    pub handlers: RwLock<Vec<Arc<Task>>>,
    pub notified: Mutex<HashMap<u64, HashSet<HostName>>>,
    /// Names that were notified by host; which handlers they mean is found out when handlers run.
    pub notifications: Mutex<HashMap<HostName, Vec<String>>>,
    /// Hosts don't wait for each other: the task whose banner was told last.
    pub free: Option<Mutex<Option<u64>>>,
    roles: RwLock<Arc<[Arc<Role>]>>,
    /// Roles that tasks included, in order, public or not.
    pub(super) included: Mutex<Vec<Arc<Role>>>,
    /// Roles that have run, by identity and host.
    pub(super) completed: Mutex<HashSet<(String, HostName)>>,
    /// Tasks of a role that ran on a host: only then has the role run.
    pub(super) touched: Mutex<HashSet<(String, HostName)>>,
    /// `vars_files` by host.
    pub files: Mutex<HashMap<HostName, Layers>>,
    pub force_handlers: bool,
    pub max_fail: Option<f64>,
    throttles: Mutex<HashMap<u64, Arc<Semaphore>>>,
    chosen: Mutex<HashMap<u64, bool>>,
    /// Hosts whose failure `meta: clear_host_errors` took back in an `always` section.
    pub(super) cleared: Mutex<HashSet<HostName>>,
}

/// What holds for the tasks of a list.
#[derive(Clone, Copy, Default)]
pub(super) struct Section {
    /// A rescue section around takes over when one fails.
    pub rescuable: bool,
}

impl Batch {
    pub(super) fn new(
        run: &Arc<Run>,
        play: &Arc<Play>,
        name: &str,
        hosts: Vec<HostName>,
        all: Vec<HostName>,
    ) -> Self {
        let roster = Roster::new(&hosts);
        for host in &hosts {
            if run.recap.is_lost(host) {
                roster.set(host, Standing::Unreachable);
            } else if run.recap.has_failed(host) {
                roster.set(host, Standing::Failed(Failure::default()));
            }
        }
        Self {
            run: Arc::clone(run),
            play: Arc::clone(play),
            name: Arc::from(name),
            hosts,
            all: RwLock::new(all),
            roster,
            handlers: RwLock::new(play.handlers.clone()),
            notified: Mutex::default(),
            notifications: Mutex::default(),
            free: (play.strategy != Strategy::Linear).then(Mutex::default),
            roles: RwLock::new(play.public_roles()),
            included: Mutex::default(),
            completed: Mutex::default(),
            touched: Mutex::default(),
            files: Mutex::default(),
            force_handlers: run.request.force_handlers,
            max_fail: None,
            throttles: Mutex::default(),
            chosen: Mutex::default(),
            cleared: Mutex::default(),
        }
    }

    /// Roles that the play sees the variables of.
    pub(super) fn roles(&self) -> Arc<[Arc<Role>]> {
        Arc::clone(&self.roles.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An include made a role public.
    pub(super) fn add_role(&self, role: &Arc<Role>) {
        let mut roles = self.roles.write().unwrap_or_else(PoisonError::into_inner);
        if !roles.iter().any(|known| known.identity == role.identity) {
            *roles = roles.iter().chain([role]).cloned().collect();
        }
    }

    /// Tasks and blocks, in order, on those of the hosts that are active.
    pub(super) fn items<'a>(
        self: &'a Arc<Self>,
        items: &'a [Item],
        hosts: &'a [HostName],
        section: Section,
    ) -> BoxFuture<'a, Result<(), Stop>> {
        Box::pin(async move {
            for item in items {
                let active = self.roster.active(hosts);
                match item {
                    Item::RoleEnd(role) => self.role_end(role, hosts),
                    _ if active.is_empty() => {}
                    Item::Task(task) => self.task(task, &active, section).await?,
                    Item::Block(block) => self.block(block, &active, section).await?,
                }
            }
            Ok(())
        })
    }

    /// Whether tags let the task run.
    fn is_chosen(self: &Arc<Self>, task: &Task, hosts: &[HostName]) -> Result<bool, Stop> {
        if task.handler {
            return Ok(true);
        }
        if let Some(chosen) = lock(&self.chosen).get(&task.id) {
            return Ok(*chosen);
        }
        let view = self.view(Some(task));
        let Some(first) = hosts.first() else {
            return Ok(false);
        };
        let templar = self.templar(&view, first);
        let tags =
            super::tags::of(&task.frame, |var| render(&templar, var)).map_err(Stop::Fault)?;
        let chosen = self.run.tags.choose(&tags);
        lock(&self.chosen).insert(task.id, chosen);
        Ok(chosen)
    }

    /// One task on all of the hosts.
    pub(super) async fn task(
        self: &Arc<Self>,
        task: &Arc<Task>,
        hosts: &[HostName],
        section: Section,
    ) -> Result<(), Stop> {
        if self.run.request.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        if let Some(fault) = lock(&self.run.broken).take() {
            return Err(Stop::Fault(fault));
        }
        if !self.is_chosen(task, hosts)? {
            return Ok(());
        }
        let mut hosts = self.role_pending(task, hosts);
        let Some(first) = hosts.first().cloned() else {
            return Ok(());
        };
        let view = Arc::new(self.view(Some(task)));
        let templar = self.templar(&view, &first);
        let name = self.title(task, &templar);
        if !self.run.has_started(&name, task) {
            return Ok(());
        }
        if &*task.module == "meta" {
            return self.meta(task, &name, &hosts, &templar).await;
        }
        if self.free.is_none() && !self.run.wants(task, &name).await? {
            return Ok(());
        }
        let keep = Rendered {
            frame: &task.frame,
            templar: &templar,
        };
        let bypass = super::actions::once_for_all(&task.module);
        let asked_once = keep
            .flag(Keyword::RunOnce)
            .map_err(Stop::Fault)?
            .unwrap_or(false);
        let mut fatal = keep
            .flag(Keyword::AnyErrorsFatal)
            .unwrap_or(None)
            .unwrap_or(false);
        if self.free.is_some() {
            self.check_free(task, bypass, asked_once, fatal)?;
            fatal = false;
        }
        let shared = asked_once && self.free.is_none();
        let once = bypass || shared;
        let everyone = hosts.clone();
        if once {
            hosts.truncate(1);
        }
        if self.free.is_none() {
            let tell = self.run.request.tell;
            let check = keep.flag(Keyword::CheckMode).unwrap_or(None);
            let check = check.unwrap_or(self.run.request.check);
            self.run
                .sink
                .emit(started(task, &name, hosts.len(), check, tell.arguments));
        }
        let lenient = keep
            .flag(Keyword::IgnoreErrors)
            .unwrap_or(None)
            .unwrap_or(false);
        let width = keep.number(Keyword::Throttle).map_err(Stop::Fault)?;
        let throttle = width
            .filter(|width| *width >= 1.0)
            .map(|width| self.throttle(task, width as usize));
        let begun = Instant::now();
        let done = self
            .everywhere(task, &view, &name, &hosts, throttle, section)
            .await?;
        if let Some(profile) = &self.run.request.profile {
            profile.banner(&name, hosts.len(), begun);
        }
        let bad = done
            .iter()
            .any(|one| one.done.unreachable && !one.stays || one.done.is_failed() && !one.ignored);
        let sharers = self.roster.reachable(&self.hosts);
        let includes = self.take(task, &name, done, shared.then_some(&sharers), section)?;
        let at = if once { &everyone } else { &hosts };
        self.includes(task, includes, at, section, fatal && !lenient)
            .await?;
        if bad && (fatal || once) && !lenient {
            self.fail_all(&everyone, shared);
        }
        if self.free.is_some() {
            return Ok(());
        }
        self.check_percentage(&everyone)
    }

    fn throttle(&self, task: &Task, width: usize) -> Arc<Semaphore> {
        Arc::clone(
            lock(&self.throttles)
                .entry(task.id)
                .or_insert_with(|| Arc::new(Semaphore::new(width))),
        )
    }

    /// The name that is shown; templates that can't be rendered are shown as they are.
    fn title(&self, task: &Task, templar: &crate::content::template::Templar) -> Arc<str> {
        let Some(name) = &task.name else {
            return super::list::unnamed(task);
        };
        let value = render(templar, name).unwrap_or_else(|_| name.value.clone());
        // A number is no name.
        match super::view::text_of(&value) {
            Some(text) if !text.is_empty() => Arc::from(text.trim()),
            _ => super::list::unnamed(task),
        }
    }

    /// Runs the task on the hosts at the same time, as many as forks and `throttle` allow.
    async fn everywhere(
        self: &Arc<Self>,
        task: &Arc<Task>,
        view: &Arc<TaskView>,
        name: &Arc<str>,
        hosts: &[HostName],
        throttle: Option<Arc<Semaphore>>,
        section: Section,
    ) -> Result<Vec<HostDone>, Stop> {
        let mut running = tokio::task::JoinSet::new();
        for (index, host) in hosts.iter().enumerate() {
            let attempt = Attempt {
                batch: Arc::clone(self),
                task: Arc::clone(task),
                view: Arc::clone(view),
                host: host.clone(),
                name: Arc::clone(name),
                rescuable: section.rescuable,
            };
            let (forks, throttle) = (Arc::clone(&self.run.forks), throttle.clone());
            let (profile, asked) = (self.run.request.profile.clone(), Instant::now());
            let mut turn = Box::pin(async move {
                let narrow = match throttle {
                    Some(throttle) => throttle.acquire_owned().await.ok(),
                    None => None,
                };
                (narrow, forks.acquire_owned().await.ok())
            });
            // Asked once in this order, hosts get their turns in it.
            let early = futures::poll!(turn.as_mut());
            running.spawn(async move {
                let _turn = match early {
                    Poll::Ready(taken) => taken,
                    Poll::Pending => turn.await,
                };
                let Some(profile) = profile else {
                    return (index, attempt.run().await);
                };
                let (host, name) = (attempt.host.clone(), Arc::clone(&attempt.name));
                profile.note(Doing::Queue, &host, &name, asked, Duration::ZERO);
                let begun = Instant::now();
                let done = attempt.run().await;
                profile.note(Doing::Task, &host, &name, begun, Duration::ZERO);
                (index, done)
            });
        }
        let mut found: Vec<Option<HostDone>> = hosts.iter().map(|_| None).collect();
        loop {
            let next = tokio::select! {
                next = running.join_next() => next,
                () = self.run.request.cancel.cancelled() => {
                    // Dropping the set ends what runs on the hosts.
                    running.shutdown().await;
                    return Err(Stop::Cancelled);
                }
            };
            match next {
                None => return Ok(found.into_iter().flatten().collect()),
                Some(Ok((index, done))) => found[index] = Some(done),
                Some(Err(error)) => {
                    return Err(Stop::Fault(
                        Fault::new(format!("a task of the runner itself broke down: {error}"))
                            .at(&task.place)
                            .hint("This is a defect of kopsrun: please report it with the run's journal."),
                    ));
                }
            }
        }
    }

    /// Takes over what the hosts' results change, counts them, and returns the includes that they want.
    fn take(
        self: &Arc<Self>,
        task: &Arc<Task>,
        name: &Arc<str>,
        done: Vec<HostDone>,
        everyone: Option<&Vec<HostName>>,
        section: Section,
    ) -> Result<Vec<(HostName, Include)>, Stop> {
        let mut includes = Vec::new();
        for one in done {
            let HostDone {
                host,
                done,
                effects,
                ignored,
                stays,
                ..
            } = one;
            self.run.stats.take(&done.result, &host);
            let alone = [host.clone()];
            let receivers: &[HostName] = everyone.map_or(&alone, Vec::as_slice);
            let mut includes_something = false;
            for (to, effect) in effects {
                let to_all = to == host;
                match effect {
                    Effect::Include(include) => {
                        includes_something = true;
                        includes.push((host.clone(), include.copy()));
                    }
                    other => {
                        let targets: &[HostName] = if to_all {
                            receivers
                        } else {
                            std::slice::from_ref(&to)
                        };
                        self.apply(other, targets, &host)
                            .map_err(|fault| Stop::Fault(fault.at(&task.place)))?;
                    }
                }
            }
            if let Some(register) = &task.register {
                let value = super::attempt::registered(&done.result);
                for receiver in receivers {
                    self.run
                        .store
                        .learned(receiver)
                        .set(register, value.clone());
                }
            }
            self.notify(task, &done, &host)?;
            self.touch(task, &host, &done);
            self.stand(
                task,
                name,
                &host,
                &done,
                (ignored, stays, includes_something),
                section,
            );
        }
        Ok(includes)
    }

    fn apply(&self, effect: Effect, hosts: &[HostName], own: &HostName) -> Result<(), Fault> {
        match effect {
            Effect::Facts(facts) => {
                for host in hosts {
                    self.run.store.learned(host).add_facts(facts.clone());
                    self.run.save_facts(host);
                }
            }
            Effect::Set(vars) => {
                for host in hosts {
                    let learned = self.run.store.learned(host);
                    for (name, value) in &vars {
                        learned.set(name, value.clone());
                    }
                }
            }
            Effect::Included(vars) => {
                for host in hosts {
                    let learned = self.run.store.learned(host);
                    for (name, value) in &vars {
                        let merge = self.run.request.merge_hashes;
                        learned.include(name, value.clone(), merge);
                    }
                }
            }
            Effect::GroupBy { group, parents } => {
                self.run.store.group_by(&group, &parents, own)?;
            }
            Effect::Include(_) => {}
        }
        Ok(())
    }

    /// Where the result leaves the host, and what the recap counts.
    fn stand(
        &self,
        task: &Task,
        name: &Arc<str>,
        host: &HostName,
        done: &Done,
        (ignored, stays, includes): (bool, bool, bool),
        section: Section,
    ) {
        let recap = &self.run.recap;
        if done.unreachable {
            if stays {
                recap.count(host, |counts| {
                    counts.ok += 1;
                    counts.ignored += 1;
                });
            } else {
                recap.count(host, |counts| counts.unreachable += 1);
                recap.lose(host);
                self.roster.set(host, Standing::Unreachable);
            }
            return;
        }
        if done.is_failed() {
            if ignored {
                recap.count(host, |counts| {
                    counts.ok += 1;
                    counts.ignored += 1;
                    counts.changed += u32::from(done.is_changed());
                });
                return;
            }
            recap.count(host, |counts| {
                if section.rescuable {
                    counts.rescued += 1;
                } else {
                    counts.failed += 1;
                }
            });
            if !section.rescuable {
                recap.fail(host);
            }
            self.roster.set(
                host,
                Standing::Failed(Failure {
                    task: Some(described(task, task.name.as_ref().map_or("", |_| name))),
                    result: Some(super::attempt::registered(&done.result)),
                    shared: false,
                }),
            );
            return;
        }
        recap.count(host, |counts| {
            if done.is_skipped() {
                counts.skipped += 1;
            } else if !includes {
                counts.ok += 1;
                counts.changed += u32::from(done.is_changed());
            }
        });
    }

    /// Every host of the batch fails with the one that did.
    pub(super) fn fail_all(&self, hosts: &[HostName], shared: bool) {
        for host in self.roster.active(hosts) {
            self.run.recap.fail(&host);
            let failure = Failure {
                shared,
                ..Failure::default()
            };
            self.roster.set(&host, Standing::Failed(failure));
        }
    }

    fn check_percentage(&self, hosts: &[HostName]) -> Result<(), Stop> {
        let Some(limit) = self.max_fail else {
            return Ok(());
        };
        let share = self.run.recap.failed_count() as f64 * 100.0 / self.hosts.len().max(1) as f64;
        if share > limit {
            self.fail_all(hosts, false);
            // Ansible tells it when the limit is passed, and again when it gives up.
            for _ in 0..2 {
                self.run.sink.emit(Event::Note {
                    level: Level::Info,
                    text: NO_MORE_HOSTS.to_owned(),
                    host: None,
                });
            }
            return Err(Stop::TooManyFailed);
        }
        Ok(())
    }
}

/// The event that a task begins.
pub(super) fn started(
    task: &Task,
    name: &str,
    hosts: usize,
    check: bool,
    arguments: bool,
) -> Event {
    // The role of an `include_role` without a name is in the name that it gets.
    let role = task
        .frame
        .role()
        .filter(|_| &*task.module != "include_role");
    Event::TaskStarted {
        name: name.to_owned(),
        module: Some(task.module.to_string()),
        action: (task.action != task.module).then(|| task.action.to_string()),
        role: role.map(|role| role.name.to_string()),
        handler: task.handler,
        check,
        arguments: (arguments && task.frame.get(Keyword::NoLog).is_none())
            .then(|| as_written(task)),
        hosts,
        place: Some(absolute(&task.place)),
    }
}

/// The arguments of a task, `name=value` with commas between.
fn as_written(task: &Task) -> String {
    let line = task.args.free_form.as_ref();
    let line = line.map(|line| format!("_raw_params={}", as_text(&line.value)));
    let map = task.args.map.iter();
    let map = map.map(|(name, var)| format!("{name}={}", as_text(&var.value)));
    line.into_iter().chain(map).collect::<Vec<_>>().join(", ")
}

/// A place, the same from every directory.
pub(super) fn absolute(place: &crate::content::place::Place) -> String {
    let file = std::path::absolute(&place.file).unwrap_or_else(|_| place.file.to_path_buf());
    crate::content::place::Place {
        file: Arc::from(file),
        ..place.clone()
    }
    .to_string()
}

/// `ansible_failed_task`.
fn described(task: &Task, name: &str) -> Value {
    let mut args: IndexMap<Key, Value> = task
        .args
        .map
        .iter()
        .map(|(name, var)| (Key(Value::from(name.as_str())), var.value.clone()))
        .collect();
    if let Some(line) = &task.args.free_form {
        args.insert(Key(Value::from("_raw_params")), line.value.clone());
    }
    let entries = [
        ("name", Value::from(name)),
        ("action", Value::from(&*task.action)),
        ("args", Value::dict(args)),
        ("place", Value::from(&*task.place.to_string())),
    ];
    Value::dict(
        entries
            .into_iter()
            .map(|(name, value)| (Key(Value::from(name)), value))
            .collect(),
    )
}

/// A play's own setting, rendered, as a number.
pub(super) fn percentage(value: &Value) -> Option<f64> {
    match value {
        Value::Str(text) => text.text.trim().trim_end_matches('%').trim().parse().ok(),
        other => number(other),
    }
}
