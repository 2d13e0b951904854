//! `set_fact`: variables of the host.

use crate::content::inventory::Var;
use crate::content::value::Value;
use crate::play::call::Call;
use crate::play::done::{Done, Effect, Problem};
use crate::play::keep::{as_text, is_identifier, not_a_name, render};
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
    // Words that are no name=value are a variable too, as in Ansible.
    let words = call.free.as_deref().map(Value::from);
    let words = words.map(|words| ("_raw_params".to_owned(), words));
    let args = call
        .args
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in args.chain(words) {
        if name == "cacheable" {
            continue;
        }
        let var = Var {
            value: Value::from(name.as_str()),
            place: call.place(&name).clone(),
        };
        let name = as_text(&render(call.templar, &var).map_err(Problem::Unready)?);
        if !is_identifier(&name) {
            return Err(crate::content::place::Fault::new(not_a_name(&name))
                .at(&var.place)
                .into());
        }
        let value = if native { value } else { switched(&value) };
        shown.insert(name.clone(), value.to_json());
        facts.insert(name, value);
    }
    if facts.is_empty() {
        return Err(call
            .fault(
                "No key/value pairs provided, at least one is required for this action to succeed",
            )
            .into());
    }
    let done = Done::changed(false).with("ansible_facts", Json::Object(shown));
    let done = if cacheable {
        done.effect(Effect::Facts(facts.clone()))
    } else {
        done
    };
    Ok(done.effect(Effect::Set(facts)))
}
