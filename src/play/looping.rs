//! Loops: the items of a task, one turn for each, and what came of them together.

use super::attempt::{Attempt, registered};
use super::done::{Done, Effect, HostDone, Problem};
use super::keep::{as_text, boolean, condition, number, render};
use super::report::LoopReport;
use super::view::fault;
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::playbook::Loop;
use crate::content::template::Templar;
use crate::content::value::{Key, Value};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Attempt {
    /// Runs the task for every item.
    pub(super) async fn over_items(
        &self,
        looping: &Loop,
        templar: &Templar,
        host_done: &mut HostDone,
        started: Instant,
    ) {
        let prepared = self.named(looping, templar).and_then(|looping| {
            let items = self.items(&looping, templar)?;
            Ok((looping, items))
        });
        let (looping, items) = match prepared {
            Ok((looping, items)) => (looping, items),
            Err(fault) => {
                // A condition that doesn't need the item may say that the loop doesn't matter.
                let done = match self.skip(templar) {
                    Ok(Some(skipped)) => skipped,
                    _ => Done::of(Problem::Unready(fault)),
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
        let looping = &*looping;
        let pause = looping
            .pause
            .as_ref()
            .and_then(|var| number(&render(templar, var).ok()?));
        let mut turns = Vec::new();
        // What items set and register is seen by the items after them.
        let mut carried = IndexMap::new();
        for index in 0..items.len() {
            if index > 0
                && let Some(pause) = pause
            {
                tokio::time::sleep(Duration::from_secs_f64(pause.max(0.0))).await;
            }
            let known = templar.with(carried.clone());
            let mut turn = match self.turn(looping, &known, &items, index).await {
                Ok(turn) => turn,
                // The task as a whole fails, as in Ansible: what earlier items gave is lost.
                Err(done) => return self.judge(host_done, done, templar, None, started),
            };
            self.carry(&turn, &mut carried);
            let over = self.is_over(looping, templar, &carried, &items, index, &mut turn);
            turns.push(turn);
            if over {
                break;
            }
        }
        collect(host_done, turns);
        LoopReport {
            attempt: self,
            duration: started.elapsed(),
        }
        .tell(host_done);
    }

    /// The loop with the names of its variables rendered.
    fn named<'a>(&self, looping: &'a Loop, templar: &Templar) -> Result<Cow<'a, Loop>, Fault> {
        let is_template = |name: &str| name.contains("{{");
        let names = [Some(&looping.var), looping.index_var.as_ref()];
        if !names.into_iter().flatten().any(|name| is_template(name)) {
            return Ok(Cow::Borrowed(looping));
        }
        let name = |name: &Arc<str>| {
            let var = Var {
                value: Value::from(&**name),
                place: self.task.place.clone(),
            };
            Ok::<_, Fault>(Arc::from(as_text(&render(templar, &var)?)))
        };
        let mut named = looping.clone();
        named.var = name(&looping.var)?;
        named.index_var = looping.index_var.as_ref().map(name).transpose()?;
        Ok(Cow::Owned(named))
    }

    /// One turn of a loop; the error is that the task can't begin with this item.
    async fn turn(
        &self,
        looping: &Loop,
        templar: &Templar,
        items: &[Value],
        index: usize,
    ) -> Result<HostDone, Done> {
        let item = &items[index];
        let locals = locals(looping, items, index, templar);
        let local = templar.with(locals.clone());
        let started = Instant::now();
        let mut done = self.once(&local, &locals).await;
        if done.unready {
            return Err(done);
        }
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
        let label = match looping.label.as_ref().map(|label| {
            let seen = self.labelled(&local, &done);
            render(&seen, label)
        }) {
            None => Ok(item.clone()),
            Some(label) => label,
        };
        let label = label.unwrap_or_else(|mut fault| {
            fault.message = format!("Failed to template loop_control.label: {}", fault.message);
            done.result.insert("failed".to_owned(), true.into());
            done.result
                .insert("msg".to_owned(), fault.message.clone().into());
            done.fault = Some(fault);
            // Nothing is included for an item that failed.
            let wanted = done.effects.len();
            done.effects
                .retain(|effect| !matches!(effect, Effect::Include(_)));
            if done.effects.len() < wanted {
                done.result.shift_remove("changed");
            }
            item.clone()
        });
        // As Ansible prints it, which has been through JSON: a tuple is a list.
        let label = as_text(&Value::from_json(&label.to_json()));
        for effect in &mut done.effects {
            if let Effect::Include(include) = effect {
                include.label = Some(label.clone());
            }
        }
        let mut turn = HostDone::of(&self.host);
        self.judge(&mut turn, done, &local, Some(label), started);
        Ok(turn)
    }

    /// Templates for the label, which may use what this very item registers.
    fn labelled(&self, templar: &Templar, done: &Done) -> Templar {
        match &self.task.register {
            None => templar.clone(),
            Some(name) => templar.with(IndexMap::from([(
                name.to_string(),
                registered(&done.result),
            )])),
        }
    }

    /// Adds what an item set and registered.
    fn carry(&self, turn: &HostDone, carried: &mut IndexMap<String, Value>) {
        for (_, effect) in &turn.effects {
            if let Effect::Set(vars) | Effect::Included(vars) | Effect::Facts(vars) = effect {
                carried.extend(vars.clone());
            }
        }
        if let Some(name) = &self.task.register {
            carried.insert(name.to_string(), registered(&turn.done.result));
        }
    }

    /// True when `break_when` ends the loop after this item.
    fn is_over(
        &self,
        looping: &Loop,
        templar: &Templar,
        carried: &IndexMap<String, Value>,
        items: &[Value],
        index: usize,
        turn: &mut HostDone,
    ) -> bool {
        if looping.break_when.is_empty() {
            return false;
        }
        let local = templar
            .with(carried.clone())
            .with(locals(looping, items, index, templar));
        for when in &looping.break_when {
            match condition(&local, when) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(fault) => {
                    let done = &mut turn.done;
                    done.result.insert("failed".to_owned(), true.into());
                    done.result
                        .insert("msg".to_owned(), fault.message.clone().into());
                    done.fault = Some(fault);
                    return true;
                }
            }
        }
        true
    }

    /// The items of the loop.
    fn items(&self, looping: &Loop, templar: &Templar) -> Result<Vec<Value>, Fault> {
        let at = &looping.terms.place;
        let Some(lookup) = &looping.lookup else {
            let value = render(templar, &looping.terms)?;
            return match list_of(&value) {
                Some(items) => Ok(items),
                None => Err(Fault::new(format!(
                    "Invalid data passed to 'loop', it requires a list, got this instead: {}. Hint: If you passed a \
                     list/dict of just one element, try adding wantlist=True to your lookup invocation or use q/query \
                     instead of lookup.",
                    as_text(&value)
                ))
                .at(at)
                .hint("Wrap one item as `[item]`; make a list of a mapping with `dict2items`.")),
            };
        };
        let short = lookup.rsplit('.').next().unwrap_or(lookup);
        let terms = if short == "first_found" {
            defined(templar, &looping.terms.value).unwrap_or_else(|| Value::list(Vec::new()))
        } else {
            render(templar, &looping.terms)?
        };
        let terms = match (list_of(&terms), &terms) {
            (Some(items), _) => items,
            // Going through a mapping gives its names.
            (None, Value::Dict(entries)) if short == "items" => {
                let entries = entries.read().map(|entries| entries.clone());
                let names = entries.unwrap_or_default().into_keys().map(|name| name.0);
                names.collect()
            }
            (None, _) => vec![terms],
        };
        let found = templar
            .lookup(lookup, terms, folder(&self.task.action))
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
    host_done.looped = true;
    let (mut results, mut notify, mut fault) = (Vec::new(), Vec::new(), None);
    let no_log = turns.iter().any(|turn| turn.done.no_log);
    let delegate = turns.last().map(|turn| turn.done.delegate.clone());
    for mut turn in turns {
        host_done.effects.append(&mut turn.effects);
        notify.append(&mut turn.done.notify);
        fault = turn.done.fault.or(fault);
        results.push(Json::Object(turn.done.result));
    }
    let mut done = Done::ok()
        .with("results", Json::Array(results))
        .with("skipped", skipped);
    for (name, holds) in [("unreachable", unreachable), ("failed", failed)] {
        if holds {
            done = done.with(name, true);
        }
    }
    done = done.with("msg", message).with("changed", changed);
    done.fault = fault;
    done.unreachable = unreachable;
    done.no_log = no_log;
    done.delegate = delegate.unwrap_or_default();
    if changed && !failed {
        done.notify = notify;
    }
    host_done.done = done;
}

/// What of a value can be rendered: names that aren't defined only drop the text that uses them.
fn defined(templar: &Templar, value: &Value) -> Option<Value> {
    match value {
        Value::List(items) => {
            let items = items.read().ok()?.clone();
            let items = items.iter().filter_map(|item| defined(templar, item));
            Some(Value::list(items.collect()))
        }
        Value::Dict(entries) => {
            let entries = entries.read().ok()?.clone().into_iter();
            let entries =
                entries.filter_map(|(name, value)| Some((name, defined(templar, &value)?)));
            Some(Value::dict(entries.collect()))
        }
        other => templar.render(other).ok(),
    }
}

/// Where files are looked for that an action of this name works with.
fn folder(action: &str) -> &'static str {
    match action {
        _ if action.contains("template") => "templates",
        _ if action.contains("var") => "vars",
        _ => "files",
    }
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
