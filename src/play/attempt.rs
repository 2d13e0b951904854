//! One task on one host: conditions, loop, retries, and what came of it.

use super::background;
use super::batch::Batch;
use super::call::Call;
use super::done::{Done, Effect, HostDone, Problem};
use super::keep::{Rendered, as_text, condition, number, render};
use super::report::ItemReport;
use super::view::{TaskView, text_of};
use crate::content::inventory::{HostName, Var};
use crate::content::place::Fault;
use crate::content::playbook::{Keyword, Task};
use crate::content::template::Templar;
use crate::content::value::{Key, Object, Value};
use crate::journal::{Detail, Event};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Retries of a task with `until` that doesn't say how many.
const RETRIES: u32 = 3;
/// Seconds between them.
const DELAY: f64 = 5.0;

/// A task that is about to run on a host.
pub(super) struct Attempt {
    pub batch: Arc<Batch>,
    pub task: Arc<Task>,
    pub view: Arc<TaskView>,
    pub host: HostName,
    /// The task's name as it is shown.
    pub name: Arc<str>,
    /// A rescue section stands ready for a failure.
    pub rescuable: bool,
}

impl Attempt {
    /// Runs the task. Never fails as a whole: whatever happens is the host's result.
    pub(super) async fn run(self) -> HostDone {
        let templar = self.batch.templar(&self.view, &self.host);
        let started = Instant::now();
        let request = &self.batch.run.request;
        if request.tell.starts {
            self.emit(Event::HostStarted {
                host: self.host.to_string(),
                task: match self.task.frame.role() {
                    Some(role) => format!("{} : {}", role.name, self.name),
                    None => self.name.to_string(),
                },
                handler: self.task.handler,
            });
        }
        let mut host_done = HostDone::of(&self.host);
        match &self.task.looping {
            None => {
                let done = self.once(&templar, &IndexMap::new()).await;
                self.judge(&mut host_done, done, &templar, None, started);
            }
            Some(looping) => {
                self.over_items(looping, &templar, &mut host_done, started)
                    .await;
            }
        }
        host_done
    }

    /// Takes over a result, decides whether a failure matters, and tells it.
    pub(super) fn judge(
        &self,
        host_done: &mut HostDone,
        mut done: Done,
        templar: &Templar,
        item: Option<String>,
        started: Instant,
    ) {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        if done.is_failed() {
            host_done.ignored = match keep.flag(Keyword::IgnoreErrors) {
                Ok(ignored) => ignored.unwrap_or(false),
                Err(fault) => {
                    done.fault.get_or_insert(fault);
                    false
                }
            };
        }
        if done.unreachable {
            host_done.stays = keep.flag(Keyword::IgnoreUnreachable).ok().flatten() == Some(true);
        }
        done.no_log |= self.hides(templar);
        // A loop notifies for all of its items when one of them changed something.
        let may_notify = done.is_changed() || item.is_some() && !done.is_skipped();
        if may_notify && !done.is_failed() && !done.unreachable {
            done.notify = self.notify(templar, &mut done.fault);
        }
        if let Some(fault) = done
            .notify
            .iter()
            .find_map(|name| self.batch.unheard(name, &self.task))
        {
            // The run ends here, before the result is told.
            self.batch.run.broken_file(fault);
            host_done.done = done;
            return;
        }
        if done.delegate.is_none() && !done.is_skipped() {
            let to = keep.text(Keyword::DelegateTo).ok().flatten();
            done.delegate.name = to.filter(|name| !name.is_empty());
        }
        if let (Some(to), None) = (&done.delegate.name, &done.delegate.address) {
            done.delegate.address = self.address(to);
        }
        let to = self.effect_host(templar, &done);
        for effect in done.effects.drain(..) {
            let host = match effect {
                Effect::Facts(_) | Effect::Set(_) | Effect::Included(_) => to.clone(),
                _ => self.host.clone(),
            };
            host_done.effects.push((host, effect));
        }
        ItemReport {
            attempt: self,
            item,
            duration: started.elapsed(),
            ignored: host_done.ignored,
            stays: host_done.stays,
            diff: keep
                .flag(Keyword::Diff)
                .ok()
                .flatten()
                .unwrap_or(self.batch.run.request.diff),
        }
        .tell(&done);
        host_done.done = done;
    }

