//! `set_fact`: variables of the host.

use crate::content::inventory::Var;
use crate::content::value::Value;
use crate::play::call::Call;
use crate::play::done::{Done, Effect, Problem};
use crate::play::keep::{as_text, render};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

/// Ansible's classic rule: text that says yes or no is a switch, however it was quoted.
fn switched(value: &Value) -> Value {
    let word = value.as_str().map(str::to_ascii_lowercase);
    match word.as_deref() {
        Some("yes" | "true") => Value::Bool(true),
        Some("no" | "false") => Value::Bool(false),
        _ => value.clone(),
    }
}

pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let cacheable = call.flag("cacheable", false);
    let native = call.attempt.batch.run.request.native;
    let mut facts = IndexMap::new();
    let mut shown = Map::new();
    for (name, value) in &call.args {
        if name == "cacheable" {
            continue;
        }
        let var = Var {
            value: Value::from(name.as_str()),
            place: call.place(name).clone(),
        };
        let name = as_text(&render(call.templar, &var).map_err(Problem::Unready)?);
        let valid = name
            .chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !valid {
            return Err(crate::content::place::Fault::new(format!("`{name}` is not a name for a variable"))
                .at(&var.place)
                .hint("Names of variables have letters, digits and underscores and don't start with a digit.")
                .into());
        }
        let value = if native {
            value.clone()
        } else {
            switched(value)
        };
        shown.insert(name.clone(), value.to_json());
        facts.insert(name, value);
    }
    if facts.is_empty() {
        return Err(call.fault("set_fact: no variable is given").into());
    }
    let done = Done::changed(false).with("ansible_facts", Json::Object(shown));
    let done = if cacheable {
        done.effect(Effect::Facts(facts.clone()))
    } else {
        done
    };
    Ok(done.effect(Effect::Set(facts)))
}
