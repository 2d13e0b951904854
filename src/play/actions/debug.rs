//! `debug`: shows a text or a variable.

use crate::content::value::Value;
use crate::journal::Detail;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::keep::{as_text, number};
use crate::play::view::{fault, text_of};

pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let needed = call.args.get("verbosity").and_then(number).unwrap_or(0.0);
    if needed > f64::from(call.attempt.batch.run.request.verbosity) {
        return Ok(Done::ok()
            .with("skipped", true)
            .with("skipped_reason", "Verbosity threshold not met."));
    }
    let Some(var) = call.args.get("var") else {
        let message = call
            .args
            .get("msg")
            .cloned()
            .unwrap_or_else(|| Value::from("Hello world!"));
        let json = message.to_json();
        let mut done = Done::changed(false).with("msg", json.clone());
        done.said = Some(shown(&json));
        done.detail = Detail::Always;
        return Ok(done);
    };
    let (name, value) = match text_of(var) {
        Some(text) if text.contains("{{") || text.contains("{%") => {
            let value = call.templar.render(var).map_err(fault)?;
            // A name that came out of a template is looked up in turn.
            match text_of(&value) {
                Some(name) => match call.templar.expr(&name) {
                    Ok(found) => (name, found),
                    Err(_) => (text, value),
                },
                None => (text, value),
            }
        }
        Some(text) => {
            // As a template of its own, so that the result has the type that it would have in one.
            let template = Value::from(format!("{{{{ {text} }}}}").as_str());
            let value = match call.templar.render(&template) {
                Ok(Value::Undefined(missing)) => not_defined(call, &missing.message()),
                Err(error) if error.is_undefined() => not_defined(call, &error.message),
                Err(error) => return Err(Problem::Unready(fault(error).at(call.place("var")))),
                Ok(value) => value,
            };
            (text, value)
        }
        None => (as_text(var), var.clone()),
    };
    let json = value.to_json();
    let mut done = Done::changed(false).with(&name, json.clone());
    done.said = Some(format!("{name}: {}", shown(&json)));
    done.detail = Detail::Always;
    Ok(done)
}

/// What stands where a variable isn't there; with -v also why.
fn not_defined(call: &Call<'_>, why: &str) -> Value {
    let words = "VARIABLE IS NOT DEFINED!";
    match call.attempt.batch.run.request.verbosity {
        0 => Value::from(words),
        _ => Value::from(format!("{words}: {why}")),
    }
}

fn shown(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_else(|_| other.to_string()),
    }
}
