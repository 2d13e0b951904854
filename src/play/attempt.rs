//! One task on one host: conditions, loop, retries, and what came of it.

use super::actions;
use super::batch::Batch;
use super::call::Call;
use super::done::{Done, Effect, HostDone, Problem};
use super::keep::{Rendered, as_text, boolean, condition, number, render};
use super::report::ItemReport;
use super::view::{TaskView, fault, text_of};
use crate::content::inventory::{HostName, Var};
use crate::content::place::Fault;
use crate::content::playbook::{Keyword, Loop, Task};
use crate::content::template::Templar;
use crate::content::value::{Key, Value};
use crate::journal::{Event, Level};
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

    async fn over_items(
        &self,
        looping: &Loop,
        templar: &Templar,
        host_done: &mut HostDone,
        started: Instant,
    ) {
        let items = match self.items(looping, templar) {
            Ok(items) => items,
            Err(fault) => {
                // A condition that doesn't need the item may say that the loop doesn't matter.
                let done = match self.skip(templar) {
                    Ok(Some(skipped)) => skipped,
                    _ => Done::of(Problem::Failed(fault)),
                };
                return self.judge(host_done, done, templar, None, started);
            }
        };
        if items.is_empty() {
            let done = Done::ok()
                .with("changed", false)
                .with("skipped", true)
                .with("skipped_reason", "No items in the list")
                .with("results", Json::Array(Vec::new()));
            return self.judge(host_done, done, templar, None, started);
        }
        let pause = looping
            .pause
            .as_ref()
            .and_then(|var| number(&render(templar, var).ok()?));
        let mut turns = Vec::new();
        for index in 0..items.len() {
            if index > 0
                && let Some(pause) = pause
            {
                tokio::time::sleep(Duration::from_secs_f64(pause.max(0.0))).await;
            }
            let turn = self.turn(looping, templar, &items, index).await;
            let lost = turn.done.unreachable;
            turns.push(turn);
            if lost {
                break;
            }
        }
        collect(host_done, turns);
    }

    /// One turn of a loop.
    async fn turn(
        &self,
        looping: &Loop,
        templar: &Templar,
        items: &[Value],
        index: usize,
    ) -> HostDone {
        let item = &items[index];
        let locals = locals(looping, items, index, templar);
        let local = templar.with(locals.clone());
        let started = Instant::now();
        let mut done = self.once(&local, &locals).await;
        let mut add = |name: &str, value: Json| done.result.insert(name.to_owned(), value);
        add(&looping.var, item.to_json());
        add("ansible_loop_var", (&*looping.var).into());
        if let Some(name) = &looping.index_var {
            add(name, index.into());
            add("ansible_index_var", (&**name).into());
        }
        if let Some(extended) = locals.get("ansible_loop") {
            add("ansible_loop", extended.to_json());
        }
        let label = looping
            .label
            .as_ref()
            .and_then(|label| render(&local, label).ok())
            .unwrap_or_else(|| item.clone());
        let mut turn = HostDone::of(&self.host);
        self.judge(&mut turn, done, &local, Some(as_text(&label)), started);
        turn
    }

    /// Takes over a result, decides whether a failure matters, and tells it.
    fn judge(
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
        // What can't be decided is hidden.
        done.no_log |= keep
            .flag(Keyword::NoLog)
            .map_or(true, |hidden| hidden == Some(true));
        // A loop notifies for all of its items when one of them changed something.
        let may_notify = done.is_changed() || item.is_some() && !done.is_skipped();
        if may_notify && !done.is_failed() && !done.unreachable {
            done.notify = self.notify(templar, &mut done.fault);
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
        }
        .tell(&done);
        host_done.done = done;
    }

    /// With `delegate_facts`, facts belong to the host that the task is delegated to.
    fn effect_host(&self, templar: &Templar, done: &Done) -> HostName {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        match &done.delegated_to {
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
    fn skip(&self, templar: &Templar) -> Result<Option<Done>, Fault> {
        for when in self.task.frame.conditions() {
            let holds = condition(templar, when).map_err(|fault| self.undecided(when, fault))?;
            if !holds {
                let done = Done::skipped("Conditional result was False")
                    .with("false_condition", when.value.to_json());
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    fn undecided(&self, when: &Var, mut fault: Fault) -> Fault {
        fault.message = format!(
            "the condition `{}` can't be decided: {}",
            as_text(&when.value),
            fault.message
        );
        fault
    }

    /// One call, with retries. `locals` are the variables of the loop.
    async fn once(&self, templar: &Templar, locals: &IndexMap<String, Value>) -> Done {
        match self.skip(templar) {
            Ok(Some(skipped)) => return skipped,
            Ok(None) => {}
            Err(fault) => return Done::of(Problem::Failed(fault)),
        }
        match self.tries(templar, locals).await {
            Ok(done) => done,
            Err(problem) => Done::of(problem),
        }
    }

    async fn tries(
        &self,
        templar: &Templar,
        locals: &IndexMap<String, Value>,
    ) -> Result<Done, Problem> {
        let retries = match &self.task.retries {
            Some(var) => whole(&render(templar, var)?, "retries", var)?,
            None if self.task.until.is_empty() => 0,
            None => RETRIES,
        };
        let attempts = retries + 1;
        let delay = match &self.task.delay {
            Some(var) => number(&render(templar, var)?).unwrap_or(DELAY),
            None => DELAY,
        };
        let delay = Duration::from_secs_f64(if delay < 0.0 { 1.0 } else { delay });
        let mut attempt = 1;
        loop {
            let mut done = self.limited(templar, locals).await?;
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
            self.batch.run.sink.emit(Event::Note {
                level: Level::Info,
                text: format!("{}: trying again, {} left", self.name, attempts - attempt),
                host: Some(self.host.to_string()),
            });
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// One call within the time that `timeout` gives.
    async fn limited(
        &self,
        templar: &Templar,
        locals: &IndexMap<String, Value>,
    ) -> Result<Done, Problem> {
        let keep = Rendered {
            frame: &self.task.frame,
            templar,
        };
        let limit = keep
            .number(Keyword::Timeout)?
            .filter(|seconds| *seconds > 0.0);
        let call = Call::new(self, templar, locals)?;
        let mut done = match limit {
            None => actions::run(&call).await?,
            Some(seconds) => {
                match tokio::time::timeout(Duration::from_secs_f64(seconds), actions::run(&call))
                    .await
                {
                    Ok(done) => done?,
                    Err(_) => {
                        return Ok(Done::failed(format!(
                            "the {} action didn't end within {seconds} seconds and was stopped",
                            self.task.module
                        )));
                    }
                }
            }
        };
        done.delegated_to = call.delegated_to().map(str::to_owned);
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
                if !condition(templar, when).map_err(|fault| self.undecided(when, fault))? {
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
            if !condition(templar, when).map_err(|fault| self.undecided(when, fault))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The items of the loop.
    fn items(&self, looping: &Loop, templar: &Templar) -> Result<Vec<Value>, Fault> {
        let at = &looping.terms.place;
        let Some(lookup) = &looping.lookup else {
            let value = render(templar, &looping.terms)?;
            return match list_of(&value) {
                Some(items) => Ok(items),
                None => Err(Fault::new(format!(
                    "`loop` needs a list; this is {} {}",
                    article(&value),
                    value.repr()
                ))
                .at(at)
                .hint("Wrap one item as `[item]`; make a list of a mapping with `dict2items`.")),
            };
        };
        let terms = if &**lookup == "first_found" {
            // Undefined names only drop their candidate.
            templar
                .render(&looping.terms.value)
                .unwrap_or_else(|_| looping.terms.value.clone())
        } else {
            render(templar, &looping.terms)?
        };
        let terms = match list_of(&terms) {
            Some(items) => items,
            None => vec![terms],
        };
        let found = templar
            .lookup(lookup, terms)
            .map_err(|error| fault(error).at(at))?;
        Ok(found)
    }
}

/// The result of a loop from those of its turns.
fn collect(host_done: &mut HostDone, turns: Vec<HostDone>) {
    let any = |is: fn(&Done) -> bool| turns.iter().any(|turn| is(&turn.done));
    let (changed, failed) = (any(Done::is_changed), any(Done::is_failed));
    let unreachable = turns.iter().any(|turn| turn.done.unreachable);
    let skipped = turns.iter().all(|turn| turn.done.is_skipped());
    let message = if failed {
        "One or more items failed"
    } else if skipped {
        "All items skipped"
    } else {
        "All items completed"
    };
    host_done.ignored = failed
        && turns
            .iter()
            .all(|turn| turn.ignored || !turn.done.is_failed());
    host_done.stays = turns.iter().any(|turn| turn.stays);
    let (mut results, mut notify, mut fault) = (Vec::new(), Vec::new(), None);
    for mut turn in turns {
        host_done.effects.append(&mut turn.effects);
        notify.append(&mut turn.done.notify);
        fault = turn.done.fault.or(fault);
        results.push(Json::Object(turn.done.result));
    }
    let mut done = Done::ok().with("results", Json::Array(results));
    for (name, holds) in [
        ("skipped", skipped),
        ("unreachable", unreachable),
        ("failed", failed),
    ] {
        if holds {
            done = done.with(name, true);
        }
    }
    done = done.with("msg", message).with("changed", changed);
    done.fault = fault;
    done.unreachable = unreachable;
    if changed && !failed {
        done.notify = notify;
    }
    host_done.done = done;
}

/// What a lookup or `loop` takes as a list.
fn list_of(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(items) => items.read().ok().map(|items| items.clone()),
        Value::Tuple(items) => Some(items.to_vec()),
        Value::Object(object) if object.keys().is_none() => object.items(),
        _ => None,
    }
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::Dict(_) => "the mapping",
        Value::Str(_) => "the text",
        _ => "the value",
    }
}

/// Variables of one turn of a loop.
fn locals(
    looping: &Loop,
    items: &[Value],
    index: usize,
    templar: &Templar,
) -> IndexMap<String, Value> {
    let mut locals = IndexMap::new();
    let number = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    locals.insert("ansible_loop_var".to_owned(), Value::from(&*looping.var));
    locals.insert(looping.var.to_string(), items[index].clone());
    if let Some(name) = &looping.index_var {
        locals.insert("ansible_index_var".to_owned(), Value::from(&**name));
        locals.insert(name.to_string(), number(index));
    }
    let flag = |var: &Option<Var>, default: bool| {
        var.as_ref()
            .and_then(|var| boolean(&render(templar, var).ok()?))
            .unwrap_or(default)
    };
    if flag(&looping.extended, false) {
        let count = items.len();
        let mut extended = vec![
            ("index", number(index + 1)),
            ("index0", number(index)),
            ("first", Value::Bool(index == 0)),
            ("last", Value::Bool(index + 1 == count)),
            ("length", number(count)),
            ("revindex", number(count - index)),
            ("revindex0", number(count - index - 1)),
        ];
        if flag(&looping.extended_allitems, true) {
            extended.push(("allitems", Value::list(items.to_vec())));
        }
        if let Some(next) = items.get(index + 1) {
            extended.push(("nextitem", next.clone()));
        }
        if let Some(previous) = index.checked_sub(1).and_then(|before| items.get(before)) {
            extended.push(("previtem", previous.clone()));
        }
        let entries = extended
            .into_iter()
            .map(|(name, value)| (Key(Value::from(name)), value));
        locals.insert("ansible_loop".to_owned(), Value::dict(entries.collect()));
    }
    locals
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
