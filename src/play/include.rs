//! Dynamic includes: what hosts asked for is read once, and run together by those that asked for the same.

use super::batch::{Batch, Section};
use super::call::Call;
use super::done::{Done, Effect, Include, IncludeWhat, Problem};
use super::run::Stop;
use super::store::lock;
use crate::content::inventory::{HostName, Var, Vars};
use crate::content::place::{Cause, Fault};
use crate::content::playbook::{Frame, Included, Item, Keywords, RoleCall, Task};
use crate::journal::{Delegate, Detail, Event, Status};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

/// How often one file may be inside itself before it is a circle.
const DEPTH: usize = 64;

/// `include_tasks` and `include_role`, as far as one host is concerned.
pub(super) fn ask(call: &Call<'_>) -> Result<Done, Problem> {
    let task = &call.attempt.task;
    let what = if &*task.module == "include_tasks" {
        let name = call.free.clone().or_else(|| call.text("file"));
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| call.fault("`include_tasks` needs a file"))?;
        // A file that isn't there is a failure that `ignore_errors` doesn't forgive: it is told when the include happens.
        match find(call, &name) {
            Ok(path) => IncludeWhat::Tasks(path),
            Err(fault) => IncludeWhat::Missing(fault),
        }
    } else {
        let name = call.text("name").or_else(|| call.text("role"));
        let validate = call.flag("rolespec_validate", true);
        IncludeWhat::Role(RoleCall {
            name: name.ok_or_else(|| call.fault("`include_role` needs the name of a role"))?,
            tasks_from: call.text("tasks_from"),
            vars_from: call.text("vars_from"),
            defaults_from: call.text("defaults_from"),
            handlers_from: call.text("handlers_from"),
            public: call.flag("public", false),
            allow_duplicates: Some(call.flag("allow_duplicates", true)),
            unchecked: !validate,
        })
    };
    let mut args = call.json_args();
    let file = args.shift_remove("_raw_params");
    let mut done = Done::ok().with("changed", false);
    if &*task.module == "include_tasks" {
        let file = file.or_else(|| args.get("file").cloned());
        done = done.with("include", file.unwrap_or_default());
    }
    Ok(done
        .with("include_args", args)
        .effect(Effect::Include(Include {
            task: Arc::clone(task),
            what,
            locals: call.locals.clone(),
            label: None,
            hidden: call.attempt.hides(call.templar),
        })))
}

fn find(call: &Call<'_>, name: &str) -> Result<PathBuf, Fault> {
    let task = &call.attempt.task;
    let place = task
        .args
        .free_form
        .as_ref()
        .or_else(|| task.args.get("file"))
        .map_or(&task.place, |var| &var.place);
    crate::content::playbook::find_tasks(
        name,
        &task.frame.search,
        &call.attempt.batch.play.dir(),
        task.handler,
    )
    .map_err(|looked| crate::content::playbook::missing_file(name, &looked, place))
}

impl Include {
    pub(super) fn copy(&self) -> Self {
        Self {
            task: Arc::clone(&self.task),
            what: self.what.clone(),
            locals: self.locals.clone(),
            label: self.label.clone(),
            hidden: self.hidden,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.what.is_same(&other.what)
            && self.locals.len() == other.locals.len()
            && self.locals.iter().all(|(name, value)| {
                other
                    .locals
                    .get(name)
                    .is_some_and(|theirs| value.to_json() == theirs.to_json())
            })
    }
}

impl Batch {
    /// Runs the includes that hosts asked for, in the order in which they were first asked for.
    pub(super) async fn includes(
        self: &Arc<Self>,
        task: &Arc<Task>,
        wanted: Vec<(HostName, Include)>,
        hosts: &[HostName],
        section: Section,
        fatal: bool,
    ) -> Result<(), Stop> {
        let mut groups: Vec<(Include, Vec<HostName>)> = Vec::new();
        // The first item of every host goes before the second of any, as in Ansible.
        for (host, include) in wanted {
            match groups
                .iter_mut()
                .find(|(known, members)| known.is_same(&include) && !members.contains(&host))
            {
                Some((_, members)) => members.push(host),
                None => groups.push((include, vec![host])),
            }
        }
        // All files are read, and told, before the first of their tasks.
        let (mut ready, mut broken) = (Vec::new(), false);
        for (include, members) in groups {
            let members: Vec<HostName> = hosts
                .iter()
                .filter(|host| members.contains(host))
                .cloned()
                .collect();
            match self.load(task, &include) {
                Ok(items) => {
                    for host in &members {
                        self.run.recap.count(host, |counts| counts.ok += 1);
                    }
                    self.run.sink.emit(included(&include, &members));
                    ready.push((items, members));
                }
                Err(faults) => {
                    let absent = |fault: &Fault| fault.cause == Cause::Absent;
                    if let Some(mistake) = faults.iter().find(|fault| !absent(fault)) {
                        return Err(Stop::Refused(mistake.clone()));
                    }
                    self.include_failed(task, &faults, &members, section);
                    broken = true;
                }
            }
        }
        if broken && fatal {
            self.fail_all(hosts, false);
        }
        for (items, members) in ready {
            let members = self.roster.active(&members);
            if !members.is_empty() {
                self.items(&items, &members, section).await?;
            }
        }
        Ok(())
    }