    /// True for `no_log`; what can't be decided is hidden.
    pub(super) fn hides(&self, templar: &Templar) -> bool {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        let hidden = keep.flag(Keyword::NoLog);
        hidden.map_or(true, |hidden| hidden == Some(true))
    }

    /// The address of a host where it isn't its name.
    fn address(&self, host: &str) -> Option<String> {
        let vars = self.batch.run.store.vars(&HostName::from(host));
        let address = as_text(&vars.get("ansible_host")?.value);
        (address != host).then_some(address)
    }

    /// With `delegate_facts`, facts belong to the host that the task is delegated to.
    fn effect_host(&self, templar: &Templar, done: &Done) -> HostName {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        match &done.delegate.name {
            Some(to) if keep.flag(Keyword::DelegateFacts).ok().flatten() == Some(true) => {
                HostName::from(to.as_str())
            }
            _ => self.host.clone(),
        }
    }

    fn notify(&self, templar: &Templar, problem: &mut Option<Fault>) -> Vec<String> {
        let mut names = Vec::new();
        for var in self.task.frame.notify() {
            match render(templar, var) {
                Ok(Value::List(items)) => {
                    let items = items.read().map(|items| items.clone()).unwrap_or_default();
                    names.extend(items.iter().map(as_text));
                }
                Ok(value) => names.push(as_text(&value)),
                Err(fault) => {
                    problem.get_or_insert(fault);
                }
            }
        }
        names
    }

