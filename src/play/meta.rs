//! `meta`, and handlers.

use super::batch::{Batch, Section, started};
use super::hosts::{Failure, Standing};
use super::keep::{Rendered, as_text, condition, render};
use super::run::Stop;
use super::store::lock;
use crate::content::inventory::HostName;
use crate::content::nearest::nearest;
use crate::content::place::Fault;
use crate::content::playbook::{Keyword, Task};
use crate::content::template::Templar;
use crate::journal::{Delegate, Detail, Event, Level, Status};
use std::sync::{Arc, PoisonError};

impl Batch {
    /// Does what a `meta` task says on the hosts whose conditions hold.
    pub(super) async fn meta(
        self: &Arc<Self>,
        task: &Arc<Task>,
        name: &str,
        hosts: &[HostName],
        templar: &Templar,
    ) -> Result<(), Stop> {
        let what = match &task.args.free_form {
            Some(var) => as_text(&render(templar, var).map_err(Stop::Fault)?),
            None => String::new(),
        };
        let view = self.view(Some(task));
        // These are for all hosts, and decided by the first.
        let for_all = matches!(
            what.as_str(),
            "end_play" | "end_batch" | "clear_facts" | "clear_host_errors" | "refresh_inventory"
        );
        let asked = if for_all { &hosts[..1] } else { hosts };
        let conditional = !matches!(
            what.as_str(),
            "noop" | "refresh_inventory" | "reset_connection"
        );
        let mut chosen = Vec::new();
        for host in asked {
            if self.free.is_none() {
                let check = self.run.request.check;
                self.run
                    .sink
                    .emit(started(task, name, hosts.len(), check, false));
            }
            let templar = self.templar(&view, host);
            let mut holds = true;
            for when in task.frame.conditions() {
                holds = holds && condition(&templar, when).map_err(Stop::Fault)?;
            }
            if holds {
                chosen.push(host.clone());
            } else if conditional {
                if let Some(last) = &self.free {
                    *lock(last) = Some(task.id);
                    let check = self.run.request.check;
                    self.run.sink.emit(started(task, name, 1, check, false));
                }
                self.run.sink.emit(skipped(host, name, &what));
            }
        }
        if chosen.is_empty() {
            return Ok(());
        }
        self.told(&what, task, &chosen).await
    }