    /// The items of an include, with what they inherit.
    fn load(self: &Arc<Self>, task: &Task, include: &Include) -> Result<Vec<Item>, Vec<Fault>> {
        let outer = task.frame.parent.as_ref().unwrap_or(&task.frame);
        let mut params = task.frame.keywords.vars.clone();
        for (name, value) in &include.locals {
            params.insert(
                name.clone(),
                Var {
                    value: value.clone(),
                    place: task.place.clone(),
                },
            );
        }
        let keywords = task
            .apply
            .as_ref()
            .map_or_else(Keywords::default, |apply| Keywords::clone(apply));
        let inside = |params: Vars, includes: Arc<[PathBuf]>| {
            Arc::new(Frame {
                keywords,
                params,
                parent: Some(Arc::clone(outer)),
                search: Arc::clone(&task.frame.search),
                includes,
                ..Frame::empty()
            })
        };
        let run = &self.run;
        match &include.what {
            IncludeWhat::Missing(fault) => Err(vec![fault.clone()]),
            IncludeWhat::Tasks(path) => {
                circle(path, &task.frame, task)?;
                let inside = inside(params, Arc::clone(&task.frame.includes));
                let dir = self.play.dir();
                let included =
                    run.loader
                        .include_tasks(path, &task.frame, &inside, &dir, task.handler)?;
                Ok(self.take_in(included))
            }
            IncludeWhat::Role(call) => {
                let (name, tasks_from) = (&call.name, &call.tasks_from);
                let step = PathBuf::from(format!(
                    "role {name}{}",
                    tasks_from
                        .as_ref()
                        .map(|from| format!(" ({from})"))
                        .unwrap_or_default()
                ));
                circle(&step, &task.frame, task)?;
                let includes = task.frame.includes.iter().cloned().chain([step]).collect();
                let inside = inside(params, includes);
                let loaded =
                    run.loader
                        .include_role(call, &task.place, &inside, &self.play.dir())?;
                if let Some(role) = loaded.role.as_ref().filter(|_| call.public) {
                    self.add_role(&role.role);
                }
                Ok(self.take_in(loaded))
            }
        }
    }

    /// The play knows the handlers of an included role and of all that is imported on the way, and the variables of
    /// what is imported.
    fn take_in(self: &Arc<Self>, included: Included) -> Vec<Item> {
        for imported in included
            .imported
            .iter()
            .filter(|imported| imported.role.public)
        {
            self.add_role(&imported.role);
        }
        let mut handlers = self
            .handlers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for loaded in included.imported.into_iter().chain(included.role) {
            lock(&self.included).push(Arc::clone(&loaded.role));
            for handler in loaded.handlers {
                if !handlers.iter().any(|known| known.place == handler.place) {
                    handlers.push(handler);
                }
            }
        }
        included.items
    }

    /// An include that can't be read fails on the hosts that asked for it.
    fn include_failed(&self, task: &Task, faults: &[Fault], hosts: &[HostName], section: Section) {
        let message = faults
            .iter()
            .map(|fault| fault.message.clone())
            .collect::<Vec<_>>()
            .join("; ");
        let first = faults.first();
        for host in hosts {
            self.run.sink.emit(Event::HostResult {
                host: host.to_string(),
                task: task.name.as_ref().map_or_else(
                    || task.module.to_string(),
                    |name| super::keep::as_text(&name.value),
                ),
                item: None,
                status: Status::Failed,
                message: Some(message.clone()),
                result: serde_json::json!({"reason": message}),
                diff: None,
                delegate: Delegate::default(),
                detail: Detail::Normal,
                place: Some(
                    first
                        .and_then(|fault| fault.place.as_ref())
                        .unwrap_or(&task.place)
                        .to_string(),
                ),
                hints: first.map(|fault| fault.hints.clone()).unwrap_or_default(),
                duration: 0.0,
            });
            self.fail_one(host, section, &message);
        }
    }
}

/// The event that an include happens.
fn included(include: &Include, hosts: &[HostName]) -> Event {
    Event::Included {
        path: match &include.what {
            IncludeWhat::Missing(_) => String::new(),
            IncludeWhat::Tasks(path) => {
                let nested = !include.task.frame.includes.is_empty();
                absolute(path, nested).display().to_string()
            }
            IncludeWhat::Role(role) => role.name.clone(),
        },
        hosts: hosts.iter().map(ToString::to_string).collect(),
        // As Ansible, which doesn't show what Python takes for nothing.
        item: match include.hidden {
            true => Some("(censored due to no_log)".to_owned()),
            false => include.label.clone(),
        }
        .filter(|label| !matches!(label.as_str(), "" | "0" | "False" | "None" | "[]" | "{}")),
    }
}

/// A path from the root, without `.`; `..` stays where a file that was included names another, as Ansible shows it.
fn absolute(path: &std::path::Path, nested: bool) -> PathBuf {
    use std::path::Component;
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir if !nested => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

/// A file inside itself for the nth time, with no end in sight.
fn circle(step: &std::path::Path, frame: &Frame, task: &Task) -> Result<(), Vec<Fault>> {
    let real = step.canonicalize().unwrap_or_else(|_| step.to_owned());
    let times = frame
        .includes
        .iter()
        .filter(|known| **known == real)
        .count();
    if times < DEPTH {
        return Ok(());
    }
    let first = frame
        .includes
        .iter()
        .rposition(|known| *known == real)
        .unwrap_or(0);
    let chain: Vec<String> = frame.includes[first..]
        .iter()
        .chain([&real])
        .map(|step| step.display().to_string())
        .collect();
    Err(vec![
        Fault::new(format!("circular include: {}", chain.join(" -> ")))
            .at(&task.place)
            .absent()
            .hint(format!(
                "It was inside itself {DEPTH} times; a condition has to end the circle."
            )),
    ])
}