    /// The result when a condition is false.
    pub(super) fn skip(&self, templar: &Templar) -> Result<Option<Done>, Fault> {
        for when in self.task.frame.conditions() {
            let holds = condition(templar, when)?;
            if !holds {
                let done = Done::skipped("Conditional result was False")
                    .with("false_condition", when.value.to_json());
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    /// One call, with retries. `locals` are the variables of the loop.
    pub(super) async fn once(&self, templar: &Templar, locals: &IndexMap<String, Value>) -> Done {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        // Once for all: a template may choose another host each time. One that can't be rendered is a fault only once
        // the condition holds.
        let to = keep
            .text(Keyword::DelegateTo)
            .map(|to| to.filter(|name| !name.is_empty()));
        let name = to.as_ref().ok().and_then(Option::as_deref);
        let templar = &match name {
            Some(name) => self.delegated(templar, name),
            None => templar.clone(),
        };
        match self.skip(templar) {
            Ok(Some(skipped)) => return skipped,
            Ok(None) => {}
            Err(fault) => return Done::of(Problem::Unready(fault)),
        }
        let to = match to {
            Ok(to) => to,
            Err(fault) => return Done::of(Problem::Unready(fault)),
        };
        let verified = Rendered {
            frame: &self.task.frame,
            templar,
        }
        .verify();
        if let Err(fault) = verified {
            return Done::of(Problem::Unready(fault));
        }
        let mut done = match self.tries(templar, locals, to.as_deref()).await {
            Ok(done) => done,
            Err(problem) => Done::of(problem),
        };
        if done.delegate.is_none() && !done.is_skipped() {
            done.delegate.name = to;
        }
        done
    }

    /// Templates that know the host that the task is delegated to: `ansible_delegated_vars`, and how it is reached where
    /// the own host's variables don't say that of itself.
    fn delegated(&self, templar: &Templar, name: &str) -> Templar {
        let to = HostName::from(name);
        let there = self.batch.templar(&self.view, &to);
        let own = self.batch.run.store.vars(&self.host);
        let mut locals = IndexMap::new();
        for name in [
            "ansible_host",
            "ansible_ssh_host",
            "ansible_port",
            "ansible_ssh_port",
            "ansible_user",
            "ansible_ssh_user",
        ] {
            if !own.contains_key(name)
                && let Ok(Some(value)) = there.variable(name)
            {
                locals.insert(name.to_owned(), value);
            }
        }
        let vars = Value::Object(Arc::new(DelegatedVars {
            there,
            own: Value::from(&*self.host),
        }));
        let vars = Value::dict(IndexMap::from([(Key(Value::from(name)), vars)]));
        locals.insert("ansible_delegated_vars".to_owned(), vars);
        templar.with(locals)
    }

    async fn tries(
        &self,
        templar: &Templar,
        locals: &IndexMap<String, Value>,
        to: Option<&str>,
    ) -> Result<Done, Problem> {
        let retries = match &self.task.retries {
            Some(var) => whole(&render(templar, var)?, "retries", var)?,
            None if self.task.until.is_empty() => 0,
            None => RETRIES,
        };
        let attempts = retries + 1;
        let delay = match &self.task.delay {
            Some(var) => {
                let value = render(templar, var)?;
                number(&value).ok_or_else(|| {
                    let value = value.repr();
                    Fault::new(format!(
                        "the field 'delay' has an invalid value ({value}), and could not be converted to float.. could not \
                         convert string to float: {value}"
                    ))
                    .at(&var.place)
                })?
            }
            None => DELAY,
        };
        let delay = Duration::from_secs_f64(if delay < 0.0 { 1.0 } else { delay });
        let mut attempt = 1;
        loop {
            let mut done = self.limited(templar, locals, to).await?;
            if done.unreachable {
                return Ok(done);
            }
            complete(&mut done);
            if attempts > 1 {
                done.result.insert("attempts".to_owned(), attempt.into());
            }
            let after = self.after(templar, &done);
            if !done.is_skipped() {
                self.decide(&after, &mut done);
            }
            if attempts <= 1 {
                return Ok(done);
            }
            if self.reached(&self.after(templar, &done), &done)? {
                return Ok(done);
            }
            if attempt == attempts {
                done.result
                    .insert("attempts".to_owned(), (attempts - 1).into());
                done.result.insert("failed".to_owned(), true.into());
                done.result
                    .entry("msg")
                    .or_insert_with(|| "the condition of `until` never came true".into());
                return Ok(done);
            }
            self.tell_retry(self.hides(templar), &done, attempts - attempt, attempts);
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// Tells that the task failed and is tried again.
    fn tell_retry(&self, no_log: bool, done: &Done, left: u32, retries: u32) {
        let named = self.task.name.is_some();
        let role = self.task.frame.role().filter(|_| !named);
        let mut delegate = done.delegate.clone();
        if let Some(to) = &delegate.name {
            delegate.address = self.address(to);
        }
        self.emit(Event::Retrying {
            host: self.host.to_string(),
            task: match role {
                Some(role) => format!("{} : {}", role.name, self.name),
                None => self.name.to_string(),
            },
            left,
            result: match no_log {
                true => Json::Null,
                false => {
                    let mut result = done.result.clone();
                    result.insert("retries".to_owned(), retries.into());
                    Json::Object(result)
                }
            },
            detail: if no_log { Detail::Normal } else { done.detail },
            delegate,
        });
    }

    /// One call within the time that `timeout` gives.
    async fn limited(
        &self,
        templar: &Templar,
        locals: &IndexMap<String, Value>,
        to: Option<&str>,
    ) -> Result<Done, Problem> {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        let limit = keep
            .number(Keyword::Timeout)?
            .filter(|seconds| *seconds > 0.0);
        let call = Call::new(self, templar, locals, to).map_err(Problem::Unready)?;
        let mut done = match limit {
            None => background::run(&call).await?,
            Some(seconds) => {
                match tokio::time::timeout(Duration::from_secs_f64(seconds), background::run(&call))
                    .await
                {
                    Ok(done) => done?,
                    Err(_) => {
                        let message = format!(
                            "The {} action failed to execute in the expected time frame ({seconds}) and was terminated",
                            self.task.action
                        );
                        return Ok(Done::failed(message)
                            .with("timedout", serde_json::json!({"period": seconds})));
                    }
                }
            }
        };
        done.delegate.name = call.delegated_to().map(str::to_owned);
        Ok(done)
    }

    /// Templates that see the result under the name of `register`, and the variables that the call sets.
    fn after(&self, templar: &Templar, done: &Done) -> Templar {
        let mut locals = IndexMap::new();
        for effect in &done.effects {
            if let Effect::Set(vars) | Effect::Included(vars) | Effect::Facts(vars) = effect {
                locals.extend(vars.clone());
            }
        }
        if let Some(name) = &self.task.register {
            locals.insert(name.to_string(), registered(&done.result));
        }
        if locals.is_empty() {
            return templar.clone();
        }
        templar.with(locals)
    }

    /// `changed_when` and `failed_when`.
    fn decide(&self, templar: &Templar, done: &mut Done) {
        let all = |conditions: &[Var]| -> Result<bool, Fault> {
            for when in conditions {
                if !condition(templar, when)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut judged = || -> Result<(), (&'static str, Fault)> {
            if !self.task.changed_when.is_empty() {
                let changed =
                    all(&self.task.changed_when).map_err(|fault| ("changed_when_result", fault))?;
                done.result.insert("changed".to_owned(), changed.into());
            }
            if !self.task.failed_when.is_empty() {
                let failed =
                    all(&self.task.failed_when).map_err(|fault| ("failed_when_result", fault))?;
                done.result.insert("failed".to_owned(), failed.into());
                done.result
                    .insert("failed_when_result".to_owned(), failed.into());
                if !failed {
                    done.fault = None;
                }
            }
            Ok(())
        };
        if let Err((name, fault)) = judged() {
            done.result.insert("failed".to_owned(), true.into());
            done.result
                .insert(name.to_owned(), fault.message.clone().into());
            done.fault = Some(fault);
        }
    }

    fn reached(&self, templar: &Templar, done: &Done) -> Result<bool, Fault> {
        if self.task.until.is_empty() {
            return Ok(!done.is_failed());
        }
        for when in &self.task.until {
            if !condition(templar, when)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The variables of the task on the host that it is delegated to. As in Ansible they are known under the task's own
/// host.
struct DelegatedVars {
    there: Templar,
    own: Value,
}

impl std::fmt::Debug for DelegatedVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ansible_delegated_vars[…]")
    }
}

impl Object for DelegatedVars {
    fn type_name(&self) -> &'static str {
        "dict"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if name == "inventory_hostname" {
            return Some(self.own.clone());
        }
        self.there
            .variable(name)
            .unwrap_or_else(|error| Some(Value::undefined_because(name.to_owned(), error.message)))
    }

    fn keys(&self) -> Option<Vec<Value>> {
        let mut names: indexmap::IndexSet<String> = self.there.names().into_iter().collect();
        for name in ["ansible_host", "ansible_port", "ansible_user"] {
            names.insert(name.to_owned());
        }
        Some(
            names
                .iter()
                .map(|name| Value::from(name.as_str()))
                .collect(),
        )
    }
}

/// Fills in what every result has.
fn complete(done: &mut Done) {
    if !done.result.contains_key("failed") {
        let bad = match done.result.get("rc") {
            None | Some(Json::Null) => false,
            Some(Json::Number(rc)) => rc.as_i64() != Some(0),
            Some(Json::String(rc)) => rc != "0",
            Some(_) => true,
        };
        done.result.insert("failed".to_owned(), bad.into());
    }
    done.result.entry("changed").or_insert(Json::Bool(false));
}

/// A result as templates see it: data, never a template.
pub(super) fn registered(result: &serde_json::Map<String, Json>) -> Value {
    Value::from_json(&Json::Object(result.clone()))
}

fn whole(value: &Value, what: &str, var: &Var) -> Result<u32, Fault> {
    let count = number(value)
        .filter(|count| count.is_finite())
        .ok_or_else(|| {
            Fault::new(format!(
                "`{what}` needs a number; this is {}",
                text_of(value).unwrap_or_else(|| value.repr())
            ))
            .at(&var.place)
        })?;
    Ok(count.max(0.0) as u32)
}
