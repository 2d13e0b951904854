//! `set_stats`: figures of the run; they are shown as the task's result.

use crate::content::value::Value;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use serde_json::json;

pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let Some(data @ Value::Dict(_)) = call.args.get("data") else {
        return Err(call
            .fault("set_stats: data must be a mapping of names to values")
            .into());
    };
    Ok(Done::changed(false).with(
        "ansible_stats",
        json!({
            "data": data.to_json(),
            "per_host": call.flag("per_host", false),
            "aggregate": call.flag("aggregate", true),
        }),
    ))
}