    /// What `meta` says, for hosts whose conditions hold.
    async fn told(
        self: &Arc<Self>,
        what: &str,
        task: &Arc<Task>,
        chosen: &[HostName],
    ) -> Result<(), Stop> {
        match what {
            "flush_handlers" => return self.flush(chosen).await,
            "end_play" | "end_batch" => {
                // Where hosts don't wait for each other, the others end with their next task.
                for host in self.roster.active(&self.hosts) {
                    self.roster.set(&host, Standing::Ended);
                }
                return Err(if what == "end_play" {
                    Stop::Play
                } else {
                    Stop::Batch
                });
            }
            "end_role" => {
                if let Some(role) = task.frame.role() {
                    for host in chosen {
                        self.roster.set(host, Standing::RoleEnded(Arc::clone(role)));
                    }
                }
            }
            "end_host" => {
                for host in chosen {
                    self.roster.set(host, Standing::Ended);
                    self.note(host, "ends here");
                }
            }
            "clear_facts" => {
                for host in &self.hosts {
                    self.run.store.learned(host).clear_facts();
                    if let Some(cache) = &self.run.cache
                        && let Err(error) = cache.clear(host)
                    {
                        self.run
                            .warn(&format!("facts of {host} can't be forgotten: {error}"));
                    }
                }
            }
            "clear_host_errors" => {
                for host in &self.hosts {
                    // A failed host is back in the next play, an unreachable one at once, as in Ansible.
                    if matches!(self.roster.get(host), Standing::Unreachable) {
                        self.roster.set(host, Standing::Active);
                    }
                    self.run.recap.forgive(host);
                    lock(&self.cleared).insert(host.clone());
                }
            }
            "reset_connection" => {
                for host in chosen {
                    self.reset(task, host).await?;
                }
            }
            "refresh_inventory" => {
                self.run.store.reload().map_err(Stop::Fault)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&self, host: &HostName, text: &str) {
        self.run.sink.emit(Event::Note {
            level: Level::Debug,
            text: text.to_owned(),
            host: Some(host.to_string()),
        });
    }

    async fn reset(self: &Arc<Self>, task: &Arc<Task>, host: &HostName) -> Result<(), Stop> {
        let attempt = super::attempt::Attempt {
            batch: Arc::clone(self),
            task: Arc::clone(task),
            view: Arc::new(self.view(Some(task))),
            host: host.clone(),
            name: Arc::from("reset_connection"),
            rescuable: false,
        };
        let templar = self.templar(&attempt.view, host);
        let locals = indexmap::IndexMap::new();
        let keep = Rendered {
            frame: &task.frame,
            templar: &templar,
        };
        let to = keep.text(Keyword::DelegateTo).map_err(Stop::Fault)?;
        let to = to.filter(|name| !name.is_empty());
        let call = super::call::Call::new(&attempt, &templar, &locals, to.as_deref())
            .map_err(Stop::Fault)?;
        let at = call.whereabouts().map_err(Stop::Fault)?;
        self.run.connect.reset(&at).await;
        Ok(())
    }

    /// Remembers the names that a changed task notifies. Which handlers they mean is found out when handlers run,
    /// because an include may still bring others; a handler notifies others at once.
    pub(super) fn notify(
        self: &Arc<Self>,
        task: &Task,
        done: &super::done::Done,
        host: &HostName,
    ) -> Result<(), Stop> {
        for name in &done.notify {
            if let Some(fault) = self.unheard(name, task) {
                return Err(Stop::Fault(fault));
            }
            if task.handler {
                self.mark(name, host);
                continue;
            }
            let mut all = lock(&self.notifications);
            let names = all.entry(host.clone()).or_default();
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Ok(())
    }

    /// The fault when nobody hears a notification.
    pub(super) fn unheard(self: &Arc<Self>, name: &str, task: &Task) -> Option<Fault> {
        if !self.handlers_named(name).is_empty() {
            return None;
        }
        if self.run.request.configured("ERROR_ON_MISSING_HANDLER") == Some(false) {
            self.run.warn(&format!(
                "The requested handler '{name}' was not found in either the main handlers list nor in the listening \
                 handlers list"
            ));
            return None;
        }
        Some(self.unknown_handler(name, task))
    }

    /// Marks the handlers that a name means.
    fn mark(self: &Arc<Self>, name: &str, host: &HostName) {
        for handler in self.handlers_named(name) {
            let new = {
                let mut notified = lock(&self.notified);
                notified.entry(handler.id).or_default().insert(host.clone())
            };
            if new {
                let name = self.handler_name(&handler).unwrap_or_default();
                self.run.sink.emit(Event::Notified {
                    handler: match handler.frame.role() {
                        Some(role) => format!("{} : {name}", role.name),
                        None => name,
                    },
                    host: host.to_string(),
                });
            }
        }
    }

    /// The name of a handler; none when it has none or a template in it can't be rendered without a host.
    fn handler_name(self: &Arc<Self>, handler: &Task) -> Option<String> {
        let own = handler.name.as_ref()?;
        let written = as_text(&own.value);
        if !written.contains("{{") && !written.contains("{%") {
            return Some(written);
        }
        let view = self.view(Some(handler));
        let name = render(&self.hostless(&view), own).ok()?;
        Some(as_text(&name))
    }

    /// The handler of a name, and all that listen to it. Of several with one name the role that came last counts, and
    /// in one list of handlers the first.
    fn handlers_named(self: &Arc<Self>, name: &str) -> Vec<Arc<Task>> {
        let handlers: Vec<Arc<Task>> = {
            let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
            let lists = handlers.chunk_by(|a, b| same_list(a, b));
            let lists: Vec<&[Arc<Task>]> = lists.collect();
            lists.into_iter().rev().flatten().cloned().collect()
        };
        let mut found: Vec<Arc<Task>> = Vec::new();
        let named = handlers.iter().find(|handler| {
            self.handler_name(handler)
                .is_some_and(|own| is_called(handler, &own, name))
        });
        found.extend(named.cloned());
        let mut seen = Vec::new();
        for handler in &handlers {
            let listens = handler
                .listen
                .iter()
                .any(|topic| is_called(handler, &as_text(&topic.value), name));
            let own = handler.name.as_ref().map(|own| as_text(&own.value));
            if !listens || own.is_some() && seen.contains(&own) {
                continue;
            }
            seen.push(own);
            if !found.iter().any(|known| known.id == handler.id) {
                found.push(Arc::clone(handler));
            }
        }
        found
    }

    fn unknown_handler(&self, name: &str, task: &Task) -> Fault {
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<String> = handlers
            .iter()
            .flat_map(|handler| handler.name.iter().chain(&handler.listen))
            .map(|var| as_text(&var.value))
            .collect();
        let at = task
            .frame
            .notify()
            .last()
            .map_or_else(|| task.place.clone(), |var| var.place.clone());
        let fault = Fault::new(format!(
            "no handler is named `{name}`, and none listens to it"
        ))
        .at(&at);
        let near = nearest(name, known.iter().map(String::as_str), 3);
        if near.is_empty() {
            fault.hint(
                "Handlers stand in `handlers:` of the play or in handlers/main.yml of its roles.",
            )
        } else {
            fault.hint(format!("Did you mean `{}`?", near.join("` or `")))
        }
    }

    /// Runs the handlers that were notified, in the order of definition, until none is left that comes later.
    pub(super) async fn flush(self: &Arc<Self>, hosts: &[HostName]) -> Result<(), Stop> {
        for host in hosts {
            let names = lock(&self.notifications).remove(host).unwrap_or_default();
            for name in names {
                self.mark(&name, host);
            }
        }
        let mut index = 0;
        loop {
            let handler = {
                let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
                match handlers.get(index) {
                    Some(handler) => Arc::clone(handler),
                    None => return Ok(()),
                }
            };
            index += 1;
            let wanted: Vec<HostName> = {
                let mut notified = lock(&self.notified);
                let wanted = notified.entry(handler.id).or_default();
                let taken = hosts.iter().filter(|host| wanted.remove(*host));
                taken.cloned().collect()
            };
            if !wanted.is_empty() {
                self.handle(&handler, &wanted).await?;
            }
        }
    }

    async fn handle(self: &Arc<Self>, handler: &Arc<Task>, hosts: &[HostName]) -> Result<(), Stop> {
        if !self.force_handlers {
            let active = self.roster.active(hosts);
            if active.is_empty() {
                return Ok(());
            }
            return Box::pin(self.task(handler, &active, Section::default())).await;
        }
        // Failed hosts take part, and stay failed.
        let present = self.roster.present(hosts);
        let failed: Vec<(HostName, Standing)> = present
            .iter()
            .map(|host| (host.clone(), self.roster.get(host)))
            .filter(|(_, standing)| matches!(standing, Standing::Failed(_)))
            .collect();
        for (host, _) in &failed {
            self.roster.set(host, Standing::Active);
        }
        let ended = if present.is_empty() {
            Ok(())
        } else {
            Box::pin(self.task(handler, &present, Section::default())).await
        };
        for (host, standing) in failed {
            self.roster.set(&host, standing);
        }
        ended
    }

    /// A host that joins the play because it was added to the inventory.
    pub(super) fn add(&self, name: &str) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if !all.iter().any(|known| &**known == name) {
            all.push(HostName::from(name));
        }
    }

    /// One host fails without a result of its own.
    pub(super) fn fail_one(&self, host: &HostName, section: Section, message: &str) {
        // Ansible counts it as failed, also where a rescue takes over.
        self.run.recap.count(host, |counts| counts.failed += 1);
        if !section.rescuable {
            self.run.recap.fail(host);
        }
        let result = serde_json::json!({"failed": true, "changed": false, "msg": message});
        self.roster.set(
            host,
            Standing::Failed(Failure {
                shared: false,
                task: None,
                result: Some(crate::content::value::Value::from_json(&result)),
            }),
        );
    }
}

/// The event that a host doesn't do what `meta` says.
fn skipped(host: &HostName, name: &str, what: &str) -> Event {
    let reason = format!("{what} conditional evaluated to False");
    Event::HostResult {
        host: host.to_string(),
        task: name.to_owned(),
        item: None,
        status: Status::Skipped,
        message: None,
        result: serde_json::json!({"msg": what, "skip_reason": reason}),
        diff: None,
        delegate: Delegate::default(),
        detail: Detail::Normal,
        place: None,
        hints: Vec::new(),
        duration: 0.0,
    }
}

/// True for handlers of one list: of the same use of a role, or of the play itself.
fn same_list(a: &Task, b: &Task) -> bool {
    match (a.frame.role(), b.frame.role()) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// True when `name` means a handler by its own name or topic: alone, or after the name of its role, with or without the
/// role's collection.
fn is_called(handler: &Task, own: &str, name: &str) -> bool {
    if own == name {
        return true;
    }
    let prefix = name
        .strip_suffix(own)
        .and_then(|rest| rest.strip_suffix(" : "));
    match (handler.frame.role(), prefix) {
        (Some(role), Some(prefix)) => {
            let short = role
                .collection
                .as_ref()
                .and_then(|collection| role.name.strip_prefix(&**collection)?.strip_prefix('.'));
            *role.name == *prefix || short == Some(prefix)
        }
        _ => false,
    }
}
