//! `set_stats`: figures of the run; they are shown as the task's result.

use crate::content::value::Value;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::keep::{as_text, boolean, is_identifier, not_a_name};
use serde_json::json;

pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let data = match call.args.get("data") {
        None => Value::dict(indexmap::IndexMap::new()),
        Some(data @ Value::Dict(_)) => data.clone(),
        Some(_) => {
            return Err(call
                .fault("The 'data' option needs to be a dictionary/hash")
                .at(call.place("data"))
                .into());
        }
    };
    for name in data.entries().unwrap_or_default().into_keys() {
        let name = as_text(&name.0);
        if !is_identifier(&name) {
            return Err(call.fault(not_a_name(&name)).at(call.place("data")).into());
        }
    }
    Ok(Done::changed(false).with(
        "ansible_stats",
        json!({
            "data": data.to_json(),
            "per_host": call.flag("per_host", false),
            "aggregate": aggregate(call),
        }),
    ))
}

/// What is no boolean counts as no.
fn aggregate(call: &Call<'_>) -> bool {
    let given = call.args.get("aggregate");
    given.is_none_or(|given| boolean(given).unwrap_or(false))
}
